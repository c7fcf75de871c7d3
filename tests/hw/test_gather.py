"""Gather: one write for each word of a pixel, with all that the store wrote to it."""

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from blocks import play

from weft.hw.collect import Group
from weft.hw.config import Config
from weft.hw.delay import delay
from weft.hw.gather import Ahead, Gather
from weft.hw.isa import bits
from weft.hw.step import Next
from weft.hw.store import Store


@pytest.mark.parametrize("simulator", ["icarus", "amaranth"])
@pytest.mark.parametrize(("rows", "lanes"), [(4, 2), (6, 1), (4, 4)])
def test_words(simulator, rows, lanes):
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
    seen = play(Gather(config), stimulus, simulator=simulator)
    for t in range(1, len(stimulus["enable"])):
        assert int(seen["write"][t]) == (t in expected)
        if t in expected:
            address, word = expected[t]
            assert int(seen["write_address"][t]) == address
            assert int(seen["write_lanes"][t]) == sum(1 << group for group in word)
            for group, data in word.items():
                got = int(seen["write_data"][t]) >> 8 * lanes * group & ((1 << 8 * lanes) - 1)
                assert got == data


class Joined(wiring.Component):
    """Groups on their way to the store, which `Ahead` sees some cycles before."""

    early = 5

    def __init__(self, config):
        self.config = config
        super().__init__({"begin": In(1), "first": In(bits(config.rows // config.lanes)),
                          "group": In(Group), "soon": Out(1), "write": Out(1)})  # fmt: skip

    def elaborate(self, platform):
        m = Module()
        m.submodules.ahead = ahead = Ahead(self.config)
        m.submodules.store = store = Store(self.config)
        m.submodules.gather = gather = Gather(self.config)
        late = self.early
        m.d.comb += [
            ahead.fields.target_group.eq(self.first),
            ahead.begin.eq(self.begin),
            ahead.group.eq(self.group),
            store.fields.target_group.eq(delay(m, self.first, late, name="first")),
            store.begin.eq(delay(m, self.begin, late, name="begin")),
            store.group.eq(delay(m, self.group, late, name="group")),
            self.soon.eq(ahead.soon),
            self.write.eq(gather.write),
        ]
        for name in ("enable", "last", "address", "lane_group", "data"):
            m.d.comb += getattr(gather, name).eq(getattr(store, name))
        return m


@pytest.mark.parametrize("simulator", ["icarus", "amaranth"])
@pytest.mark.parametrize(("rows", "columns", "lanes"), [(4, 4, 2), (6, 2, 1), (4, 4, 4), (3, 6, 1)])
def test_ahead_of_every_write(simulator, rows, columns, lanes):
    rng = np.random.default_rng(rows + columns)
    config = Config(rows=rows, columns=columns, lanes=lanes, single_port=1)
    groups, begins, firsts = [], [], []
    for _ in range(20):
        begins += [1, 0]
        firsts += 2 * [int(rng.integers(0, rows // lanes))]
        groups += [0, 0]
        tiles, last_group = int(rng.integers(1, 4)), int(rng.integers(0, config.groups))
        for tile, pixel in np.ndindex(tiles, 3):
            following = Next.OX if pixel < 2 else Next.TILE if tile < tiles - 1 else Next.END
            for index in range(config.groups):
                last = last_group if tile == tiles - 1 else config.groups - 1
                fields = {"valid": 1, "skip": index > last, "stored": index == last,
                          "final": index == config.groups - 1, "next": following}  # fmt: skip
                groups.append(Group.const(fields).as_value().value)
                groups += [0] * int(rng.integers(0, 3) if index == config.groups - 1 else 0)
        begins += [0] * (len(groups) - len(begins))
        firsts += [firsts[-1]] * (len(groups) - len(firsts))
    stimulus = {"begin": begins, "first": firsts, "group": groups}
    seen = play(Joined(config), stimulus, simulator=simulator)
    way = Joined.early + Store.latency + Gather.latency - Ahead.latency
    soon, write = seen["soon"].astype(int), seen["write"].astype(int)
    assert soon.sum() > 50
    np.testing.assert_array_equal(soon[:-way], write[way:])
