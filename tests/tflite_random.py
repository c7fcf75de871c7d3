"""Makers of random `.tflite` models by operator, and what they share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from tflite_writer import ModelWriter

#: Fills a writer; returns the numbers of the model's inputs and outputs.
Maker = Callable[[Generator, ModelWriter], tuple[list[int], list[int]]]
MAKERS: dict[str, Maker] = {}

ACTIVATIONS = ("NONE", "NONE", "RELU", "RELU6", "RELU_N1_TO_1")


def maker(*operators: str) -> Callable[[Callable[..., tuple[list[int], list[int]]]], Maker]:
    def register(function: Callable[..., tuple[list[int], list[int]]]) -> Maker:
        for operator in operators:
            MAKERS[operator] = lambda rng, writer, op=operator: function(op, rng, writer)
        return MAKERS[operators[0]]

    return register


def scale_of(rng: Generator) -> float:
    """Mostly of the size that networks have, sometimes far from it."""
    if rng.random() < 0.1:
        return float(np.float32(10 ** rng.uniform(-5, 1.5)))
    return float(np.float32(2 ** rng.uniform(-8, -2)))


def zero_point_of(rng: Generator) -> int:
    return int(rng.choice([-128, 127, 0, *rng.integers(-128, 128, 3)]))


def image_of(rng: Generator, side: int = 9, channels: int = 9) -> tuple[int, int, int, int]:
    height, width = rng.integers(1, side + 1, 2)
    return 1, int(height), int(width), int(rng.integers(1, channels + 1))


def shape_of(rng: Generator, side: int = 7, channels: int = 9) -> tuple[int, ...]:
    """Of rank 4, 3 or 2, beginning with the batch."""
    one, height, width, count = image_of(rng, side, channels)
    return [(one, height, width, count), (one, width, count), (one, 4 * count)][
        rng.choice(3, p=[0.6, 0.2, 0.2])
    ]


def input_of(rng: Generator, writer: ModelWriter, shape: tuple[int, ...]) -> int:
    return writer.tensor(shape, scale_of(rng), zero_point_of(rng))


def like(writer: ModelWriter, number: int, shape: tuple[int, ...]) -> int:
    """A tensor of the same scale and zero point."""
    quantization = writer.graph.tensors[number].quantization
    return writer.tensor(shape, quantization.scale[0], quantization.zeroPoint[0])


def scale(writer: ModelWriter, number: int) -> float:
    return float(writer.graph.tensors[number].quantization.scale[0])
