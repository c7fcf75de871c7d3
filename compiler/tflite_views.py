"""What the tensors of a `.tflite` file are while it is read: memory, and ways to look at it.

TFLite's memory is channels last already, so a reshape moves nothing: it is another look,
with another shape, at the same memory.
"""

from __future__ import annotations

from dataclasses import dataclass

from weft.compiler.tflite_file import TfliteTensor

Shape3 = tuple[int, int, int]


class NodeError(Exception):
    """Why an operator cannot be read, and what the user can do."""

    def __init__(self, reason: str, remedy: str):
        super().__init__(f"{reason}; {remedy}")
        self.reason = reason
        self.remedy = remedy


class UnknownInputError(Exception):
    """An input is unknown because of a problem already reported."""


@dataclass(frozen=True)
class View:
    """A computed int8 tensor: `memory` of the integer graph, seen with the file's shape."""

    memory: str
    shape: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Constant:
    """A tensor whose contents are in the file."""

    tensor: TfliteTensor


@dataclass(frozen=True)
class FloatInput:
    """A float32 input of the network that QUANTIZE has not yet made codes of.

    `stated` is its own shape, `shape` the one with which it is seen.
    """

    number: int
    stated: tuple[int, ...]
    shape: tuple[int, ...]


@dataclass(frozen=True)
class FloatOutput:
    """What DEQUANTIZE made of codes."""

    codes: View


@dataclass(frozen=True)
class Unknown:
    """What an operator with a problem makes."""


Value = View | Constant | FloatInput | FloatOutput | Unknown


def image_shape(shape: tuple[int, ...]) -> Shape3:
    """The (H, W, C) of a shape of the file.

    (1, H, W, C) is (H, W, C), (1, W, C) the same, (1, C) is (1, 1, C), () is (1, 1, 1).

    Raises
    ------
    NodeError
        If more than three dimensions are left without the leading ones.
    """
    rest = list(shape)
    while len(rest) > 3 and rest[0] == 1:
        del rest[0]
    if len(rest) > 3:
        raise NodeError(
            f"shape {list(shape)} is more than one image of height, width and channels",
            "keep the batch at 1 and tensors at four dimensions",
        )
    one, two, three = [1] * (3 - len(rest)) + rest
    return one, two, three


def image_axis(axis: int, shape: tuple[int, ...], what: str = "its axis") -> int:
    """Which of H, W, C (0, 1, 2) an axis of a tensor of this shape is; it may be negative.

    Raises
    ------
    NodeError
        If there is no such axis, or it is the batch.
    """
    rank = len(shape)
    if not -rank <= axis < rank:
        raise NodeError(f"{what} {axis} does not exist in shape {list(shape)}", "correct the axis")
    place = (axis + rank if axis < 0 else axis) - (rank - 3)
    if place < 0:
        raise NodeError(f"{what} {axis} is the batch", "keep the batch at 1 as axis 0")
    return place
