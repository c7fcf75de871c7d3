"""Rounds weights up or down such that a layer's output, not each weight, is nearest.

The weights of an output are rounded one after another, those that matter most first; what
one of them is off is made good by the ones still to come, as far as the inputs go together.
This is Optimal Brain Quantization in the order and the closed form of Frantar et al.,
"GPTQ" (2022, arXiv 2210.17323), algorithm 1.
"""

from __future__ import annotations

import numpy as np

from weft.compiler.fixed_point import round_half_away

#: Added to the second moments' diagonal, as a part of its mean, so that they can be inverted;
#: GPTQ's own.
DAMPING = 0.01

#: Weights of an output beyond which a layer is left as it is: 3 x 3 x 256, whose moments and
#: what is computed of them take 42 MB each.
LARGEST = 2304


def round_weights(
    weights: np.ndarray,
    scales: np.ndarray,
    moments: np.ndarray,
    samples: int,
    limits: tuple[int, int],
) -> np.ndarray:
    """Codes (int8) of one layer, of the shape of `weights`.

    Parameters
    ----------
    weights : float64 array, shape (groups, outputs, elements)
    scales : float64 array, shape (groups, outputs)
    moments : float64 array, shape (groups, elements, elements)
        Sums of `x x^T` over the inputs that an output sees.
    samples : int
        Of which they are. What two different inputs have in common counts the less, the fewer
        samples there are for each weight: `samples / (samples + elements)`.
    limits : (int, int)
        Smallest and largest code.
    """
    moments = _invertible(moments, samples)
    order = np.argsort(-np.diagonal(moments, axis1=1, axis2=2), axis=1, kind="stable")
    group = np.arange(len(order))
    sorted_moments = moments[group[:, None, None], order[:, :, None], order[:, None, :]]
    # The upper Cholesky factor of the inverse holds every step's update at once.
    factor = np.swapaxes(np.linalg.cholesky(np.linalg.inv(sorted_moments)), 1, 2)
    rest = np.take_along_axis(weights, order[:, None, :], axis=2)
    codes = np.empty_like(rest)
    for i in range(rest.shape[2]):
        codes[:, :, i] = np.clip(round_half_away(rest[:, :, i] / scales), *limits)
        error = (rest[:, :, i] - codes[:, :, i] * scales) / factor[:, i, i, None]
        rest[:, :, i + 1 :] -= error[:, :, None] * factor[:, None, i, i + 1 :]
    result = np.empty(weights.shape, np.int8)
    np.put_along_axis(result, order[:, None, :], codes.astype(np.int8), axis=2)
    return result


def _invertible(moments: np.ndarray, samples: int) -> np.ndarray:
    """Moments shrunk towards their diagonal, which is damped; those of nothing but zeros are 1."""
    size = moments.shape[1]
    diagonal = np.diagonal(moments, axis1=1, axis2=2)
    mean = diagonal.mean(axis=1)
    result = moments * (samples / (samples + size))
    result[:, np.arange(size), np.arange(size)] = diagonal + DAMPING * mean[:, None]
    result[mean == 0] = np.eye(size)
    return result
