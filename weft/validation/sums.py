"""How real values and held ones differ, and which lie beyond limits, batch by batch."""

from __future__ import annotations

import math

import numpy as np

from weft.compiler.collect_range import RangeCollector
from weft.compiler.network import Tensor
from weft.validation.result import Exceeded, Limit, decibels

#: Of a range that calibration saw: values that only float32's rounding puts beyond it.
SLACK = 1e-5


def real_values(codes: np.ndarray, tensor: Tensor) -> np.ndarray:
    """What codes stand for, float64."""
    return (codes.astype(np.float64) - tensor.zero_point) * tensor.scale


class ErrorSums:
    """What the differences between real values and held ones add up to.

    Attributes
    ----------
    range : RangeCollector
        Of the real values.
    """

    def __init__(self) -> None:
        self.range = RangeCollector()
        self.signal = self.noise = self.largest = 0.0
        self.count = 0

    def update(self, real: np.ndarray, held: np.ndarray) -> None:
        """Take two arrays of the same shape into account."""
        wide = real.astype(np.float64)
        error = wide - held
        self.range.update(real)
        self.signal += float(np.square(wide).sum())
        self.noise += float(np.square(error).sum())
        self.largest = max(self.largest, float(np.abs(error).max(initial=0)))
        self.count += error.size

    @property
    def sqnr(self) -> float:
        """Signal-to-quantisation-noise ratio in dB."""
        return decibels(self.signal, self.noise)

    @property
    def mse(self) -> float:
        """Mean squared error."""
        return self.noise / max(self.count, 1)


class Excess:
    """How far, and how often, values of a tensor lie beyond limits.

    Parameters
    ----------
    tensor : Tensor
    seen : (low, high) or None
        What calibration saw; without it the limits are what codes can hold, and a value counts
        that lies more than one step beyond them.
    """

    def __init__(self, tensor: Tensor, seen: tuple[float, float] | None):
        self.name = tensor.name
        self.limit: Limit = "representable" if seen is None else "calibration"
        codes = np.array([-128, 127], np.int8)
        self.low, self.high = map(float, real_values(codes, tensor)) if seen is None else seen
        span = self.high - self.low
        self._slack = tensor.scale * (1 + SLACK) if seen is None else SLACK * span
        self._range = RangeCollector()
        self._values = self._beyond = self._samples = self._touched = 0

    def update(self, real: np.ndarray) -> None:
        """Take the values of some samples into account, shape (N, ...)."""
        flat = real.reshape(len(real), -1)
        self._range.update(flat)
        beyond = (flat < self.low - self._slack) | (flat > self.high + self._slack)
        self._values += flat.size
        self._samples += len(flat)
        self._beyond += int(beyond.sum())
        self._touched += int(beyond.any(axis=1).sum())

    def found(self) -> Exceeded | None:
        """What was found; None where all values lie within the limits."""
        if not self._beyond:
            return None
        seen = self._range
        beyond = max(self.low - seen.low, seen.high - self.high)
        span = self.high - self.low
        return Exceeded(
            self.name, self.limit, self.low, self.high, seen.low, seen.high,
            beyond, beyond / span if span else math.inf,
            self._touched / self._samples, self._beyond / self._values,
        )  # fmt: skip
