"""The requantizer against its formula, at one value per cycle."""

import numpy as np
import pytest
from blocks import PLAYERS, play
from numpy.testing import assert_array_equal

from weft.hw.requantize import Requantize

#: Cycles for which zero point and clamps stay as they are.
STRETCH = 200


def values_of(width, shift):
    """Everything near where something changes: ends of the width, ties and codes' limits."""
    low, high = -(1 << (width - 1)), (1 << (width - 1)) - 1
    near = {low, low + 1, high, high - 1, 0, 1, -1}
    half = (1 << shift) >> 1
    for code in (-513, -512, -257, -256, -129, -128, -2, -1, 0, 1, 2, 127, 128, 255, 511, 512):
        for around in (-1, 0, 1):
            near |= {(code << shift) + half + around, (code << shift) + around}
    return [value for value in sorted(near) if low <= value <= high]


def reference(value, shift, zero_point, low, high):
    divisor = 1 << shift
    rounded = (abs(value) * 2 + divisor) // (2 * divisor)
    return min(max((rounded if value > 0 else -rounded) + zero_point, low), high)


@pytest.mark.parametrize("simulator", PLAYERS)
@pytest.mark.parametrize("width", [16, 21, 31, 32])
@pytest.mark.parametrize("seed", range(1))
def test_formula(simulator, width, seed):
    rng = np.random.default_rng(seed)
    cases = [(value, shift) for shift in range(32) for value in values_of(width, shift)]
    for _ in range(4000):
        size = int(rng.integers(0, width))
        cases.append((int(rng.integers(-(1 << size), 1 << size)), int(rng.integers(0, 32))))
    cases += [cases[i] for i in rng.integers(0, len(cases), -len(cases) % STRETCH)]
    rng.shuffle(cases)
    totals, shifts = (np.array(column) for column in zip(*cases, strict=True))

    low, high = -(1 << (width - 1)), (1 << (width - 1)) - 1
    bias = rng.integers(np.maximum(low, totals - high), np.minimum(high, totals - low) + 1)
    stretches = len(cases) // STRETCH
    zero_points = rng.choice(np.array([-128, 127, 0, *range(-128, 128)]), stretches)
    zero_points[::2] = 0
    clamps = np.sort(rng.choice(np.array([-128, 127, *range(-128, 128)]), (stretches, 2)), axis=1)
    clamps[::3] = (-128, 127)
    constants = np.repeat(np.column_stack([zero_points, clamps]), STRETCH, axis=0)
    seen = play(
        Requantize(width=width),
        {
            "value": totals - bias,
            "bias": bias,
            "shift": shifts,
            "zero_point": constants[:, 0],
            "low": constants[:, 1],
            "high": constants[:, 2],
        },
        simulator=simulator,
    )
    expected = np.array(
        [
            reference(int(total), int(shift), *map(int, constant))
            for total, shift, constant in zip(totals, shifts, constants, strict=True)
        ]
    )
    latency = Requantize.latency
    steady = np.arange(len(cases)) % STRETCH < STRETCH - latency
    steady[-latency:] = False
    places = np.flatnonzero(steady)
    assert_array_equal(seen["code"][places + latency], expected[places])
