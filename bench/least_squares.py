"""Coefficients of models whose terms can only add: lookup tables, nanoseconds."""

from __future__ import annotations

import numpy as np


def least_squares(sizes: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Coefficients, none negative, of the least relative squared error (Lawson and Hanson).

    Parameters
    ----------
    sizes : array, shape (cases, terms)
    wanted : array, shape (cases,)
        Positive.
    """
    matrix = sizes / wanted[:, None]
    scale = np.abs(matrix).max(axis=0)
    scale[scale == 0] = 1
    matrix, target = matrix / scale, np.ones(len(wanted))
    solution, used = np.zeros(matrix.shape[1]), np.zeros(matrix.shape[1], bool)
    while True:
        gain = np.where(used, 0, matrix.T @ (target - matrix @ solution))
        if gain.max() <= 1e-9:
            return solution / scale
        used[gain.argmax()] = True
        while True:
            trial = np.zeros_like(solution)
            trial[used] = np.linalg.lstsq(matrix[:, used], target, rcond=None)[0]
            bad = used & (trial <= 0)
            if not bad.any():
                solution = trial
                break
            step_ = (solution[bad] / (solution[bad] - trial[bad])).min()
            solution += step_ * (trial - solution)
            used &= solution > 1e-12
