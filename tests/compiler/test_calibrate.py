"""Running the float model, collecting ranges and choosing scales."""

import pickle

import numpy as np
import onnx
import pytest
from float_models import FloatModel

from weft.compiler.calibrate import calibrate, choose_scales, collect, kept_tensors, merge
from weft.compiler.calibrators import parse_calibrator
from weft.compiler.collect_bits import BitCollector
from weft.compiler.fixed_point import round_half_away
from weft.compiler.float_run import FloatRunner, run_float
from weft.compiler.onnx_reader import load_onnx
from weft.errors import InputError

# Float execution ----------------------------------------------------------------------


def small_model(path, batch="N"):
    rng = np.random.default_rng(0)
    model = FloatModel(rng, (2, 6, 6))
    value = model.node("Conv", ["x", model.weights(4, 2, 3, 3)], "conv")
    value = model.node("Relu", [value], "relu")
    value = model.node("MaxPool", [value], "pool", kernel_shape=[2, 2], strides=[2, 2])
    model.node("Sigmoid", [value], "y")
    model.save(path, {"y": (4, 2, 2)})
    if batch != "N":
        saved = onnx.load(path)
        for value_info in (*saved.graph.input, *saved.graph.output):
            value_info.type.tensor_type.shape.dim[0].dim_value = batch
        onnx.save(saved, path)
    return path


@pytest.mark.parametrize("batch", ["N", 1, 4])
def test_inner_tensors_of_every_sample(batch, tmp_path):
    data = {"x": np.random.default_rng(1).normal(size=(70, 2, 6, 6)).astype(np.float32)}
    done = []
    runner = FloatRunner(small_model(tmp_path / "m.onnx", batch), ["conv", "relu"])
    parts = list(runner.run(data, lambda now, total: done.append((now, total))))
    conv, relu = (np.concatenate([part[name] for part in parts]) for name in ("conv", "relu"))
    assert conv.shape == (70, 4, 4, 4)
    np.testing.assert_array_equal(np.maximum(conv, 0), relu)
    assert done[-1] == (70, 70)
    assert max(len(part["conv"]) for part in parts) <= 32
    expected = run_float(small_model(tmp_path / "n.onnx"), data, ["conv"])["conv"]
    np.testing.assert_allclose(conv, expected, atol=1e-5)


def test_what_onnxruntime_cannot_run_is_one_sentence(tmp_path):
    (tmp_path / "bad.onnx").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"bad.onnx cannot be run by ONNX Runtime \(.*\); check"):
        FloatRunner(tmp_path / "bad.onnx", [])


# Scales -------------------------------------------------------------------------------


def calibrated(tmp_path, method="minmax"):
    path = small_model(tmp_path / "m.onnx")
    data = {"x": np.random.default_rng(1).normal(size=(70, 2, 6, 6)).astype(np.float32)}
    graph = load_onnx(path)
    scales = calibrate(path, graph, data, method)
    return path, graph, data, {name: float(scale.scale) for name, scale in scales.items()}


def test_fused_clamps_get_no_scale_and_moves_share_one(tmp_path):
    _, _, _, scales = calibrated(tmp_path)
    assert list(scales) == ["x", "relu", "pool", "y"]
    assert scales["relu"] == scales["pool"]
    assert scales["y"] == 2.0**-7


def test_minmax_is_the_finest_that_holds_every_value(tmp_path):
    path, _, data, scales = calibrated(tmp_path)
    relu = run_float(path, data, ["relu"])["relu"]
    for name, values in (("x", data["x"]), ("relu", relu)):

        def clipped(scale, values=values):
            codes = round_half_away(values / scale)
            return ((codes > 127) | (codes < -128)).any()

        assert not clipped(scales[name])
        assert clipped(scales[name] / 2)


def test_mse_clips_an_outlier(tmp_path):
    path = small_model(tmp_path / "m.onnx")
    data = {"x": np.random.default_rng(1).normal(size=(70, 2, 6, 6)).astype(np.float32)}
    data["x"][0, 0, 0, 0] = 9
    graph = load_onnx(path)
    scales = {m: float(calibrate(path, graph, data, m)["x"].scale) for m in ("minmax", "mse")}
    assert scales == {"minmax": 2.0**-3, "mse": 2.0**-4}


@pytest.mark.parametrize("method", ["minmax", "percentile:99", "mse", "entropy", "msb:99"])
def test_parts_collected_apart_give_the_same_scales(method, tmp_path):
    """As several processes do it: each pickles its collectors, one merges them."""
    path, graph, data, _ = calibrated(tmp_path)
    for kind in {parse_calibrator(method).collector, BitCollector}:
        parts = [
            pickle.dumps(
                collect(path, graph, {"x": data["x"][part]}, kept_tensors(graph), kind=kind)
            )
            for part in (slice(0, 30), slice(30, 70))
        ]
        merged = merge(pickle.loads(part) for part in parts)
        found = choose_scales(graph, merged, method)
        assert {name: float(scale.scale) for name, scale in found.items()} == (
            calibrated(tmp_path, method)[3]
        )


def test_a_pass_counts_every_value_once(tmp_path):
    path, graph, data, _ = calibrated(tmp_path)
    seen = collect(path, graph, data, kept_tensors(graph), kind=BitCollector)
    shapes = {name: np.prod(graph.tensors[name].shape) for name in seen}
    assert list(seen) == ["x", "relu", "pool", "y"]
    assert {name: c.range.count for name, c in seen.items()} == {
        name: 70 * size for name, size in shapes.items()
    }


def test_calibration_says_how_far_it_is(tmp_path):
    path, graph, data, _ = calibrated(tmp_path)
    for source, total in ((data, 70), ([data["x"]], 0)):
        done = []
        calibrate(path, graph, source, progress=lambda *now, done=done: done.append(now))
        assert done == [(32, total), (64, total), (70, total)]


def test_a_model_in_memory(tmp_path):
    path, graph, data, scales = calibrated(tmp_path)
    found = calibrate(onnx.load(path), graph, data)
    assert {name: float(scale.scale) for name, scale in found.items()} == scales


def test_infinite_activations_are_refused(tmp_path):
    path, graph, data, _ = calibrated(tmp_path)
    data["x"][:] = 3e38
    with pytest.raises(InputError, match="tensor 'relu' becomes infinite or NaN on these samples"):
        calibrate(path, graph, data)


def test_unknown_method_is_refused(tmp_path):
    path, graph, data, _ = calibrated(tmp_path)
    with pytest.raises(
        InputError, match=r"calibrator must be one of minmax, absmax, .*, not 'best'"
    ):
        calibrate(path, graph, data, "best")
