"""Unsigned activations: zero point -128 beside powers of two, and no multiplier for it."""

import numpy as np
import pytest
from float_models import FloatModel, random_model, same_network

from weft.compiler.calibrate import calibrate, choose_scales, collect, kept_tensors
from weft.compiler.collect_bits import BitCollector
from weft.compiler.compile import compile_network, fit
from weft.compiler.edges import encode_inputs
from weft.compiler.fixed_point import FixedType
from weft.compiler.network import Add, Conv2D, FullyConnected
from weft.compiler.onnx_reader import load_onnx
from weft.compiler.qdq_writer import write_qdq
from weft.compiler.quantize import quantize
from weft.hw.config import Config
from weft.sim import golden, interpreter, rtl
from weft.sim.engine import compare

#: No multiplier, no elementwise unit.
ARRAY = Config(rows=4, columns=4)


def unsigned_network(seed, folder):
    """A random network, its samples, and scales of which some have a zero point."""
    path = folder / "m.onnx"
    data = random_model(seed, path)
    graph = load_onnx(path)
    return graph, data, calibrate(path, graph, data, zero_points=True)


def residual(folder):
    """Sums, differences, padding, a pool of maxima and a mean between unsigned tensors."""
    rng = np.random.default_rng(0)
    model = FloatModel(rng, (3, 8, 8))
    value = model.node("Relu", [model.node("Conv", ["x", model.weights(4, 3, 3, 3)])], "a")
    other = model.node("Conv", [value, model.weights(4, 1, 3, 3)], pads=[1] * 4, group=4)
    other = model.node("Relu", [other], "b")
    value = model.node("Relu", [model.node("Add", [value, other])], "sum")
    value = model.node("Sub", [other, value], "difference")
    value = model.node("Relu", [model.node("Conv", [value, model.weights(5, 4, 1, 1)])], "c")
    value = model.node("MaxPool", [value], "pool", kernel_shape=[2, 2], strides=[2, 2])
    value = model.node("Relu", [model.node("Conv", [value, model.weights(5, 5, 1, 1)])], "d")
    value = model.node("GlobalAveragePool", [value], "mean")
    value = model.node("Gemm", [model.node("Flatten", [value]), model.weights(3, 5)], transB=1)
    path = model.save(folder / "r.onnx", {value: (3,)})
    data = {"x": rng.uniform(0, 255, (12, 3, 8, 8)).astype(np.float32)}
    graph = load_onnx(path)
    return graph, data, calibrate(path, graph, data, zero_points=True)


def signs(scales):
    return {name: bool(scale.zero_point) for name, scale in scales.items()}


def test_tensors_that_are_never_negative(tmp_path):
    graph, data, scales = residual(tmp_path)
    seen = collect(tmp_path / "r.onnx", graph, data, kept_tensors(graph), kind=BitCollector)
    signed = choose_scales(graph, seen)
    assert not any(signs(signed).values())
    # A mean works on codes as they are, and its output has another scale.
    expected = {"x", "a", "b", "sum", "c", "pool"}
    assert {name for name, unsigned in signs(scales).items() if unsigned} == expected
    for name in expected:
        assert scales[name].zero_point == -128
        assert scales[name].scale == signed[name].scale / 2
    for name in set(scales) - expected:
        assert scales[name].scale == signed[name].scale


def assert_by_shifts(network):
    for node in network.nodes:
        if isinstance(node, Conv2D | FullyConnected | Add):
            assert node.requantize.rounding == "shift"
            assert node.requantize.multiplier is None


@pytest.mark.parametrize("seed", range(12))
def test_random_networks_without_a_multiplier(seed, tmp_path):
    """Golden, the program of an array that has no multiplier, and the file read back."""
    graph, data, scales = unsigned_network(seed, tmp_path)
    network = quantize(graph, scales, per_channel=seed % 2 == 0)
    assert_by_shifts(network)
    program = compile_network(network, fit(network, ARRAY))
    assert program.config.multiplier_bits == program.config.elementwise == 0
    codes = encode_inputs(network, {"x": data["x"][:4]})
    expected = golden.run(program, codes)
    found = interpreter.run(program, codes)
    assert compare(expected.outputs, found.outputs, level="program") is None
    write_qdq(network, tmp_path / "q.onnx")
    assert same_network(network, quantize(load_onnx(tmp_path / "q.onnx"))) == ""


def test_the_gateware_of_an_array_without_a_multiplier(tmp_path):
    graph, data, scales = residual(tmp_path)
    network = quantize(graph, scales, per_channel=True)
    assert_by_shifts(network)
    program = compile_network(network, fit(network, ARRAY))
    assert program.config.multiplier_bits == program.config.elementwise == 0
    codes = encode_inputs(network, {"x": data["x"][:1]})
    expected = golden.run(program, codes)
    for run, level in ((interpreter.run, "program"), (rtl.run, "rtl")):
        assert compare(expected.outputs, run(program, codes).outputs, level=level) is None
    write_qdq(network, tmp_path / "q.onnx")
    assert same_network(network, quantize(load_onnx(tmp_path / "q.onnx"))) == ""


def test_an_accumulator_is_bounded_with_the_zero_point(tmp_path):
    """Codes less -128 reach 255: weights that would fit signed codes alone are made coarser."""
    model = FloatModel(np.random.default_rng(0), (1, 1, 300))
    weights = model.constant(np.full((1, 1, 1, 300), 1, np.float32))
    bias = model.constant(np.array([2.0**24], np.float32))
    model.node("Conv", ["x", weights, bias], "y")
    path = model.save(tmp_path / "m.onnx", {"y": (1, 1, 1)})
    graph = load_onnx(path)
    data = {"x": np.full((2, 1, 1, 300), 200, np.float32)}
    network = quantize(graph, calibrate(path, graph, data, zero_points=True))
    (node,) = network.nodes
    reach = 255 * np.abs(node.weights.astype(np.int64)).sum() + abs(int(node.bias[0]))
    assert reach <= 2**31 - 1
    golden.run_network(network, encode_inputs(network, data))


def test_unsigned_types_have_names():
    kind = FixedType(4, signed=False)
    assert (kind.q, kind.sfix, kind.power) == ("UQ4.4", "ufix8_En4", "2^-4")
    assert str(FixedType(0, signed=False)) == "UQ8.0 (ufix8, scale 2^0)"
