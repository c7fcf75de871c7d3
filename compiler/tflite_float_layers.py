"""CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED on real values.

Their weights may be int8 or float16 (dynamic-range and float16 quantisation): they are read as
the real values that they stand for.
"""

from __future__ import annotations

import numpy as np

from weft.compiler.tflite_convolutions import (
    CONV_OPTIONS,
    DEPTHWISE_OPTIONS,
    check_depthwise,
    conv_groups,
    conv_window,
)
from weft.compiler.tflite_dense import DENSE_OPTIONS, check_format, dense_rows
from weft.compiler.tflite_float_operators import FloatCall, finite, float_operator, real_values
from weft.compiler.tflite_operators import contents
from weft.compiler.tflite_views import NodeError, View
from weft.compiler.tflite_windows import image_input


@float_operator("CONV_2D", options=CONV_OPTIONS)
def conv_2d(call: FloatCall) -> View:
    """Any kernel, stride and dilation; grouped where the weights have fewer channels."""
    *_, channels = image_input(call)
    weights = _weights(call, rank=4)
    return _convolution(call, weights, conv_groups(weights.shape, channels))


@float_operator("DEPTHWISE_CONV_2D", options=DEPTHWISE_OPTIONS)
def depthwise_conv_2d(call: FloatCall) -> View:
    """Weights (1, kh, kw, channels * multiplier); output channel c * multiplier + j sees c."""
    *_, channels = image_input(call)
    weights = _weights(call, rank=4)
    check_depthwise(call, weights.shape, channels)
    return _convolution(call, weights.transpose(3, 1, 2, 0), channels)


def _convolution(call: FloatCall, weights: np.ndarray, groups: int) -> View:
    window = conv_window(call, (weights.shape[1], weights.shape[2]))
    return call.emit(
        "Conv2D",
        (call.build.image(call.view()),),
        (1, *window.size, len(weights)),
        attributes={
            "stride": window.stride,
            "dilation": window.dilation,
            "padding": window.padding,
            "groups": groups,
        },
        constants={"weights": np.ascontiguousarray(weights), "bias": _bias(call, len(weights))},
    )


# Of the options asymmetric_quantize_inputs says how LiteRT quantises activations on the way to
# int8 weights; here they stay real.
@float_operator("FULLY_CONNECTED", options=DENSE_OPTIONS)
def fully_connected(call: FloatCall) -> View:
    """Of the whole input, or of each row of as many elements as the weights have columns."""
    check_format(call)
    weights = _weights(call, rank=2)
    view, rows = call.view(), dense_rows(call, weights.shape)
    units, features = weights.shape
    bias = _bias(call, units)
    if rows.pixels is None:
        call.build.shape(view)
        constants = {"weights": weights, "bias": bias}
        return call.emit(
            "FullyConnected", (view.memory,), rows.shape, (1, 1, units), constants=constants
        )
    return call.emit(
        "Conv2D",
        (call.build.image(view, (*rows.pixels, features)),),
        rows.shape,
        (*rows.pixels, units),
        attributes={"stride": (1, 1), "dilation": (1, 1), "padding": (0, 0, 0, 0), "groups": 1},
        constants={"weights": weights.reshape(units, 1, 1, features), "bias": bias},
    )


def _weights(call: FloatCall, rank: int) -> np.ndarray:
    weights = call.real(1, "weights")
    if weights.ndim != rank or 0 in weights.shape:
        raise NodeError(f"its weights have shape {list(weights.shape)}", "convert the model again")
    return weights


def _bias(call: FloatCall, channels: int) -> np.ndarray:
    """Input 2 as real values, zeros where it is left out."""
    tensor = call.optional(2, "bias")
    if tensor is None:
        return np.zeros(channels)
    if contents(tensor).size != channels:
        raise NodeError(
            f"its bias has shape {list(tensor.shape)} for {channels} channels",
            "convert the model again",
        )
    if tensor.dtype == "int32":
        return contents(tensor).reshape(-1) * _product_scale(call, channels)
    return real_values(tensor, "bias").reshape(-1)


def _product_scale(call: FloatCall, channels: int) -> np.ndarray:
    """What a step of an INT8 layer's accumulator is worth: input scale times weight scale."""
    weights = call.constant(1, "weights")
    given = call.input_tensor(0)
    if weights.scale is None or given.scale is None:
        raise NodeError("its bias is int32, but its input has no scale", "convert the model again")
    product = weights.scale.astype(np.float64) * float(given.scale[0])
    return np.broadcast_to(finite(product, "bias"), (channels,))
