"""The multiplier requantizer against golden, at one value per cycle."""

import numpy as np
import pytest
from blocks import PLAYERS, play
from numpy.testing import assert_array_equal

from weft.compiler.network import Requantize
from weft.hw.requantize_multiplier import RequantizeMultiplier
from weft.sim import golden

#: Cycles for which what belongs to an instruction stays as it is.
STRETCH = 250

LOW, HIGH = -(2**31), 2**31 - 1


def totals_of(rng, multiplier, shift, bits, width):
    """Anywhere in the width, and near the ends and the ties of codes that come out."""
    factor = multiplier / 2.0**bits * 2.0**shift
    code = rng.integers(-300, 300) + rng.choice([0.0, 0.5])
    near = code / factor if factor else 0.0
    low, high = -(1 << width - 1), (1 << width - 1) - 1
    kind = rng.integers(4)
    if kind == 0:
        return int(rng.choice([low, low + 1, -1, 0, 1, high - 1, high]))
    if kind == 1:
        size = int(rng.integers(1, width))
        return int(rng.integers(-(1 << size - 1), 1 << size - 1))
    return int(np.clip(near + rng.integers(-2, 3), low, high))


def multiplier_of(rng, bits, shift):
    """Mostly full ones, and what is special: none, exactly 1, the ends.

    Small ones make sense only without a left shift, which saturates.
    """
    special = [0, 1 << bits, 1 << bits - 3, (1 << bits) - 1, *([1] if shift <= 0 else [])]
    full = rng.integers(1 << bits - 1, 1 << bits)
    return int(rng.choice(special) if rng.random() < 0.3 else full)


@pytest.mark.parametrize("simulator", PLAYERS)
@pytest.mark.parametrize(("width", "bits"), [(32, 31), (27, 31), (32, 16), (24, 8)])
@pytest.mark.parametrize("seed", range(1))
def test_formula(simulator, width, bits, seed):
    rng = np.random.default_rng(seed)
    stretches = 40 if simulator == "verilator" else 12
    count = stretches * STRETCH
    right, left = rng.integers(-31, 2, count), rng.integers(0, 31, count)
    shifts = np.where(rng.random(count) < 0.8, right, left)
    multipliers = np.array([multiplier_of(rng, bits, shift) for shift in shifts])
    pairs = zip(multipliers, shifts, strict=True)
    totals = np.array([totals_of(rng, int(m), int(s), bits, width) for m, s in pairs])
    low, high = -(1 << width - 1), (1 << width - 1) - 1
    bias = rng.integers(np.maximum(low, totals - high), np.minimum(high, totals - low) + 1)
    clamps = np.sort(rng.choice(np.array([-128, 127, *range(-128, 128)]), (stretches, 2)), axis=1)
    clamps[::3] = (-128, 127)
    constants = np.column_stack(
        [rng.integers(-128, 128, stretches), clamps, np.arange(stretches) % 2]
    )
    seen = play(
        RequantizeMultiplier(width=width, multiplier_bits=bits),
        {
            "value": totals - bias,
            "bias": bias,
            "shift": shifts,
            "multiplier": multipliers,
            **dict(
                zip(
                    ("zero_point", "low", "high", "single"),
                    np.repeat(constants, STRETCH, axis=0).T,
                    strict=True,
                )
            ),
        },
        simulator=simulator,
    )["code"]
    latency = RequantizeMultiplier.latency
    for stretch, (zero_point, at_least, at_most, single) in enumerate(constants):
        part = slice(stretch * STRETCH, (stretch + 1) * STRETCH - latency)
        rq = Requantize(
            shifts[part],
            multipliers[part] << 31 - bits,
            rounding="single" if single else "double",
            zero_point=int(zero_point),
            low=int(at_least),
            high=int(at_most),
        )
        shown = slice(part.start + latency, part.stop + latency)
        assert_array_equal(seen[shown], golden.requantize(totals[part], rq))


@pytest.mark.parametrize("bits", [31, 12])
def test_a_factor_of_one_is_the_shift_requantizer(bits):
    rng = np.random.default_rng(0)
    count = 4000
    size = rng.integers(1, 33, count)
    totals = rng.integers(-(1 << size - 1), 1 << size - 1)
    shifts = rng.integers(0, 32, count)
    seen = play(
        RequantizeMultiplier(width=32, multiplier_bits=bits),
        {
            "value": totals,
            "shift": -shifts,
            "multiplier": np.full(count, 1 << bits),
            "low": np.full(count, -128),
            "high": np.full(count, 127),
        },
    )["code"]
    latency = RequantizeMultiplier.latency
    expected = golden.requantize(totals, Requantize(shifts))
    assert_array_equal(seen[latency:], expected[:-latency])
