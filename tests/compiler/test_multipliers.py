"""Real factors as multipliers and shifts, and what fewer bits cost."""

import numpy as np
import pytest

from weft.compiler.multipliers import (
    FactorError,
    approximate,
    error_table,
    quantize_multiplier,
    scaling,
    sum_factors,
)
from weft.compiler.narrow import narrow_multipliers
from weft.compiler.network import Network, Requantize, Rescale, Tensor


@pytest.mark.parametrize(
    ("factor", "expected"),
    [
        (0.5, (1 << 30, 0)), (1.0, (1 << 30, 1)), (0.3, (1288490189, -1)), (0.0, (0, 0)),
        (-0.5, (-(1 << 30), 0)), (1 - 2.0**-40, (1 << 30, 1)), (2.0**-40, (0, 0)),
    ],
)  # fmt: skip
def test_multiplier_and_shift(factor, expected):
    assert quantize_multiplier(factor) == expected


@pytest.mark.parametrize("factor", [np.inf, np.nan, 2.0**31])
def test_factors_without_a_multiplier(factor):
    with pytest.raises(FactorError, match="its scales"):
        scaling(factor, "single")


def test_the_larger_operand_of_a_sum_is_halved_exactly():
    assert sum_factors(0.25, 0.5, 0.125) == (0.25, 0.5, 1 / (2**20 * 0.125))


def test_the_published_example():
    """M ~ 0.0353 as 289 / 2**13: the error stays below 1 for accumulators of a few thousand."""
    assert approximate(0.0353, 9) == (289, 13)
    for largest in (1000, 5000, 9000):
        _, multiplier, shift, error = error_table(0.0353, largest)[8]
        accumulators = np.arange(-largest, largest + 1)
        found = np.abs(accumulators * multiplier / 2**shift - accumulators * 0.0353).max()
        assert found == pytest.approx(error)
        assert error < 1


def test_each_bit_halves_the_worst_error():
    rows = error_table(0.0353, 1 << 20)
    assert [bits for bits, *_ in rows] == list(range(1, 32))
    for bits, multiplier, shift, error in rows:
        assert multiplier < 1 << bits or multiplier == 1
        assert error == (1 << 20) * abs(multiplier / 2**shift - 0.0353)
        assert error <= (1 << 20) * 0.0353 * 2.0**-bits
    # For an accumulator of 20 bits, 17 bits keep the error below a half.
    assert min(bits for bits, _, _, error in rows if error < 0.5) <= 17


@pytest.mark.parametrize(
    ("factor", "bits"), [(0.0, 8), (-1.0, 8), (np.inf, 8), (0.5, 0), (0.5, 32)]
)
def test_what_has_no_approximation(factor, bits):
    with pytest.raises(ValueError, match="must be"):
        approximate(factor, bits)


@pytest.mark.parametrize("bits", [8, 12, 16, 24])
@pytest.mark.parametrize("seed", range(4))
def test_narrow_multipliers_are_the_table_s(bits, seed):
    """A narrowed network multiplies by M0 / 2**n of the table."""
    factor = float(np.random.default_rng(seed).uniform(0.01, 0.9))
    numbers = scaling(factor, "single")
    tensors = {name: Tensor(name, (1, 1, 1), 1.0) for name in "xy"}
    node = Rescale("r", ("x",), "y", Requantize(numbers.shift, numbers.multiplier, "single"))
    (narrow,) = narrow_multipliers(Network("n", tensors, [node]), bits).nodes
    multiplier, shift = approximate(factor, bits)
    value = float(narrow.requantize.multiplier[0]) * 2.0 ** (narrow.requantize.shift[0] - 31)
    assert value == multiplier / 2.0**shift
