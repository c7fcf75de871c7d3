"""TFLite's scaling of integers, for what the compiler can compute beforehand.

Arrays are int64, and what they hold is small enough for it.
"""

from __future__ import annotations

import numpy as np

from weft.compiler.network import Rounding, Scaling


def scale(values: np.ndarray, scaling: Scaling) -> np.ndarray:
    """Int32 values times the scaling's factor, rounded as its `rounding` says.

    Shifts to the left are not taken: only small factors are known beforehand.

    Raises
    ------
    ValueError
        If the factor has no multiplier, or is 1 or more.
    """
    if scaling.multiplier is None or np.any(np.asarray(scaling.shift) > 0):
        raise ValueError("only a multiplier with a shift to the right is computed beforehand")
    shift = np.asarray(scaling.shift, np.int64)
    multiplier = np.where(shift < -31, 0, np.asarray(scaling.multiplier, np.int64))
    return multiply(values, multiplier, np.maximum(shift, -31), scaling.rounding)


def multiply(
    x: np.ndarray, multiplier: np.ndarray | int, shift: np.ndarray | int, rounding: Rounding
) -> np.ndarray:
    """What the kernels make of `x` with a multiplier and a shift, positive to the left.

    Parameters
    ----------
    x, multiplier, shift
        Numbers for all elements, or one for each.
    rounding : str
        "single" or "double".
    """
    if rounding == "single":
        return (x * multiplier + (np.int64(1) << (30 - shift))) >> (31 - shift)
    left = np.clip(x << np.maximum(shift, 0), -(2**31), 2**31 - 1)
    return divide_by_power(high_multiply(left, multiplier), np.maximum(-shift, 0))


def high_multiply(x: np.ndarray, multiplier: np.ndarray | int) -> np.ndarray:
    """``round(x * multiplier / 2**31)``, ties upward."""
    return (x * multiplier + (1 << 30)) >> 31


def divide_by_power(x: np.ndarray, exponent: np.ndarray | int) -> np.ndarray:
    """``round(x / 2**exponent)``, ties away from zero."""
    half = (np.int64(1) << exponent) >> 1
    return np.sign(x) * ((np.abs(x) + half) >> exponent)
