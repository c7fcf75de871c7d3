"""The second activation path with image rows in turns, against the steps written out."""

import numpy as np
import pytest
from blocks import play
from numpy.testing import assert_array_equal

from weft.hw.bank import Bank
from weft.hw.config import Config
from weft.hw.interleave import Interleave


@pytest.mark.parametrize("simulator", ["icarus", "amaranth"])
@pytest.mark.parametrize(
    "shape",
    [(4, 4, 2, 3), (4, 4, 4, 2), (6, 2, 1, 4), (3, 3, 3, 3), (5, 1, 1, 5)],
)
@pytest.mark.parametrize("seed", range(2))
def test_rows_meet_pixels(simulator, shape, seed):
    rows, columns, lanes, interleave = shape
    rng = np.random.default_rng(seed)
    config = Config(rows=rows, columns=columns, lanes=lanes, window=1, interleave=interleave)
    valid = rng.random(200) < 0.7
    entry = rng.integers(0, 1 << (8 * lanes), len(valid))
    constant = np.zeros(len(valid), int)
    valid[: Bank.latency] = False
    soon = np.roll(valid, -Bank.latency)
    seen = play(
        Interleave(config),
        {"clear": constant, "last": constant, "soon": soon, "valid": valid, "entry": entry},
        simulator=simulator,
    )
    cycles, values = np.flatnonzero(valid), entry[valid]
    mask = (1 << (8 * lanes)) - 1
    for row in range(config.span):
        # The first row is the furthest behind.
        before = interleave * (config.span - 1 - row)
        steps = np.arange(before, len(values))
        steps = steps[cycles[steps] + row < len(valid)]
        shown = [
            int(word) >> (8 * lanes * row) & mask
            for word in seen["activations"][cycles[steps] + row].tolist()
        ]
        assert_array_equal(shown, values[steps - before], err_msg=f"row {row}")
