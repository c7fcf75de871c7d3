"""Division by a constant: exact for every sum that a window can have."""

import numpy as np
import pytest

from weft.compiler.reciprocal import reciprocal, reciprocal_multiplier
from weft.sim.golden import divide, divide_power


def assert_exact(numerator, denominator, largest):
    multiplier, shift = reciprocal(numerator, denominator, largest)
    x = np.arange(-largest, largest + 1, dtype=np.int64)
    np.testing.assert_array_equal(
        divide_power(x * multiplier, shift), divide(x * numerator, denominator)
    )
    assert 0 <= shift <= 31


@pytest.mark.parametrize("first", range(1, 201, 20))
def test_every_small_window(first):
    for denominator in range(first, first + 20):
        assert_exact(1, denominator, 128 * denominator)


@pytest.mark.parametrize("numerator", [2, 3, 4, 5, 6, 7, 8])
def test_numerators(numerator):
    for denominator in (1, 2, 3, 4, 6, 9, 15, 25, 49, 64, 81, 100, 125, 128, 196):
        assert_exact(numerator, denominator, 128 * denominator)


@pytest.mark.parametrize("denominator", [2, 3, 7, 9])
def test_the_last_sum_counts(denominator):
    for largest in range(1, 100):
        assert_exact(1, denominator, largest)


def first_shift(denominator):
    """The smallest shift with which any multiplier at all divides exactly."""
    x = np.arange(128 * denominator + 1, dtype=np.int64)
    wanted = divide(x, denominator)
    for shift in range(32):
        near = 2**shift // denominator
        for multiplier in (near, near + 1):
            if np.array_equal(divide_power(x * multiplier, shift), wanted):
                return shift
    raise AssertionError


@pytest.mark.parametrize("denominator", [1, 2, 3, 5, 7, 9, 12, 16, 25, 36, 49, 64, 125])
def test_shift_is_the_smallest(denominator):
    assert reciprocal(1, denominator, 128 * denominator)[1] == first_shift(denominator)


@pytest.mark.parametrize(
    ("window", "pair"),
    # A multiplier behind which the shift only truncates takes 13 for 9, 20 for 125, 8 for 64.
    [(9, (455, 12)), (125, (16777, 21)), (64, (1, 6)), (1, (1, 0)), (2, (1, 1))],
)
def test_worked(window, pair):
    assert reciprocal(1, window, 128 * window) == pair


def test_whole_factor_needs_no_shift():
    assert reciprocal(8, 2, 1000) == (4, 0)


def test_refusal():
    with pytest.raises(ValueError, match="no exact reciprocal of 10000/1 up to 1280000"):
        reciprocal(1, 10_000, 128 * 10_000)


def exact(numerator, denominator, largest):
    """Whether the multiplier divides every sum, with one rounding, as golden does."""
    multiplier, shift = reciprocal_multiplier(numerator, denominator, largest)
    assert 1 << 30 <= multiplier < 1 << 31
    x = np.arange(-largest, largest + 1, dtype=np.int64)
    found = (x * multiplier + (1 << 30 - shift)) >> 31 - shift
    return np.array_equal(found, divide(x * numerator, denominator))


@pytest.mark.parametrize("numerator", [1, 2, 8, 1000])
def test_multipliers(numerator):
    for denominator in (1, 2, 3, 7, 9, 49, 64, 125, 1000):
        assert exact(numerator, denominator, 128 * denominator)


def test_a_multiplier_is_refused_where_it_would_be_wrong():
    """A seventh: its multiplier is 6 / 7 above 2**33 / 7, which shows from 2**33 / 12 on."""
    largest = (1 << 33) // 12
    multiplier, shift = reciprocal_multiplier(1, 7, largest)
    with pytest.raises(ValueError, match="no exact reciprocal of 7/1 up to 715827883"):
        reciprocal_multiplier(1, 7, largest + 1)
    # Sums just below a tie are the first to be rounded up.
    near = [total for total in range(largest - 6, largest + 8) if total % 7 == 3]
    found = [(total * multiplier + (1 << 30 - shift)) >> 31 - shift for total in near]
    assert [quotient - total // 7 for quotient, total in zip(found, near, strict=True)] == [0, 1]
