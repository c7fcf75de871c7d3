"""Signed fixed point: a power-of-two scale, rounding ties away from zero, saturation.

A type with `f` fraction bits holds the real values ``code * 2**-f``, with 8 bits for
codes from -128 to 127. `f` may be negative or larger than 7.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np

from weft.compiler.float_graph import Scale
from weft.errors import InputError

#: Fraction bits that calibration may choose; the softmax table needs fewer than 26.
FRACTION_LIMITS = (-24, 24)

#: Fraction bits of a tensor that is always zero.
FRACTION_OF_ZERO = 7


@dataclass(frozen=True)
class FixedType:
    """A fixed-point type, in the notations people know.

    Parameters
    ----------
    fraction : int
        Fraction bits: the scale is ``2**-fraction``.
    bits : int
        All bits, the sign included.
    signed : bool
        Otherwise it has no sign bit: codes are stored with zero point -128.
    """

    fraction: int
    bits: int = 8
    signed: bool = True

    @property
    def q(self) -> str:
        """Texas Instruments' Qm.n: m bits before the point without the sign, n behind.

        UQm.n has no sign.
        """
        name = "Q" if self.signed else "UQ"
        return f"{name}{self.bits - self.signed - self.fraction}.{self.fraction}"

    @property
    def sfix(self) -> str:
        """MATLAB's name: sfix8_En3 has scale 2^-3, sfix8_E2 has scale 2^2; ufix8 is unsigned."""
        name = f"{'s' if self.signed else 'u'}fix{self.bits}"
        if self.fraction == 0:
            return name
        return f"{name}_E{'n' if self.fraction > 0 else ''}{abs(self.fraction)}"

    @property
    def power(self) -> str:
        """The scale as a power of two."""
        return f"2^{-self.fraction}"

    @property
    def scale(self) -> float:
        """Real value of one step."""
        return 2.0**-self.fraction

    def __str__(self) -> str:
        return f"{self.q} ({self.sfix}, scale {self.power})"


def parse_type(text: str) -> FixedType:
    """Read an 8-bit type: "Q4.3", "sfix8_En3", "scale 2^-3" or "2^-3".

    Raises
    ------
    InputError
        If it is none of these, has other than 8 bits, or a scale that no tensor may have.
    """
    plain = text.strip()
    if match := re.fullmatch(r"[Qq](-?\d{1,3})\.(-?\d{1,3})", plain):
        whole, fraction = int(match[1]), int(match[2])
        bits = 1 + whole + fraction
        if bits == 9:
            raise InputError(
                f"type {text!r} has 9 bits, because Qm.n leaves the sign out; write "
                f"{FixedType(fraction).q} for 8 bits with {fraction} behind the point"
            )
    elif re.fullmatch(r"[Uu]Q.*|ufix.*", plain):
        raise InputError(
            f"type {text!r} is unsigned, and types are fixed as signed ones; write it as Q4.3, or "
            "leave it to --zero-points"
        )
    elif match := re.fullmatch(r"sfix(\d{1,3})(?:_E(n?)(\d{1,3}))?", plain):
        bits, fraction = int(match[1]), int(match[3] or 0) * (1 if match[2] else -1)
    elif match := re.fullmatch(r"(?:scale\s+)?2(?:\^|\*\*)([+-]?\d{1,3})", plain):
        bits, fraction = 8, -int(match[1])
    else:
        raise InputError(
            f"{text!r} is no fixed-point type; write it as Q4.3, sfix8_En3 or 2^-3, "
            "which are the same"
        )
    if bits != 8:
        raise InputError(f"type {text!r} has {bits} bits; tensors have 8, as in Q4.3")
    low, high = FRACTION_LIMITS
    if not low <= fraction <= high:
        raise InputError(
            f"type {text!r} has scale 2^{-fraction}; give one from 2^{-high} to 2^{-low}"
        )
    return FixedType(fraction)


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
    return _within_limits(fraction)


def absmax_scale(values: np.ndarray | float) -> float:
    """Scale of the absolute maximum, ``max|w| / 127``; 1 where all are zero.

    Its reciprocal, 127 / max|w|, is what a value is multiplied by: the largest becomes
    127 or -127, and -128 is not used.
    """
    largest = float(np.abs(values).max(initial=0)) if np.ndim(values) else abs(float(values))
    return largest / 127 if largest else 1.0


def absmax_fraction(low: float, high: float) -> int:
    """Fraction bits of the finest power-of-two scale that is not below `absmax_scale`."""
    if low == high == 0:
        return FRACTION_OF_ZERO
    mantissa, exponent = math.frexp(absmax_scale(np.array([low, high])))
    return _within_limits(1 - exponent if mantissa == 0.5 else -exponent)


def power_of_two(fraction: int, zero_point: int = 0) -> Scale:
    """Scale with `fraction` fraction bits."""
    return Scale(np.array(2.0**-fraction), np.array(zero_point, np.int64))


def fraction_bits(scale: float) -> int | None:
    """`f` with ``scale == 2**-f`` exactly, or None."""
    mantissa, exponent = math.frexp(scale)
    return 1 - exponent if mantissa == 0.5 else None


def _within_limits(fraction: int) -> int:
    return min(max(fraction, FRACTION_LIMITS[0]), FRACTION_LIMITS[1])
