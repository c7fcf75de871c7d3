"""What a name of an ONNX file stands for while the file is being read.

A name is a `Constant`, a `View` of a tensor in memory, or `UNKNOWN` where a problem
upstream left nothing to say about it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from weft.compiler.float_graph import Scale


class NodeError(Exception):
    """A node that cannot be read: `reason` and `remedy` become a Problem."""

    def __init__(self, reason: str, remedy: str):
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy


@dataclass(frozen=True, eq=False)
class Constant:
    """An array known when reading.

    Parameters
    ----------
    array : array of the file's dtype, or float64 where it was dequantized
    scale : Scale or None
        Its quantization, where it comes out of a DequantizeLinear.
    axis : int
        The axis that a `scale` of several values runs along.
    """

    array: np.ndarray
    scale: Scale | None = None
    axis: int = 0


@dataclass(frozen=True, eq=False)
class View:
    """All elements of one tensor in memory, in the order in which the file sees them.

    Parameters
    ----------
    memory : str
        Name of the FloatTensor that owns the memory.
    order : int64 array of the file's shape, batch axis included as 1
        ``file[i] == memory.flat[order[i]]``.
    sole : bool
        Whether nothing but one node reads the memory through this view and those before it.
    quantized : (Scale, dtype) or None
        Set between QuantizeLinear and DequantizeLinear, where the file has codes of this
        dtype; the scale is as in the file, None for an int8 input that nothing has read yet.
    coded : bool
        Whether what the file sees are values that codes stand for, since a DequantizeLinear.
    """

    memory: str
    order: np.ndarray
    sole: bool
    quantized: tuple[Scale | None, np.dtype] | None = None
    coded: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """The file's shape, with the batch axis as 1."""
        return self.order.shape


class Unknown:
    """What a node made that could not be read."""


UNKNOWN = Unknown()

Value = Constant | View | Unknown
