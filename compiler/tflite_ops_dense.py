"""FULLY_CONNECTED."""

from __future__ import annotations

import math

import numpy as np

from weft.compiler.network import Conv2D, FullyConnected
from weft.compiler.tflite_arithmetic import convolution_factors, dense_factor
from weft.compiler.tflite_operators import Call, operator
from weft.compiler.tflite_ops_conv import constant_bias, constant_weights
from weft.compiler.tflite_views import NodeError, View


@operator(
    "FULLY_CONNECTED",
    options=("fused_activation_function", "weights_format", "keep_num_dims",
             "asymmetric_quantize_inputs", "quantized_bias_type"),
)  # fmt: skip
def fully_connected(call: Call) -> View:
    """Of the whole input, or of each row of as many elements as the weights have columns."""
    if call.option("weights_format") != "DEFAULT":
        raise NodeError(
            f"its weights are stored as {call.option('weights_format')}",
            "convert with weights in the default format",
        )
    weights, scales = constant_weights(call, rank=2, axis=0)
    view = call.view()
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
    requantize = call.requantize(_factors(call, scales, units),
                                 call.option("fused_activation_function"))  # fmt: skip
    bias = constant_bias(call, units)
    if rows == 1:
        made = call.make(shape)
        call.build.add_node(
            FullyConnected(
                call.node_name(), (view.memory,), made.memory,
                weights=weights, bias=bias, requantize=requantize,
            )
        )  # fmt: skip
        return made
    image = call.build.image(view, _rows(view.shape, rows, features))
    made = call.make(shape, (*call.build.network.tensors[image].shape[:2], units))
    call.build.add_node(
        Conv2D(
            call.node_name(), (image,), made.memory,
            weights=weights.reshape(units, 1, 1, features), bias=bias, requantize=requantize,
        )
    )  # fmt: skip
    return made


def _rows(shape: tuple[int, ...], rows: int, features: int) -> tuple[int, int, int]:
    """An image whose pixels are the rows: the input's own if they are its pixels."""
    if len(shape) >= 3 and shape[-1] == features and math.prod(shape[:-3]) == 1:
        return shape[-3], shape[-2], features
    return 1, rows, features


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
