"""Quant, which QONNX and Brevitas write: codes and back in one node, of up to 8 bits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from weft.compiler.float_graph import Scale
from weft.compiler.onnx_operators import Call, contributed, finite
from weft.compiler.onnx_ops_quantization import requantized
from weft.compiler.onnx_values import Constant, NodeError, Value, View

DOMAINS = ("qonnx.custom_op.general", "onnx.brevitas", "finn.custom_op.general")

#: Bits of constants: weights have 8 at most, which is seen to later, and biases 32.
_WIDEST = 32


@contributed("Quant", inputs=(4, 4), domains=DOMAINS, signed=1, narrow=0, rounding_mode="ROUND")
def quant(call: Call) -> Value:
    """``(clamp(round(x / scale + zero_point)) - zero_point) * scale``, ties to even."""
    scale = finite(call.constant(1, "scale"), "scale")
    zero = finite(call.constant(2, "zero point"), "zero point")
    bits = finite(call.constant(3, "bit width"), "bit width")
    if bits.size != 1 or bits.reshape(()) not in range(2, _WIDEST + 1):
        raise NodeError(f"its bit width is {bits.reshape(-1)[:4]}", "use whole numbers of 2 to 8")
    whole = (zero == np.rint(zero)) & (abs(zero) <= 1 << _WIDEST)
    if (scale <= 0).any() or scale.size == 0 or zero.size == 0 or not whole.all():
        raise NodeError(
            "its scale is not positive, or its zero point not whole or too large",
            "quantize the model again",
        )
    if call.attributes["rounding_mode"].upper() != "ROUND":
        raise NodeError(
            f"rounding_mode {call.attributes['rounding_mode']!r} is not implemented", "use ROUND"
        )
    low, high = _codes(call, int(bits.reshape(())))
    value = call.value(0)
    if isinstance(value, Constant):
        return _constant(value, scale, zero, low, high)
    return _tensor(call, call.view(), scale, zero, (low, high))


def _codes(call: Call, bits: int) -> tuple[int, int]:
    narrow = 1 if call.attributes["narrow"] else 0
    if call.attributes["signed"]:
        return -(1 << bits - 1) + narrow, (1 << bits - 1) - 1
    return 0, (1 << bits) - 1 - narrow


def _constant(
    value: Constant, scale: np.ndarray, zero: np.ndarray, low: int, high: int
) -> Constant:
    array = finite(value, "input")
    try:
        codes = np.clip(np.rint(array / scale + zero), low, high)
        real = (codes - zero) * scale
    except ValueError:
        real = None
    if real is None or real.shape != array.shape:
        raise NodeError("its scale does not fit its input's shape", "export the model again")
    if scale.size == 1 and zero.size == 1:
        return Constant(real, Scale(scale.reshape(()), zero.reshape(()).astype(np.int64)))
    steps, points = (part.reshape((1,) * (array.ndim - part.ndim) + part.shape)
                     for part in np.broadcast_arrays(scale, zero))  # fmt: skip
    axes = [axis for axis, size in enumerate(steps.shape) if size > 1]
    if len(axes) != 1:
        raise NodeError("its scales vary along several axes", "quantize per tensor or channel")
    known = Scale(steps.reshape(-1), points.reshape(-1).astype(np.int64))
    return Constant(real, known, axes[0])


def _tensor(
    call: Call, view: View, scale: np.ndarray, zero: np.ndarray, codes: tuple[int, int]
) -> View:
    if scale.size != 1 or zero.size != 1:
        raise NodeError("it quantizes a computed tensor per channel", "quantize it per tensor")
    low, high = codes
    if high - low > 255:
        raise NodeError("it quantizes to more than 8 bits", "use 8 bits or fewer")
    step, point = scale.reshape(()), zero.reshape(()).astype(np.int64)
    dtype = np.dtype(np.uint8 if high > 127 else np.int8)
    if high - low < 255:
        limits = {
            "low": float((low - point) * step),
            "high": float((high - point) * step),
        }
        view = replace(call.pointwise("Clamp", limits, view), coded=False)
    made = requantized(call, view, Scale(step, point), dtype)
    return replace(made, quantized=None, coded=True)
