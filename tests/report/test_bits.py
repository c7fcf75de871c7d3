"""Windows of types and columns of powers of two."""

import math

import numpy as np
import pytest
from report_samples import tensor

from weft.report.bits import Window, axis_of, bit_row, window_of


@pytest.mark.parametrize(
    ("scales", "zero", "window"),
    [
        ((2.0**-3,), 0, Window(4, 4, -3)),  # Q4.3: bits of 8, 4, 2, 1 and three behind the point
        ((2.0**-12,), 0, Window(-5, -5, -12)),
        ((2.0**2,), 0, Window(9, 9, 2)),
        ((2.0**-3,), -128, Window(5, -math.inf, -3)),  # unsigned: a bit more, nothing below zero
        ((2.0**-3,), 127, Window(-math.inf, 5, -3)),
        ((2.0**-3, 2.0**-5), 0, Window(4, 4, -5, uniform=False)),
        ((0.1,), 0, Window(math.log2(12.7), math.log2(12.8), math.log2(0.1))),
        ((0.1,), 27, Window(math.log2(10), math.log2(15.5), math.log2(0.1))),
        ((0.1, 0.2), 0,
         Window(math.log2(25.4), math.log2(25.6), math.log2(0.1), uniform=False)),
    ],
)  # fmt: skip
def test_window(scales, zero, window):
    found = window_of(tensor("x", [1.0], *scales, zero_point=zero))
    assert found.positive == pytest.approx(window.positive)
    assert found.negative == pytest.approx(window.negative)
    assert found.bottom == pytest.approx(window.bottom)
    assert found.uniform == window.uniform


def test_a_bias_has_31_bits():
    assert window_of(tensor("x.bias", [1.0], 2.0**-20)) == Window(11, 11, -20)


def test_axis_holds_windows_and_large_values():
    axis = axis_of([tensor("a", [0.5, 100.0], 2.0**-3), tensor("b", [0.25], 2.0**-6)])
    assert (axis.top, axis.bottom, axis.less) == (6, -6, False)
    assert axis.powers == range(6, -7, -1)
    assert axis.columns == 13


def test_far_below_the_windows_is_one_column():
    tensors = [tensor("a", [1.0, 2.0**-14], 2.0**-6), tensor("b", [2.0**-15], 2.0**-4)]
    axis = axis_of(tensors)
    assert (axis.top, axis.bottom, axis.less) == (2, -14, True)
    assert axis.columns == 18
    assert bit_row(tensors[1], axis).positive.tolist() == [0.0] * 17 + [1.0]


def test_a_channel_of_almost_nothing_does_not_squeeze_the_others():
    axis = axis_of([tensor("a.weights", [1.0, 2.0**-9, 2.0**-60], 2.0**-6, 2.0**-70)])
    assert (axis.bottom, axis.less) == (-14, True)


def test_an_axis_has_no_more_columns_than_asked():
    axis = axis_of([tensor("a", [1.0, 2.0**-30], 2.0**-24)], 10)
    assert (len(axis.powers), axis.less) == (10, True)
    assert axis_of([tensor("a", [2.0**60, 2.0**-60], 1.0)]).columns == 61


def test_zeros_alone():
    zeros = tensor("a", [0.0, 0.0], 2.0**-7)
    axis = axis_of([zeros])
    assert axis.powers == range(0, -8, -1)
    row = bit_row(zeros, axis)
    assert (row.positive.any(), row.negative.any(), row.zeros) == (False, False, 1.0)


def test_places():
    axis = axis_of([tensor("a", [1.0], 2.0**-3)])
    assert [axis.place(power) for power in (4, 3.5, -3, 99, -99, -math.inf)] == [0, 0.5, 7, 0, 7, 7]


@pytest.mark.parametrize("seed", range(5))
def test_shares_are_of_all_values(seed):
    random = np.random.default_rng(seed)
    values = np.concatenate([random.normal(0, 2.0 ** random.integers(-9, 9), 500), np.zeros(7)])
    found = tensor("a", values, 2.0 ** random.integers(-9, 3))
    axis = axis_of([found])
    row = bit_row(found, axis)
    powers = np.frexp(np.abs(values.astype(np.float32)))[1] - 1
    for i, power in enumerate(axis.powers):
        assert row.positive[i] == ((values > 0) & (powers == power)).mean()
        assert row.negative[i] == ((values < 0) & (powers == power)).mean()
    assert row.positive.sum() + row.negative.sum() + row.zeros == pytest.approx(1)
