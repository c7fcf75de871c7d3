"""Tiny `.tflite` models of several operators: bases for damage and for mutations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from tflite_writer import ModelWriter, activation, padding

SCALE, WEIGHTS = 0.05, 0.01


def _weights(writer: ModelWriter, shape: tuple[int, ...], axis: int = 0) -> int:
    values = np.random.default_rng(len(shape)).integers(-127, 128, shape)
    return writer.constant(values, "int8", scale=[WEIGHTS] * shape[axis], axis=axis)


def _bias(writer: ModelWriter, channels: int) -> int:
    return writer.constant(range(-1, channels - 1), "int32", scale=[WEIGHTS * SCALE] * channels)


def classifier() -> ModelWriter:
    """Convolutions, a pool, RESHAPE, FULLY_CONNECTED and SOFTMAX, one after the other."""
    writer = ModelWriter()
    image = writer.tensor((1, 4, 4, 2), SCALE)
    one, two = writer.tensor((1, 4, 4, 4), SCALE), writer.tensor((1, 4, 4, 4), SCALE)
    writer.operator(
        "CONV_2D", [image, _weights(writer, (4, 3, 3, 2)), _bias(writer, 4)], [one],
        strideW=1, strideH=1, fusedActivationFunction=activation("RELU"),
    )  # fmt: skip
    writer.operator(
        "DEPTHWISE_CONV_2D", [one, _weights(writer, (1, 3, 3, 4), axis=3), _bias(writer, 4)], [two],
        strideW=1, strideH=1, depthMultiplier=1, fusedActivationFunction=activation("RELU6"),
    )  # fmt: skip
    pooled, flat = writer.tensor((1, 2, 2, 4), SCALE), writer.tensor((1, 16), SCALE)
    writer.operator(
        "AVERAGE_POOL_2D", [two], [pooled],
        padding=padding("VALID"), strideW=2, strideH=2, filterWidth=2, filterHeight=2,
    )  # fmt: skip
    writer.operator("RESHAPE", [pooled, writer.constant([-1, 16])], [flat])
    scores, chances = writer.tensor((1, 3), SCALE), writer.tensor((1, 3), 1 / 256, -128)
    dense = [flat, _weights(writer, (3, 16)), _bias(writer, 3)]
    writer.operator("FULLY_CONNECTED", dense, [scores])
    writer.operator("SOFTMAX", [scores], [chances], beta=1.0)
    writer.finish([image], [chances])
    return writer


def branches() -> ModelWriter:
    """Two inputs and two outputs: sums and products, moves, MEAN, tables."""
    writer = ModelWriter()
    left, right = writer.tensor((1, 3, 4, 2), SCALE), writer.tensor((1, 3, 4, 2), 0.07, 3)
    total, product = (writer.tensor((1, 3, 4, 2), 0.1, -5) for _ in range(2))
    both = writer.tensor((1, 3, 4, 4), 0.1, -5)
    writer.operator("ADD", [left, right], [total])
    writer.operator("MUL", [left, right], [product], fusedActivationFunction=activation("RELU"))
    writer.operator("CONCATENATION", [total, product], [both], axis=3)
    rows = writer.constant([[0, 0], [1, 1], [0, 1], [0, 0]])
    padded, part = writer.tensor((1, 5, 5, 4), 0.1, -5), writer.tensor((1, 2, 5, 4), 0.1, -5)
    writer.operator("PAD", [both, rows], [padded])
    corners = [writer.constant(n) for n in ((0, 0, 0, 0), (1, 4, 5, 4), (1, 2, 1, 1))]
    writer.operator("STRIDED_SLICE", [padded, *corners], [part])
    leaky, mean = writer.tensor((1, 2, 5, 4), 0.08, 2), writer.tensor((1, 4), 0.08, 2)
    writer.operator("LEAKY_RELU", [part], [leaky], alpha=0.1)
    writer.operator("MEAN", [leaky, writer.constant([1, 2])], [mean])
    chance = writer.tensor((1, 4), 1 / 256, -128)
    writer.operator("LOGISTIC", [mean], [chance])
    halves = [writer.tensor((1, 3, 4, 1), 0.1, -5) for _ in range(2)]
    writer.operator("SPLIT", [writer.constant(3), total], halves, numSplits=2)
    writer.finish([left, right], [chance, halves[1]])
    return writer


def floats_outside() -> ModelWriter:
    """QUANTIZE, MAX_POOL_2D, TRANSPOSE, FULLY_CONNECTED without bias, DEQUANTIZE."""
    writer = ModelWriter()
    real = writer.tensor((1, 4, 4, 3), dtype="float32")
    codes, pooled = writer.tensor((1, 4, 4, 3), SCALE), writer.tensor((1, 2, 2, 3), SCALE)
    writer.operator("QUANTIZE", [real], [codes])
    writer.operator(
        "MAX_POOL_2D", [codes], [pooled], strideW=2, strideH=2, filterWidth=2, filterHeight=2
    )  # fmt: skip
    turned, scores = writer.tensor((1, 2, 2, 3), SCALE), writer.tensor((1, 2), SCALE)
    writer.operator("TRANSPOSE", [pooled, writer.constant([0, 2, 1, 3])], [turned])
    dense = writer.constant(np.arange(24).reshape(2, 12), "int8", scale=0.02)
    writer.operator("FULLY_CONNECTED", [turned, dense, -1], [scores])
    result = writer.tensor((1, 2), dtype="float32")
    writer.operator("DEQUANTIZE", [scores], [result])
    writer.finish([real], [result])
    return writer


TINY: dict[str, Callable[[], ModelWriter]] = {
    "classifier": classifier, "branches": branches, "floats_outside": floats_outside,
}  # fmt: skip


def file_of(writer: ModelWriter) -> bytes:
    """The file as it is now, after changes to the finished model."""
    return writer.finish(writer.graph.inputs, writer.graph.outputs)
