"""FULLY_CONNECTED."""

from __future__ import annotations

import numpy as np

from weft.compiler.network import Conv2D, FullyConnected
from weft.compiler.tflite_arithmetic import convolution_factors, dense_factor
from weft.compiler.tflite_dense import DENSE_OPTIONS, check_format, dense_rows
from weft.compiler.tflite_operators import Call, operator
from weft.compiler.tflite_ops_conv import constant_bias, constant_weights
from weft.compiler.tflite_views import NodeError, View


@operator("FULLY_CONNECTED", options=DENSE_OPTIONS)
def fully_connected(call: Call) -> View:
    """Of the whole input, or of each row of as many elements as the weights have columns."""
    check_format(call)
    weights, scales = constant_weights(call, rank=2, axis=0)
    rows = dense_rows(call, weights.shape)
    units, features = weights.shape
    requantize = call.requantize(_factors(call, scales, units),
                                 call.option("fused_activation_function"))  # fmt: skip
    bias = constant_bias(call, units)
    if rows.pixels is None:
        made = call.make(rows.shape)
        call.build.add_node(
            FullyConnected(
                call.node_name(), (call.view().memory,), made.memory,
                weights=weights, bias=bias, requantize=requantize,
            )
        )  # fmt: skip
        return made
    image = call.build.image(call.view(), (*rows.pixels, features))
    made = call.make(rows.shape, (*rows.pixels, units))
    call.build.add_node(
        Conv2D(
            call.node_name(), (image,), made.memory,
            weights=weights.reshape(units, 1, 1, features), bias=bias, requantize=requantize,
        )
    )  # fmt: skip
    return made


def _factors(call: Call, scales: np.ndarray, units: int) -> np.ndarray | float:
    x, output = call.scale()[0], call.output_scale()[0]
    if len(scales) > 1:
        return convolution_factors(x, scales, output, units)
    factor = dense_factor(x, scales[0], output)
    bias = call.optional(2, "bias")
    if bias is not None:
        # TFLite's kernels refuse to run with a bias whose scale is this far off.
        stated = 0.0 if bias.scale is None else float(bias.scale[0])
        if abs(float(x) * float(scales[0]) - stated) / float(output) > 0.02:
            raise NodeError(
                f"its bias has scale {stated:.4g}, not the product of its input's and weights'",
                "convert the model again",
            )
    return np.full(units, factor)
