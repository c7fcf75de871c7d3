"""Figures cut into strips, one for each row of a table, which the page can then stretch.

Matplotlib draws a whole figure, a row for each tensor. A table shows a strip of it beside the
tensor's name, so rows stay aligned however wide the page is and whether or not names wrap.
Every shape has a class, by which the style sheet colours it for light and dark pages.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from xml.etree import ElementTree

import matplotlib.style
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path

#: Of a figure's unit and of a row, in points; whole numbers keep the file small.
UNIT = 8
HEIGHT = 16

_GROUP = "{http://www.w3.org/2000/svg}g"
_PATH = "{http://www.w3.org/2000/svg}path"


@dataclass(frozen=True)
class Shape:
    """Something to draw in a row.

    Parameters
    ----------
    kind : str
        Classes, for the style sheet.
    lines : sequence of lines, which are sequences of (x, y)
        x in units from the left, y from 0 at the row's top to 1 at its bottom.
    closed : bool
        Whether each line ends where it began.
    """

    kind: str
    lines: Sequence[Sequence[tuple[float, float]]]
    closed: bool = True


@dataclass(frozen=True)
class Strip:
    """One row of a figure, as SVG.

    Parameters
    ----------
    box : str
        The view box.
    paths : sequence of (classes, path data)
    """

    box: str
    paths: Sequence[tuple[str, str]]


def rectangle(left: float, top: float, right: float, bottom: float) -> list[tuple[float, float]]:
    """Corners of a rectangle."""
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def draw_strips(rows: Sequence[Sequence[Shape]], units: float) -> list[Strip]:
    """Draw rows below one another, each `units` wide, and cut them apart."""
    if not rows:
        return []
    # Whatever style a notebook has set is not for these.
    with matplotlib.style.context("default"), rc_context({"svg.hashsalt": "weft"}):
        figure = Figure(figsize=(units * UNIT / 72, len(rows) * HEIGHT / 72))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.set_xlim(0, units)
        axes.set_ylim(len(rows), 0)
        for i, shapes in enumerate(rows):
            for shape in shapes:
                axes.add_patch(_patch(shape, i))
        file = StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
    paths: list[list[tuple[str, str]]] = [[] for _ in rows]
    for group in ElementTree.fromstring(file.getvalue()).iter(_GROUP):
        if found := re.fullmatch(r"row(\d+) (.*)", group.get("id", "")):
            data = group.find(_PATH)
            assert data is not None
            paths[int(found[1])].append((found[2], _compact(data.get("d", ""))))
    return [
        Strip(f"0 {i * HEIGHT} {units * UNIT:g} {HEIGHT}", tuple(found))
        for i, found in enumerate(paths)
    ]


def _patch(shape: Shape, row: int) -> PathPatch:
    """All lines as one path, which takes the place of as many elements in the file."""
    end = [Path.CLOSEPOLY] if shape.closed else []
    codes = [
        code
        for line in shape.lines
        for code in (Path.MOVETO, *[Path.LINETO] * (len(line) - 1), *end)
    ]
    points = [point for line in shape.lines for point in (*line, *line[: len(end)])]
    path = Path([(x, y + row) for x, y in points], codes)
    return PathPatch(path, gid=f"row{row} {shape.kind}", linewidth=0, clip_on=False)


def _compact(data: str) -> str:
    """Path data with two places after the point and no spaces that could be left out."""
    numbers = re.sub(r"-?\d+\.\d+", lambda number: f"{float(number[0]):.2f}".rstrip("0"), data)
    return re.sub(r"\s*([MLz])\s*", r"\1", re.sub(r"\.(?!\d)", "", numbers)).strip()
