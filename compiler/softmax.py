"""TFLite's integer SOFTMAX for int8, as the host runs it at the network's edge.

A code's distance from the largest one is a whole number from 0 to 255, so its
exponential comes from a table of 256 integers of 31 fraction bits. What is left is a
sum, its reciprocal by Newton's method, and one product per code. The formulas are
gemmlowp's fixed-point ones; intermediate values are exact int64.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

#: Fraction bits of the scaled distance, whose 5 integer bits reach -32.
_SCALED_BITS = 26
_ONE = 2**31 - 1  # 1.0 with 31 fraction bits, saturated


def softmax(codes: np.ndarray, scale: float, beta: float = 1.0) -> np.ndarray:
    """Probabilities over the last axis: int8 codes of scale 1/256 and zero point -128.

    Parameters
    ----------
    codes : int8 array
    scale : float
        Scale of `codes`; their zero point does not matter.
    beta : float
        The exponents' factor. TFLite multiplies it by the scale in double precision.
    """
    wide = codes.astype(np.int64)
    powers = exponential_table(scale * beta)[wide.max(axis=-1, keepdims=True) - wide]
    # 12 integer bits leave room for the sum of 4096 ones.
    total = ((powers + 2**11) >> 12).sum(axis=-1, keepdims=True)
    reciprocals, lengths = np.vectorize(_reciprocal, otypes=[np.int64, np.int64])(total)
    products = (powers * reciprocals + 2**30) >> 31
    shift = lengths + 3  # 35 - (32 - length); products are never negative
    probabilities = (products + (np.int64(1) << (shift - 1))) >> shift
    return np.clip(probabilities - 128, -128, 127).astype(np.int8)


@lru_cache(maxsize=64)
def exponential_table(scale: float) -> np.ndarray:
    """``exp(-scale * d)`` for d from 0 to 255, as int64 with 31 fraction bits."""
    real = min(scale * 2.0**_SCALED_BITS, 2.0**31 - 1)
    mantissa, shift = math.frexp(real)
    multiplier = math.floor(mantissa * 2**31 + 0.5)
    if multiplier == 2**31:
        multiplier, shift = multiplier // 2, shift + 1
    if shift < -31:
        multiplier = shift = 0
    reach = math.floor(31 * 2**_SCALED_BITS / 2**shift)
    left, right = max(shift, 0), max(-shift, 0)
    table = [
        _exponential(_divided(_product(-(distance << left), multiplier), right))
        if distance <= reach
        else 0
        for distance in range(256)
    ]
    return np.array(table, np.int64)


def _product(one: int, two: int) -> int:
    """Product of two fractions of 31 bits, ties upward."""
    return (one * two + 2**30) >> 31


def _divided(value: int, bits: int) -> int:
    """``value / 2**bits``, ties away from zero."""
    half = (1 << bits) >> 1
    return (value + half) >> bits if value >= 0 else -((half - value) >> bits)


def _exponential(value: int) -> int:
    """``exp(value / 2**26)`` for value <= 0, with 31 fraction bits.

    value = rest - n/4 with rest in [-1/4, 0): a polynomial around -1/8 gives exp(rest),
    and each bit of n multiplies by a constant.
    """
    if value == 0:
        return _ONE
    quarter = 2 ** (_SCALED_BITS - 2)
    rest = value % quarter - quarter
    count = (rest - value) // quarter
    x = rest * 32 + 2**28  # rest + 1/8 with 31 fraction bits
    square = _product(x, x)
    cube, fourth = _product(square, x), _product(square, square)
    third = _product(_divided(fourth, 2) + cube, _fraction(1 / 3))
    around = _fraction(math.exp(-1 / 8))
    result = around + _product(around, x + _divided(third + square, 1))
    for bit in range(7):
        if count >> bit & 1:
            result = _product(result, _fraction(math.exp(-(2.0 ** (bit - 2)))))
    return result


def _fraction(real: float) -> int:
    return math.floor(real * 2**31 + 0.5)


def _reciprocal(total: int) -> tuple[int, int]:
    """(reciprocal, length) of a sum with 19 fraction bits.

    `length` is the number of the sum's bits. The reciprocal is of the sum moved into
    [1, 2), with 31 fraction bits.
    """
    total = int(total)
    length = total.bit_length()
    if length > 31:
        raise ValueError("softmax over so many equal codes leaves 32 bits")
    above = (total << (32 - length)) - 2**31
    half = (above + _ONE + 1) >> 1  # (1 + above) / 2, in [1/2, 1); the sum is never negative
    # The start minimises the error over that interval; 29 fraction bits from here on.
    x = math.floor(48 / 17 * 2**29 + 0.5) + _product(half, -math.floor(32 / 17 * 2**29 + 0.5))
    for _ in range(3):
        x += _saturated(_product(x, 2**29 - _product(half, x)) << 2)
    return _saturated(x << 1), length


def _saturated(value: int) -> int:
    return min(max(value, -(2**31)), 2**31 - 1)
