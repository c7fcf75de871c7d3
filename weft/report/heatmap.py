"""The heat map of dynamic range, row by row.

A row has two lanes, positive values above and negative ones below, and the share of zeros at its
end. The stronger a cell's colour, the more of the tensor's values have their most significant
bit there.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np

from weft.report.bits import Axis, BitRow, Window
from weft.report.strips import Shape, Strip, draw_strips, rectangle

#: From which share of a tensor's values on a cell is one level stronger; some is level 1.
THRESHOLDS = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3)

#: Columns from the last power of two to the zeros.
GAP = 0.6

#: Lanes of positive and negative values: their top and bottom.
LANES = ((0.06, 0.49), (0.51, 0.94))
_WHOLE = (LANES[0][0], LANES[1][1])


def level(share: float) -> int:
    """How strong a cell is, from 1 to 9; 0 where there are no values."""
    return 1 + int(np.searchsorted(THRESHOLDS, share, "right")) if share > 0 else 0


def units(axis: Axis) -> float:
    """Width of a row in columns."""
    return axis.columns + GAP + 1


def draw_heatmap(rows: Sequence[BitRow], axis: Axis) -> list[Strip]:
    """A strip for each row."""
    return draw_strips([_row(row, axis) for row in rows], units(axis))


def _row(row: BitRow, axis: Axis) -> list[Shape]:
    window = row.window
    limits = [_limits(axis, window, top) for top in (window.positive, window.negative)]
    shapes = _outside(axis, limits)
    for side, shares, lane, (left, right) in zip(
        ("pos", "neg"), (row.positive, row.negative), LANES, limits, strict=True
    ):
        cells = sorted(
            (level(share), i + 1 <= left or i >= right, i)
            for i, share in enumerate(shares) if share
        )  # fmt: skip
        for (strength, outside), found in groupby(cells, lambda cell: cell[:2]):
            rectangles = [rectangle(i, lane[0], i + 1, lane[1]) for *_, i in found]
            shapes.append(Shape(f"{'off' if outside else side} l{strength}", rectangles))
    start = axis.columns + GAP
    shapes.append(Shape("frame", [rectangle(start, _WHOLE[0], start + 1, _WHOLE[1])]))
    if row.zeros:
        zeros = rectangle(start, _WHOLE[0], start + 1, _WHOLE[1])
        shapes.append(Shape(f"zero l{level(row.zeros)}", [zeros]))
    return [*shapes, *_outlines(window, limits)]


def _limits(axis: Axis, window: Window, top: float) -> tuple[float, float]:
    """Left and right of the window in one lane; the same where it has no values there."""
    right = axis.place(window.bottom)
    return (axis.place(top), right) if top > window.bottom else (right, right)


def _outside(axis: Axis, limits: Sequence[tuple[float, float]]) -> list[Shape]:
    """Grey for all that the type does not hold."""
    found = [
        rectangle(start, top, end, bottom)
        for (left, right), (top, bottom) in zip(limits, LANES, strict=True)
        for start, end in ((0.0, left), (right, float(axis.columns)))
        if start < end
    ]
    return [Shape("outside", found)] if found else []


def _outlines(window: Window, limits: Sequence[tuple[float, float]]) -> list[Shape]:
    kind = "window" if window.uniform else "window channels"
    if limits[0] == limits[1]:
        lanes = [(*limits[0], *_WHOLE)]
    else:
        lanes = [(*limit, *lane) for limit, lane in zip(limits, LANES, strict=True)]
    return [
        Shape(kind, [rectangle(left, top, right, bottom)])
        for left, right, top, bottom in lanes
        if left < right
    ]
