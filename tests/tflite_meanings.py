"""Seeded changes of what a `.tflite` file says; the file itself stays whole and well-formed.

Made through LiteRT's object API, so that a reader gets past the bytes to shapes that disagree,
operators in another order, options out of range.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

_INTEGERS = (0, 1, -1, 2, 3, 127, 128, -128, 255, 256, 32767, 65536, 2**31 - 1, -(2**31))
_FACTORS = (0.0, -1.0, 0.5, 2.0, 1.0001, 1e10, 1e-10, 1e38, 1e-38, np.inf, np.nan)
_NAMES = (b"", b"\xff\xfe", b"a\nb", b"tensor/1", b"input", "\u202e".encode())


def mutate_meaning(data: bytes, seed: int) -> bytes:
    """The file after one to three changes of a number, a list or a name in it."""
    rng = np.random.default_rng(seed)
    changes = rng.choice((1, 1, 1, 2, 3))
    while True:
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data))
        sites = list(_sites(model))
        for site in rng.integers(len(sites), size=changes):
            holder, attribute = sites[site]
            setattr(holder, attribute, _changed(getattr(holder, attribute), rng))
        try:
            builder = flatbuffers.Builder(len(data))
            builder.Finish(model.Pack(builder), b"TFL3")
            return bytes(builder.Output())
        except (AttributeError, TypeError, ValueError, struct.error):
            continue  # it cannot be written: a negative offset, a union without a table


def _sites(thing: Any) -> Iterator[tuple[Any, str]]:
    """Every attribute with a value of every object of a model."""
    for attribute, value in vars(thing).items():
        if value is None:
            continue
        yield thing, attribute
        parts = value if isinstance(value, list) else [value]
        for part in parts:
            if hasattr(part, "Pack"):
                yield from _sites(part)


def _changed(value: Any, rng: np.random.Generator) -> Any:
    change = next((change for kind, change in _CHANGES if isinstance(value, kind)), None)
    return change(value, rng) if change else None


def _integer(value: int, rng: np.random.Generator) -> int:
    return value + int(rng.integers(-3, 4)) if rng.random() < 0.7 else int(rng.choice(_INTEGERS))


def _float(value: float, rng: np.random.Generator) -> float:
    with np.errstate(all="ignore"):
        return float(np.float32(value) * np.float32(rng.choice(_FACTORS)))


def _array(value: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
    edit = rng.random()
    if edit < 0.05 or not len(value):
        return None
    index = int(rng.integers(len(value)))
    if edit < 0.15:
        return np.delete(value, index)
    if edit < 0.25:
        return np.insert(value, index, value[rng.integers(len(value))])
    if edit < 0.35:
        return np.roll(value, 1)
    result = value.copy()
    if value.dtype.kind == "f":
        result[index] = _float(value[index], rng)
    else:
        limits = np.iinfo(value.dtype)
        result[index] = np.clip(_integer(int(value[index]), rng), limits.min, limits.max)
    return result


def _list(value: list, rng: np.random.Generator) -> list:
    if not value:
        return value
    one, two = rng.integers(len(value), size=2)
    edit = rng.integers(4)
    result = list(value)
    if edit == 0:
        del result[one]
    elif edit == 1:
        result.insert(one, value[two])
    elif edit == 2:
        result[one] = value[two]
    else:
        result[one], result[two] = value[two], value[one]
    return result


_CHANGES: tuple[tuple[type, Callable[[Any, np.random.Generator], Any]], ...] = (
    (bool, lambda value, _: not value),  # before int, which a bool is as well
    (int, _integer),
    (float, _float),
    (bytes, lambda _, rng: _NAMES[rng.integers(len(_NAMES))]),
    (np.ndarray, _array),
    (list, _list),
)
