"""What a `.tflite` file holds, as plain data."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

#: Tensors or operators of one model; the largest published ones have a few thousand.
MOST_THINGS = 2**14


@dataclass(frozen=True)
class TfliteTensor:
    """One tensor of the file's graph.

    Parameters
    ----------
    number : int
        Its index in the file.
    name : str
        Its name in the file; may be empty and need not be unique.
    shape : tuple of int
        Its dimensions; () for a scalar. A dynamic batch has the size in `shape`. Only a constant
        may have a dimension of 0: a placeholder, empty.
    dtype : str
        The schema's name in lower case: 'int8', 'int32', 'float32', 'int4', 'string' ...
    scale : float32[n] or None
        Quantization: real = scale * (value - zero_point). n is 1 or shape[axis].
        Every scale is finite and positive; one of several scales of a constant may be 0, of a
        channel without weights. None where the tensor is not quantized.
    zero_point : int64[n] or None
        As many as scales, each in the range of the dtype.
    axis : int
        The dimension along which scales differ (the schema's quantized_dimension).
    data : array or None
        A constant's contents with this dtype and shape, read-only; None for an activation.
        Of a dtype that NumPy has not ('int4', 'string'), the bytes as they are in the file.
    is_variable : bool
        Whether it keeps its value between two runs.
    """

    number: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: np.ndarray | None
    zero_point: np.ndarray | None
    axis: int
    data: np.ndarray | None
    is_variable: bool


@dataclass(frozen=True)
class TfliteOperator:
    """One operator of the file's graph.

    Parameters
    ----------
    number : int
        Its index in the file.
    op : str
        As the schema spells it, 'CONV_2D'; a custom operator is 'CUSTOM(name)'.
    inputs, outputs : tuple of int
        Tensor numbers; an input that is left out is -1. There is at least one output.
    options : dict
        Every field of its options by the schema's name: numbers, booleans, strings, tuples of
        numbers; an enumeration as the schema's spelling, 'SAME', 'RELU6'. A field that the file
        does not have has the schema's default, also where the whole table is absent.
    version : int
        The version of the operator's code.
    """

    number: int
    op: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: dict[str, Any]
    version: int


@dataclass(frozen=True)
class TfliteModel:
    """The graph of a `.tflite` file, operators in an order in which they can run."""

    path: str
    tensors: list[TfliteTensor]
    operators: list[TfliteOperator]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    description: str


class BadContentError(ValueError):
    """The file is whole, but says what cannot be; the text follows 'is damaged: '."""


class NotTakenError(ValueError):
    """The file says what weft does not take; the text says what to do as well."""


def text(data: bytes | None) -> str:
    """Characters of the file on one line: what is not UTF-8 or not printable is escaped."""
    if not data:
        return ""
    characters = data.decode("utf-8", errors="backslashreplace")
    if characters.isprintable():
        return characters
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in characters
    )


def check_count(count: int, what: str) -> None:
    """Raise NotTakenError where reading so many things would take long."""
    if count > MOST_THINGS:
        raise NotTakenError(f"it holds {count} {what}, weft takes {MOST_THINGS}; split the model")


def has(accessors: Any, slot: int) -> bool:
    """Whether a table has a field, without following it."""
    return bool(accessors._tab.Offset(4 + 2 * slot))


def scalar(accessors: Any, slot: int, format_: str) -> int:
    """A number in a table that the accessors do not give as it is; 0 where it is left out."""
    table = accessors._tab
    offset = table.Offset(4 + 2 * slot)
    return struct.unpack_from(f"<{format_}", table.Bytes, table.Pos + offset)[0] if offset else 0
