"""``weft quantize``: sources of samples, calibrators, fixed types, and what it says of tensors."""

import json

import numpy as np
import onnx
import pytest
from float_models import FloatModel

from weft.cli import main
from weft.commands.quantize import quantize_model
from weft.compiler.float_run import run_float
from weft.errors import InputError


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 17, (40, 1, 8, 8)).astype(np.float32)


@pytest.fixture(scope="module")
def run(tmp_path_factory, digits_onnx, images):
    """Run the command on the digits network; its status and what --json prints."""
    folder = tmp_path_factory.mktemp("quantize")
    np.savez(folder / "x.npz", inputs=images)

    def run(capsys, *options, data=folder / "x.npz"):
        capsys.readouterr()
        output = folder / "q.onnx"
        command = ["quantize", digits_onnx, "--data", data, "-o", output, *options, "--json"]
        status = main([str(argument) for argument in command])
        streams = capsys.readouterr()
        if status:
            return status, streams.err
        onnx.checker.check_model(onnx.load(output))
        return status, json.loads(streams.out)

    return run


def types(found, key="tensors"):
    return {tensor["name"]: tensor["type"] for tensor in found[key]}


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ("minmax", "minmax"), ("absmax", "absmax"), ("percentile", "percentile:99.99"),
        ("percentile:99", "percentile:99"), ("mse", "mse"), ("entropy", "entropy"),
        ("msb", "msb:99.9"), ("msb:95.5", "msb:95.5"),
    ],
)  # fmt: skip
def test_calibrators(given, named, run, capsys):
    _, found = run(capsys, "--calibrator", given)
    assert found["calibrator"] == named
    assert types(found)["image"] == "Q5.2"


def test_calibrators_differ(run, capsys):
    found = [types(run(capsys, "--calibrator", name)[1]) for name in ("minmax", "percentile:90")]
    assert found[0] != found[1]


def test_what_it_says_of_an_activation(run, capsys, digits_onnx, images):
    _, found = run(capsys, "--calibrator", "percentile:99")
    values = run_float(digits_onnx, {"image": images}, ["relu"])["relu"]
    relu = next(tensor for tensor in found["tensors"] if tensor["name"] == "relu")
    assert (relu["low"], relu["high"]) == (values.min(), values.max())
    assert relu["saturated"] == (values >= 127.5 * relu["scale"]).mean()
    assert 0 < relu["saturated"] <= 0.01
    assert relu["vanished"] == ((values > 0) & (values < relu["scale"] / 2)).mean()
    held = np.minimum(np.floor(values / relu["scale"] + 0.5), 127) * relu["scale"]
    noise = ((held - values.astype(np.float64)) ** 2).sum()
    ratio = 10 * np.log10((values.astype(np.float64) ** 2).sum() / noise)
    assert relu["sqnr_db"] == pytest.approx(ratio)
    bits = relu["bits"]
    assert bits["zeros"] == (values == 0).sum()
    powers = np.frexp(values[values > 0])[1] - 1
    assert bits["power"] == powers.min()
    assert bits["positive"] == np.bincount(powers - powers.min()).tolist()
    assert bits["negative"] == [0] * len(bits["positive"])


def test_what_it_says_of_weights_and_biases(run, capsys, digits_onnx):
    _, found = run(capsys, "--repair", "none")
    arrays = {
        a.name: onnx.numpy_helper.to_array(a) for a in onnx.load(digits_onnx).graph.initializer
    }
    assert [t["name"] for t in found["weights"]][-1] == "linear.weights"
    assert [t["name"] for t in found["biases"]][-1] == "linear.bias"
    weights, bias = found["weights"][-1], found["biases"][-1]
    (values,) = (a for a in arrays.values() if a.ndim == 2 and len(a) == 10)
    assert (weights["low"], weights["high"]) == (values.min(), values.max())
    held = np.round(values / weights["scale"]) * weights["scale"]
    ratio = 10 * np.log10((values**2).sum() / ((held - values) ** 2).sum())
    assert weights["sqnr_db"] == pytest.approx(ratio, rel=1e-4)
    before = {tensor["name"]: tensor["scale"] for tensor in found["tensors"]}["max_pool2d_1"]
    assert bias["scale"] == before * weights["scale"]
    assert bias["sfix"].startswith("sfix32_En")
    assert bias["saturated"] == 0


def test_a_scale_per_channel(capsys, tmp_path):
    random = np.random.default_rng(0)
    model = FloatModel(random, (2, 4, 4))
    weights = np.array([[3, -1], [0.9, 0.2], [0.1, 0.07]], np.float32).reshape(3, 2, 1, 1)
    model.node("Conv", ["x", model.constant(weights)], "y")
    path = model.save(tmp_path / "m.onnx", {"y": (3, 4, 4)})
    samples = random.normal(0, 1, (5, 2, 4, 4)).astype(np.float32)
    one, several = (
        quantize_model(path, [samples], tmp_path / "q.onnx", per_channel=per_channel)
        for per_channel in (False, True)
    )
    (found,) = several.to_json()["weights"]
    assert found["scale"] == [2.0**-5, 2.0**-7, 2.0**-10]
    assert found["type"] == ["Q2.5", "Q0.7", "Q-3.10"]
    assert found["saturated"] == 0
    assert found["sqnr_db"] > one.to_json()["weights"][0]["sqnr_db"]
    several.show()
    assert "Q2.5 …   per channel   2^-5 … -10" in capsys.readouterr().out


def test_fixed_types(run, capsys):
    _, found = run(capsys, "--type", "relu=sfix8_En3", "--type", "linear.weights=2^-7")
    assert types(found)["relu"] == "Q4.3"
    assert types(found, "weights")["linear.weights"] == "Q0.7"
    fixed = [
        t["name"] for key in ("tensors", "weights", "biases") for t in found[key] if t["fixed"]
    ]
    assert fixed == ["relu", "linear.weights"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--calibrator", "best"], "calibrator must be one of minmax, absmax, percentile, mse, en"),
        (["--type", "relo=Q4.3"], "there is no tensor 'relo'; near it are 'relu'"),
        (["--type", "relu=Q4.4"], "type 'Q4.4' has 9 bits, because Qm.n leaves the sign out"),
        (["--type", "relu"], "'relu' fixes no type; write NAME=TYPE"),
        (["--pixels", "1"], "'1' does not say what pixels mean"),
        (["--pixels", "0..1"], "has no images (PNG, JPEG)"),
    ],
)
def test_bad_options(options, message, run, capsys):
    status, text = run(capsys, *options)
    assert status == 2
    assert message in text


def test_a_folder_of_images_and_one_of_arrays(run, capsys, images, tmp_path):
    image_module = pytest.importorskip("PIL.Image")
    bytes_ = np.round(images[:, 0] * 255 / 16).astype(np.uint8)
    for kind in ("images", "arrays"):
        (tmp_path / kind).mkdir()
    for i, image in enumerate(bytes_):
        image_module.fromarray(image).save(tmp_path / "images" / f"{i}.png")
        np.save(tmp_path / "arrays" / f"{i}.npy", image[np.newaxis] * (16 / 255))
    _, found = run(capsys, "--pixels", "0..16", data=tmp_path / "images")
    assert found["samples"] == 40
    again = run(capsys, data=tmp_path / "arrays")[1]
    assert types(found) == types(again)


def test_a_table_of_80_columns(run, capsys, digits_onnx, images, tmp_path):
    np.savez(tmp_path / "x.npz", inputs=images)
    command = ["quantize", digits_onnx, "--data", tmp_path / "x.npz", "-o", tmp_path / "q.onnx"]
    for more in ([], ["--per-channel", "--type", "relu=Q4.3"]):
        assert main([str(argument) for argument in (*command, *more)]) == 0
        out = capsys.readouterr().out
        relu = next(line for line in out.splitlines() if line.startswith("relu "))
        expected = ["Q4.3", "sfix8_En3", "2^-3"] if more else ["sfix8_En5", "2^-5"]
        assert set(expected) <= set(relu.split())
        assert max(len(line) for line in out.splitlines()[:-1]) <= 80
    assert "(minmax, 1 fixed)" in out


# From Python --------------------------------------------------------------------------


def test_any_iterable_of_batches(digits_onnx, images, tmp_path):
    sources = [{"image": images}, (images[i : i + 11] for i in range(0, 40, 11)), list(images)]
    made = [
        quantize_model(
            digits_onnx, source, tmp_path / "q.onnx", calibrator="mse", types={"relu": "Q4.3"}
        ).to_json()
        for source in sources
    ]
    assert [found["samples"] for found in made] == [40] * 3
    # ONNX Runtime's sums depend on the size of the batch, in their last bits.
    assert types(made[0]) == types(made[1]) == types(made[2])
    for key in ("low", "high", "sqnr_db"):
        first, *others = ([tensor[key] for tensor in found["weights"]] for found in made)
        assert all(other == first for other in others)


def test_an_iterable_that_fails_says_which_batch(digits_onnx, images, tmp_path):
    with pytest.raises(InputError, match=r"batch 1: array 'inputs' has shape 40 x 64 where N x 1"):
        quantize_model(digits_onnx, [images, images.reshape(40, 64)], tmp_path / "q.onnx")
