"""TFLite's scaling of integers, for what the compiler can compute beforehand."""

from __future__ import annotations

import numpy as np

from weft.compiler.network import Scaling


def scale(values: np.ndarray, scaling: Scaling) -> np.ndarray:
    """int64 values times the scaling's factor, rounded as its `rounding` says.

    Shifts to the left are not taken: only small factors are known beforehand.

    Raises
    ------
    ValueError
        If the factor has no multiplier, or is 1 or more.
    """
    if scaling.multiplier is None or np.any(np.asarray(scaling.shift) > 0):
        raise ValueError("only a multiplier with a shift to the right is computed beforehand")
    right = -np.asarray(scaling.shift, np.int64)
    multiplier = np.where(right > 31, 0, np.asarray(scaling.multiplier, np.int64))
    right = np.minimum(right, 31)
    product = values * multiplier
    if scaling.rounding == "single":
        return (product + (np.int64(1) << 30 + right)) >> 31 + right
    once = (product + (1 << 30)) >> 31
    half = (np.int64(1) << right) >> 1
    return np.where(once < 0, -((-once + half) >> right), (once + half) >> right)
