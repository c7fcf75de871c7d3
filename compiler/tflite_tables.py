"""Unary functions of int8 codes, as TFLite's kernels compute them, for all codes at once.

`x` is always a code less its zero point, int64; results lack the output's zero point
unless the function fixes it. gemmlowp's fixed point: a raw int32 with k integer bits
means ``raw / 2**(31 - k)``.
"""

from __future__ import annotations

import math

import numpy as np

from weft.compiler.scaling import divide_by_power, high_multiply, multiply
from weft.compiler.tflite_arithmetic import Arithmetic, Rounds, quantize_multiplier, rounding_of
from weft.compiler.tflite_views import NodeError

ONE = 2**31 - 1  # 1.0 with 0 integer bits, saturated
INPUT_BITS = 4  # integer bits of the argument of LOGISTIC and TANH


def leaky_relu(x: np.ndarray, above: float, below: float, rounding: Rounds) -> np.ndarray:
    """Two slopes, each a multiplier; a negative slope multiplies by its magnitude first."""
    (m, s), (n, t) = quantize_multiplier(above), quantize_multiplier(below)
    negative = np.sign(n) * multiply(x, abs(n), t, rounding)
    return np.where(x >= 0, multiply(x, m, s, rounding), negative)


# HARD_SWISH in int16 --------------------------------------------------------------------


def hard_swish(x: np.ndarray, scale: np.float32, output: np.float32) -> np.ndarray:
    """``x * clamp(x + 3, 0, 6) / 6`` in 16 bits.

    Sources: TFLite's reference kernel; its arithmetic is the same in TFLite Micro.
    """
    fine = np.float32(1 / 128) * np.float32(scale)
    with np.errstate(all="ignore"):
        to_output = float(fine / np.float32(output))
        to_gate = float(fine / np.float32(3 / 32768))
    m_output, s_output = _short_multiplier(to_output)
    m_gate, s_gate = _short_multiplier(to_gate)
    if s_output > 0:
        raise NodeError(
            f"its output's scale {output:.4g} is too fine for its input's {scale:.4g}",
            "quantise the model again",
        )
    wide = x << 7
    before_shift = (wide * m_output + (1 << 14)) >> 15
    gate = wide
    if s_gate > 0:  # saturate only in the last of the left shifts
        gate = _saturate16(gate << (s_gate - 1))
    gate = (gate * m_gate + (1 << 14)) >> 15
    gate = _saturate16(gate << 1) if s_gate > 0 else _divide16(gate, -s_gate)
    gate = (gate + (1 << 15)) >> 1
    product = gate * before_shift
    product = np.sign(product) * (np.abs(product) >> 15)
    return _divide16(product, -s_output)


def _short_multiplier(factor: float) -> tuple[int, int]:
    """A multiplier of 15 bits, and its shift."""
    multiplier, shift = quantize_multiplier(factor)
    return min((multiplier + (1 << 15)) >> 16, 2**15 - 1), shift


def _saturate16(x: np.ndarray) -> np.ndarray:
    return np.clip(x, -(2**15), 2**15 - 1)


def _divide16(x: np.ndarray, exponent: int) -> np.ndarray:
    """Division by a power of two as gemmlowp rounds it, whose mask has 16 bits."""
    mask = int(np.array((1 << exponent) - 1).astype(np.int16))
    return (x >> exponent) + ((x & mask) > ((mask >> 1) + (x < 0)))


# LOGISTIC and TANH ----------------------------------------------------------------------


def logistic(x: np.ndarray, scale: np.float32, arithmetic: Arithmetic) -> np.ndarray:
    """Codes of ``1 / (1 + exp(-x))`` at scale 1/256 and zero point -128."""
    if arithmetic == "litert":
        with np.errstate(over="ignore"):
            power = np.exp(-_reals(x, scale).astype(np.float64)).astype(np.float32)
            fraction = np.float32(1) / (np.float32(1) + power)
        return _round(fraction * np.float32(256)) - 128
    scaled, reach = _argument(x, scale, arithmetic, "LOGISTIC")
    positive = _one_over_one_plus(_exp_negative(-np.abs(scaled), INPUT_BITS))
    raw = np.where(scaled > 0, positive, ONE - positive)
    raw = np.where(scaled == 0, 1 << 30, raw)
    return _within(x, reach, divide_by_power(raw, 31 - 8) - 128)


def tanh(x: np.ndarray, scale: np.float32, arithmetic: Arithmetic) -> np.ndarray:
    """Codes of ``tanh(x)`` at scale 1/128 and zero point 0."""
    if arithmetic == "litert":
        return _round(_tanh32(_reals(x, scale)) * np.float32(128))
    scaled, reach = _argument(x, scale, arithmetic, "TANH")
    # Doubling the argument is one more integer bit for the same raw number.
    size = _one_minus_over_one_plus(_exp_negative(-np.abs(scaled), INPUT_BITS + 1))
    raw = np.where(scaled == 0, 0, np.where(scaled < 0, -size, size))
    return _within(x, reach, divide_by_power(raw, 31 - 7))


def _tanh32(x: np.ndarray) -> np.ndarray:
    """float32 as common C libraries compute it, by expm1, for it is theirs that LiteRT calls."""
    one, two, size = np.float32(1), np.float32(2), np.minimum(np.abs(x), np.float32(22))
    grown = np.expm1(np.float64(2) * size).astype(np.float32)
    shrunk = np.expm1(np.float64(-2) * size).astype(np.float32)
    return np.copysign(np.where(size >= 1, one - two / (grown + two), -shrunk / (shrunk + two)), x)


def _reals(x: np.ndarray, scale: np.float32) -> np.ndarray:
    return np.float32(scale) * x.astype(np.float32)


def _round(values: np.ndarray) -> np.ndarray:
    wide = values.astype(np.float64)
    return np.copysign(np.floor(np.abs(wide) + 0.5), wide).astype(np.int64)


def _argument(
    x: np.ndarray, scale: np.float32, arithmetic: Arithmetic, op: str
) -> tuple[np.ndarray, int]:
    """`x` with 4 integer bits, and the distance from which on it has no room there."""
    factor = float(scale) * 2.0 ** (31 - INPUT_BITS)
    if factor < 0.5:
        raise NodeError(f"its input's scale {scale:.4g} is too fine", "quantise the model again")
    if factor >= 2.0**30:  # one step is beyond what has room
        return np.zeros_like(x), 0
    multiplier, shift = quantize_multiplier(factor)
    reach = math.floor((2**INPUT_BITS - 1) * 2.0 ** (31 - INPUT_BITS) / 2.0**shift)
    inside = np.clip(x, -reach, reach)
    return multiply(inside, multiplier, shift, rounding_of(arithmetic, op)), reach


def _within(x: np.ndarray, reach: int, codes: np.ndarray) -> np.ndarray:
    return np.where(x <= -reach, -128, np.where(x >= reach, 127, codes))


def _exp_negative(a: np.ndarray, bits: int) -> np.ndarray:
    """Exponential of a <= 0 with `bits` integer bits; the result has 0."""
    quarter = 1 << (29 - bits)
    rest = (a & (quarter - 1)) - quarter  # in [-1/4, 0)
    count = (rest - a) // quarter
    x = (rest << bits) + (1 << 28)  # rest + 1/8, around which the series is
    square = high_multiply(x, x)
    cube, fourth = high_multiply(square, x), high_multiply(square, square)
    third = high_multiply(divide_by_power(fourth, 2) + cube, 715827883)  # 1/3
    around = 1895147668  # exp(-1/8)
    result = around + high_multiply(x + divide_by_power(third + square, 1), around)
    for bit in range(2 + bits):
        factor = math.floor(math.exp(-(2.0 ** (bit - 2))) * 2**31 + 0.5)
        result = np.where(count >> bit & 1, high_multiply(result, factor), result)
    return np.where(a == 0, ONE, result)


def _newton(a: np.ndarray) -> np.ndarray:
    """``2 / (1 + a)`` for a in [0, 1], with 2 integer bits, by three steps of Newton's."""
    half = (a + ONE + 1) >> 1
    x = 1515870810 + high_multiply(half, -1010580540)  # 48/17 - 32/17 half
    for _ in range(3):
        x = x + _saturate32(high_multiply(x, (1 << 29) - high_multiply(half, x)) << 2)
    return x


def _one_over_one_plus(a: np.ndarray) -> np.ndarray:
    return _saturate32(_newton(a) << 1)


def _one_minus_over_one_plus(a: np.ndarray) -> np.ndarray:
    return _saturate32((_newton(a) - (1 << 29)) << 2)


def _saturate32(x: np.ndarray) -> np.ndarray:
    return np.clip(x, -(2**31), 2**31 - 1)
