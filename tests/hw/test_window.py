"""The second activation path against the steps written out."""

import numpy as np
import pytest
from blocks import play
from numpy.testing import assert_array_equal

from weft.hw.config import Config
from weft.hw.window import Line, Window


def with_gaps(rng, values, share):
    """Values spread over more cycles: which cycles are valid, and the values in all of them."""
    valid = np.zeros(int(len(values) / share), bool)
    valid[rng.choice(len(valid), len(values), replace=False)] = True
    spread = rng.integers(0, 1 << 16, len(valid))
    spread[valid] = values
    return valid, spread


@pytest.mark.parametrize("simulator", ["icarus", "amaranth"])
@pytest.mark.parametrize("length", [3, 7, 16])
@pytest.mark.parametrize("seed", range(2))
def test_line_gives_what_entered_a_line_earlier(simulator, length, seed):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 1 << 16, 10 * length)
    valid, entry = with_gaps(rng, values, 0.7)
    clear = np.zeros(len(valid), int)
    clear[0], valid[0] = 1, False
    values = entry[valid]
    latency = 4
    seen = play(
        Line(width=16, depth=16, latency=latency),
        {"clear": clear, "last": np.full(len(valid), length - 1), "valid": valid, "entry": entry},
        simulator=simulator,
    )
    cycles = np.flatnonzero(valid)[length:]
    cycles = cycles[cycles + latency < len(valid)]
    assert_array_equal(seen["earlier"][cycles + latency], values[: len(cycles)])


@pytest.mark.parametrize("simulator", ["icarus", "amaranth"])
@pytest.mark.parametrize(
    "shape",
    [(6, 3, 3, 2), (9, 3, 1, 3), (8, 4, 2, 2), (10, 2, 2, 2)],
)
@pytest.mark.parametrize("seed", range(2))
def test_rows_meet_lines_and_taps(simulator, shape, seed):
    rows, columns, lanes, window = shape
    rng = np.random.default_rng(seed)
    config = Config(rows=rows, columns=columns, lanes=lanes, window=window, line_depth=16)
    span, length = rows // window, 5
    values = rng.integers(0, 1 << (8 * lanes), 8 * length)
    valid, entry = with_gaps(rng, values, 0.8)
    entry &= (1 << (8 * lanes)) - 1
    clear = np.zeros(len(valid), int)
    clear[0], valid[0] = 1, False
    values = entry[valid]
    seen = play(
        Window(config),
        {"clear": clear, "last": np.full(len(valid), length - 1), "valid": valid, "entry": entry},
        simulator=simulator,
    )
    cycles = np.flatnonzero(valid)
    mask = (1 << (8 * lanes)) - 1
    for row in range(rows):
        line, tap = divmod(row, span)
        before = line * length + tap
        steps = np.arange(before, len(values))
        steps = steps[cycles[steps] + row < len(valid)]
        shown = [
            int(word) >> (8 * lanes * row) & mask
            for word in seen["activations"][cycles[steps] + row].tolist()
        ]
        assert_array_equal(shown, values[steps - before], err_msg=f"row {row}")


@pytest.mark.parametrize("simulator", ["icarus", "amaranth"])
@pytest.mark.parametrize("seed", range(2))
def test_what_enters_the_lines_may_be_other_activations(simulator, seed):
    print("seed", seed)
    rng = np.random.default_rng(seed)
    config = Config(rows=16, columns=2, window=3, pairs=1, line_depth=16)
    entry, lines = rng.integers(0, 1 << 16, (2, 60))
    clear, valid = np.zeros(60, int), np.ones(60, int)
    clear[0], valid[0] = 1, 0
    seen = play(
        Window(config),
        # Lines of two steps, which are the shortest.
        {"clear": clear, "last": valid, "valid": valid, "entry": entry, "lines": lines},
        simulator=simulator,
    )
    for row in range(15):
        line, tap = divmod(row, config.span)
        ago = 2 * line + tap
        steps = np.arange(1 + ago, 60 - row)
        shown = [int(word) >> (16 * row) & 0xFFFF for word in seen["activations"][steps + row]]
        stream = lines if line else entry
        assert_array_equal(shown, stream[steps - ago], err_msg=f"row {row}")
