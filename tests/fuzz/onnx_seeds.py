"""Small ONNX models to start from: every operator, float, QDQ, QOperator and Quant."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import onnx
from onnx import TensorProto
from onnx_models import Model
from random_networks import random_network

from weft.compiler.qdq_writer import qdq_model
from weft.errors import WeftError

F, U8, I8, I64 = np.float32, np.uint8, np.int8, np.int64

#: Contributed operators' domains.
_DOMAINS = ("com.microsoft", "qonnx.custom_op.general")

#: Random quantised networks among the seeds.
_NETWORKS = 24


def onnx_seeds(largest: int) -> Iterator[bytes]:
    """Every seed of `largest` bytes at the most."""
    yield from (data for data in map(_file, _models()) if len(data) <= largest)
    for seed in range(_NETWORKS):
        network = random_network(np.random.default_rng(seed), size=600, max_nodes=4, max_side=5)
        try:
            data = qdq_model(network).SerializeToString()
        except WeftError:  # a file has no operator for it
            continue
        if len(data) <= largest:
            yield data


def _file(model: Model) -> bytes:
    proto = model.proto()
    for domain in _DOMAINS:
        if any(node.domain == domain for node in proto.graph.node):
            proto.opset_import.append(onnx.helper.make_opsetid(domain, 1))
    # Shapes, as exporters often write them: the reader goes on with them behind a problem.
    proto = onnx.shape_inference.infer_shapes(proto)
    return proto.SerializeToString()


def _models() -> Iterator[Model]:
    for opset, op, inputs, attributes in _SINGLE:
        model = Model(opset)
        value = model.input(["N", 3, 4, 5])
        made = model.node(op, value, *inputs, **attributes)
        yield model.output(*([made] if isinstance(made, str) else made))
    for build in _GRAPHS:
        model = Model()
        yield model.output(*build(model))


#: Opset, operator, inputs besides the first, attributes.
_SINGLE: tuple[tuple[int, str, list, dict], ...] = (
    (17, "Conv", [np.ones((2, 3, 3, 2), F), np.ones(2, F)],
     {"strides": [2, 1], "pads": [1, 0, 1, 1], "dilations": [1, 2], "group": 1}),
    (22, "Conv", [np.ones((6, 1, 3, 3), F)], {"group": 3, "auto_pad": "SAME_UPPER"}),
    (13, "ConvTranspose", [np.ones((3, 2, 2, 2), F)], {"strides": [2, 2]}),
    (17, "MaxPool", [], {"kernel_shape": [2, 3], "strides": [2, 2], "ceil_mode": 1}),
    (22, "AveragePool", [], {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "dilations": [2, 1],
                             "count_include_pad": 1}),
    (17, "GlobalAveragePool", [], {}),
    (17, "GlobalMaxPool", [], {}),
    (17, "ReduceMean", [], {"axes": [2, 3], "keepdims": 0}),
    (18, "ReduceMean", [np.array([2, 3])], {"keepdims": 1, "noop_with_empty_axes": 1}),
    (17, "BatchNormalization", [np.ones(3, F)] * 4, {"epsilon": 1e-3}),
    (17, "Clip", [F(0), F(6)], {}),
    (17, "LeakyRelu", [], {"alpha": 0.1}),
    (17, "HardSigmoid", [], {"alpha": 0.2, "beta": 0.5}),
    (14, "HardSwish", [], {}),
    (17, "Tanh", [], {}),
    (17, "Max", [F(0)], {}),
    (17, "Dropout", [F(0.5)], {"seed": 3}),
    (17, "Cast", [], {"to": 1}),
    (17, "Softmax", [], {"axis": 1}),
    (17, "Div", [np.full((3, 1, 1), 4, F)], {}),
    (17, "Sub", [np.full((1, 3, 1, 1), 4, F)], {}),
    (13, "Pad", [np.array([0, 0, 1, 2, 0, 1, 0, -1]), F(0.5)], {"mode": "constant"}),
    (18, "Pad", [np.array([1, 0, 0, 2]), F(0.5), np.array([-2, 3])], {}),
    (17, "Slice", [np.array([1, -3]), np.array([99, 4]), np.array([2, -1]), np.array([2, 1])], {}),
    (17, "Split", [np.array([1, 2])], {"axis": 1, "outputs": 2}),
    (18, "Split", [], {"axis": 2, "num_outputs": 2, "outputs": 2}),
    (17, "Reshape", [np.array([0, -1])], {"allowzero": 0}),
    (17, "Flatten", [], {"axis": -3}),
    (17, "Transpose", [], {"perm": [0, 2, 3, 1]}),
    (17, "Unsqueeze", [np.array([2, -1])], {}),
    (17, "Squeeze", [np.array([0])], {}),
)  # fmt: skip


def _dense(model: Model) -> list[str]:
    value = model.node("Flatten", model.input([1, 2, 3, 4]))
    value = model.node("Gemm", value, model.weights(5, 24), model.weights(5), transB=1, alpha=0.5)
    value = model.node("Relu", value)
    value = model.node("Add", model.node("MatMul", value, model.weights(5, 3)), model.weights(3))
    return [model.node("Softmax", model.node("Sigmoid", value), axis=-1)]


def _branches(model: Model) -> list[str]:
    one, two = model.input(["N", 4, 5, 5]), model.input(["N", 4, 5, 5])
    value = model.node("Conv", one, model.weights(4, 4, 3, 3), model.weights(4), pads=[1] * 4)
    norm = [np.abs(model.weights(4)) for _ in range(4)]
    value = model.node("Relu", model.node("BatchNormalization", value, *norm))
    total = model.node("Add", value, two)
    both = model.node("Concat", total, one, axis=1)
    return [model.node("MaxPool", both, kernel_shape=[2, 2], strides=[2, 2]), total]


def _shapes(model: Model) -> list[str]:
    """Arithmetic on shapes, as PyTorch exports a `view`."""
    value = model.input(["N", 3, 4, 5])
    shape = model.node("Shape", value)
    batch = model.node("Gather", shape, np.array(0), axis=0)
    batch = model.node("Unsqueeze", batch, np.array([0]))
    rest = model.node("ConstantOfShape", np.array([1]), value=onnx.numpy_helper.from_array(
        np.array([-1], I64)))  # fmt: skip
    wanted = model.node("Concat", batch, rest, axis=0)
    return [model.node("Reshape", value, wanted)]


def _constants(model: Model) -> list[str]:
    """Weights that are computed."""
    value = model.input([1, 6])
    weights = model.node("Transpose", model.weights(3, 6), perm=[1, 0])
    weights = model.node("Mul", weights, model.node("Sqrt", F([4])))
    ends = [model.node("Constant", value_ints=[n]) for n in (0, 6)]
    weights = model.node("Slice", weights, *ends)
    bias = model.node("Tile", model.node("Range", F(0), F(3), F(1)), np.array([1]))
    return [model.node("Add", model.node("MatMul", value, weights), bias)]


def _turned(model: Model) -> list[str]:
    """Channels last, as from Keras."""
    value = model.node("Transpose", model.input([1, 5, 5, 2]), perm=[0, 3, 1, 2])
    value = model.node("Conv", value, model.weights(3, 2, 3, 3), pads=[0, 0, 1, 1])
    return [model.node("Transpose", value, perm=[0, 2, 3, 1])]


def _of_one_dimension(model: Model) -> list[str]:
    value = model.node("Conv", model.input(["N", 4, 11]), model.weights(6, 2, 3), group=2)
    value = model.node("AveragePool", value, kernel_shape=[3], strides=[2])
    return [model.node("GlobalAveragePool", value)]


def _qdq(model: Model, value: object, scale: object, zero: object = I8(0), **more: int) -> str:
    codes = model.node("QuantizeLinear", value, F(scale), zero, **more)
    return model.node("DequantizeLinear", codes, F(scale), zero, **more)


def _quantized(model: Model) -> list[str]:
    """QDQ with any scales, weights per channel, uint8 activations."""
    value = _qdq(model, model.input(["N", 2, 5, 5]), 0.031, U8(120))
    weights = model.node(
        "DequantizeLinear", I8(model.random.integers(-9, 9, (3, 2, 3, 3))),
        F([0.01, 0.02, 0.03]), I8([0, 0, 0]), axis=0,
    )  # fmt: skip
    bias = model.node("DequantizeLinear", np.array([1, 2, 3], np.int32), F([3e-4, 6e-4, 9e-4]))
    value = model.node("Relu", model.node("Conv", value, weights, bias))
    value = _qdq(model, value, 0.05, U8(0))
    value = _qdq(model, model.node("GlobalAveragePool", value), 0.04, U8(3))
    return [_qdq(model, model.node("Flatten", value), 0.04, U8(3))]


def _codes(model: Model) -> list[str]:
    """int8 at both ends."""
    value = model.input([1, 4], dtype=TensorProto.INT8)
    value = model.node("DequantizeLinear", value, F(0.5), I8(3))
    weights = model.node("DequantizeLinear", np.ones((4, 2), I8), F(0.25), I8(0))
    value = _qdq(model, model.node("MatMul", value, weights), 0.5)
    return [model.node("QuantizeLinear", value, F(0.5), I8(0))]


def _integers(model: Model) -> list[str]:
    value = model.node("QuantizeLinear", model.input(["N", 2, 4, 4]), F(0.03), U8(100))
    weights = model.random.integers(-9, 9, (3, 2, 2, 2)).astype(I8)
    value = model.node("ConvInteger", value, weights, U8(100), I8(0))
    value = model.node("Mul", model.node("Cast", value, to=TensorProto.FLOAT), F(3e-4))
    return [_qdq(model, model.node("Relu", value), 0.02)]


def _qlinear(model: Model) -> list[str]:
    one, two, half = F(0.04), F(0.02), F(0.05)
    value = model.node("QuantizeLinear", model.input(["N", 2, 4, 4]), one, U8(9))
    weights = model.random.integers(-9, 9, (3, 2, 3, 3)).astype(I8)
    value = model.node("QLinearConv", value, one, U8(9), weights, two, I8(0), half, U8(5),
                       np.array([1, 2, 3], np.int32), pads=[1, 1, 1, 1])  # fmt: skip
    ms = {"domain": _DOMAINS[0]}
    value = model.node("QLinearAdd", value, half, U8(5), value, half, U8(5), one, U8(1), **ms)
    value = model.node("QLinearSigmoid", value, one, U8(1), F(1 / 256), U8(0), **ms)
    value = model.node("QLinearConcat", half, U8(0), value, F(1 / 256), U8(0), axis=1, **ms)
    value = model.node(
        "QLinearGlobalAveragePool", value, half, U8(0), half, U8(2), channels_last=0, **ms
    )
    value = model.node("Flatten", value)
    value = model.node("QGemm", value, half, U8(2), np.ones((3, 2), I8), two, I8(0),
                       np.array([1, 2], np.int32), one, U8(4), **ms)  # fmt: skip
    value = model.node("QLinearMatMul", value, one, U8(4), np.ones((2, 2), I8), two, I8(0), one,
                       U8(4))  # fmt: skip
    return [model.node("DequantizeLinear", value, one, U8(4))]


def _quant(model: Model) -> list[str]:
    """As Brevitas exports."""

    def quant(value: object, scale: float, bits: int = 8) -> str:
        return model.node("Quant", value, F(scale), F(0), F(bits), domain=_DOMAINS[1], signed=1,
                          narrow=0, rounding_mode="ROUND")  # fmt: skip

    value = quant(model.input(["N", 4]), 0.13)
    value = model.node("MatMul", value, quant(model.weights(4, 3), 0.07, 5))
    return [quant(value, 0.25, 6)]


_GRAPHS: tuple[Callable[[Model], list[str]], ...] = (
    _dense, _branches, _shapes, _constants, _turned, _of_one_dimension, _quantized, _codes,
    _integers, _qlinear, _quant,
)  # fmt: skip
