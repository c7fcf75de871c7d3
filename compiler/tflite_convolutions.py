"""Geometry of CONV_2D and DEPTHWISE_CONV_2D, whatever their numbers are."""

from __future__ import annotations

from weft.compiler.tflite_operators import Call
from weft.compiler.tflite_views import NodeError
from weft.compiler.tflite_windows import Pair, Window, image_input, pair, window

#: The options that these functions take care of, and the fused activation.
_BOTH = ("padding", "stride_w", "stride_h", "fused_activation_function", "dilation_w_factor",
         "dilation_h_factor")  # fmt: skip
CONV_OPTIONS = (*_BOTH, "quantized_bias_type")
DEPTHWISE_OPTIONS = (*_BOTH, "depth_multiplier")


def conv_groups(weights: tuple[int, ...], channels: int) -> int:
    """Groups of a CONV_2D: more than one where the weights have fewer channels."""
    if channels % weights[3] or weights[0] % (channels // weights[3]):
        raise _unfit(weights, channels)
    return channels // weights[3]


def check_depthwise(call: Call, weights: tuple[int, ...], channels: int) -> None:
    """See that weights are (1, kh, kw, channels * multiplier)."""
    if weights[0] != 1 or weights[3] % channels:
        raise _unfit(weights, channels)
    # The kernels go by the shapes; a converter writes the same, or 0, into the option.
    stated = call.option("depth_multiplier")
    if stated not in (0, weights[3] // channels):
        raise NodeError(
            f"its depth_multiplier is {stated}, "
            f"but its weights have {weights[3]} outputs for {channels} channels",
            "convert the model again",
        )


def _unfit(weights: tuple[int, ...], channels: int) -> NodeError:
    return NodeError(
        f"its weights of shape {list(weights)} do not fit {channels} channels",
        "convert the model again",
    )


def conv_window(call: Call, kernel: Pair) -> Window:
    """The window of a convolution with a kernel of this size."""
    stride = pair(call, "stride_h", "stride_w")
    dilation = pair(call, "dilation_h_factor", "dilation_w_factor")
    return window(call, image_input(call), kernel, stride, dilation)
