"""Real factors as integers: a multiplier of 31 bits and a shift, as TFLite has them."""

from __future__ import annotations

import math

import numpy as np

from weft.compiler.network import Requantize, Rounding, Scaling

#: The largest left shift that the kernels' integers have room for.
LARGEST_SHIFT = 30

#: Fewest bits of a multiplier; more than 31 do not fit its int32.
MULTIPLIER_WIDTHS = range(1, 32)


class FactorError(ValueError):
    """A factor that no multiplier and shift can stand for; says what is wrong with it."""


def quantize_multiplier(factor: float) -> tuple[int, int]:
    """(m, s) with ``factor ~ m / 2**31 * 2**s``, m of 31 bits or 0; a negative factor gives -m.

    Raises
    ------
    FactorError
        If the factor is too large for a shift of 30, or no number.
    """
    if not math.isfinite(factor):
        raise FactorError("its scales are too far apart")
    if factor == 0:
        return 0, 0
    fraction, shift = math.frexp(abs(factor))
    multiplier = math.floor(fraction * 2.0**31 + 0.5)
    if multiplier == 2**31:
        multiplier, shift = 2**30, shift + 1
    if shift < -31:  # below that every product rounds to zero
        return 0, 0
    if shift > LARGEST_SHIFT:
        raise FactorError(f"its scales ask for a factor of {factor:.4g}")
    return (multiplier if factor > 0 else -multiplier), shift


def scaling(factors: np.ndarray | float, rounding: Rounding) -> Scaling:
    """Real factors as integers, one for each channel or one for all."""
    pairs = [quantize_multiplier(float(factor)) for factor in np.atleast_1d(factors)]
    multipliers, shifts = (np.array(column, np.int32) for column in zip(*pairs, strict=True))
    return Scaling(shifts, multipliers, rounding)


def requantize(
    factors: np.ndarray | float, rounding: Rounding, zero_point: int, limits: tuple[int, int]
) -> Requantize:
    """From an accumulator to codes of a tensor with this zero point, clamped to `limits`."""
    scale = scaling(factors, rounding)
    return Requantize(
        scale.shift,
        scale.multiplier,
        rounding,
        zero_point=zero_point,
        low=limits[0],
        high=limits[1],
    )


def sum_factors(one: float, two: float, output: float) -> tuple[float, float, float]:
    """Of the operands of a sum to their common scale, and of the sum to the output's.

    The common scale is ``2 * max(one, two) / 2**20``, so the larger is halved exactly.
    """
    twice = 2 * max(float(one), float(two))
    return float(one) / twice, float(two) / twice, twice / (2**20 * float(output))


def approximate(factor: float, bits: int) -> tuple[int, int]:
    """(M0, n) with ``factor ~ M0 / 2**n`` and M0 of at most `bits` bits: the nearest.

    M0 is odd, or `factor` is a power of two: trailing zeros are left out.

    Raises
    ------
    ValueError
        If `factor` is not positive and finite, or `bits` not from 1 to 31.
    """
    if not 0 < factor < math.inf:
        raise ValueError(f"factor must be positive and finite, not {factor!r}")
    if bits not in MULTIPLIER_WIDTHS:
        raise ValueError(f"bits must be from 1 to 31, not {bits!r}")
    fraction, exponent = math.frexp(factor)
    multiplier, shift = math.floor(math.ldexp(fraction, bits) + 0.5), bits - exponent
    while multiplier % 2 == 0:
        multiplier, shift = multiplier // 2, shift - 1
    return multiplier, shift


def error_table(
    factor: float, largest: int, widths: range = MULTIPLIER_WIDTHS
) -> list[tuple[int, int, int, float]]:
    """What multipliers of fewer bits cost: rows of (bits, M0, n, error).

    The error, in codes and before any rounding, is ``largest * |M0 / 2**n - factor|``: the most
    that an accumulator of magnitude `largest` or less can differ by.
    """
    rows = []
    for bits in widths:
        multiplier, shift = approximate(factor, bits)
        error = largest * abs(math.ldexp(multiplier, -shift) - factor)
        rows.append((bits, multiplier, shift, error))
    return rows
