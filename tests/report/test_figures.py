"""Strips: what is drawn where, for the heat map and for ratios along the network."""

import math
import re

import matplotlib
import numpy as np
import pytest
from report_samples import tensor

from weft.report.bits import axis_of, bit_row
from weft.report.heatmap import draw_heatmap, level, units
from weft.report.profile import Scale, draw_profile, scale_of
from weft.report.strips import HEIGHT, UNIT, Shape, draw_strips, rectangle


def boxes(data: str, row: int = 0) -> list[tuple[float, ...]]:
    """Left, top, right and bottom of each closed line of a path, in units and rows."""
    found = []
    for line in re.findall("M([^Mz]*)z", data):
        points = np.array(re.findall(r"-?[\d.]+", line), float).reshape(-1, 2)
        points = points / (UNIT, HEIGHT) - (0, row)
        found.append((*points.min(axis=0), *points.max(axis=0)))
    return [tuple(round(number, 2) for number in box) for box in found]


def heat(*tensors):
    """Axis, and for every row its kinds of shapes with their boxes."""
    axis = axis_of(tensors)
    strips = draw_heatmap([bit_row(each, axis) for each in tensors], axis)
    rows = []
    for i, strip in enumerate(strips):
        found = {}
        for kind, data in strip.paths:
            found.setdefault(kind, []).extend(boxes(data, i))
        rows.append(found)
    return axis, rows


def test_strips_are_rows_of_one_figure():
    shapes = [[Shape("a", [rectangle(0, 0, 1, 1), rectangle(2, 0.5, 3, 1)])], [],
              [Shape("b c", [[(1, 0), (2, 0.5)]], closed=False)]]  # fmt: skip
    strips = draw_strips(shapes, 10)
    assert [strip.box for strip in strips] == [f"0 {HEIGHT * i} 80 {HEIGHT}" for i in range(3)]
    assert [kind for strip in strips for kind, _ in strip.paths] == ["a", "b c"]
    assert boxes(strips[0].paths[0][1]) == [(0, 0, 1, 1), (2, 0.5, 3, 1)]
    assert strips[2].paths[0][1] == "M8 32L16 40"
    assert draw_strips([], 10) == []


def test_a_notebooks_style_changes_nothing():
    rows = [[Shape("a", [rectangle(0, 0, 1.23456, 1)])]]
    before = draw_strips(rows, 10)
    with matplotlib.rc_context({"figure.dpi": 300, "savefig.bbox": "tight", "axes.xmargin": 0.4}):
        assert draw_strips(rows, 10) == before
    assert before[0].paths == (("a", "M0 0L9.88 0L9.88 16L0 16z"),)


@pytest.mark.parametrize(
    ("share", "strength"),
    [(0, 0), (1e-9, 1), (0.9e-4, 1), (1e-4, 2), (0.05, 7), (0.1, 8), (0.3, 9), (1.0, 9)],
)
def test_the_more_values_the_stronger(share, strength):
    assert level(share) == strength


def test_worked_row():
    """Q4.3, whose window is from 2^3 to 2^-3: 20 saturates, 0.03 lies below, 0 apart."""
    values = [20.0] * 2 + [1.0] * 5 + [-1.5] + [0.03] + [0.0]
    axis, (row,) = heat(tensor("x", values, 2.0**-3))
    assert axis.powers == range(4, -7, -1)
    upper, lower = (0.06, 0.49), (0.51, 0.94)
    assert row["off l8"] == [(0, upper[0], 1, upper[1]), (10, upper[0], 11, upper[1])]
    assert row["pos l9"] == [(4, upper[0], 5, upper[1])]
    assert row["neg l8"] == [(4, lower[0], 5, lower[1])]
    assert row["outside"] == [
        (0, upper[0], 1, upper[1]), (8, upper[0], 11, upper[1]),
        (0, lower[0], 1, lower[1]), (8, lower[0], 11, lower[1]),
    ]  # fmt: skip
    assert row["window"] == [(1, upper[0], 8, lower[1])]
    assert row["zero l8"] == row["frame"] == [(11.6, upper[0], 12.6, lower[1])]
    assert units(axis) == 12.6


def test_channels_of_several_scales_are_dashed():
    _, (row,) = heat(tensor("x.weights", [1.0], 2.0**-3, 2.0**-5))
    assert row["window channels"] == [(0, 0.06, 9, 0.94)]


def test_a_multipliers_range_is_no_window_of_bits():
    """Each lane has its own, which ends between two bits, or is not there."""
    axis, rows = heat(
        tensor("a", [5.0, -1.0], 0.1, zero_point=-100), tensor("b", [5.0], 0.1, zero_point=-128)
    )
    left, negative, right = (axis.place(math.log2(limit)) for limit in (22.7, 2.8, 0.1))
    assert np.array(rows[0]["window"]) == pytest.approx(
        np.array([(left, 0.06, right, 0.49), (negative, 0.51, right, 0.94)]), abs=0.01
    )
    assert len(rows[1]["window"]) == 1
    # Bits that are inside in part are not greyed; in "b" no negative ones are inside.
    assert [kind for kind in rows[0] if kind.startswith("off")] == []
    lower = sorted(box for box in rows[1]["outside"] if box[1] == 0.51)
    assert [box[0] for box in lower] == [0, lower[0][2]]
    assert lower[1][2] == axis.columns


@pytest.mark.parametrize("seed", range(6))
def test_every_share_has_its_cell(seed):
    random = np.random.default_rng(seed)
    tensors = [
        tensor(str(i), random.normal(0, 2.0 ** random.integers(-8, 8), 300) * (i > 0),
               2.0 ** random.integers(-9, 3) * random.choice([1, 0.7]),
               zero_point=int(random.integers(-128, 128)))
        for i in range(4)
    ]  # fmt: skip
    axis, rows = heat(*tensors)
    for each, row in zip(tensors, rows, strict=True):
        bits = bit_row(each, axis)
        for shares, top, kind in ((bits.positive, 0.06, "pos"), (bits.negative, 0.51, "neg")):
            drawn = {}
            for name, found in row.items():
                if name.startswith((kind, "off")):
                    for box in found:
                        if box[1] == top:
                            assert box[0] not in drawn
                            drawn[box[0]] = int(name[-1])
            assert drawn == {i: level(share) for i, share in enumerate(shares) if share}
        assert [int(name[-1]) for name in row if name.startswith("zero")] == (
            [level(bits.zeros)] if bits.zeros else []
        )


@pytest.mark.parametrize(
    ("ratios", "scale", "ticks"),
    [
        ([31.0, 38.9], Scale(30, 50), [30, 40, 50]),
        ([-4.0, 62.0], Scale(-10, 70), [0, 20, 40, 60]),
        ([math.inf, -math.inf], Scale(0, 20), [0, 10, 20]),
        ([], Scale(0, 20), [0, 10, 20]),
        ([-500.0, 500.0], Scale(-100, 100), list(range(-100, 101, 20))),
    ],
)
def test_scale(ratios, scale, ticks):
    found = scale_of(ratios)
    assert found == scale
    assert list(found.ticks) == ticks


def test_places_on_a_scale_have_a_margin():
    assert [Scale(0, 20).place(x) for x in (-5, 0, 10, 20, math.inf)] == pytest.approx(
        [0.03, 0.03, 0.5, 0.97, 0.97]
    )


def test_a_line_runs_from_row_to_row():
    scale = Scale(0, 20)
    rows = [{"a": 0.0, "b": 10.0}, {"a": 20.0, "b": None}, {"a": math.inf, "b": 10.0}]
    strips = draw_profile(rows, scale, ("a",))
    found = [dict(strip.paths) for strip in strips]
    assert [list(each) for each in found] == [
        ["grid", "line a", "mark a", "mark b"], ["grid", "line a", "mark a"],
        ["grid", "mark a", "mark b"],
    ]  # fmt: skip
    left, middle, right = (320 * scale.place(x) for x in (0, 10, 20))
    assert found[0]["line a"] == f"M{left:g} 8L{middle:g} 16"
    assert found[1]["line a"] == f"M{middle:g} 16L{right:g} 24"
    assert found[2]["mark a"] == f"M{right:g} 36L{right:g} 44"
