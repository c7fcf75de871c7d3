"""AVERAGE_POOL_2D, MAX_POOL_2D and MEAN."""

from __future__ import annotations

import math

import numpy as np

from weft.compiler.network import AveragePool, MaxPool, Mean, Requantize
from weft.compiler.tflite_arithmetic import activation_range, quantize_multiplier, rescale_factor
from weft.compiler.tflite_operators import Call, operator
from weft.compiler.tflite_views import View
from weft.compiler.tflite_windows import POOL_OPTIONS, mean_window, pool_window

#: TFLite's kernels pool between scales this close as if they were equal.
SCALE_TOLERANCE = 1e-6


@operator("AVERAGE_POOL_2D", "MAX_POOL_2D", options=POOL_OPTIONS)
def pool(call: Call) -> View:
    """Over the elements of each window that lie inside the image."""
    window = pool_window(call)
    call.same_scale(call.view(), tolerance=SCALE_TOLERANCE)
    low, high = activation_range(call.option("fused_activation_function"), *call.output_scale())
    image = call.build.image(call.view())
    made = call.make((1, *window.size, call.view().shape[3]))
    kind = AveragePool if call.op == "AVERAGE_POOL_2D" else MaxPool
    call.build.add_node(
        kind(
            call.node_name(), (image,), made.memory, kernel=window.kernel, stride=window.stride,
            padding=window.padding, low=low, high=high,
        )
    )  # fmt: skip
    return made


@operator("MEAN", options=("keep_dims",))
def mean(call: Call) -> View:
    """Over height, width or both; its divisor becomes part of the multiplier."""
    window = mean_window(call)
    requantize = _divided(call, math.prod(window.kernel))
    image = call.build.image(call.view())
    made = call.make(window.shape, window.image)
    call.build.add_node(
        Mean(
            call.node_name(), (image,), made.memory, axes=window.places, requantize=requantize,
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
