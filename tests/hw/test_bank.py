"""A bank of several memories, as FPGAs get it, beside the plain one."""

import numpy as np
import pytest
from blocks import PLAYERS, play
from numpy.testing import assert_array_equal

from weft.hw.bank import Bank, powers_of_two


class Split(Bank):
    """The bank that a platform gets."""

    def elaborate(self, platform):
        return super().elaborate("some FPGA")


@pytest.mark.parametrize("depth", [1, 5, 511, 512, 513, 600, 1024, 1500, 4608, 7168, 11520])
def test_parts(depth):
    parts = powers_of_two(depth)
    assert sum(parts) == depth
    assert parts == sorted(parts, reverse=True)
    for size in parts:
        assert size < 512 or size & (size - 1) == 0


@pytest.mark.parametrize("simulator", PLAYERS)
@pytest.mark.parametrize("depth", [512, 600, 1100, 1536, 1800])
@pytest.mark.parametrize("filled", [False, True])
def test_rows(simulator, depth, filled):
    rng = np.random.default_rng(depth)
    rows = rng.integers(0, 256, depth)
    init = rng.integers(0, 256, depth) if filled else np.zeros(depth, int)
    written = rng.permutation(depth)[: depth // 2]
    asked = np.concatenate([np.arange(depth), rng.integers(0, depth, 500)])
    idle = np.zeros(len(asked), int)
    seen = play(
        Split(width=8, depth=depth, init=init.tolist() if filled else ()),
        {
            "write_enable": np.concatenate([np.ones(len(written), int), idle]),
            "write_address": np.concatenate([written, idle]),
            "write_data": np.concatenate([rows[written], idle]),
            "read_address": np.concatenate([np.zeros(len(written), int), asked]),
        },
        simulator=simulator,
    )["read_data"]
    expected = init.copy()
    expected[written] = rows[written]
    begin = len(written) + Bank.latency
    assert_array_equal(seen[begin:], expected[asked][: -Bank.latency])
