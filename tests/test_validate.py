"""``weft validate``: float against INT8, which layer hurts, what scales cost, ranges exceeded."""

import json

import numpy as np
import onnx
import published
import pytest
from float_models import FloatModel
from foreign import keras_style, torch_style
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)

import weft
from weft.boards.registry import find_board
from weft.cli import main
from weft.commands.quantize import quantize_model
from weft.commands.validate import validate
from weft.compiler.calibration_record import KEY
from weft.errors import InputError, RefusedError
from weft.examples.digits.data import load_digits
from weft.hw.area import estimate_area
from weft.hw.config import Config


def residual(path):
    """Convolutions, a sum, a pool and a dense layer; every tensor that stays has a short name."""
    rng = np.random.default_rng(3)
    model = FloatModel(rng, (3, 8, 8))
    a = model.node("Conv", ["x", model.weights(8, 3, 3, 3), model.weights(8)], pads=[1] * 4)
    a = model.node("Relu", [a], "a")
    b = model.node("Conv", [a, model.weights(8, 8, 3, 3), model.weights(8)], pads=[1] * 4)
    b = model.node("Relu", [b], "b")
    c = model.node("Add", [a, b], "c")
    d = model.node("GlobalAveragePool", [c], "d")
    flat = model.node("Flatten", [d])
    model.node("Gemm", [flat, model.weights(5, 8), model.weights(5)], "e", transB=1)
    return model.save(path, {"e": (5,)})


SAMPLES = np.random.default_rng(4).normal(0, 1, (40, 3, 8, 8)).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("validate")
    residual(folder / "m.onnx")
    np.savez(folder / "x.npz", inputs=SAMPLES, classes=np.arange(40) % 5)
    quantize_model(folder / "m.onnx", folder / "x.npz", folder / "q.onnx")
    return folder


@pytest.fixture(scope="module")
def digits(tmp_path_factory, digits_onnx):
    folder, images = tmp_path_factory.mktemp("digits"), load_digits()
    np.savez(folder / "calibration.npz", inputs=images.train_images)
    np.savez(folder / "test.npz", inputs=images.test_images, labels=images.test_labels)
    quantize_model(digits_onnx, folder / "calibration.npz", folder / "q.onnx")
    return folder


def run(capsys, *arguments):
    capsys.readouterr()
    status = main(["validate", *map(str, arguments)])
    return status, capsys.readouterr()


# Scores -------------------------------------------------------------------------------


def test_digits_with_labels(digits, digits_onnx, capsys):
    status, streams = run(
        capsys, digits_onnx, digits / "q.onnx", "--data", digits / "test.npz",
        "--labels", "labels", "--calibration", digits / "calibration.npz", "--tolerance", "0.3",
        "--json",
    )  # fmt: skip
    found = json.loads(streams.out)
    assert status == 0
    assert found["holds"]
    assert found["samples"] == 355
    score = found["score"]
    assert (score["metric"], score["reason"]) == ("top1", "labels are class numbers")
    assert score["float_score"] == pytest.approx(0.98873, abs=1e-5)
    assert score["loss"] <= 0.3
    assert [layer["tensor"] for layer in found["layers"]] == [
        "image", "relu", "relu_1", "max_pool2d", "relu_2", "max_pool2d_1", "logits",
    ]  # fmt: skip
    assert found["sqnr_db"] == found["layers"][-1]["sqnr_db"]
    assert sum(layer["share"] for layer in found["layers"]) == pytest.approx(1)
    assert found["unmatched"] == []
    assert found["choices_data"] == str(digits / "calibration.npz")


def test_without_labels_int8_is_compared_with_float(folder):
    found = validate(folder / "m.onnx", folder / "q.onnx", folder / "x.npz", choices=False)
    assert (found.score.metric, found.score.against) == ("top1", "float")
    assert found.score.reason == "the output looks like 5 classes"
    assert found.score.float_score == 1


@pytest.mark.parametrize(("metric", "perfect"), [("mse", 0), ("cosine", 1)])
def test_other_metrics(metric, perfect, folder):
    found = validate(
        folder / "m.onnx", folder / "q.onnx", {"inputs": SAMPLES}, metric=metric, choices=False
    )
    assert found.score.metric == metric
    assert found.score.float_score == pytest.approx(perfect)
    assert found.score.int8_score == pytest.approx(perfect, abs=0.1)
    assert found.score.loss > 0
    assert found.score.reason == ""


def test_a_function_of_the_users_own(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own_metric_a.py").write_text(
        "def score(outputs, labels):\n"
        "    assert outputs.shape == (40, 5) and labels.shape == (40,)\n"
        "    return (outputs.argmax(axis=1) == labels).mean()\n"
    )
    status, streams = run(
        capsys, folder / "m.onnx", folder / "q.onnx", "--data", folder / "x.npz", "--labels",
        "classes", "--metric", "own_metric_a:score", "--no-choices", "--json",
    )  # fmt: skip
    score = json.loads(streams.out)["score"]
    assert status == 0
    top1 = validate(
        folder / "m.onnx", folder / "q.onnx", folder / "x.npz", labels="classes", choices=False
    )
    assert score["against"] == "function"
    assert score["float_score"] == top1.score.float_score
    assert score["int8_score"] == top1.score.int8_score


def test_tolerance(folder, capsys):
    """Status 1 where INT8 is worse than that; a sample too many is said."""
    command = [folder / "m.onnx", folder / "q.onnx", "--data", folder / "x.npz", "--no-choices"]
    status, streams = run(capsys, *command, "--metric", "mse", "--tolerance", "0")
    assert status == 1
    assert "more than the tolerance of 0" in streams.out
    status, streams = run(capsys, *command, "--metric", "mse", "--tolerance", "9")
    assert status == 0
    assert "within the tolerance of 9" in streams.out
    status, streams = run(capsys, *command, "--tolerance", "2")
    assert "One sample of 40 is 2.5 points, more than the tolerance" in " ".join(
        streams.out.split()
    )
    with pytest.raises(InputError, match="the tolerance must be a number from 0, not -1"):
        validate(folder / "m.onnx", folder / "q.onnx", folder / "x.npz", tolerance=-1)


def test_from_python(folder):
    found = weft.validate(folder / "m.onnx", folder / "q.onnx", [SAMPLES], choices=False)
    assert found.samples == 40
    assert found.holds
    json.dumps(found.to_json(), allow_nan=False)


# Layers -------------------------------------------------------------------------------


def spoilt(folder, name, kind, tmp_path):
    """The network with one type that is far too coarse."""
    quantize_model(
        folder / "m.onnx", folder / "x.npz", tmp_path / "s.onnx", types={name: kind}, repair="none"
    )
    found = validate(folder / "m.onnx", tmp_path / "s.onnx", folder / "x.npz", choices=False)
    assert found.hurts_most is not None
    return found.hurts_most


@pytest.mark.parametrize("name", ["x", "a", "b", "c", "d", "e"])
def test_the_spoilt_type_is_named(name, folder, tmp_path):
    found = spoilt(folder, name, "Q7.0", tmp_path)
    assert found.layer.tensor == name
    assert found.cause == "type"
    assert found.layer.share > 0.45
    assert found.remedy.startswith("Its output has the type Q7.0, and Q")
    assert f"quantise with --type {name}=Q" in found.remedy


@pytest.mark.parametrize(("node", "tensor"), [("conv_0", "a"), ("conv_2", "b"), ("gemm_7", "e")])
def test_the_spoilt_weights_are_named(node, tensor, folder, tmp_path):
    found = spoilt(folder, f"{node}.weights", "Q5.2", tmp_path)
    assert found.layer.tensor == tensor
    assert found.layer.node == node
    assert found.cause == "weights"
    assert found.remedy == (
        "The error is of its weights: quantise with --per-channel, which costs no hardware."
    )


def test_a_layer_with_exact_inputs_has_its_own_error_alone(folder, tmp_path):
    """What is spoilt before a layer shows in its tensor, not in its own error."""
    for name, kind in (("a", "Q6.1"), ("a", "Q3.4")):
        quantize_model(
            folder / "m.onnx", folder / "x.npz", tmp_path / f"{kind}.onnx", types={name: kind},
            repair="none",
        )  # fmt: skip
    coarse, fine = (
        {
            layer.tensor: layer
            for layer in validate(
                folder / "m.onnx", tmp_path / f"{kind}.onnx", folder / "x.npz", choices=False
            ).layers
        }
        for kind in ("Q6.1", "Q3.4")
    )
    assert coarse["b"].sqnr_db < fine["b"].sqnr_db - 6
    assert coarse["b"].own_sqnr_db > fine["b"].own_sqnr_db - 6
    assert coarse["a"].own_sqnr_db < fine["a"].own_sqnr_db - 15


@pytest.mark.parametrize("form", ["QDQ", "QOperator"])
def test_a_model_of_onnx_runtime(form, folder, tmp_path):
    """Names are matched, also where its tool left a Relu to the codes."""

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.samples = iter([{"x": SAMPLES[i : i + 1]} for i in range(20)])

        def get_next(self):
            return next(self.samples, None)

    quantize_static(
        folder / "m.onnx", tmp_path / "q.onnx", Reader(), quant_format=getattr(QuantFormat, form),
        activation_type=QuantType.QInt8, weight_type=QuantType.QInt8, per_channel=True,
    )  # fmt: skip
    found = validate(folder / "m.onnx", tmp_path / "q.onnx", {"x": SAMPLES}, choices=False)
    assert [layer.float_tensor for layer in found.layers] == ["x", "a", "b", "c", "d", "e"]
    assert all(layer.sqnr_db > 35 for layer in found.layers)
    assert found.unmatched == ()
    assert {each.limit for each in found.exceeded} == {"representable"}


@pytest.mark.parametrize(
    "builder",
    [torch_style.resnet, torch_style.slices, torch_style.permuted, keras_style.residual,
     keras_style.inner_output],
    ids=lambda builder: builder.__name__,
)  # fmt: skip
@pytest.mark.parametrize("scales", ["shift", "multiplier"])
def test_layouts_of_other_exports(builder, scales, tmp_path):
    """Channels first and last, permuted, several outputs: every tensor is compared with its own."""
    onnx.save(builder().proto(), tmp_path / "m.onnx")
    graph = onnx.load(tmp_path / "m.onnx").graph
    constants = {tensor.name for tensor in graph.initializer}
    random = np.random.default_rng(1)
    samples = {
        value.name: random.standard_normal(
            (12, *(side.dim_value for side in value.type.tensor_type.shape.dim[1:]))
        ).astype(np.float32)
        for value in graph.input
        if value.name not in constants
    }
    quantize_model(tmp_path / "m.onnx", samples, tmp_path / "q.onnx", scales=scales)
    found = validate(tmp_path / "m.onnx", tmp_path / "q.onnx", samples, choices=False)
    assert found.unmatched == ()
    assert min(layer.sqnr_db for layer in found.layers) > 15
    assert min(layer.own_sqnr_db for layer in found.layers) > 20
    assert found.exceeded == ()


def test_two_inputs_and_two_outputs(tmp_path):
    model = FloatModel(np.random.default_rng(0), (4, 5, 5), "one")
    model.inputs["two"] = (4, 5, 5)
    made = model.node("Add", ["one", "two"], "sum")
    model.node("Conv", [made, model.weights(3, 4, 1, 1), model.weights(3)], "conv")
    path = model.save(tmp_path / "m.onnx", {"conv": (3, 5, 5), "sum": (4, 5, 5)})
    random = np.random.default_rng(1)
    samples = {
        name: random.normal(0, 1, (9, 4, 5, 5)).astype(np.float32) for name in ("one", "two")
    }
    quantize_model(path, samples, tmp_path / "q.onnx")
    found = validate(path, tmp_path / "q.onnx", samples)
    assert found.score.metric == "mse"
    assert [layer.tensor for layer in found.layers] == ["one", "two", "sum", "conv"]
    assert found.sqnr_db > 30
    with pytest.raises(InputError, match="the model has outputs conv, sum, and top1 takes one"):
        validate(path, tmp_path / "q.onnx", samples, metric="top1")


def test_tensors_without_a_counterpart_are_counted(folder, tmp_path, capsys):
    model = onnx.load(folder / "q.onnx")
    for node in model.graph.node:  # a foreign tool's names
        for names in (node.input, node.output):
            for i, name in enumerate(names):
                names[i] = f"renamed_{name}" if name in ("b", "b_DequantizeLinear_Output") else name
    onnx.save(model, tmp_path / "q.onnx")
    status, streams = run(
        capsys, folder / "m.onnx", tmp_path / "q.onnx", "--data", folder / "x.npz", "--no-choices"
    )
    assert status == 0
    assert "1 tensor of the quantised model has none in the float model" in streams.out


@pytest.mark.parametrize("name", ["ic", "ad"])
def test_published_models(name):
    """A float TFLite model against its INT8 form, on codes of the latter."""
    files = {"ic": "pretrainedResnet.tflite", "ad": "ad01_fp32.tflite"}
    found = validate(
        published.folder(name) / files[name], published.model_file(name),
        published.folder(name) / "tests.npz", choices=False,
    )  # fmt: skip
    assert found.score.metric == {"ic": "top1", "ad": "mse"}[name]
    assert found.sqnr_db > 20
    assert found.unmatched == ()
    assert found.layers[0].op == "Input"
    assert found.layers[0].largest_error == 0
    assert all(np.isfinite(layer.output_sqnr_db) for layer in found.layers[1:])


# Side by side -------------------------------------------------------------------------


def test_scales_side_by_side(folder):
    found = validate(folder / "m.onnx", folder / "q.onnx", folder / "x.npz", array=(8, 8))
    shift, channel, multiplier = found.choices
    assert [choice.name for choice in found.choices] == [
        "shift per tensor", "shift per channel", "multiplier",
    ]  # fmt: skip
    assert [choice.options for choice in found.choices] == [
        "--scales shift", "--scales shift --per-channel", "--scales multiplier",
    ]  # fmt: skip
    assert shift.sqnr_db == pytest.approx(found.sqnr_db)  # it is how q.onnx was made
    # 8 lanes: three blocks each for the factor, and in every other lane two for the sum
    assert (shift.area.multipliers, multiplier.area.multipliers) == (64, 64 + 8 * 3 + 4 * 2)
    assert channel.area.lut4 == pytest.approx(shift.area.lut4, rel=0.05)
    assert multiplier.area.lut4 > 1.2 * shift.area.lut4
    assert found.hardware.name == "an array of 8 x 8"
    assert found.choices_data == f"the validation data, {folder / 'x.npz'}"


def test_scales_side_by_side_on_a_board(folder):
    found = validate(folder / "m.onnx", folder / "q.onnx", folder / "x.npz", board="icebreaker")
    assert found.hardware.family == "ice40"
    assert found.choices[0].area.multipliers == 8
    board = validate(folder / "m.onnx", folder / "q.onnx", folder / "x.npz", board="ulx3s-85f")
    areas = [choice.area for choice in board.choices]
    assert (
        areas[0].multipliers
        < areas[2].multipliers
        == estimate_area(find_board("ulx3s-85f").config, "ecp5").multipliers
    )


def test_multiplier_bits_of_an_array(folder):
    narrow = Config(rows=8, columns=8, multiplier_bits=13)
    found = validate(folder / "m.onnx", folder / "q.onnx", folder / "x.npz", array=narrow)
    assert found.choices[2].area.multipliers == 64 + 8 * 2 + 4


def test_the_calibrator_of_the_file_is_kept(folder, tmp_path):
    quantize_model(folder / "m.onnx", folder / "x.npz", tmp_path / "q.onnx", calibrator="mse")
    found = validate(folder / "m.onnx", tmp_path / "q.onnx", folder / "x.npz")
    assert found.choices[0].options == "--scales shift --calibrator mse"
    assert found.choices[0].sqnr_db == pytest.approx(found.sqnr_db)


def test_an_iterator_is_read_once(folder):
    found = validate(folder / "m.onnx", folder / "q.onnx", iter([SAMPLES]))
    assert found.choices == ()
    assert found.hardware is None
    assert found.warnings[0].startswith(
        "The side by side of scales is left out: it reads the data twice, and an iterator gives it "
        "once."
    )
    again = validate(
        folder / "m.onnx", folder / "q.onnx", iter([SAMPLES]), calibration=iter([SAMPLES])
    )
    assert len(again.choices) == 3
    assert again.choices_data == "the calibration data"


def test_the_area_is_the_model_s(folder):
    found = validate(folder / "m.onnx", folder / "q.onnx", folder / "x.npz", board="ulx3s-85f")
    assert found.choices[2].area == estimate_area(find_board("ulx3s-85f").config, "ecp5")


# Ranges -------------------------------------------------------------------------------


def test_ranges_that_calibration_did_not_see(folder, capsys):
    louder = SAMPLES.copy()
    louder[:10] *= 4
    found = validate(folder / "m.onnx", folder / "q.onnx", {"inputs": louder}, choices=False)
    seen = {each.tensor: each for each in found.exceeded}["x"]
    assert seen.limit == "calibration"
    assert (seen.low, seen.high) == (float(SAMPLES.min()), float(SAMPLES.max()))
    assert seen.samples_share == 0.25
    assert seen.seen_high == float(louder.max())
    assert seen.beyond == max(seen.seen_high - seen.high, seen.low - seen.seen_low)
    assert any("goes beyond what calibration saw in" in warning for warning in found.warnings)
    found.show()
    assert "calibrated" in capsys.readouterr().out


def test_the_calibration_data_itself_exceeds_nothing(folder):
    found = validate(folder / "m.onnx", folder / "q.onnx", folder / "x.npz", choices=False)
    assert found.exceeded == ()
    assert found.warnings == ()


def test_what_the_file_carries(folder):
    (entry,) = onnx.load(folder / "q.onnx").metadata_props
    record = json.loads(entry.value)
    assert entry.key == KEY
    assert (record["samples"], record["calibrator"]) == (40, "minmax")
    assert list(record["ranges"]) == ["a", "b", "c", "d", "e", "x"]
    assert record["ranges"]["x"] == [float(SAMPLES.min()), float(SAMPLES.max())]


# Errors -------------------------------------------------------------------------------


def test_two_networks(folder, digits_onnx, tmp_path):
    message = (
        r"input 'image' has shape 1 x 8 x 8 in .*digits.onnx and 3 x 8 x 8 in .*q.onnx; "
        "give two models of the same network"
    )
    with pytest.raises(RefusedError, match=message):
        validate(digits_onnx, folder / "q.onnx", folder / "x.npz")
    model = FloatModel(np.random.default_rng(0), (3, 8, 8))
    model.node("Relu", ["x"], "y")
    model.node("Sigmoid", ["x"], "z")
    path = model.save(tmp_path / "two.onnx", {"y": (3, 8, 8), "z": (3, 8, 8)})
    with pytest.raises(RefusedError, match=r"two.onnx has outputs 'y', 'z', and .*q.onnx 'e'; "):
        validate(path, folder / "q.onnx", folder / "x.npz")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": np.zeros(3, np.int64)},
         "there are 3 labels for 40 samples; give one for every sample"),
        ({"labels": np.full(40, 5)},
         "label 5 of sample 0 is no class: the model has 5, from 0 to 4"),
        ({"labels": "nothing"}, "has no array 'nothing' of labels (found: 'classes', 'inputs')"),
        ({"board": "none"}, "none"),
        ({"board": "icebreaker", "array": (8, 8)}, "give either a board or an array, not both"),
        ({"rounding": "double"}, "is no TFLite model"),
        ({"pixels": "0..1"}, "has no images (PNG, JPEG), so what pixels mean says nothing"),
        ({"metric": "best"}, "there is no metric 'best'; choose top1, mse, cosine, or name a"),
    ],
    ids=["number", "range", "key", "board", "board-and-array", "rounding", "pixels", "metric"],
)  # fmt: skip
def test_bad_usage(change, message, folder):
    with pytest.raises(InputError) as caught:
        validate(folder / "m.onnx", folder / "q.onnx", folder / "x.npz", **change)
    assert message in str(caught.value)


def test_fewer_labels_than_an_iterator_has_samples(folder):
    batches = [SAMPLES[:20], SAMPLES[20:]]
    with pytest.raises(InputError, match="there are 30 labels for 40 samples or more"):
        validate(
            folder / "m.onnx", folder / "q.onnx", batches, labels=np.zeros(30, int), choices=False
        )
    with pytest.raises(InputError, match="there are 50 labels for 40 samples; give one for every"):
        validate(
            folder / "m.onnx", folder / "q.onnx", batches, labels=np.zeros(50, int), choices=False
        )


def test_models_the_wrong_way_round(folder):
    with pytest.raises(RefusedError, match="quantised already"):
        validate(folder / "q.onnx", folder / "m.onnx", folder / "x.npz")
    with pytest.raises(RefusedError, match="is a float model without scales; quantize it first"):
        validate(folder / "m.onnx", folder / "m.onnx", folder / "x.npz")


def test_samples_on_which_the_float_model_overflows(folder):
    huge = np.full((1, 3, 8, 8), 3e38, np.float32)
    with pytest.raises(InputError, match="becomes infinite or NaN on these samples"):
        validate(folder / "m.onnx", folder / "q.onnx", {"inputs": huge}, choices=False)


# Terminal -----------------------------------------------------------------------------


def test_eighty_columns(digits, digits_onnx, capsys):
    status, streams = run(
        capsys, digits_onnx, digits / "q.onnx", "--data", digits / "test.npz",
        "--labels", "labels", "--calibration", digits / "calibration.npz",
    )  # fmt: skip
    lines = streams.out.splitlines()
    assert status == 0
    paths = (str(digits), str(digits_onnx))
    assert [line for line in lines if len(line) > 80 and not any(p in line for p in paths)] == []
    text = " ".join(streams.out.split())
    assert "top1, with labels 98.87%" in text
    assert "hurts most" in text
    assert "shift per channel" in text
    assert "without a link; LUTs within" in text


def test_json_is_one_object(folder, capsys):
    status, streams = run(
        capsys, folder / "m.onnx", folder / "q.onnx", "--data", folder / "x.npz", "--json"
    )
    found = json.loads(streams.out)
    assert status == 0
    assert set(found["choices"][0]["area"]) == {"lut4", "multipliers", "block_rams", "spram"}
