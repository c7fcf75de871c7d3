"""Random models of convolutions, dense layers and pools."""

from __future__ import annotations

import math

import numpy as np
from numpy.random import Generator
from tflite_random import (
    ACTIVATIONS,
    image_of,
    input_of,
    like,
    maker,
    scale,
    scale_of,
    zero_point_of,
)
from tflite_writer import ModelWriter, activation, padding


def _size(size: int, kernel: int, stride: int, dilation: int, same: bool) -> int:
    reach = (kernel - 1) * dilation + 1
    return -(-size // stride) if same else (size - reach + stride) // stride


def _weighted(
    op: str,
    rng: Generator,
    writer: ModelWriter,
    x: int,
    *,
    shape: tuple[int, ...],
    axis: int,
    taps: int,
) -> tuple[list[int], float]:
    """Weights and a bias for input `x`; also a scale for the output that suits them."""
    channels = shape[axis]
    size = int(rng.choice([2, 30, 127]))
    weights = rng.integers(-size, size + 1, shape).astype(np.int8)
    if size == 127 and rng.random() < 0.3:
        weights.reshape(-1)[0] = -128
    spread = 60 * size * math.sqrt(taps)  # of the accumulators
    per_channel = rng.random() < 0.7 and channels > 1
    scales = scale_of(rng) * (2 ** rng.uniform(-2, 2, channels if per_channel else 1))
    bias = rng.normal(0, spread, channels)
    steps = rng.uniform(10, 120)
    output = scale(writer, x) * float(np.median(scales)) * spread / steps
    if per_channel and rng.random() < 0.5:
        place = rng.integers(0, channels)
        if rng.random() < 0.3:  # a factor above 1
            scales[place] = np.median(scales) * spread / steps * 2 ** rng.uniform(0, 5)
        else:  # a factor near 0, or 0 itself
            scales[place] *= 10 ** rng.uniform(-14, -6)
            bias[place] = rng.uniform(-1, 1) * 2**30
    inputs = [x, writer.tensor(shape, scales, data=weights, axis=axis)]
    # LiteRT takes no CONV_2D without a bias, and FULLY_CONNECTED alone with an empty one.
    left_out = {"CONV_2D": 0.0, "DEPTHWISE_CONV_2D": 0.2, "FULLY_CONNECTED": 0.3}[op]
    if rng.random() >= left_out:
        bias_scales = np.maximum(scales.astype(np.float32) * np.float32(scale(writer, x)), 1e-30)
        inputs.append(writer.constant(bias.astype(np.int64), scale=bias_scales))
    elif op == "FULLY_CONNECTED" and rng.random() < 0.5:
        inputs.append(-1)
    return inputs, float(np.float32(output))


@maker("CONV_2D", "DEPTHWISE_CONV_2D")
def _convolution(op: str, rng: Generator, writer: ModelWriter) -> tuple[list[int], list[int]]:
    one, height, width, channels = image_of(rng)
    kernel = rng.integers(1, 6, 2) if rng.random() < 0.7 else rng.permutation([1, 7])
    stride, dilation = rng.integers(1, 4, 2), np.array([1, 1])
    if rng.random() < 0.3:
        dilation = rng.integers(1, 4, 2)
        stride = np.array([1, 1]) if rng.random() < 0.5 else stride
    same = rng.random() < 0.5
    if not same:
        height, width = (
            max(n, (k - 1) * d + 1)
            for n, k, d in zip((height, width), kernel, dilation, strict=True)
        )
    k, s, d = kernel.tolist(), stride.tolist(), dilation.tolist()
    options = {}
    if op == "CONV_2D":
        groups = int(rng.choice([1, 1, 1, 2, 3]))
        channels *= groups
        outputs = groups * int(rng.integers(1, 6))
        shape, axis, taps = (outputs, *k, channels // groups), 0, math.prod(k) * channels // groups
    else:
        options["depthMultiplier"] = int(rng.choice([1, 1, 2, 3, 8]))
        outputs = channels * options["depthMultiplier"]
        shape, axis, taps = (1, *k, outputs), 3, math.prod(k)
    x = input_of(rng, writer, (one, height, width, channels))
    inputs, fitting = _weighted(op, rng, writer, x, shape=shape, axis=axis, taps=taps)
    size = [_size(n, *w, same) for n, *w in zip((height, width), k, s, d, strict=True)]
    y = writer.tensor((1, *size, outputs), fitting, zero_point_of(rng))
    writer.operator(
        op, inputs, [y], padding=padding("SAME" if same else "VALID"),
        strideH=s[0], strideW=s[1], dilationHFactor=d[0], dilationWFactor=d[1],
        fusedActivationFunction=activation(rng.choice(ACTIVATIONS)), **options,
    )  # fmt: skip
    return [x], [y]


@maker("FULLY_CONNECTED")
def _dense(op: str, rng: Generator, writer: ModelWriter) -> tuple[list[int], list[int]]:
    shape = image_of(rng, 4, 12) if rng.random() < 0.4 else (1, int(rng.integers(1, 65)))
    if rng.random() < 0.15:
        shape = (1, int(rng.integers(1, 6)), int(rng.integers(1, 12)))
    units = int(rng.integers(1, 20))
    keep = len(shape) > 2 and rng.random() < 0.4
    rows = math.prod(shape[:-1]) if keep else 1
    features = math.prod(shape) // rows
    x = input_of(rng, writer, shape)
    inputs, fitting = _weighted(op, rng, writer, x, shape=(units, features), axis=0, taps=features)
    made = (*shape[:-1], units) if keep else (rows, units)
    y = writer.tensor(made, fitting, zero_point_of(rng))
    writer.operator(
        op, inputs, [y], keepNumDims=bool(keep),
        fusedActivationFunction=activation(rng.choice(ACTIVATIONS)),
    )  # fmt: skip
    return [x], [y]


@maker("AVERAGE_POOL_2D", "MAX_POOL_2D")
def _pool(op: str, rng: Generator, writer: ModelWriter) -> tuple[list[int], list[int]]:
    one, height, width, channels = image_of(rng)
    kernel, stride = rng.integers(1, 6, 2).tolist(), rng.integers(1, 4, 2).tolist()
    same = bool(rng.random() < 0.5)
    if not same:
        height, width = max(height, kernel[0]), max(width, kernel[1])
        if rng.random() < 0.2:
            kernel = [height, width]
    x = input_of(rng, writer, (one, height, width, channels))
    size = [
        _size(n, k, s, 1, same) for n, k, s in zip((height, width), kernel, stride, strict=True)
    ]
    y = like(writer, x, (1, *size, channels))
    writer.operator(
        op, [x], [y], padding=padding("SAME" if same else "VALID"), strideH=stride[0],
        strideW=stride[1], filterHeight=kernel[0], filterWidth=kernel[1],
        fusedActivationFunction=activation(rng.choice(ACTIVATIONS)),
    )  # fmt: skip
    return [x], [y]


@maker("MEAN")
def _mean(op: str, rng: Generator, writer: ModelWriter) -> tuple[list[int], list[int]]:
    shape = image_of(rng, 12)
    axes = [[1, 2], [2, 1], [1], [2], [-3, -2]][rng.integers(0, 5)]
    if rng.random() < 0.2:
        shape, axes = (1, *shape[2:]), [[1], [-2]][rng.integers(0, 2)]
    keep = bool(rng.random() < 0.5)
    places = {axis % len(shape) for axis in axes}
    made = tuple(1 if i in places else n for i, n in enumerate(shape) if keep or i not in places)
    x = input_of(rng, writer, shape)
    y = writer.tensor(made, scale(writer, x) * 2 ** rng.uniform(-5, 3), zero_point_of(rng))
    writer.operator(op, [x, writer.constant(axes)], [y], keepDims=keep)
    return [x], [y]
