"""Dynamic ranges side by side, as plain data: tensors against powers of two, and types' windows.

The page draws it as a heat map, the terminal as text.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from weft.compiler.calibration_report import TensorReport
from weft.compiler.collect_bits import LOWEST_POWER
from weft.compiler.fixed_point import fraction_bits

#: Powers of two below the last bit of the finest type that have a column of their own.
BELOW = 8

#: Columns that are still legible.
_MOST = 60

#: A tensor of zeros alone, with no type's window, still needs an axis.
_NOTHING = (0, 0)


@dataclass(frozen=True)
class Window:
    """What a type holds, as powers of two: values v with ``2**bottom <= |v| < 2**top``.

    Parameters
    ----------
    positive, negative : float
        The top on either side of zero; not above `bottom` where the type has no such values.
        With a power-of-two scale these are whole numbers, the place above the first bit.
    bottom : float
        Of one step; with a power-of-two scale the place of the last bit.
    uniform : bool
        False where channels have scales of their own: it then reaches from the finest step to
        the largest value of any channel.
    """

    positive: float
    negative: float
    bottom: float
    uniform: bool = True


@dataclass(frozen=True)
class Axis:
    """Columns of powers of two, the largest first, as the bits of a number are written.

    Parameters
    ----------
    top, bottom : int
        Powers of the first and last column.
    less : bool
        Whether one more column takes all values below ``2**bottom``.
    """

    top: int
    bottom: int
    less: bool

    @property
    def powers(self) -> range:
        """Those with a column of their own."""
        return range(self.top, self.bottom - 1, -1)

    @property
    def columns(self) -> int:
        """How many there are, that for lesser values included."""
        return len(self.powers) + self.less

    def place(self, power: float) -> float:
        """Where ``2**power`` lies, in columns from the left, within the axis."""
        return min(max(self.top + 1 - power, 0.0), float(self.columns))


@dataclass(frozen=True, eq=False)
class BitRow:
    """One tensor on an axis.

    Parameters
    ----------
    positive, negative : float64 array, one entry for each column
        Shares of all values of the tensor.
    zeros : float
        Share of zeros.
    window : Window
    known : bool
        Whether the values were seen at all; else all shares are 0.
    """

    positive: np.ndarray
    negative: np.ndarray
    zeros: float
    window: Window
    known: bool = True


def window_of(tensor: TensorReport) -> Window:
    """The window of a tensor's type."""
    half = 2 ** (tensor.bits - 1)
    bits = all(fraction_bits(scale) is not None for scale in tensor.scales)

    def top(codes: int) -> float:
        limit = _log2(codes * max(tensor.scales))
        return math.ceil(limit) if bits and math.isfinite(limit) else limit

    return Window(
        top(half - 1 - tensor.zero_point), top(half + tensor.zero_point),
        math.log2(min(tensor.scales)), len(set(tensor.scales)) == 1,
    )  # fmt: skip


def axis_of(tensors: Sequence[TensorReport], most: int = _MOST) -> Axis:
    """Columns for all large values; far below the windows one column is enough.

    Parameters
    ----------
    tensors : sequence of TensorReport
    most : int
        Powers of two that have a column; the rest is less.
    """
    windows = [window_of(tensor) for tensor in tensors]
    tops = [math.ceil(limit) - 1 for w in windows for limit in (w.positive, w.negative)
            if math.isfinite(limit)]  # fmt: skip
    finest = min((math.floor(window.bottom) for window in windows), default=0)
    # Of channels the coarsest counts: one of almost nothing would squeeze all others.
    last = min((math.floor(math.log2(max(tensor.scales))) for tensor in tensors), default=0)
    used = [_used(tensor) for tensor in tensors]
    seen = [(int(powers[0]), int(powers[-1])) for powers in used if powers.size] or [_NOTHING]
    lowest = min(low for low, _ in seen)
    top = max([*tops, *(high for _, high in seen)])
    bottom = max(min(last, max(min(lowest, finest), last - BELOW)), top + 1 - most)
    return Axis(top, bottom, lowest < bottom)


def bit_row(tensor: TensorReport, axis: Axis) -> BitRow:
    """A tensor's values on an axis that has room for them."""
    window = window_of(tensor)
    if tensor.seen is None:
        nothing = np.zeros(axis.columns)
        return BitRow(nothing, nothing, 0.0, window, known=False)
    count = max(tensor.seen.range.count, 1)
    sides = [_shares(side, axis, count) for side in (tensor.seen.positive, tensor.seen.negative)]
    return BitRow(sides[0], sides[1], tensor.seen.zeros / count, window)


def _shares(counts: np.ndarray, axis: Axis, count: int) -> np.ndarray:
    first = axis.bottom - LOWEST_POWER
    own = counts[first : axis.top - LOWEST_POWER + 1][::-1]
    lesser = [counts[:first].sum()] if axis.less else []
    return np.array([*own, *lesser], np.float64) / count


def _used(tensor: TensorReport) -> np.ndarray:
    """Powers of two that the values have, in order."""
    if tensor.seen is None:
        return np.empty(0, np.int64)
    return np.flatnonzero(tensor.seen.positive + tensor.seen.negative) + LOWEST_POWER


def _log2(value: float) -> float:
    return math.log2(value) if value > 0 else -math.inf
