"""Ratios in decibels along the network: lines that run down through the rows of a table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from weft.report.strips import Shape, Strip, draw_strips

#: Width of a row; the scale is in the values.
UNITS = 40.0

#: Nothing beyond matters: the type is exact, or the tensor lost.
_LARGEST = 100.0
_STEP = 10
#: Left and right, as a share of a row.
_MARGIN = 0.03


@dataclass(frozen=True)
class Scale:
    """Decibels from `low` to `high`; what lies beyond is drawn at the edge.

    Parameters
    ----------
    low, high : int
        Multiples of 10.
    """

    low: int
    high: int

    @property
    def ticks(self) -> range:
        """Where the axis has labels."""
        step = _STEP if self.high - self.low <= 6 * _STEP else 2 * _STEP
        return range(-(-self.low // step) * step, self.high + 1, step)

    def place(self, decibels: float) -> float:
        """Where a ratio lies in a row, from 0 to 1, with room for labels at the ends."""
        share = (min(max(decibels, self.low), self.high) - self.low) / (self.high - self.low)
        return _MARGIN + (1 - 2 * _MARGIN) * share


def scale_of(ratios: Sequence[float]) -> Scale:
    """A scale for all ratios that are finite."""
    finite = [ratio for ratio in ratios if math.isfinite(ratio)] or [0.0]
    low = math.floor(max(min(finite), -_LARGEST) / _STEP) * _STEP
    high = math.ceil(min(max(finite), _LARGEST) / _STEP) * _STEP
    return Scale(low, max(high, low + 2 * _STEP))


def draw_profile(
    rows: Sequence[Mapping[str, float | None]], scale: Scale, lines: Sequence[str]
) -> list[Strip]:
    """A strip for each row.

    Parameters
    ----------
    rows : sequence of mapping of class to decibels
        Each is a mark; None leaves it out.
    scale : Scale
    lines : sequence of str
        Classes whose marks are joined from row to row.
    """
    return draw_strips([_row(rows, i, scale, lines) for i in range(len(rows))], UNITS)


def _row(
    rows: Sequence[Mapping[str, float | None]], i: int, scale: Scale, lines: Sequence[str]
) -> list[Shape]:
    ticks = [UNITS * scale.place(tick) for tick in scale.ticks]
    shapes = [Shape("grid", [[(x, 0.0), (x, 1.0)] for x in ticks], closed=False)]
    for kind, ratio in rows[i].items():
        if ratio is None:
            continue
        x = UNITS * scale.place(ratio)
        if kind in lines and math.isfinite(ratio):
            points = [(x, 0.5)]
            if (before := _neighbour(rows, i - 1, kind)) is not None:
                points.insert(0, ((x + UNITS * scale.place(before)) / 2, 0.0))
            if (after := _neighbour(rows, i + 1, kind)) is not None:
                points.append(((x + UNITS * scale.place(after)) / 2, 1.0))
            if len(points) > 1:
                shapes.append(Shape(f"line {kind}", [points], closed=False))
        shapes.append(Shape(f"mark {kind}", [[(x, 0.25), (x, 0.75)]], closed=False))
    return shapes


def _neighbour(rows: Sequence[Mapping[str, float | None]], i: int, kind: str) -> float | None:
    ratio = rows[i].get(kind) if 0 <= i < len(rows) else None
    return ratio if ratio is not None and math.isfinite(ratio) else None
