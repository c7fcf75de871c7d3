"""What the shape of a weight tensor's values foretells about its 8-bit codes."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

#: Excess kurtosis from which a few weights set the scale of all: that of trained layers lies
#: mostly between 0 and 6, where a Laplace distribution's is 3.
HEAVY_TAILS = 10.0

#: Ratio of the channels' ranges from which one scale for all leaves the smallest 4 bits.
WIDE_SPREAD = 16.0

#: Share of zeros from which hardly anything is left to compute.
MOSTLY_ZERO = 0.9

#: Skewness from which one half of the symmetric codes is hardly used.
ONE_SIDED = 2.0


@dataclass(frozen=True)
class Statistics:
    """Moments of a weight tensor's real values.

    Parameters
    ----------
    kurtosis : float
        Excess over the normal distribution's, `E[(w - m)^4] / s^4 - 3`; 0 where all are equal.
    skew : float
        `E[(w - m)^3] / s^3`; 0 where all are equal.
    sparsity : float
        Share of zeros, from 0 to 1.
    spread : float
        Largest absolute weight of an output channel over that of the channel where it is
        smallest, channels of zeros left out.
    """

    kurtosis: float
    skew: float
    sparsity: float
    spread: float

    def to_json(self) -> dict[str, float]:
        """Plain data for ``json.dumps``."""
        return asdict(self)


def weight_statistics(weights: np.ndarray) -> Statistics:
    """Statistics of weights whose first axis is the output channel."""
    values = np.asarray(weights, np.float64)
    centred = values - values.mean()
    deviation = float(np.sqrt((centred**2).mean()))
    # What remains of equal values is rounding.
    if deviation <= 1e-12 * float(np.abs(values).max(initial=0)):
        kurtosis = skew = 0.0
    else:
        kurtosis = float(((centred / deviation) ** 4).mean()) - 3
        skew = float(((centred / deviation) ** 3).mean())
    largest = np.abs(values.reshape(len(values), -1)).max(axis=1)
    used = largest[largest > 0]
    spread = float(used.max() / used.min()) if used.size else 1.0
    return Statistics(kurtosis, skew, float((values == 0).mean()), spread)


def weight_hints(found: Statistics, per_channel: bool) -> tuple[str, ...]:
    """Sentences about what may go wrong, and what helps; none where nothing stands out.

    Parameters
    ----------
    per_channel : bool
        Whether every output channel has a scale of its own already.
    """
    hints = []
    if found.kurtosis >= HEAVY_TAILS:
        first = "" if per_channel else "give each channel a scale (--per-channel), or "
        hints.append(
            f"a few weights are far larger than the rest (kurtosis {found.kurtosis:.0f}) and make "
            f"their scale coarse: {first}clip them (--repair clip)"
        )
    if found.spread >= WIDE_SPREAD and not per_channel:
        hints.append(
            f"the largest weights of its output channels differ by a factor of {found.spread:.0f}: "
            "give each channel a scale (--per-channel) or make them alike (--repair equalize)"
        )
    if found.sparsity >= MOSTLY_ZERO:
        hints.append(
            f"{found.sparsity:.0%} of the weights are zero: look whether the layer was trained"
        )
    if abs(found.skew) >= ONE_SIDED:
        hints.append(
            f"the weights lean to one side (skew {found.skew:.1f}), where symmetric codes use one "
            "half: correct what their rounding moves (--repair bias)"
        )
    return tuple(hints)
