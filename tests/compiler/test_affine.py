"""Networks that ONNX Runtime quantised: read with their own scales, and computed as it does."""

import numpy as np
import onnx
import pytest
from affine_models import (
    CALIBRATION,
    NETWORKS,
    OPTIONS,
    float_network,
    quantized_by_onnxruntime,
    run_onnxruntime,
)
from float_models import FloatModel, alone, random_model, same_network
from onnx import TensorProto
from onnx_models import Model
from onnx_models import run_onnxruntime as plain_onnxruntime

from weft.commands.quantize import quantize_model
from weft.compiler.calibrate_affine import affine_scale, choose_affine_scales
from weft.compiler.collect_range import RangeCollector
from weft.compiler.compile import compile_network, fit
from weft.compiler.edges import decode_outputs, dequantize_output, encode_inputs
from weft.compiler.float_run import FloatRunner
from weft.compiler.onnx_reader import load_onnx
from weft.compiler.qdq_writer import write_qdq
from weft.compiler.quantize import quantize
from weft.compiler.quantize_fuse import MOVES, fuse, tensor_names
from weft.errors import InputError, UnsupportedError
from weft.hw.config import Config
from weft.models import read_network
from weft.sim import golden, interpreter
from weft.sim.engine import compare
from weft.sim.verilog import engine


def codes_apart(network, expected, actual):
    """Largest difference of an output in codes."""
    scales = [network.tensors[port.tensor].scale for port in network.outputs]
    pairs = zip(expected.values(), actual, scales, strict=True)
    return max(float(np.abs((one - two) / scale).max()) for one, two, scale in pairs)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("name", NETWORKS)
def test_golden_is_within_one_code_of_onnxruntime(name, options, seed, tmp_path):
    path, data = quantized_by_onnxruntime(name, seed, tmp_path, **OPTIONS[options])
    network = quantize(load_onnx(path))
    codes = encode_inputs(network, data)
    expected = decode_outputs(network, golden.run_network(network, codes))
    actual = run_onnxruntime(path, data, precise=options != "qoperator int8")
    assert codes_apart(network, expected, actual) < 1.001
    config = fit(network, Config(rows=4, columns=4))
    program = compile_network(network, config)
    few = {tensor: array[:2] for tensor, array in codes.items()}
    one, two = golden.run(program, few), interpreter.run(program, few)
    assert compare(one.outputs, two.outputs, level="program") is None


def calibrated(path, data):
    """Scales with zero points from one look at the data."""
    graph = load_onnx(path)
    moved = {fused.node.output for fused in fuse(graph) if fused.node.op in (*MOVES, "Softmax")}
    names = [name for name in tensor_names(graph, fuse(graph)) if name not in moved]
    collectors = {name: RangeCollector() for name in names}
    for name in graph.inputs:
        collectors[name].update(data[name])
    inner = [name for name in names if name not in graph.inputs]
    for tensors in FloatRunner(path, inner).run(data):
        for name, values in tensors.items():
            collectors[name].update(values)
    return graph, choose_affine_scales(graph, collectors)


def written(path, data, folder, **options):
    """A float network quantised with zero points and multipliers, and its file."""
    graph, scales = calibrated(path, data)
    network = quantize(graph, scales, per_channel=True, **options)
    write_qdq(network, folder / "written.onnx")
    return network, folder / "written.onnx"


@pytest.mark.parametrize("seed", range(16))
def test_written_networks_are_read_back_and_run_in_onnxruntime(seed, tmp_path):
    data = random_model(seed, tmp_path / "float.onnx")
    network, path = written(
        tmp_path / "float.onnx", data, tmp_path, method=("minmax", "mse")[seed % 2]
    )
    onnx.checker.check_model(str(path), full_check=True)
    assert same_network(network, quantize(load_onnx(path))) == ""
    expected = decode_outputs(network, golden.run_network(network, encode_inputs(network, data)))
    (difference,) = (
        np.abs(one - two)
        for one, two in zip(expected.values(), run_onnxruntime(path, data), strict=True)
    )
    assert difference.mean() <= network.tensors[network.outputs[0].tensor].scale


@pytest.mark.parametrize("seed", range(16))
def test_each_node_is_within_one_code_of_onnxruntime(seed, tmp_path):
    """Of averages with ties and of everything else, given the very same codes."""
    data = random_model(seed, tmp_path / "float.onnx")
    network, _ = written(tmp_path / "float.onnx", data, tmp_path)
    codes = golden.run_network(network, encode_inputs(network, data), keep=True)
    for node in network.nodes:
        part = alone(network, node)
        write_qdq(part, tmp_path / "part.onnx")
        given = {
            port.name: dequantize_output(port, part.tensors[port.tensor], codes[port.tensor])
            for port in part.inputs
        }
        (port,) = part.outputs
        tensor = part.tensors[port.tensor]
        expected = dequantize_output(port, tensor, codes[port.tensor])
        (actual,) = run_onnxruntime(tmp_path / "part.onnx", given)
        assert np.abs(expected - actual).max() <= 1.001 * tensor.scale, node


@pytest.mark.parametrize(
    ("low", "high", "scale", "zero_point"),
    [
        (-1, 1, 2 / 255, -1), (0, 6, 6 / 255, -128), (-3, -1, 3 / 255, 127), (2, 5.1, 0.02, -128),
        (-1, 3, 4 / 255, -64), (0, 0, 1.0, 0), (-1e-30, 0, 2.0**-40, -128),
    ],
)  # fmt: skip
def test_zero_is_a_code_exactly(low, high, scale, zero_point):
    found = affine_scale(low, high)
    assert float(found.scale) == float(np.float32(scale))
    assert int(found.zero_point) == zero_point


def test_an_average_of_few_shares_its_inputs_scale(tmp_path):
    """The range of a few averages is no bound; that of many is finer."""
    model = FloatModel(np.random.default_rng(0), (4, 8, 8))
    value = model.node("Relu", ["x"], "relu")
    model.node("AveragePool", [value], "y", kernel_shape=[4, 4], strides=[4, 4])
    graph = load_onnx(model.save(tmp_path / "m.onnx", {"y": (4, 2, 2)}))

    def scales(count):
        collectors = {name: RangeCollector() for name in ("x", "relu", "y")}
        for name, high, size in (("x", 5, 2), ("relu", 5, 2), ("y", 1.5, count)):
            collectors[name].update(np.linspace(-5 * (name == "x"), high, size, dtype=np.float32))
        return choose_affine_scales(graph, collectors)

    few, many = scales(9_999), scales(10_000)
    assert few["y"] == few["relu"]
    assert many["relu"] == few["relu"]
    assert float(many["y"].scale) == np.float32(1.5 / 255)


def test_weights_less_their_zero_point_must_fit(tmp_path):
    """Unsymmetric weights are folded where that leaves 8 bits, and refused otherwise."""
    model = Model()
    value = quantized(model, model.input(["N", 2]), 0.1, np.int8(3))
    weights = np.array([[0, 10], [255, 20], [128, 30]], np.uint8)
    value = model.node("Gemm", value, dequantized(model, weights, 0.02, np.uint8(100)), transB=1)
    path = model.output(quantized(model, value, 0.3, np.int8(-5))).save(tmp_path)
    with pytest.raises(UnsupportedError, match="less their zero point lie between -100 and 155"):
        quantize(load_onnx(path))


def quantized(model, value, scale, zero):
    """A value as codes and back."""
    parameters = np.float32(scale), zero
    codes = model.node("QuantizeLinear", value, *parameters)
    return model.node("DequantizeLinear", codes, *parameters)


def dequantized(model, codes, scale, zero):
    return model.node("DequantizeLinear", codes, np.float32(scale), zero)


def test_unsymmetric_weights_and_every_change_of_scale(tmp_path):
    """uint8 weights with a zero point; moves, averages and clamps between two scales."""
    rng = np.random.default_rng(0)
    model = Model()
    value = quantized(model, model.input(["N", 2, 6, 6]), 0.0301, np.uint8(120))
    value = quantized(model, value, 0.0253, np.uint8(128))
    codes = rng.integers(60, 190, (4, 2, 3, 3)).astype(np.uint8)
    weights = dequantized(model, codes, 0.01017, np.uint8(125))
    value = quantized(model, model.node("Conv", value, weights), 0.0207, np.uint8(100))
    value = quantized(model, model.node("Relu", value), 0.01511, np.uint8(0))
    other = quantized(
        model, model.node("MaxPool", value, kernel_shape=[2, 2]), 0.02113, np.uint8(7)
    )
    value = model.node("AveragePool", value, kernel_shape=[2, 2])
    value = quantized(model, value, 0.01697, np.uint8(3))
    pads = np.array([0, 0, 0, 1, 0, 0, 1, 0])
    value = model.node("Pad", value, pads, np.float32(0.5))
    value = quantized(model, value, 0.01633, np.uint8(5))
    other = quantized(model, model.node("Pad", other, pads), 0.02113, np.uint8(7))
    value = quantized(model, model.node("Sub", value, other), 0.02219, np.uint8(90))
    path = model.output(value).save(tmp_path)
    network = quantize(load_onnx(path))
    data = {"x0": rng.normal(0, 1, (20, 2, 6, 6)).astype(np.float32)}
    expected = decode_outputs(network, golden.run_network(network, encode_inputs(network, data)))
    actual = plain_onnxruntime(path, data)  # optimised, it differs from itself by three codes
    assert codes_apart(network, expected, actual.values()) < 1.001


def test_int8_inputs_and_outputs(tmp_path):
    """Codes go in and come out as they are, and are written so."""
    rng = np.random.default_rng(1)
    model = Model()
    x = model.input(["N", 2, 5, 5], dtype=TensorProto.INT8)
    value = dequantized(model, x, 0.0301, np.int8(-20))
    weights = dequantized(model, rng.integers(-127, 128, (4, 2, 3, 3)).astype(np.int8), 0.011,
                          np.int8(0))  # fmt: skip
    value = model.node("Conv", value, weights)
    codes = model.node("QuantizeLinear", value, np.float32(0.0707), np.int8(9))
    path = model.output(codes, dtype=TensorProto.INT8).save(tmp_path)
    network = quantize(load_onnx(path))
    assert [port.dtype for port in (*network.inputs, *network.outputs)] == ["int8", "int8"]
    data = {"x0": rng.integers(-128, 128, (20, 2, 5, 5)).astype(np.int8)}
    expected = decode_outputs(network, golden.run_network(network, encode_inputs(network, data)))
    (actual,) = run_onnxruntime(path, data)
    (golden_codes,) = expected.values()
    assert golden_codes.dtype == actual.dtype == np.int8
    assert np.abs(golden_codes.astype(int) - actual).max() <= 1
    write_qdq(network, tmp_path / "written.onnx")
    assert same_network(network, quantize(load_onnx(tmp_path / "written.onnx"))) == ""


@pytest.mark.parametrize("name", NETWORKS)
def test_command_is_as_accurate_as_onnxruntime(name, tmp_path):
    """The same samples, per channel, uint8 there and int8 here: the error is much the same."""
    theirs, data = quantized_by_onnxruntime(name, 0, tmp_path, **OPTIONS["qdq uint8 per channel"])
    samples = float_network(name, 0, tmp_path / "float.onnx")
    mine = tmp_path / "mine.onnx"
    made = quantize_model(
        tmp_path / "float.onnx", {"x": samples[:CALIBRATION]}, mine, scales="multiplier"
    )
    assert (made.samples, made.to_json()["scales"]) == (CALIBRATION, "multiplier")
    network = read_network(mine)
    assert same_network(network, made.network) == ""
    (real,) = run_onnxruntime(tmp_path / "float.onnx", data)
    (other,) = run_onnxruntime(theirs, data)
    codes = golden.run_network(network, encode_inputs(network, data))
    (found,) = decode_outputs(network, codes).values()
    errors = [float(((result - real) ** 2).mean()) for result in (found, other)]
    assert errors[0] <= 1.25 * errors[1]


def test_calibrators_of_shifts_are_refused(tmp_path):
    with pytest.raises(InputError, match="calibrator mse is for shifts: leave it out, or choose"):
        quantize_model(
            tmp_path / "f.onnx", tmp_path / "x.npz", tmp_path / "q.onnx",
            calibrator="mse", scales="multiplier",
        )  # fmt: skip


def test_verilog_equals_golden(tmp_path):
    """Every network on one 4 x 4 array with multipliers of 31 bits."""
    config = Config(
        rows=4, columns=4, activation_depth=3300, weight_depth=700, parameter_depth=150, tables=2,
        program_depth=420, multiplier_bits=31, elementwise=1,
    )  # fmt: skip
    jobs = []
    for name in NETWORKS:
        path, data = quantized_by_onnxruntime(name, 0, tmp_path, **OPTIONS["qdq uint8 per channel"])
        network = quantize(load_onnx(path))
        program = compile_network(network, config)
        codes = {tensor: array[:2] for tensor, array in encode_inputs(network, data).items()}
        jobs.append((program, codes))
    for (program, codes), actual in zip(jobs, engine.run_many(jobs), strict=True):
        expected = golden.run(program, codes)
        assert compare(expected.outputs, actual.outputs, level="verilog") is None
        assert actual.cycles == [sum(layer["cycles"] for layer in program.layers)] * 2
