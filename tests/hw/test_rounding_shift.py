"""The rounding shift against Python's integers: every shift, ties and their neighbours."""

import numpy as np
import pytest
from blocks import PLAYERS, play

from weft.hw.rounding_shift import RoundingShift

COUNT = 20000


def rounded(value, shift, up, fraction):
    """As the class says it."""
    if up:
        return (value >> shift) + 1 >> 1
    q = (value >> fraction) + 1 >> 1
    right = shift - fraction
    size = (abs(q) + (1 << right >> 1)) >> right
    return size if q >= 0 else -size


def values_of(rng, shifts, width):
    """Results of all sizes; what is shifted out is often all zeros, all ones or nearly so."""
    values = []
    for shift in shifts.tolist():
        size = int(rng.integers(1, width + 1))
        value = int(rng.integers(-(1 << size - 1), 1 << size - 1))
        if rng.random() < 0.7:
            low = int(rng.integers(0, shift + 2))
            high = int(rng.integers(low, shift + 2))
            mask = (1 << high) - (1 << low)
            value = value | mask if rng.random() < 0.5 else value & ~mask
        sign = 1 << width - 1
        values.append(((value + sign) & (2 * sign - 1)) - sign)
    return values


@pytest.mark.parametrize("simulator", PLAYERS)
@pytest.mark.parametrize(
    ("width", "kept", "fraction"),
    [(33, 10, 0), (30, 29, 0), (45, 10, 12), (25, 10, 12)],
)
@pytest.mark.parametrize("seed", range(1))
def test_every_shift(simulator, width, kept, fraction, seed):
    rng = np.random.default_rng(seed)
    count = COUNT if simulator == "verilator" else COUNT // 10
    up = rng.integers(0, 2, count)
    most = 43 if fraction else 31
    shifts = rng.integers(np.where(up, 0, fraction), most + 1)
    values = values_of(rng, shifts, width)
    seen = play(
        RoundingShift(width=width, kept=kept, fraction=fraction),
        {"value": values, "shift": shifts, "up": up},
        simulator=simulator,
    )
    low, high = -(1 << kept - 1), (1 << kept - 1) - 1
    late = RoundingShift.latency
    for at, (value, shift) in enumerate(zip(values[:-late], shifts.tolist(), strict=False)):
        wanted = rounded(value, shift, up[at], fraction)
        result, carry = int(seen["result"][at + late]), int(seen["carry"][at + late])
        about = f"seed {seed}: {value} >> {shift}, up {up[at]}"
        if seen["beyond"][at + late]:
            assert not low <= value >> shift + 1 <= high, about
            assert seen["sign"][at + late] == (value < 0), about
        else:
            assert result + carry == wanted, about
