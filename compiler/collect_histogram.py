"""Histogram of a tensor's values on a logarithmic axis, batch by batch.

A bin is the upper half of a float32: sign, exponent and seven bits of mantissa. So
every power of two is cut into 128 bins whatever the range turns out to be, one pass
is enough, memory does not grow with the data, and two histograms merge by addition.
"""

from __future__ import annotations

import numpy as np

from weft.compiler.collect_range import RangeCollector
from weft.compiler.fixed_point import to_codes

BINS = 1 << 16


class HistogramCollector:
    """Counts per bin and the exact range of all values seen.

    Attributes
    ----------
    counts : int64 array, shape (65536,)
        Number of values whose float32 has the bin's number as its upper half.
    range : RangeCollector
    """

    def __init__(self) -> None:
        self.counts = np.zeros(BINS, np.int64)
        self.range = RangeCollector()

    def update(self, batch: np.ndarray) -> None:
        """Take one more batch of finite values into account."""
        self.range.update(batch)
        bits = np.ascontiguousarray(batch, np.float32).reshape(-1).view(np.uint32)
        self.counts += np.bincount(bits >> 16, minlength=BINS)

    def merge(self, other: HistogramCollector) -> None:
        """Take into account all that `other` has seen."""
        self.range.merge(other.range)
        self.counts += other.counts

    def squared_error(self, fraction: int) -> float:
        """Sum of squared differences between the values and their codes with `fraction` bits.

        Values are taken to lie evenly inside their bin, which is never wider than a
        step of the type unless it saturates.
        """
        bins = np.flatnonzero(self.counts)
        edge = (bins.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
        last = ((bins.astype(np.uint32) << 16) | 0xFFFF).view(np.float32).astype(np.float64)
        # Exact zeros share a bin with denormal numbers, which count as zero.
        zero = (bins & 0x7FFF) == 0
        middle = np.where(zero, 0, (edge + last) / 2)
        width = np.where(zero, 0, last - edge)
        scale = 2.0**-fraction
        error = (middle - to_codes(middle, scale) * scale) ** 2 + width**2 / 12
        return float(error @ self.counts[bins])
