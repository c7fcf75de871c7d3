"""CONV_2D and DEPTHWISE_CONV_2D."""

from __future__ import annotations

import numpy as np

from weft.compiler.network import Conv2D
from weft.compiler.tflite_arithmetic import convolution_factors
from weft.compiler.tflite_convolutions import (
    CONV_OPTIONS,
    DEPTHWISE_OPTIONS,
    check_depthwise,
    conv_groups,
    conv_window,
)
from weft.compiler.tflite_file import TfliteTensor
from weft.compiler.tflite_operators import Call, contents, operator
from weft.compiler.tflite_views import NodeError, View
from weft.compiler.tflite_windows import image_input


@operator("CONV_2D", options=CONV_OPTIONS)
def conv_2d(call: Call) -> View:
    """Any kernel, stride and dilation; grouped where the weights have fewer channels."""
    *_, channels = image_input(call)
    weights, scales = constant_weights(call, rank=4, axis=0)
    return _convolution(call, weights, scales, conv_groups(weights.shape, channels))


@operator("DEPTHWISE_CONV_2D", options=DEPTHWISE_OPTIONS)
def depthwise_conv_2d(call: Call) -> View:
    """Weights (1, kh, kw, channels * multiplier); output channel c * multiplier + j sees c."""
    *_, channels = image_input(call)
    weights, scales = constant_weights(call, rank=4, axis=3)
    check_depthwise(call, weights.shape, channels)
    return _convolution(call, weights.transpose(3, 1, 2, 0), scales, channels)


def _convolution(call: Call, weights: np.ndarray, scales: np.ndarray, groups: int) -> View:
    window = conv_window(call, (weights.shape[1], weights.shape[2]))
    factors = convolution_factors(call.scale()[0], scales, call.output_scale()[0], len(weights))
    requantize = call.requantize(factors, call.option("fused_activation_function"))
    image = call.build.image(call.view())
    made = call.make((1, *window.size, len(weights)))
    call.build.add_node(
        Conv2D(
            call.node_name(), (image,), made.memory,
            weights=np.ascontiguousarray(weights), bias=constant_bias(call, len(weights)),
            requantize=requantize, stride=window.stride, dilation=window.dilation,
            padding=window.padding, groups=groups,
        )
    )  # fmt: skip
    return made


def constant_weights(call: Call, rank: int, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Input 1 as int8, and its float32 scales: one, or one for each index of `axis`."""
    tensor = call.constant(1, "weights")
    if tensor.dtype != "int8":
        remedy = "convert with int8 weights"
        if tensor.dtype in ("uint8", "float32"):
            remedy = "quantise the model to full INT8 when converting"
        raise NodeError(f"its weights are {tensor.dtype}", remedy)
    if len(tensor.shape) != rank:
        raise NodeError(f"its weights have shape {list(tensor.shape)}", "convert the model again")
    if tensor.scale is None or tensor.zero_point is None:
        raise NodeError("its weights have no scale", "quantise them when converting")
    if np.any(tensor.zero_point):
        raise NodeError(
            "its weights have a zero point other than 0", "quantise weights symmetrically"
        )
    if len(tensor.scale) > 1 and tensor.axis != axis:
        raise NodeError(
            f"its weights are quantised along axis {tensor.axis}, not along the output channels",
            f"quantise them per tensor or along axis {axis}",
        )
    return contents(tensor), tensor.scale


def constant_bias(call: Call, channels: int) -> np.ndarray:
    """Input 2 as int32, zeros where it is left out."""
    tensor = call.optional(2, "bias")
    if tensor is None:
        return np.zeros(channels, np.int32)
    if tensor.dtype != "int32":
        raise NodeError(f"its bias is {tensor.dtype}", "quantise the bias to int32")
    if contents(tensor).size != channels:
        raise NodeError(
            f"its bias has shape {list(tensor.shape)} for {channels} channels",
            "convert the model again",
        )
    _check_bias_zero(tensor)
    return contents(tensor).reshape(-1)


def _check_bias_zero(tensor: TfliteTensor) -> None:
    if tensor.zero_point is not None and np.any(tensor.zero_point):
        raise NodeError("its bias has a zero point other than 0", "convert the model again")
