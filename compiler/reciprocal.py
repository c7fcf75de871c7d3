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
