"""Division by a constant as a multiplication and a rounding shift, shown exact."""

from __future__ import annotations

from functools import cache

import numpy as np


@cache
def reciprocal(numerator: int, denominator: int, largest: int) -> tuple[int, int]:
    """Smallest (multiplier, shift) that divides exactly.

    For every integer ``|x| <= largest``, ``round(x * multiplier / 2**shift)`` equals
    ``round(x * numerator / denominator)``, both with ties away from zero.

    The two multipliers nearest to the quotient are tried with growing shifts; each candidate
    is compared with the division at every x, so that a returned pair is exact by construction.
    """
    x = np.arange(largest + 1, dtype=np.int64)
    wanted = (2 * x * numerator + denominator) // (2 * denominator)
    for shift in range(32):
        below = numerator * 2**shift // denominator
        for multiplier in (below, below + 1):
            got = (x * multiplier + (2**shift >> 1)) >> shift
            if np.array_equal(got, wanted):
                return multiplier, shift
    raise ValueError(f"no exact reciprocal of {denominator}/{numerator} up to {largest}")


def reciprocal_multiplier(numerator: int, denominator: int, largest: int) -> tuple[int, int]:
    """A 31-bit multiplier m and a shift s that divide exactly with one rounding.

    For every integer ``|x| <= largest``, ``floor(x * m * 2**s / 2**31 + 1/2)`` equals
    ``round(x * numerator / denominator)``, ties away from zero.

    m is the least above the true factor, so that ties, which the floor would take upward, fall
    away from zero on both sides; and no other quotient moves, as those are at least
    ``1 / (2 * denominator)`` from a tie and the surplus is less: that is checked.
    """
    s = numerator.bit_length() - denominator.bit_length()
    if numerator << max(-s, 0) >= denominator << max(s, 0):
        s += 1  # the factor is in [1/2, 1) * 2**s
    if s > 30:
        raise ValueError(f"a factor of {numerator}/{denominator} is too large")
    one = 1 << 31 - s
    m = numerator * one // denominator + 1
    surplus = m * denominator - numerator * one
    if 2 * largest * surplus >= one or s < -31:
        raise ValueError(f"no exact reciprocal of {denominator}/{numerator} up to {largest}")
    return m, s
