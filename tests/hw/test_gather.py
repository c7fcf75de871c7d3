"""Gather: one write for each word of a pixel, with all that the store wrote to it."""

import numpy as np
import pytest
from blocks import play

from weft.hw.config import Config
from weft.hw.gather import Gather


@pytest.mark.parametrize(("rows", "lanes"), [(4, 2), (6, 1), (4, 4)])
def test_words(rows, lanes):
    rng = np.random.default_rng(rows + lanes)
    config = Config(rows=rows, columns=rows, lanes=lanes, activation_depth=50, single_port=1)
    groups = rows // lanes
    stimulus = {name: [] for name in ("enable", "last", "address", "lane_group", "data")}
    expected = {}  # cycle -> address, groups, codes by group

    def cycle(**values):
        for name, column in stimulus.items():
            column.append(values.get(name, int(rng.integers(0, groups)) * (name == "lane_group")))

    for _ in range(150):
        address, group = int(rng.integers(0, 40)), int(rng.integers(0, groups))
        count = int(rng.integers(1, 2 * groups + 1))
        word = {}
        for number in range(count):
            data = int.from_bytes(rng.bytes(lanes), "little")
            word[group] = data
            last = number == count - 1
            if last or group == groups - 1:
                expected[len(stimulus["enable"]) + Gather.latency] = address, dict(word)
                word = {}
            cycle(enable=1, last=int(last), address=address, lane_group=group, data=data)
            group += 1
            if group == groups:
                address, group = address + 1, 0
        for _ in range(rng.integers(0, 3)):
            cycle(last=int(rng.integers(0, 2)))
    cycle()
    seen = play(Gather(config), stimulus, simulator="icarus")
    for t in range(1, len(stimulus["enable"])):
        assert int(seen["write"][t]) == (t in expected)
        if t in expected:
            address, word = expected[t]
            assert int(seen["write_address"][t]) == address
            assert int(seen["write_lanes"][t]) == sum(1 << group for group in word)
            for group, data in word.items():
                got = int(seen["write_data"][t]) >> 8 * lanes * group & ((1 << 8 * lanes) - 1)
                assert got == data
