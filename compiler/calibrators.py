"""How the type of an activation follows from the values that it takes.

A calibrator is a name and perhaps a number: "minmax", "percentile:99.9". Every one of
them gives the fraction bits of a signed 8-bit type with a power-of-two scale. None looks
further than EXTRA_FRACTION bits below the type that holds every value.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from weft.compiler.calibrate_entropy import entropy_fraction
from weft.compiler.collect_bits import LOWEST_POWER, BitCollector
from weft.compiler.collect_histogram import PER_POWER, HistogramCollector
from weft.compiler.collect_range import RangeCollector
from weft.compiler.fixed_point import FRACTION_LIMITS, absmax_fraction, largest_fraction
from weft.errors import InputError

Collector: TypeAlias = RangeCollector | HistogramCollector | BitCollector

#: Fraction bits that a calibrator may add to those of min/max.
EXTRA_FRACTION = 8

#: Names, with the parameter that each has where none is given; in percent.
CALIBRATORS: dict[str, float | None] = {
    "minmax": None,
    "absmax": None,
    "percentile": 99.99,
    "mse": None,
    "entropy": None,
    "msb": 99.9,
}


@dataclass(frozen=True)
class Calibrator:
    """A way to choose types.

    Parameters
    ----------
    name : str
        One of CALIBRATORS.
    parameter : float or None
        In percent, for "percentile" and "msb".
    """

    name: str
    parameter: float | None = None

    def __str__(self) -> str:
        return self.name if self.parameter is None else f"{self.name}:{self.parameter:g}"

    @property
    def weights(self) -> Literal["minmax", "mse"]:
        """How weights get their scales: clipping them is for the squared error alone."""
        return "mse" if self.name == "mse" else "minmax"

    @property
    def collector(self) -> type[RangeCollector] | type[HistogramCollector]:
        """The smallest collector that it can choose from."""
        return RangeCollector if self.name in ("minmax", "absmax") else HistogramCollector

    def choose(self, collector: Collector) -> int:
        """Fraction bits for all that `collector` has seen."""
        seen = collector if isinstance(collector, RangeCollector) else collector.range
        if self.name == "absmax":
            return absmax_fraction(seen.low, seen.high)
        widest = largest_fraction(seen.low, seen.high)
        if self.name == "minmax" or seen.low == seen.high == 0:
            return widest
        assert not isinstance(collector, RangeCollector)
        histogram = collector.histogram if isinstance(collector, BitCollector) else collector
        candidates = range(widest, min(widest + EXTRA_FRACTION, FRACTION_LIMITS[1]) + 1)
        return _CHOICES[self.name](histogram, candidates, self.parameter or 0)


def parse_calibrator(text: str | Calibrator) -> Calibrator:
    """Read NAME or NAME:PARAMETER.

    Raises
    ------
    InputError
        If there is no such calibrator, or the parameter is none that it takes.
    """
    if isinstance(text, Calibrator):
        return text
    name, colon, number = text.partition(":")
    if name not in CALIBRATORS:
        names = ", ".join(CALIBRATORS)
        raise InputError(f"calibrator must be one of {names}, not {name!r}")
    default = CALIBRATORS[name]
    if not colon:
        return Calibrator(name, default)
    if default is None:
        raise InputError(f"calibrator {name!r} takes no parameter; leave {colon + number!r} out")
    try:
        parameter = float(number)
    except ValueError:
        parameter = -1.0
    if not 0 < parameter <= 100:
        raise InputError(
            f"the parameter of calibrator {name!r} is a percentage above 0 and up to 100, as in "
            f"{name}:{default:g}, not {number!r}"
        )
    return Calibrator(name, parameter)


def percentile_fraction(histogram: HistogramCollector, candidates: range, percent: float) -> int:
    """Finest type in which no more than ``100 - percent`` % of the values saturate.

    The percentile calibration of Wu et al., "Integer Quantization for Deep Learning
    Inference" (2020), section 5.1, with the clipped share counted for each candidate.
    Zeros count as values.
    """
    allowed = _share(100 - percent, histogram.range.count)
    best = candidates[0]
    for fraction in candidates:
        if histogram.saturating(2.0**-fraction) > allowed:
            break
        best = fraction
    return best


def mse_fraction(histogram: HistogramCollector, candidates: range, _: float = 0) -> int:
    """Type with the least squared difference between values and what their codes stand for."""
    return min(candidates, key=lambda fraction: histogram.squared_error(2.0**-fraction))


def msb_fraction(histogram: HistogramCollector, candidates: range, percent: float) -> int:
    """Type whose window holds the most significant bits of as many values as it can.

    The window of seven bits slides down from the type that holds every value, while no
    more than ``100 - percent`` % of the values other than zero have their most significant
    bit above it. Of these places the one with the most bits inside is taken, and of equal
    ones the highest: overflow is avoided, underflow allowed. It is what one does by eye on
    a histogram of dynamic ranges.
    """
    counts = histogram.counts.reshape(2, -1, PER_POWER).sum(axis=(0, 2))
    allowed = _share(100 - percent, int(counts.sum()))

    def above(fraction: int) -> int:
        return int(counts[max(7 - fraction - LOWEST_POWER, 0) :].sum())

    def inside(fraction: int) -> int:
        first = max(-fraction - LOWEST_POWER, 0)
        return int(counts[first : first + 7].sum())

    possible = [candidates[0], *(f for f in candidates[1:] if above(f) <= allowed)]
    return max(possible, key=inside)


def _share(percent: float, count: int) -> int:
    """Whole part of a share, however the percentage was rounded on its way here."""
    return int(percent / 100 * count + 1e-6)


_CHOICES: dict[str, Callable[[HistogramCollector, range, float], int]] = {
    "percentile": percentile_fraction,
    "mse": mse_fraction,
    "entropy": entropy_fraction,
    "msb": msb_fraction,
}
