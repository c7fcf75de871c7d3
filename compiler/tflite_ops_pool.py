"""AVERAGE_POOL_2D, MAX_POOL_2D and MEAN."""

from __future__ import annotations

import math

import numpy as np

from weft.compiler.network import AveragePool, MaxPool, Mean, Requantize
from weft.compiler.tflite_arithmetic import activation_range, quantize_multiplier, rescale_factor
from weft.compiler.tflite_operators import Call, operator
from weft.compiler.tflite_views import NodeError, View, image_axis
from weft.compiler.tflite_windows import image_input, pair, window

#: TFLite's kernels pool between scales this close as if they were equal.
SCALE_TOLERANCE = 1e-6


@operator(
    "AVERAGE_POOL_2D", "MAX_POOL_2D",
    options=("padding", "stride_w", "stride_h", "filter_width", "filter_height",
             "fused_activation_function"),
)  # fmt: skip
def pool(call: Call) -> View:
    """Over the elements of each window that lie inside the image."""
    height, width, channels = image_input(call)
    kernel = pair(call, "filter_height", "filter_width")
    stride = pair(call, "stride_h", "stride_w")
    size, padding = window(call, (height, width), kernel, stride)
    call.same_scale(call.view(), tolerance=SCALE_TOLERANCE)
    low, high = activation_range(call.option("fused_activation_function"), *call.output_scale())
    image = call.build.image(call.view())
    made = call.make((1, *size, channels))
    kind = AveragePool if call.op == "AVERAGE_POOL_2D" else MaxPool
    call.build.add_node(
        kind(
            call.node_name(), (image,), made.memory,
            kernel=kernel, stride=stride, padding=padding, low=low, high=high,
        )
    )  # fmt: skip
    return made


@operator("MEAN", options=("keep_dims",))
def mean(call: Call) -> View:
    """Over height, width or both; its divisor becomes part of the multiplier."""
    view = call.view()
    axes = {axis + len(view.shape) if axis < 0 else axis for axis in call.integers(1, "axes")}
    places = {image_axis(axis, view.shape) for axis in axes}
    if 2 in places:
        raise NodeError("it averages over the channels", "average over height and width only")
    keep = call.option("keep_dims")
    shape = tuple(
        1 if axis in axes else n for axis, n in enumerate(view.shape) if keep or axis not in axes
    )
    count = math.prod(view.shape[axis] for axis in axes)
    requantize = _divided(call, count)
    image = call.build.image(view)
    summed = list(call.build.network.tensors[image].shape)
    for place in places:
        summed[place] = 1
    made = call.make(shape, (summed[0], summed[1], summed[2]))
    call.build.add_node(
        Mean(
            call.node_name(), (image,), made.memory,
            axes=tuple(sorted(places)), requantize=requantize,
        )
    )  # fmt: skip
    return made


def _divided(call: Call, count: int) -> Requantize:
    """From the sum of `count` codes to the output's codes."""
    multiplier, shift = quantize_multiplier(rescale_factor(call.scale()[0], call.output_scale()[0]))
    more = min(count.bit_length() - 1, 32, 31 + shift)
    return Requantize(
        np.array([shift - more], np.int32),
        np.array([(multiplier << more) // count], np.int32),
        call.rounding,
        zero_point=call.output_scale()[1],
    )
