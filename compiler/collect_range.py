"""Smallest and largest value of a tensor, batch by batch."""

from __future__ import annotations

import numpy as np


class RangeCollector:
    """Range of all values seen; collectors of several processes merge into one.

    Attributes
    ----------
    low, high : float
        Smallest and largest value; 0 to 0 before the first.
    count : int
        Number of values.
    """

    def __init__(self) -> None:
        self.low = 0.0
        self.high = 0.0
        self.count = 0

    def update(self, batch: np.ndarray) -> None:
        """Take one more batch of finite values into account."""
        if batch.size:
            self._widen(float(batch.min()), float(batch.max()), batch.size)

    def merge(self, other: RangeCollector) -> None:
        """Take into account all that `other` has seen."""
        if other.count:
            self._widen(other.low, other.high, other.count)

    def _widen(self, low: float, high: float, count: int) -> None:
        self.low = min(self.low, low) if self.count else low
        self.high = max(self.high, high) if self.count else high
        self.count += count
