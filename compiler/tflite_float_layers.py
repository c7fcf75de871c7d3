"""CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED on real values.

Their weights may be int8 or float16 (dynamic-range and float16 quantisation): they are read as
the real values that they stand for.
"""

from __future__ import annotations

import math

import numpy as np

from weft.compiler.tflite_float_operators import FloatCall, finite, float_operator, real_values
from weft.compiler.tflite_operators import contents
from weft.compiler.tflite_views import NodeError, View
from weft.compiler.tflite_windows import image_input, pair, window


@float_operator(
    "CONV_2D",
    options=("padding", "stride_w", "stride_h", "fused_activation_function", "dilation_w_factor",
             "dilation_h_factor", "quantized_bias_type"),
)  # fmt: skip
def conv_2d(call: FloatCall) -> View:
    """Any kernel, stride and dilation; grouped where the weights have fewer channels."""
    *_, channels = image_input(call)
    weights = _weights(call, rank=4)
    if channels % weights.shape[3] or len(weights) % (channels // weights.shape[3]):
        raise _unfit(weights, channels)
    return _convolution(call, weights, channels // weights.shape[3])


@float_operator(
    "DEPTHWISE_CONV_2D",
    options=("padding", "stride_w", "stride_h", "depth_multiplier", "fused_activation_function",
             "dilation_w_factor", "dilation_h_factor"),
)  # fmt: skip
def depthwise_conv_2d(call: FloatCall) -> View:
    """Weights (1, kh, kw, channels * multiplier); output channel c * multiplier + j sees c."""
    *_, channels = image_input(call)
    weights = _weights(call, rank=4)
    stated = call.option("depth_multiplier")
    if weights.shape[0] != 1 or weights.shape[3] % channels:
        raise _unfit(weights, channels)
    if stated not in (0, weights.shape[3] // channels):
        raise NodeError(
            f"its depth_multiplier is {stated}, "
            f"but its weights have {weights.shape[3]} outputs for {channels} channels",
            "convert the model again",
        )
    return _convolution(call, weights.transpose(3, 1, 2, 0), channels)


def _unfit(weights: np.ndarray, channels: int) -> NodeError:
    return NodeError(
        f"its weights of shape {list(weights.shape)} do not fit {channels} channels",
        "convert the model again",
    )


def _convolution(call: FloatCall, weights: np.ndarray, groups: int) -> View:
    height, width, _ = image_input(call)
    stride = pair(call, "stride_h", "stride_w")
    dilation = pair(call, "dilation_h_factor", "dilation_w_factor")
    kernel = weights.shape[1], weights.shape[2]
    size, padding = window(call, (height, width), kernel, stride, dilation)
    return call.emit(
        "Conv2D",
        (call.build.image(call.view()),),
        (1, *size, len(weights)),
        attributes={"stride": stride, "dilation": dilation, "padding": padding, "groups": groups},
        constants={"weights": np.ascontiguousarray(weights), "bias": _bias(call, len(weights))},
    )


@float_operator(
    "FULLY_CONNECTED",
    # asymmetric_quantize_inputs says how LiteRT quantises activations on the way to int8
    # weights; here they stay real.
    options=("fused_activation_function", "weights_format", "keep_num_dims",
             "asymmetric_quantize_inputs", "quantized_bias_type"),
)  # fmt: skip
def fully_connected(call: FloatCall) -> View:
    """Of the whole input, or of each row of as many elements as the weights have columns."""
    if call.option("weights_format") != "DEFAULT":
        raise NodeError(
            f"its weights are stored as {call.option('weights_format')}",
            "convert with weights in the default format",
        )
    weights, view = _weights(call, rank=2), call.view()
    units, features = weights.shape
    size = math.prod(view.shape)
    if size % features:
        raise NodeError(
            f"its weights of shape {list(weights.shape)} do not fit an input of {size} elements",
            "convert the model again",
        )
    rows = size // features
    shape = (rows, units)
    if call.option("keep_num_dims"):
        if view.shape[-1:] != (features,):
            raise NodeError(
                f"it keeps the dimensions of {list(view.shape)}, "
                f"whose last is not the weights' {features}",
                "convert the model again",
            )
        shape = (*view.shape[:-1], units)
    bias = _bias(call, units)
    if rows == 1:
        call.build.shape(view)
        constants = {"weights": weights, "bias": bias}
        return call.emit(
            "FullyConnected", (view.memory,), shape, (1, 1, units), constants=constants
        )
    plain = len(view.shape) >= 3 and view.shape[-1] == features and math.prod(view.shape[:-3]) == 1
    pixels = (view.shape[-3], view.shape[-2]) if plain else (1, rows)
    return call.emit(
        "Conv2D",
        (call.build.image(view, (*pixels, features)),),
        shape,
        (*pixels, units),
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
