"""Signed 8-bit fixed point: a power-of-two scale, rounding ties away from zero, saturation.

A type with `f` fraction bits holds the real values ``code * 2**-f`` for codes from
-128 to 127. `f` may be negative or larger than 7.
"""

from __future__ import annotations

import math

import numpy as np

from weft.compiler.float_graph import Scale

#: Fraction bits that calibration may choose; the softmax table needs fewer than 26.
FRACTION_LIMITS = (-24, 24)

#: Fraction bits of a tensor that is always zero.
FRACTION_OF_ZERO = 7


def round_half_away(values: np.ndarray | float) -> np.ndarray:
    """Nearest integers as float64, ties away from zero."""
    wide = np.asarray(values, np.float64)
    return np.copysign(np.floor(np.abs(wide) + 0.5), wide)


def to_codes(values: np.ndarray | float, scale: np.ndarray | float, zero_point: int = 0):
    """Codes of real values: int8, rounded half away from zero and saturated."""
    codes = round_half_away(np.asarray(values, np.float64) / scale) + zero_point
    return np.clip(codes, -128, 127).astype(np.int8)


def largest_fraction(low: float, high: float) -> int:
    """Fraction bits of the finest type whose codes hold every value from `low` to `high`.

    A value holds when it rounds to a code, so up to 127.5 and -128.5 steps, exclusive.
    """
    if low == high == 0:
        return FRACTION_OF_ZERO
    # One of these always fits; the loop starts one above the power of two of the larger end.
    fraction = 8 - math.frexp(max(abs(low), abs(high)))[1]
    while high * 2.0**fraction >= 127.5 or low * 2.0**fraction <= -128.5:
        fraction -= 1
    return min(max(fraction, FRACTION_LIMITS[0]), FRACTION_LIMITS[1])


def power_of_two(fraction: int) -> Scale:
    """Scale with `fraction` fraction bits and zero point 0."""
    return Scale(np.array(2.0**-fraction), np.zeros((), np.int64))


def fraction_bits(scale: float) -> int | None:
    """`f` with ``scale == 2**-f`` exactly, or None."""
    mantissa, exponent = math.frexp(scale)
    return 1 - exponent if mantissa == 0.5 else None
