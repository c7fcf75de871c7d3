"""``weft quantize --repair``: what each repair does, what it gives, and when it is undone."""

import json
import math

import numpy as np
import onnx
import pytest
from float_models import FloatModel, random_model

from weft.cli import main
from weft.commands.quantize import quantize_model
from weft.compiler.calibrate import calibrate
from weft.compiler.calibration_samples import open_samples
from weft.compiler.calibrators import parse_calibrator
from weft.compiler.edges import decode_outputs, encode_inputs
from weft.compiler.float_run import run_float
from weft.compiler.network import Conv2D, FullyConnected
from weft.compiler.onnx_reader import load_onnx
from weft.compiler.quantize import quantize
from weft.errors import InputError
from weft.repairing.layers import correct_biases, round_layers
from weft.repairing.repair import REPAIRS, Choices, chosen_repairs, parse_repairs, repair_network
from weft.repairing.samples import HeldSamples, hold
from weft.sim import golden


def network_of(tmp_path, seed=0, samples=64):
    """A network with channels of very different size, and samples with a mean of their own."""
    rng = np.random.default_rng(seed)
    model = FloatModel(rng, (3, 8, 8))
    sizes = np.geomspace(1, 60, 8).reshape(-1, 1, 1, 1)
    weights = rng.normal(0, 0.2, (8, 3, 3, 3)) * sizes
    value = model.node("Conv", ["x", model.constant(weights.astype(np.float32))], "conv")
    value = model.node("Relu", [value], "relu")
    value = model.node("Conv", [value, model.weights(6, 8, 3, 3)], "conv2")
    value = model.node("Relu", [value], "relu2")
    value = model.node("Flatten", [value])
    model.node("Gemm", [value, model.weights(5, 96), model.weights(5)], "y", transB=1)
    path = model.save(tmp_path / "m.onnx", {"y": (5,)})
    data = rng.uniform(0, 1, (samples, 3, 8, 8)) + rng.normal(size=(samples, 3, 1, 1))
    return path, {"x": data.astype(np.float32)}


def ratio(network, path, data):
    """Signal to noise of the outputs, taken without the code under test."""
    found = decode_outputs(network, golden.run_network(network, encode_inputs(network, data)))
    expected = run_float(path, data, list(found))
    signal = sum(np.square(expected[name].astype(float)).sum() for name in found)
    noise = sum(np.square(expected[name] - found[name].astype(float)).sum() for name in found)
    return 10 * math.log10(signal / noise)


# Names --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("all", REPAIRS), ("none", ()), ("auto", None), ("bias", ("bias",)),
        ("bias, clip,equalize", ("equalize", "clip", "bias")),
    ],
)  # fmt: skip
def test_names(text, names):
    assert parse_repairs(text) == names


@pytest.mark.parametrize("text", ["", "best", "bias,none", "Bias"])
def test_names_that_there_are_not(text):
    with pytest.raises(InputError, match=r"there is no repair '.*'; give auto, all, none, or som"):
        parse_repairs(text)


def test_auto_needs_samples_and_clips_where_the_calibrator_does():
    minmax, mse = parse_calibrator("minmax"), parse_calibrator("mse")
    assert chosen_repairs(None, minmax, 31) == ("round",)
    assert chosen_repairs(None, minmax, 32) == ("round", "bias")
    assert chosen_repairs(None, mse, 31) == ("clip", "round")
    assert chosen_repairs(None, mse, 32) == ("clip", "round", "bias")
    assert chosen_repairs((), mse, 32) == ()
    assert chosen_repairs(("bias",), mse, 1) == ("bias",)


# What they give -----------------------------------------------------------------------


@pytest.mark.parametrize("scales", ["shift", "multiplier"])
@pytest.mark.parametrize("name", REPAIRS)
def test_each_measures_what_it_gives(name, scales, tmp_path):
    path, data = network_of(tmp_path)
    none, some = (
        quantize_model(path, data, tmp_path / "q.onnx", repair=repair, scales=scales)
        for repair in ("none", name)
    )
    assert none.repairs == ()
    (found,) = some.repairs
    assert found.name == name
    if found.outcome == "idle":
        assert (name, scales) == ("equalize", "multiplier")
        assert found.note == "scales that are no powers of two fill their types anyway"
        return
    assert found.before == pytest.approx(ratio(none.network, path, data), abs=1e-3)
    if found.outcome == "kept":
        assert found.after >= found.before
        assert found.after == pytest.approx(ratio(some.network, path, data), abs=1e-3)
        assert set(found.layers) == set(some.network.tensors)
    else:
        assert ratio(some.network, path, data) == ratio(none.network, path, data)
    assert found.layers["y"] == (found.before, found.after)


@pytest.mark.parametrize("seed", range(6))
def test_all_together_are_never_worse(seed, tmp_path):
    path = tmp_path / "m.onnx"
    data = random_model(seed, path)
    found = quantize_model(path, data, tmp_path / "q.onnx", repair="all", zero_points=seed % 2 > 0)
    measured = [repair for repair in found.repairs if repair.outcome != "idle"]
    now = measured[0].before
    for repair in measured:
        # Another pass over the samples has chosen the same scales.
        assert repair.before == pytest.approx(now, abs=1e-3)
        assert (repair.after >= repair.before) == (repair.outcome == "kept")
        now = max(now, repair.after)
    onnx.checker.check_model(onnx.load(tmp_path / "q.onnx"))
    again = quantize(load_onnx(tmp_path / "q.onnx"))
    assert ratio(again, path, data) == ratio(found.network, path, data)


def test_they_help_on_samples_not_seen(tmp_path):
    path, data = network_of(tmp_path, samples=200)
    seen, other = {"x": data["x"][:100]}, {"x": data["x"][100:]}
    graph = load_onnx(path)
    network = quantize(graph, calibrate(path, graph, seen))
    held = HeldSamples(graph, seen)
    before = ratio(network, path, other)
    assert ratio(round_layers(network, held), path, other) > before + 0.5
    assert ratio(correct_biases(network, held), path, other) > before + 0.5
    found = quantize_model(path, seen, tmp_path / "q.onnx", repair="equalize")
    assert found.repairs[0].outcome == "kept"
    assert ratio(found.network, path, other) > before + 1


def test_bias_correction_takes_the_mean_error_away(tmp_path):
    path, data = network_of(tmp_path, samples=100)
    graph = load_onnx(path)
    network = quantize(graph, calibrate(path, graph, data))
    held = HeldSamples(graph, data)

    def mean_error(changed):
        codes = golden.run_network(changed, encode_inputs(changed, data))["y"]
        expected = run_float(path, data, ["y"])["y"]
        return np.abs(codes.reshape(100, 5) * changed.tensors["y"].scale - expected).mean()

    corrected = correct_biases(network, held)
    assert mean_error(corrected) < mean_error(network)
    for old, new in zip(network.nodes, corrected.nodes, strict=True):
        if isinstance(old, Conv2D | FullyConnected):
            assert (old.weights == new.weights).all()
            assert (old.bias != new.bias).any()


def test_one_sample_says_nothing_of_a_bias(tmp_path):
    path, data = network_of(tmp_path, samples=1)
    graph = load_onnx(path)
    network = quantize(graph, calibrate(path, graph, data))
    corrected = correct_biases(network, HeldSamples(graph, data))
    for old, new in zip(network.nodes, corrected.nodes, strict=True):
        if isinstance(old, Conv2D | FullyConnected):
            np.testing.assert_array_equal(old.bias, new.bias)


def test_a_repair_that_makes_it_worse_is_undone(tmp_path, monkeypatch):
    path, data = network_of(tmp_path)
    graph = load_onnx(path)
    network = quantize(graph, calibrate(path, graph, data))
    scales = calibrate(path, graph, data)
    scales["relu"].scale[...] *= 16
    worse = quantize(graph, scales)
    made, (found,) = repair_network(network, HeldSamples(graph, data), ("clip",), lambda: worse)
    assert made is network
    assert (found.outcome, found.after < found.before) == ("undone", True)
    assert found.note == "undone, because it made the outputs worse on these samples"


def test_sums_that_would_leave_32_bits_keep_their_weights(tmp_path):
    """Biases of nearly 31 bits leave no room for larger weights."""
    rng = np.random.default_rng(0)
    model = FloatModel(rng, (1, 1, 64))
    weights = rng.uniform(0.4, 0.6, (2, 1, 1, 64)).astype(np.float32)
    bias = model.constant(np.array([2.0**18, 2.0**18], np.float32))
    model.node("Conv", ["x", model.constant(weights), bias], "y")
    path = model.save(tmp_path / "m.onnx", {"y": (2, 1, 1)})
    data = {"x": rng.uniform(-1, 1, (40, 1, 1, 64)).astype(np.float32)}
    found = quantize_model(path, data, tmp_path / "q.onnx", repair="all")
    golden.run_network(found.network, encode_inputs(found.network, data))


def test_choices_give_what_the_command_writes(tmp_path):
    path, data = network_of(tmp_path)
    found = quantize_model(path, data, tmp_path / "q.onnx", repair="none", zero_points=True)
    assert {tensor.zero_point for tensor in found.tensors} == {0, -128}
    assert Choices(parse_calibrator("minmax")).zero_points is False


def test_the_first_samples_are_held_and_all_are_read(tmp_path, monkeypatch):
    path, data = network_of(tmp_path)
    graph = load_onnx(path)
    elements = sum(math.prod(tensor.shape) for tensor in graph.tensors.values())
    for samples, room, count in (
        (7, 10**9, 7),
        (99, 20 * elements, 20),
        (99, 1, 1),
        (99, 10**9, 64),
    ):
        monkeypatch.setattr("weft.repairing.samples.SAMPLES", samples)
        monkeypatch.setattr("weft.repairing.samples.ELEMENTS", room)
        held, again = hold(
            graph, open_samples([data["x"][:30], data["x"][30:]], {"x": (1, 3, 8, 8)})
        )
        np.testing.assert_array_equal(held["x"], data["x"][:count])
        whole = np.concatenate([batch["x"] for batch in again.batches])
        np.testing.assert_array_equal(whole, data["x"])


def test_few_at_once_measure_the_same(tmp_path, monkeypatch):
    path, data = network_of(tmp_path)
    graph = load_onnx(path)
    network = quantize(graph, calibrate(path, graph, data))
    held = HeldSamples(graph, data)
    expected = held.errors(network), correct_biases(network, held)
    monkeypatch.setattr("weft.repairing.samples._ELEMENTS_AT_ONCE", 1)
    errors = held.errors(network)
    assert errors.outputs == pytest.approx(expected[0].outputs, abs=1e-4)
    assert errors.layers == pytest.approx(expected[0].layers, abs=1e-4)
    for one, two in zip(expected[1].nodes, correct_biases(network, held).nodes, strict=True):
        if isinstance(one, Conv2D | FullyConnected):
            # ONNX Runtime's sums depend on the size of the batch, in their last bits.
            assert np.abs(one.bias - two.bias).max() <= 1


# The command --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("repair")
    path, data = network_of(folder)
    np.savez(folder / "x.npz", inputs=data["x"])
    return [str(path), "--data", str(folder / "x.npz"), "-o", str(folder / "q.onnx")]


def test_json(files, capsys):
    assert main(["quantize", *files, "--repair", "all", "--zero-points", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [repair["name"] for repair in found["repairs"]] == list(REPAIRS)
    for repair in found["repairs"]:
        assert set(repair) == {"name", "outcome", "before_db", "after_db", "layers", "note"}
        assert repair["outcome"] in ("kept", "undone")
    weights = found["weights"][0]
    assert set(weights["statistics"]) == {"kurtosis", "skew", "sparsity", "spread"}
    assert "statistics" not in found["tensors"][0]
    unsigned = [tensor for tensor in found["tensors"] if tensor["zero_point"]]
    assert unsigned
    for tensor in unsigned:
        assert tensor["zero_point"] == -128
        assert tensor["type"].startswith("UQ")
        assert tensor["sfix"].startswith("ufix8")


def test_show(files, capsys):
    assert main(["quantize", *files, "--repair", "round,bias"]) == 0
    out = capsys.readouterr().out
    assert "repair   outputs before   after" in out
    assert max(len(line) for line in out.splitlines()[:-1]) <= 80
    hint = "conv_0.weights: the largest weights of its output channels differ by a factor of"
    assert hint in out.replace("\n", " ")
    assert main(["quantize", *files, "--repair", "none"]) == 0
    assert "repair " not in capsys.readouterr().out.partition("conv_0.weights:")[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--repair", "wights"], "there is no repair 'wights'; give auto, all, none, or some of"),
        (["--scales", "multiplier", "--zero-points"], "gives every activation a zero point; leave"),
    ],
)
def test_bad_options(options, message, files, capsys):
    assert main(["quantize", *files, *options]) == 2
    assert message in capsys.readouterr().err


def test_one_pass_over_an_iterable(tmp_path):
    """Samples that come once are enough, for repairs too; a fixed type stays."""
    path, data = network_of(tmp_path)
    batches = (data["x"][i : i + 5] for i in range(0, 64, 5))
    found = quantize_model(path, batches, tmp_path / "q.onnx", repair="all", types={"relu": "Q5.2"})
    assert found.samples == 64
    assert found.network.tensors["relu"].scale == 0.25
    again = quantize_model(path, data, tmp_path / "r.onnx", repair="all", types={"relu": "Q5.2"})
    assert found.network.tensors == again.network.tensors
