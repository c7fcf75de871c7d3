"""Random models of operators that treat each code alike."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from tflite_random import (
    ACTIVATIONS,
    input_of,
    like,
    maker,
    scale,
    shape_of,
    zero_point_of,
)
from tflite_writer import ModelWriter, activation


@maker("ADD", "SUB", "MUL")
def _arithmetic(op: str, rng: Generator, writer: ModelWriter) -> tuple[list[int], list[int]]:
    shape = shape_of(rng)
    small = [
        shape, shape, (1,) * len(shape), (*(1,) * (len(shape) - 1), shape[-1]),
        (*shape[:-1], 1), (shape[-1],), (),
    ][rng.integers(0, 7)]  # fmt: skip
    x = input_of(rng, writer, shape)
    near = scale(writer, x) * 2 ** rng.uniform(-4, 4)
    constant = not small or (rng.random() < 0.4)
    data = rng.integers(-128, 128, small).astype(np.int8) if constant else None
    if len(small) < 2 and not constant:
        small = (*(1,) * (len(shape) - 1), shape[-1])
    other = writer.tensor(small, near, zero_point_of(rng), data=data)
    if op == "MUL":
        fitting = max(scale(writer, x) * near * 60 * 2 ** rng.uniform(-8, 2), 1e-8)
    else:
        fitting = max(scale(writer, x), near) * 2 ** rng.uniform(-3, 4)
    y = writer.tensor(shape, fitting, zero_point_of(rng))
    pair = [x, other] if rng.random() < 0.7 else [other, x]
    writer.operator(op, pair, [y], fusedActivationFunction=activation(rng.choice(ACTIVATIONS)))
    return [x] if constant else [x, other], [y]


@maker("RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1", "LEAKY_RELU", "HARD_SWISH")
def _rectifier(op: str, rng: Generator, writer: ModelWriter) -> tuple[list[int], list[int]]:
    shape = shape_of(rng)
    x = input_of(rng, writer, shape)
    y = writer.tensor(shape, scale(writer, x) * 2 ** rng.uniform(-4, 4), zero_point_of(rng))
    options = {}
    if op == "HARD_SWISH":
        y = writer.tensor(shape, scale(writer, x) * 2 ** rng.uniform(-7, 5), zero_point_of(rng))
    elif rng.random() < 0.3:
        y = like(writer, x, shape)
    if op == "LEAKY_RELU":
        options["alpha"] = float(rng.choice([0.01, 0.3, 0.0, 1.7, rng.uniform(0, 2)]))
    writer.operator(op, [x], [y], **options)
    return [x], [y]


@maker("LOGISTIC", "TANH", "SOFTMAX")
def _curve(op: str, rng: Generator, writer: ModelWriter) -> tuple[list[int], list[int]]:
    shape = shape_of(rng, channels=40 if op == "SOFTMAX" else 9)
    x = input_of(rng, writer, shape)
    y = writer.tensor(shape, *((1 / 128, 0) if op == "TANH" else (1 / 256, -128)))
    options = {}
    if op == "SOFTMAX":
        options["beta"] = float(rng.choice([1.0, 1.0, rng.uniform(0.1, 3)]))
    writer.operator(op, [x], [y], **options)
    return [x], [y]


@maker("QUANTIZE")
def _quantize(op: str, rng: Generator, writer: ModelWriter) -> tuple[list[int], list[int]]:
    shape = shape_of(rng)
    y = input_of(rng, writer, shape)
    if rng.random() < 0.3:
        x = writer.tensor(shape, dtype="float32")
    else:
        x = writer.tensor(shape, scale(writer, y) * 2 ** rng.uniform(-5, 5), zero_point_of(rng))
    writer.operator(op, [x], [y])
    return [x], [y]


@maker("DEQUANTIZE")
def _dequantize(op: str, rng: Generator, writer: ModelWriter) -> tuple[list[int], list[int]]:
    shape = shape_of(rng)
    x, y = input_of(rng, writer, shape), writer.tensor(shape, dtype="float32")
    writer.operator(op, [x], [y])
    return [x], [y]
