"""Reading samples, running the float model, collecting ranges and choosing scales."""

import numpy as np
import pytest
from float_models import FloatModel

from weft.compiler.calibrate import calibrate, choose_scales, collect
from weft.compiler.calibration_data import load_arrays
from weft.compiler.collect_histogram import HistogramCollector
from weft.compiler.collect_range import RangeCollector
from weft.compiler.fixed_point import fraction_bits, largest_fraction, round_half_away, to_codes
from weft.compiler.float_run import FloatRunner, run_float
from weft.compiler.onnx_reader import load_onnx
from weft.errors import InputError

# Fixed point --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "held"),
    [(2.1, 2.125), (16.25, 15.875), (0.03125, 0), (-16.5, -16), (-0.0625, -0.125)],
)
def test_worked_values_with_three_fraction_bits(value, held):
    assert to_codes(value, 2.0**-3) * 2.0**-3 == held


def test_ties_go_away_from_zero():
    values = [0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 0.49999997]
    assert round_half_away(values).tolist() == [1, 2, 3, -1, -2, -3, 0]


@pytest.mark.parametrize(
    ("low", "high", "fraction"),
    [
        (0, 15.875, 3), (0, 15.93, 3), (0, 15.94, 2), (-16, 0, 3), (-16.06, 1, 3), (-16.07, 1, 2),
        (0, 1, 6), (-1, 0, 7), (0, 0, 7), (0, 1000, -3), (0, 1e-30, 24),
    ],
)  # fmt: skip
def test_finest_scale_that_does_not_overflow(low, high, fraction):
    assert largest_fraction(low, high) == fraction


def test_fraction_bits_of_powers_of_two_only():
    assert [fraction_bits(s) for s in (0.125, 1.0, 4.0, 0.1, 0.75)] == [3, 0, -2, None, None]


# Collectors ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [RangeCollector, HistogramCollector])
@pytest.mark.parametrize("seed", range(3))
def test_merged_parts_are_the_whole(kind, seed):
    values = np.random.default_rng(seed).normal(0, 3, 1000).astype(np.float32)
    whole, one, two, empty = kind(), kind(), kind(), kind()
    whole.update(values)
    one.update(values[:300])
    two.update(values[300:])
    two.merge(empty)
    one.merge(two)
    first, second = (getattr(c, "range", c) for c in (whole, one))
    assert (first.low, first.high, first.count) == (second.low, second.high, second.count)
    if kind is HistogramCollector:
        np.testing.assert_array_equal(whole.counts, one.counts)


@pytest.mark.parametrize("fraction", [2, 5, 9])
@pytest.mark.parametrize("seed", range(3))
def test_squared_error_of_a_histogram_is_that_of_the_values(fraction, seed):
    rng = np.random.default_rng(seed)
    values = np.concatenate([rng.normal(0, 1, 20_000), np.zeros(5000)]).astype(np.float32)
    collector = HistogramCollector()
    collector.update(values)
    exact = ((values - to_codes(values, 2.0**-fraction) * 2.0**-fraction) ** 2).sum()
    assert collector.squared_error(fraction) == pytest.approx(exact, rel=0.02)


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
        import onnx  # noqa: PLC0415 - one test alone edits a saved model

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


@pytest.mark.parametrize("method", ["minmax", "mse"])
def test_parts_collected_apart_give_the_same_scales(method, tmp_path):
    path, graph, data, _ = calibrated(tmp_path)
    names = ["x", "relu", "y"]
    parts = [
        collect(path, graph, {"x": data["x"][part]}, names, method=method)
        for part in (slice(0, 30), slice(30, 70))
    ]
    for name in names:
        parts[0][name].merge(parts[1][name])
    merged = {name: float(s.scale) for name, s in choose_scales(graph, parts[0]).items()}
    assert merged == calibrated(tmp_path, method)[3]


def test_infinite_activations_are_refused(tmp_path):
    path, graph, data, _ = calibrated(tmp_path)
    data["x"][:] = 3e38
    with pytest.raises(InputError, match="tensor 'relu' becomes infinite or NaN on these samples"):
        calibrate(path, graph, data)


def test_unknown_method_is_refused(tmp_path):
    path, graph, data, _ = calibrated(tmp_path)
    with pytest.raises(InputError, match="method must be one of minmax, mse, not 'best'"):
        calibrate(path, graph, data, "best")


# Samples ------------------------------------------------------------------------------

EXPECTED = {"image": (1, 3, 4)}


def saved(tmp_path, **arrays):
    np.savez(tmp_path / "x.npz", **arrays)
    return tmp_path / "x.npz"


def test_samples_by_the_key_inputs_or_by_name(tmp_path):
    samples = np.arange(24, dtype=np.float64).reshape(2, 3, 4)
    for key in ("inputs", "image"):
        arrays = load_arrays(saved(tmp_path, **{key: samples}), EXPECTED)
        assert list(arrays) == ["image"]
        assert arrays["image"].dtype == np.float32
        np.testing.assert_array_equal(arrays["image"], samples)


def test_several_inputs_by_name(tmp_path):
    path = saved(tmp_path, a=np.zeros((2, 3)), b=np.ones((2, 5), np.int32))
    arrays = load_arrays(path, {"a": (1, 3), "b": ("N", 5)}, {"b": "int8"})
    assert (arrays["a"].dtype, arrays["b"].dtype) == (np.float32, np.int8)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": np.zeros((2, 3, 4))},
         r"has no array 'inputs' \(found: 'images'\); save it with numpy.savez\('x.npz', inputs="),
        ({"inputs": np.zeros((2, 4, 3))},
         "array 'inputs' has shape 2 x 4 x 3 where N x 3 x 4 was expected; reshape or crop"),
        ({"inputs": np.zeros((3, 4))},
         "has shape 3 x 4 where N x 3 x 4 was expected; add the axis of samples"),
        ({"inputs": np.zeros((0, 3, 4))}, "array 'inputs' has no samples; give at least one"),
        ({"inputs": np.full((1, 3, 4), np.nan)},
         r"holds nan at index \(0, 0, 0\), and 12 values are not finite in all; replace or drop"),
        ({"inputs": np.full((1, 3, 4), 1e300)}, "holds values beyond float32; scale the samples"),
        ({"inputs": np.full((1, 3, 4), "a")}, "array 'inputs' has dtype <U1; convert it to"),
        ({"inputs": np.full((1, 3, 4), 2**24 + 1)},
         "has dtype int64 and values that float32 does not hold exactly; convert it to float32"),
        ({"inputs": np.full((1, 3, 4), None)}, "damaged or holds Python objects, which are never"),
    ],
)  # fmt: skip
def test_bad_arrays_are_named(arrays, message, tmp_path):
    with pytest.raises(InputError, match=message):
        load_arrays(saved(tmp_path, **arrays), EXPECTED)


def test_codes_that_do_not_fit_int8_are_refused(tmp_path):
    with pytest.raises(InputError, match="values that int8 does not hold exactly"):
        load_arrays(saved(tmp_path, inputs=np.full((1, 2), 200)), {"x": (1, 2)}, {"x": "int8"})


def test_different_numbers_of_samples_are_refused(tmp_path):
    path = saved(tmp_path, a=np.zeros((2, 3)), b=np.zeros((3, 3)))
    with pytest.raises(InputError, match=r"different numbers of samples \('a' has 2, 'b' has 3\)"):
        load_arrays(path, {"a": (1, 3), "b": (1, 3)})


def test_a_missing_input_of_several_is_named(tmp_path):
    path = saved(tmp_path, a=np.zeros((2, 3)), inputs=np.zeros((2, 3)))
    with pytest.raises(InputError, match="has no array 'b'"):
        load_arrays(path, {"a": (1, 3), "b": (1, 3)})


def test_bad_files_are_named(tmp_path):
    with pytest.raises(InputError, match=r"none.npz does not exist; give the path of an .npz file"):
        load_arrays(tmp_path / "none.npz", EXPECTED)
    good = saved(tmp_path, inputs=np.zeros((2, 3, 4))).read_bytes()
    for content in (b"", b"text", good[: len(good) // 2]):
        (tmp_path / "bad.npz").write_bytes(content)
        with pytest.raises(InputError, match=r"bad.npz is not a readable .npz file; save the"):
            load_arrays(tmp_path / "bad.npz", EXPECTED)
    np.save(tmp_path / "one.npy", np.zeros((2, 3, 4)))
    with pytest.raises(InputError, match=r"one.npy is a single array, not an .npz file"):
        load_arrays(tmp_path / "one.npy", EXPECTED)
    with pytest.raises(InputError, match="is not a readable"):
        load_arrays(tmp_path, EXPECTED)
