"""QuantizeLinear and DequantizeLinear: they annotate tensors and constants."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx

from weft.compiler.float_graph import Scale
from weft.compiler.onnx_operators import Call, finite, operator
from weft.compiler.onnx_values import Constant, NodeError, Value, View

#: Of codes without a zero point.
_UINT8 = np.dtype(np.uint8)

_TYPES: dict[int, np.dtype] = {
    onnx.TensorProto.INT8: np.dtype(np.int8),
    onnx.TensorProto.UINT8: _UINT8,
    onnx.TensorProto.INT32: np.dtype(np.int32),
}


def parameters(call: Call, default: np.dtype = _UINT8) -> tuple[Scale, np.dtype]:
    """Scale and zero point as the file has them, and the dtype of the codes."""
    if call.attributes.get("block_size"):
        raise NodeError("blocked quantization is not implemented", "quantize per tensor or channel")
    scale = finite(call.constant(1, "scale"), "scale")
    point = call.optional(2, "zero point")
    dtype = default if point is None else point.array.dtype
    zero = np.zeros(scale.shape, np.int64) if point is None else point.array
    if dtype not in _TYPES.values():
        raise NodeError(f"its codes are of type {dtype}", "quantize to int8 (biases to int32)")
    if scale.size == 1 and zero.size == 1:
        scale, zero = scale.reshape(()), zero.reshape(())
    if scale.ndim > 1 or scale.shape != zero.shape or scale.size == 0:
        raise NodeError("its scale and zero point differ in shape", "export the model again")
    if (scale <= 0).any():
        raise NodeError("its scale is not positive", "quantize the model again")
    return Scale(scale, zero.astype(np.int64)), dtype


def _signed(scale: Scale, dtype: np.dtype) -> Scale:
    """The same quantization with int8 codes: uint8 codes are all larger by 128."""
    if dtype == np.uint8:
        return Scale(scale.scale, scale.zero_point - 128)
    return scale


def _along(call: Call, scale: Scale, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray, int]:
    """Scale and zero point to broadcast against a constant, and their axis."""
    if scale.scale.ndim == 0:
        return scale.scale, scale.zero_point, 0
    axis = call.attributes["axis"]
    if not -len(shape) <= axis < len(shape) or shape[axis] != scale.scale.size:
        raise NodeError(
            f"its {scale.scale.size} scales do not fit axis {axis} of shape {list(shape)}",
            "export the model again",
        )
    axis %= len(shape)
    view = [1] * len(shape)
    view[axis] = -1
    return scale.scale.reshape(view), scale.zero_point.reshape(view), axis


@operator("QuantizeLinear", axis=1, block_size=0, output_dtype=0, precision=0, saturate=1)
def quantize(call: Call) -> Value:
    """A tensor: a look at it as codes. A constant: its codes."""
    asked = call.attributes["output_dtype"]
    if (asked and asked not in _TYPES) or call.attributes["precision"] not in (0, 1):
        raise NodeError("its output_dtype or precision is not implemented", "quantize to int8")
    scale, dtype = parameters(call, _TYPES[asked] if asked else _UINT8)
    value = call.value(0)
    if isinstance(value, Constant):
        array = finite(value, "input")
        steps, zero, _ = _along(call, scale, array.shape)
        limits = np.iinfo(dtype)
        with np.errstate(over="ignore"):  # what no float32 can hold has the last code
            ratios = array.astype(np.float32) / steps.astype(np.float32)
        codes = np.rint(ratios).astype(np.float64) + zero
        return Constant(np.clip(codes, limits.min, limits.max).astype(dtype))
    view = call.view()
    if scale.scale.ndim:
        raise NodeError("it quantizes a computed tensor per channel", "quantize it per tensor")
    if dtype == np.int32:
        raise NodeError("it quantizes a computed tensor to int32", "quantize it to int8")
    return requantized(call, view, scale, dtype)


def requantized(call: Call, view: View, scale: Scale, dtype: np.dtype) -> View:
    """A look at a tensor as codes; where it has codes at another scale, a tensor of new ones."""
    signed, known = _signed(scale, dtype), call.build.graph.scales.get(view.memory)
    if view.coded and known is not None and not same_scale(known, signed):
        made = call.pointwise("Clamp", {"low": None, "high": None}, view)
    else:
        made = call.build.reviewed(call.output, view, view.order)
    call.build.annotate(made.memory, signed)
    return replace(made, quantized=(scale, dtype))


def same_scale(one: Scale, two: Scale) -> bool:
    """Whether two quantizations of a tensor are the same."""
    return bool(one.scale == two.scale and one.zero_point == two.zero_point)


@operator("DequantizeLinear", axis=1, block_size=0, output_dtype=0)
def dequantize(call: Call) -> Value:
    """Codes of a tensor: the tensor. Constant codes: their values, with the scale noted."""
    if call.attributes["output_dtype"] not in (0, onnx.TensorProto.FLOAT):
        raise NodeError("its output_dtype is not FLOAT", "dequantize to float32")
    value = call.value(0)
    if isinstance(value, Constant):
        scale, dtype = parameters(call, value.array.dtype)
        if dtype != value.array.dtype:
            raise NodeError("its zero point is not of its codes' type", "export the model again")
        steps, zero, axis = _along(call, scale, value.array.shape)
        return Constant((value.array - zero) * steps, _signed(scale, dtype), axis)
    view = call.view(codes=True)
    if view.quantized is None:
        raise NodeError("its input is not quantized", "put a QuantizeLinear before it")
    known, codes = view.quantized
    scale, dtype = parameters(call, codes)
    same = dtype == codes and not scale.scale.ndim
    if same and known is None:  # an input of the model, and this says what it means
        call.build.annotate(view.memory, _signed(scale, dtype))
    elif not same or known is None or not same_scale(scale, known):
        raise NodeError(
            "its scale or zero point is not that of the QuantizeLinear before it",
            "use the same parameters in both",
        )
    made = call.build.reviewed(call.output, view, view.order)
    return replace(made, quantized=None, coded=True)
