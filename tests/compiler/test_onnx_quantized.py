"""Quantised operators that are no QDQ: Quant of QONNX and Brevitas, integer products, refusals."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from onnx_models import Model, run_onnxruntime

from weft.compiler.edges import decode_outputs, encode_inputs
from weft.compiler.onnx_reader import load_onnx, read_onnx
from weft.compiler.quantize import quantize
from weft.sim import golden

DOMAIN = "qonnx.custom_op.general"
F = np.float32


def save(model, output, folder, domain=None, **options):
    model.output(output, **options)
    proto = model.proto()
    if domain:
        proto.opset_import.append(onnx.helper.make_opsetid(domain, 1))
    path = folder / f"{domain}.onnx"
    onnx.save(proto, path)
    return path


def run_golden(path, data):
    network = quantize(load_onnx(path))
    codes = golden.run_network(network, encode_inputs(network, data))
    (result,) = decode_outputs(network, codes).values()
    return network, result


class Quant:
    """Writes Quant nodes."""

    domain = DOMAIN

    def __call__(self, model, value, scale, *, zero=0, bits=8, signed=1, narrow=0):
        attributes = {"signed": signed, "narrow": narrow, "rounding_mode": "ROUND"}
        return model.node(
            "Quant", value, np.asarray(scale, F), F(zero), F(bits), domain=DOMAIN, **attributes
        )


class Qdq:
    """Writes what they mean in ONNX's own operators."""

    domain = None

    def __call__(self, model, value, scale, *, zero=0, bits=8, signed=1, narrow=0):
        low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
        low, high = (low + narrow, high) if signed else (low, high - narrow)
        scale = np.asarray(scale, F)
        limits = [F((limit - zero) * scale.max()) for limit in (low, high)]
        axis = {"axis": 0} if scale.size > 1 else {}
        zeros = np.full(scale.size if scale.size > 1 else (), zero, np.int8 if signed else np.uint8)
        parameters = (scale.reshape(zeros.shape), zeros)
        if not isinstance(value, str):
            value = np.clip(value, (low - zero) * scale, (high - zero) * scale).astype(F)
        elif high - low < 255:
            value = model.node("Clip", value, *limits)
        codes = model.node("QuantizeLinear", value, *parameters, **axis)
        return model.node("DequantizeLinear", codes, *parameters, **axis)


def network(quant, folder, weight_scale, step):
    """A convolution with batch norm and Relu, and a dense layer."""
    model = Model(seed=3)
    value = quant(model, model.input(["N", 3, 6, 6]), step * 0.0313)
    weights = model.weights(5, 3, 3, 3)
    value = model.node("Conv", value, quant(model, weights, weight_scale, narrow=1))
    norm = (F([1, -2, 0.5, 1, 0.3]), F([0, 1, 2, -1, 0]), F([0, 0.1, 0.2, 0, 0]), np.ones(5, F))
    value = model.node("Relu", model.node("BatchNormalization", value, *norm))
    value = quant(model, value, step * 0.5, bits=4, signed=0)
    value = model.node("Flatten", value)
    weights = model.node("Transpose", quant(model, model.weights(4, 80), step * 0.2, bits=5))
    value = quant(model, model.node("MatMul", value, weights), step * 0.25, zero=-7)
    return save(model, value, folder, quant.domain)


CHANNELS = np.linspace(0.02, 0.03, 5).reshape(5, 1, 1, 1)


@pytest.mark.parametrize("weight_scale", [0.0271, CHANNELS], ids=["per tensor", "per channel"])
def test_quant_is_what_it_means_in_qdq(weight_scale, tmp_path):
    rng = np.random.default_rng(0)
    data = {"x0": rng.normal(size=(20, 3, 6, 6)).astype(F)}
    path = network(Quant(), tmp_path, weight_scale, 1.01)
    graph, actual = run_golden(path, data)
    _, expected = run_golden(network(Qdq(), tmp_path, weight_scale, 1.01), data)
    np.testing.assert_array_equal(actual, expected)
    scale = graph.tensors[graph.outputs[0].tensor].scale
    runtime = np.concatenate([
        next(iter(run_onnxruntime(tmp_path / "None.onnx", {"x0": sample[None]}).values()))
        for sample in data["x0"]
    ])  # fmt: skip
    assert np.abs(actual - runtime).max() < 1.001 * scale
    assert {type(node).__name__ for node in graph.nodes} == {"Conv2D", "FullyConnected"}
    assert graph.nodes[0].requantize.high == 15


def test_powers_of_two_stay_shifts(tmp_path):
    model, quant = Model(), Quant()
    value = quant(model, model.input(["N", 4]), 0.125)
    weights = quant(model, model.weights(4, 3), 0.0625)
    value = quant(model, model.node("MatMul", value, weights), 0.25, bits=6)
    graph = quantize(load_onnx(save(model, value, tmp_path, DOMAIN)))
    assert graph.nodes[0].requantize.rounding == "shift"
    assert (graph.nodes[0].requantize.low, graph.nodes[0].requantize.high) == (-32, 31)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"bits": 9}, "it quantizes to more than 8 bits"),
        ({"bits": 1}, r"its bit width is \[1.\]"),
        ({"scale": -1.0}, "its scale is not positive, or its zero point not whole or too large"),
        ({"zero": 1e12}, "its scale is not positive, or its zero point not whole or too large"),
        ({"zero": 0.5}, "its scale is not positive, or its zero point not whole or too large"),
        ({"scale": [1.0, 2.0]}, "it quantizes a computed tensor per channel"),
    ],
)
def test_quant_that_is_refused(options, reason, tmp_path):
    model = Model()
    value = Quant()(model, model.input(["N", 2]), options.pop("scale", 0.1), **options)
    _, problems = read_onnx(save(model, value, tmp_path, DOMAIN))
    assert [problem.op for problem in problems] == ["Quant"]
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(problems[0].reason)


def test_weights_of_more_than_eight_bits_are_refused(tmp_path):
    for scale in (0.001, 2.0**-10):
        model, quant = Model(), Quant()
        value = quant(model, model.input(["N", 4]), 0.125)
        weights = quant(model, model.weights(4, 3), scale, bits=12)
        value = quant(model, model.node("MatMul", value, weights), 0.25)
        path = save(model, value, tmp_path, DOMAIN)
        with pytest.raises(Exception, match=r"MatMul.*weights less their zero point lie between"):
            quantize(load_onnx(path))


@pytest.mark.parametrize("seed", range(4))
def test_integer_products(seed, tmp_path):
    """ConvInteger and MatMulInteger, scaled by a Mul, as ONNX Runtime computes them."""
    rng = np.random.default_rng(seed)
    model, qdq = Model(seed=seed), Qdq()
    step, weight_step, zero = F(0.0311), F(0.0171), np.uint8(rng.integers(90, 160))
    value = model.node("QuantizeLinear", model.input(["N", 3, 6, 6]), step, zero)
    weights = rng.integers(-100, 100, (4, 3, 3, 3)).astype(np.int8)
    value = model.node("ConvInteger", value, weights, zero, np.int8(0))
    value = model.node("Mul", model.node("Cast", value, to=TensorProto.FLOAT), step * weight_step)
    value = model.node("Relu", model.node("Add", value, model.weights(1, 4, 1, 1)))
    value = model.node("QuantizeLinear", model.node("Flatten", value), F(0.0503), np.uint8(0))
    weights = rng.integers(20, 160, (64, 5)).astype(np.uint8)
    value = model.node("MatMulInteger", value, weights, np.uint8(0), np.uint8(100))
    value = model.node("Mul", model.node("Cast", value, to=TensorProto.FLOAT), F(0.0503 * 0.0101))
    path = save(model, qdq(model, value, 0.0977), tmp_path)
    data = {"x0": rng.normal(size=(20, 3, 6, 6)).astype(F)}
    graph, actual = run_golden(path, data)
    (expected,) = run_onnxruntime(path, data).values()
    scale = graph.tensors[graph.outputs[0].tensor].scale
    assert np.abs(actual - expected).max() < 1.001 * scale
    assert len(graph.nodes) == 2


@pytest.mark.parametrize("op", ["ConvInteger", "MatMulInteger"])
def test_integer_products_of_another_zero_point(op, tmp_path):
    model = Model()
    shape = (3, 6, 6) if op == "ConvInteger" else (6,)
    value = model.node("QuantizeLinear", model.input(["N", *shape]), F(0.1), np.uint8(7))
    weights = np.ones((4, 3, 3, 3) if op == "ConvInteger" else (6, 4), np.int8)
    value = model.node(op, value, weights, np.uint8(8), np.int8(0))
    _, problems = read_onnx(save(model, value, tmp_path, dtype=TensorProto.INT32))
    assert [(problem.op, problem.reason) for problem in problems] == [
        (op, "its zero point is not that of the QuantizeLinear before it")
    ]


def test_other_contributed_operators_are_refused(tmp_path):
    model = Model()
    value = model.node("QLinearSoftmax", model.input(["N", 4]), F(0.1), domain="com.microsoft")
    value = model.node("QLinearAdd", value, domain="com.microsoft")
    _, problems = read_onnx(save(model, value, tmp_path, "com.microsoft"))
    assert [problem.reason for problem in problems] == [
        "its domain 'com.microsoft' is not ONNX's own",
        "it has 1 inputs and 1 outputs, not what its operator has",
    ]
