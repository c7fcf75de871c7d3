"""Chooses a type by relative entropy: the least information lost about the distribution."""

from __future__ import annotations

import math

import numpy as np

from weft.compiler.collect_histogram import FINITE, HistogramCollector, bin_edges

#: Cells of the reference distribution, and the levels that magnitudes are rounded to.
CELLS = 2048
LEVELS = 128

#: Count of a cell that only the reference fills, as MXNet and ONNX Runtime have it: without
#: it a single outlier would make every narrower threshold infinitely bad.
SMOOTHING = 1e-4


def entropy_fraction(histogram: HistogramCollector, candidates: range, _: float = 0) -> int:
    """Type with the least relative entropy between the values and their codes.

    Migacz, "8-bit Inference with TensorRT" (GTC 2017): magnitudes in 2,048 cells; what lies
    beyond a threshold is added to the last cell before it; the cells up to there are
    merged into 128 levels, each spread evenly over its cells that are not empty; the
    threshold with the least Kullback-Leibler divergence wins. Here the thresholds are the
    powers of two among these, down to a sixteenth of the range, and zeros are left out,
    since every type holds them.
    """
    magnitudes = magnitude_cells(histogram, 128 * 2.0 ** -candidates[0])
    steps = range(min(len(candidates), 1 + int(math.log2(CELLS // LEVELS))))
    best = min(steps, key=lambda step: divergence(magnitudes, CELLS >> step))
    return candidates[best]


def magnitude_cells(histogram: HistogramCollector, limit: float) -> np.ndarray:
    """Number of values other than zero with their magnitude in each of 2,048 even cells.

    Values lie evenly inside their bin of the histogram; magnitudes above `limit`, of which
    rounding allows a few, go into the last cell.
    """
    counts = histogram.counts.reshape(2, -1).sum(axis=0)[: FINITE + 1]
    edges = bin_edges(np.arange(FINITE + 1))
    below = np.concatenate([[0], np.cumsum(counts[:-1])])
    cells = np.diff(np.interp(np.linspace(0, limit, CELLS + 1), edges, below))
    cells[-1] += max(counts.sum() - cells.sum(), 0)
    return cells


def divergence(magnitudes: np.ndarray, kept: int) -> float:
    """Relative entropy in nats between the clipped cells and what 128 levels make of them."""
    inner = magnitudes[:kept]
    clipped = inner.copy()
    clipped[-1] += magnitudes[kept:].sum()
    groups = inner.reshape(LEVELS, -1)
    filled = groups > 0
    even = groups.sum(axis=1) / np.maximum(filled.sum(axis=1), 1)
    levels = np.where(filled, even[:, None], 0).reshape(-1)
    used = clipped > 0
    if not used.any():
        return math.inf
    # The last cell may hold clipped values alone, of which no level knows.
    levels = np.where(used & (levels == 0), SMOOTHING, levels)
    p, q = clipped[used] / clipped.sum(), levels[used] / levels.sum()
    return float(p @ np.log(p / q))
