"""Operators on codes (the QOperator format): read as the float operator between its scales.

ONNX's own QLinearConv and QLinearMatMul, and those of ONNX Runtime's domain com.microsoft.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from weft.compiler.float_graph import Scale
from weft.compiler.onnx_operators import OPERATORS, Call, contributed, finite, operator
from weft.compiler.onnx_ops_quantization import dequantize, parameters, requantized
from weft.compiler.onnx_values import Constant, NodeError, Value, View

_FLAGS = {"axis": 0, "block_size": 0, "output_dtype": 0}


def _real(call: Call, index: int, axis: int = 0) -> Value:
    """What input `index` stands for by the scale and zero point that follow it."""
    inputs = call.inputs[index : index + 3]
    (value,) = dequantize(replace(call, inputs=inputs, attributes={**_FLAGS, "axis": axis}))
    return value


def _bias(call: Call, index: int, given: int, weights: Constant) -> Constant | None:
    """int32 codes at the scale of the products, whose input's scale is input `given`."""
    codes = call.optional(index, "bias")
    if codes is None or weights.scale is None:
        return None
    if codes.array.dtype != np.int32:
        raise NodeError(f"its bias is of type {codes.array.dtype}", "make it int32")
    scale = finite(call.constant(given, "scale"), "scale").reshape(()) * weights.scale.scale
    known = Scale(scale, np.zeros(scale.shape, np.int64))
    return Constant(codes.array.astype(np.float64) * scale, known)


def _made(
    call: Call, op: str, inputs: list[Value | None], scale: int | None, **attributes: Any
) -> Value:
    """What float operator `op` makes, as codes by the scale at input `scale`, or as it is."""
    known = OPERATORS[op]
    every: dict[str, Any] = {**known.attributes, **attributes}
    inner = replace(call, op=op, inputs=tuple(inputs), attributes=every)
    (value,) = known.handler(inner)
    if not isinstance(value, View):
        raise NodeError("its result is a constant", "simplify the model with onnxsim or onnxslim")
    if scale is None:
        return value
    found, dtype = parameters(replace(call, inputs=(None, *call.inputs[scale : scale + 2])))
    if found.scale.ndim:
        raise NodeError("its output has a scale per channel", "quantize it per tensor")
    return requantized(call, replace(value, coded=False), found, dtype)


def _weights(call: Call, index: int, axis: int) -> Constant:
    call.constant(index, "weights")
    value = _real(call, index, axis)
    assert isinstance(value, Constant)  # of a constant
    return value


@operator(
    "QLinearConv", auto_pad="NOTSET", dilations=(), group=1, kernel_shape=(), pads=(), strides=()
)
def conv(call: Call) -> Value:
    """Conv of codes."""
    weights = _weights(call, 3, 0)
    inputs = [_real(call, 0), weights, _bias(call, 8, 1, weights)]
    return _made(call, "Conv", inputs, 6, **call.attributes)


@operator("QLinearMatMul")
def matmul(call: Call) -> Value:
    """MatMul of codes."""
    rank = call.constant(3, "second matrix").array.ndim
    return _made(call, "MatMul", [_real(call, 0), _weights(call, 3, rank - 1)], 6)


@operator(
    "ConvInteger", auto_pad="NOTSET", dilations=(), group=1, kernel_shape=(), pads=(), strides=()
)
def conv_integer(call: Call) -> Value:
    """Conv of codes to integers, which a Mul later gives their scale."""
    inputs = _integers(call)
    return _made(call, "Conv", inputs, None, **call.attributes)


@operator("MatMulInteger")
def matmul_integer(call: Call) -> Value:
    """MatMul of codes to integers, which a Mul later gives their scale."""
    return _made(call, "MatMul", _integers(call), None)


def _integers(call: Call) -> list[Value | None]:
    """What codes stand for, and weights such that products are integers: their scale is 1."""
    view, codes = call.view(codes=True), call.constant(1, "weights").array
    points = [call.optional(index, "zero point") for index in (2, 3)]
    zeros = [np.zeros((), np.int64) if p is None else p.array.astype(np.int64) for p in points]
    known = view.quantized[0] if view.quantized else None
    if known is None or zeros[0].size != 1 or zeros[0].reshape(()) != known.zero_point:
        raise NodeError(
            "its zero point is not that of the QuantizeLinear before it",
            "use the same parameters in both",
        )
    if codes.dtype not in (np.int8, np.uint8) or zeros[1].size != 1:
        raise NodeError(
            f"its weights are {codes.dtype}, or have a zero point per channel",
            "quantize weights to int8, with one zero point",
        )
    step, zero = 1 / known.scale, zeros[1].reshape(())
    shift = 128 if codes.dtype == np.uint8 else 0
    weights = Constant((codes.astype(np.float64) - zero) * step, Scale(step, zero - shift))
    return [replace(view, quantized=None, coded=True), weights]


@contributed("QGemm", inputs=(6, 9), alpha=1.0, transA=0, transB=0)
def gemm(call: Call) -> Value:
    """Gemm of codes; without a scale for its output it gives float32."""
    weights = _weights(call, 3, 0 if call.attributes["transB"] else 1)
    inputs = [_real(call, 0), weights, _bias(call, 6, 1, weights)]
    scale = 7 if call.value(7) is not None else None
    return _made(call, "Gemm", inputs, scale, **call.attributes)


@contributed("QLinearAdd", "QLinearMul", inputs=(7, 8))
def pair(call: Call) -> Value:
    """Sums and products of codes."""
    return _made(call, call.op.removeprefix("QLinear"), [_real(call, 0), _real(call, 3)], 6)


@contributed("QLinearLeakyRelu", inputs=(4, 5), alpha=0.01)
def leaky_relu(call: Call) -> Value:
    """LeakyRelu of codes."""
    return _made(call, "LeakyRelu", [_real(call, 0)], 3, **call.attributes)


@contributed("QLinearSigmoid", inputs=(4, 5))
def sigmoid(call: Call) -> Value:
    """Sigmoid of codes."""
    return _made(call, "Sigmoid", [_real(call, 0)], 3)


@contributed(
    "QLinearAveragePool", inputs=(4, 5),
    auto_pad="NOTSET", ceil_mode=0, channels_last=0, count_include_pad=0, kernel_shape=(),
    pads=(), strides=(),
)  # fmt: skip
def average_pool(call: Call) -> Value:
    """AveragePool of codes."""
    return _made(call, "AveragePool", [_real(call, 0)], 3, **_channels_first(call))


@contributed("QLinearGlobalAveragePool", inputs=(4, 5), channels_last=0)
def global_average_pool(call: Call) -> Value:
    """GlobalAveragePool of codes."""
    return _made(call, "GlobalAveragePool", [_real(call, 0)], 3, **_channels_first(call))


def _channels_first(call: Call) -> dict[str, Any]:
    attributes = dict(call.attributes)
    if attributes.pop("channels_last"):
        raise NodeError("channels_last is not implemented", "export with channels first")
    return attributes


@contributed("QLinearConcat", inputs=(5, 1 << 16), axis=0)
def concat(call: Call) -> Value:
    """Concat of codes at several scales: three inputs for each, behind the output's two."""
    if len(call.inputs) % 3 != 2:
        raise NodeError(f"it has {len(call.inputs)} inputs", "export the model again")
    parts: list[Value | None] = [_real(call, i) for i in range(2, len(call.inputs), 3)]
    return _made(call, "Concat", parts, 0, **call.attributes)


def on_codes(call: Call) -> list[Value]:
    """A move of codes: that of the values, which keep their scale."""
    view, known = call.value(0), OPERATORS[call.op]
    if not isinstance(view, View) or view.quantized is None:
        return known.handler(call)
    scale, dtype = view.quantized
    if scale is None:
        raise NodeError(
            "it works on an input whose scale nothing says", "put a DequantizeLinear before it"
        )
    plain = replace(call, inputs=(replace(view, quantized=None), *call.inputs[1:]))
    return [
        requantized(call, replace(made, coded=False), scale, dtype)
        if isinstance(made, View)
        else made
        for made in known.handler(plain)
    ]


#: Operators that ONNX defines on int8 and uint8 too, and that only move or compare.
ON_CODES = frozenset({"MaxPool", "Slice", "Split"})
