"""Accumulators against a loop over Python's integers."""

import numpy as np
import pytest
from blocks import PLAYERS, play
from numpy.testing import assert_array_equal

from weft.hw.accumulate import Accumulator, Action

CYCLES = 4000


@pytest.mark.parametrize("simulator", PLAYERS)
@pytest.mark.parametrize(("sum_width", "width"), [(20, 16), (18, 25), (17, 32)])
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("apart", [True, False])
def test_total_and_peak(simulator, sum_width, width, seed, apart):
    rng = np.random.default_rng(seed)
    valid = rng.random(CYCLES) < 0.8
    first = rng.random(CYCLES) < 0.2
    digit = ~first & (rng.random(CYCLES) < 0.1)
    # In peak mode, a stretch of 50 cycles, the sums fit int8; it starts with a first step.
    peak = np.repeat(rng.random(CYCLES // 50) < 0.5, 50)
    start = np.arange(CYCLES) % 50 == 0
    valid, first, digit = valid | start, first | start, digit & ~start
    wide = rng.integers(-(1 << (sum_width - 1)), 1 << (sum_width - 1), CYCLES)
    narrow = rng.choice(np.array([-128, 127, *range(-128, 128)]), CYCLES)
    sums = np.where(peak, narrow, wide)

    action = [
        Action.const({"valid": int(v), "first": int(f), "digit": int(d)}).as_bits()
        for v, f, d in zip(valid, first, digit, strict=True)
    ]
    seen = play(
        Accumulator(sum_width=sum_width, width=width, apart=apart),
        # Actions are known a cycle before.
        {
            "sum": [0, *sums],
            "action": [0, *action],
            "soon": [*action, 0],
            "peak": [0, *peak],
        },
        simulator=simulator,
    )
    # A total shows in the cycle after its action, chosen by the mode of that cycle.
    totals, peaks = reference(sums, valid, first, digit, width)
    later = ~start[1:]
    expected = np.where(peak[1:], peaks[:-1], totals[:-1])
    assert_array_equal(seen["total"][2:][later], expected[later])


def reference(sums, valid, first, digit, width):
    half = 1 << (width - 1)
    total, peak = 0, 0
    totals, peaks = [], []
    for x, is_valid, is_first, is_digit in zip(sums.tolist(), valid, first, digit, strict=True):
        if is_valid:
            base = 0 if is_first else total << 7 if is_digit else total
            total = ((base + x + half) & (2 * half - 1)) - half
            peak = x if is_first else max(peak, x)
        totals.append(total)
        peaks.append(peak)
    return np.array(totals), np.array(peaks)
