"""Sums and products of two tensors on the second path: which passes, and their weights.

The path takes words of both tensors in turns (`weft.hw.isa`, `pair`), and every step has a result
for each column. There an activation of the first tensor meets two weights, which add up, and one
of the second tensor meets one. All channels of a pass have to have the same two factors: then one
tile of weights does for both halves of a word, whose results come in turns.
"""

from __future__ import annotations

import numpy as np

from weft.compiler.passes import Pass
from weft.hw.config import Config

#: Of the second tensor's activation: the tap of the first span.
_SECOND_TAP = 3
#: Of the first tensor's: the tap of the second span; that of the third is 0.
_FIRST_TAP = 2


def fits_pairs(step: Pass, config: Config) -> bool:
    """Whether the second path can combine a pass's two tensors."""
    if not config.pairs or len(step.sources) != 2 or not step.channelwise or step.peak:
        return False
    first, second = step.kernel[0]
    return (
        (first == first[0]).all()
        and (second == second[0]).all()
        and -256 <= first[0] <= 254
        and -128 <= second[0] <= 127
        and (step.origin, step.stride, step.dilation) == ((0, 0), (1, 1), (1, 1))
        and step.pixel_steps is None
    )


def pair_weights(step: Pass, config: Config) -> np.ndarray:
    """The tile of weights: int8 array, shape (rows, columns)."""
    first, second = (int(factors[0]) for factors in step.kernel[0])
    half = first // 2
    weights = np.zeros((config.rows, config.columns), np.int8)
    weights[_SECOND_TAP] = second
    weights[config.span + _FIRST_TAP] = half
    weights[2 * config.span] = first - half
    return weights
