"""Small `.tflite` models to start from: every operator, INT8 and float, and small graphs."""

from __future__ import annotations

from collections.abc import Iterator

from tflite_floats import as_float
from tflite_models import OPERATORS, random_model
from tflite_tiny import TINY, file_of

#: Models of each operator, with other shapes and options.
_EACH = 3


def tflite_seeds(largest: int) -> Iterator[bytes]:
    """Every seed of `largest` bytes at the most."""
    for data in _files():
        if len(data) <= largest:
            yield data


def _files() -> Iterator[bytes]:
    for build in TINY.values():
        data = file_of(build())
        yield data
        yield as_float(data)
    for operator in OPERATORS:
        for seed in range(_EACH):
            data = random_model(operator, seed)
            yield data
            yield as_float(data)
