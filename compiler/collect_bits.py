"""Histogram of bits: how many values have their most significant bit at each power of two.

It says what a fixed-point type keeps of a tensor. The window of a type with `f`
fraction bits reaches from 2^-f to 2^(6-f), seven bits beside the sign: a value whose
most significant bit lies above it saturates, one that lies far enough below becomes
zero, and one that has bits below the window loses them.

The counts of most significant bits are sums over the bins of a `HistogramCollector`,
which also knows the exact limits (127.5 steps round to 128 and saturate, although their
most significant bit is in the window) and the error of rounding. Only the lowest set
bits need counts of their own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from weft.compiler.collect_histogram import PER_POWER, HistogramCollector
from weft.compiler.collect_range import RangeCollector
from weft.compiler.fixed_point import fraction_bits

#: Power of two of the first entry of `positive` and `negative`: values below 2^-126 are
#: counted there as well, whatever their size.
LOWEST_POWER = -127
#: Power of two of the first entry of `lowest`: the last bit of the smallest float32.
LOWEST_BIT = -149

_MANTISSA = 23


@dataclass(frozen=True)
class Shares:
    """Shares of all values that a type does not hold as they are, from 0 to 1.

    Parameters
    ----------
    saturated : float
        Overflow: they round to a code beyond the largest or smallest.
    vanished : float
        Underflow: they are not zero and become zero.
    imprecise : float or None
        They do not become zero, but have bits below the last one of the type, which
        rounding takes; a value may also saturate. None where the scale is no power of two.
    """

    saturated: float
    vanished: float
    imprecise: float | None


class BitCollector:
    """Counts per power of two, from which everything about a choice of type follows.

    Attributes
    ----------
    histogram : HistogramCollector
    lowest : int64 array, shape (277,)
        Number of values whose least significant set bit is at 2**(LOWEST_BIT + i).
    """

    def __init__(self) -> None:
        self.histogram = HistogramCollector()
        self.lowest = np.zeros(128 - LOWEST_BIT, np.int64)

    @property
    def range(self) -> RangeCollector:
        """Smallest and largest value, and how many there are."""
        return self.histogram.range

    @property
    def zeros(self) -> int:
        """Number of values that are zero."""
        return self.histogram.zeros

    @property
    def positive(self) -> np.ndarray:
        """Positive values by the power of two of their most significant bit: int64 (255,)."""
        return self._by_power()[0]

    @property
    def negative(self) -> np.ndarray:
        """Negative values by the power of two of their most significant bit: int64 (255,)."""
        return self._by_power()[1]

    def update(self, batch: np.ndarray) -> None:
        """Take one more batch of finite values into account."""
        self.histogram.update(batch)
        bits = np.ascontiguousarray(batch, np.float32).reshape(-1).view(np.int32)
        bits = bits[(bits & 0x7FFFFFFF) != 0]  # neither 0 nor -0
        exponent = (bits >> _MANTISSA) & 0xFF
        normal = exponent > 0
        mantissa = (bits & ((1 << _MANTISSA) - 1)) | (normal.astype(np.int32) << _MANTISSA)
        last = (mantissa & -mantissa).astype(np.float32).view(np.int32) >> _MANTISSA
        # `last` is the place of the last set bit + 127; exponent 1 and 0 mean the same power.
        place = last - 127 + exponent - normal
        self.lowest += np.bincount(place, minlength=self.lowest.size)

    def merge(self, other: BitCollector) -> None:
        """Take into account all that `other` has seen."""
        self.histogram.merge(other.histogram)
        self.lowest += other.lowest

    def shares(self, scale: float, zero_point: int = 0, bits: int = 8) -> Shares:
        """Shares that a type does not hold; exact where the scale is a power of two."""
        count = max(self.range.count, 1)
        vanished = self.histogram.vanishing(scale)
        fraction = fraction_bits(scale)
        imprecise = None
        if fraction is not None:
            below = int(self.lowest[: max(0, -fraction - LOWEST_BIT)].sum())
            imprecise = (below - vanished) / count
        saturated = self.histogram.saturating(scale, zero_point, bits)
        return Shares(saturated / count, vanished / count, imprecise)

    def sqnr(self, scale: float, zero_point: int = 0, bits: int = 8) -> float:
        """Signal-to-quantisation-noise ratio in dB; infinite where every value holds.

        ``10 log10(sum v^2 / sum (v - held)^2)``, exact for 8 bits and a power of two, else
        within 0.3 dB (see `HistogramCollector.squared_error`).
        """
        shares = self.shares(scale, zero_point, bits)
        if shares == Shares(0, 0, 0) or not self.histogram.squares:
            return math.inf
        error = self.histogram.squared_error(scale, zero_point, bits)
        return 10 * math.log10(self.histogram.squares / error) if error else math.inf

    def _by_power(self) -> np.ndarray:
        return self.histogram.counts.reshape(2, -1, PER_POWER).sum(axis=2)[:, :255]
