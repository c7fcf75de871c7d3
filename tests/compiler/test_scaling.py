"""Scaling of integers, against whole numbers of any size."""

from fractions import Fraction

import numpy as np
import pytest

from weft.compiler.network import Scaling
from weft.compiler.scaling import divide_by_power, high_multiply, multiply, scale


def upward(real):
    return (2 * real + 1).__floor__() // 2


def away(real):
    return upward(real) if real >= 0 else -upward(-real)


def expected(x, multiplier, shift, rounding):
    """What `docs/arithmetic.md` says, in fractions."""
    if rounding == "single":
        return upward(Fraction(x * multiplier, 2 ** (31 - shift)))
    left = min(max(x << max(shift, 0), -(2**31)), 2**31 - 1)
    return away(Fraction(upward(Fraction(left * multiplier, 2**31)), 2 ** max(-shift, 0)))


@pytest.mark.parametrize("rounding", ["single", "double"])
@pytest.mark.parametrize("seed", range(20))
def test_multiply(rounding, seed):
    rng = np.random.default_rng(seed)
    x = rng.integers(-255, 256, 50)
    multiplier, shift = int(rng.integers(2**30, 2**31)), int(rng.integers(-31, 31))
    wanted = [expected(int(n), multiplier, shift, rounding) for n in x]
    assert multiply(x, multiplier, shift, rounding).tolist() == wanted


@pytest.mark.parametrize("rounding", ["single", "double"])
@pytest.mark.parametrize("seed", range(20))
def test_scale_per_channel(rounding, seed):
    rng = np.random.default_rng(seed)
    x = rng.integers(-(2**28), 2**28, 50)
    multiplier = rng.integers(2**30, 2**31, 50)
    shift = rng.integers(-40, 1, 50)
    made = scale(x, Scaling(shift, multiplier, rounding))
    wanted = [
        expected(int(n), int(m), int(s), rounding) if s >= -31 else 0
        for n, m, s in zip(x, multiplier, shift, strict=True)
    ]
    assert made.tolist() == wanted


def test_scale_takes_no_factor_of_one_or_more():
    one = Scaling(np.array([1]), np.array([2**30]), "double")
    for scaling in (one, Scaling(np.array([1]))):
        with pytest.raises(ValueError, match="only a multiplier with a shift to the right"):
            scale(np.array([3]), scaling)


def test_ties():
    assert high_multiply(np.array([3, -3, 1, -1]), 1 << 30).tolist() == [2, -1, 1, 0]
    assert divide_by_power(np.array([3, -3, 1, -1, 5]), 1).tolist() == [2, -2, 1, -1, 3]
    assert divide_by_power(np.array([3, -3]), np.array([0, 2])).tolist() == [3, -1]
