"""The copier alone: words in order, to the right places, around fetches at random."""

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from weft.hw.bank import Bank
from weft.hw.config import Config, Space
from weft.hw.copier import Copier
from weft.hw.latency import COPY

CONFIGS = {
    "4x4": Config(rows=4, columns=4, weight_depth=64, program_depth=700, copies=1),
    "3x5": Config(rows=3, columns=5, weight_depth=50, program_depth=512, copies=1),
    "3x1": Config(rows=3, columns=1, weight_depth=9, program_depth=100, copies=1),
    "12x6": Config(rows=12, columns=6, weight_depth=16, program_depth=1000, copies=1),
}


class WithMemory(wiring.Component):
    def __init__(self, config, image):
        self.copier = Copier(config)
        self.config = config
        self.image = image
        super().__init__({"begin": In(1), "blocked": In(1), "data": Out(32)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.copier = copier = self.copier
        m.submodules.bank = bank = Bank(width=32, depth=self.config.program_depth, init=self.image)
        m.d.comb += [
            copier.begin.eq(self.begin),
            copier.blocked.eq(self.blocked),
            bank.read_address.eq(copier.read_address),
            self.data.eq(bank.read_data),
        ]
        with m.If(self.blocked):
            m.d.comb += bank.read_address.eq(0)
        return m


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("seed", range(3))
def test_copies(name, seed):
    print("seed", seed)
    config = CONFIGS[name]
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 1 << 32, config.program_depth).tolist()
    dut = WithMemory(config, image)
    per_row, used = config.row_words(Space.WEIGHT), config.tile_words
    simulator = Simulator(dut)
    simulator.add_clock(1e-8)

    async def bench(ctx):
        copier = dut.copier
        for _ in range(12):
            tiles = int(rng.integers(0, min(9, config.weight_depth) + 1))
            row = int(rng.integers(0, config.weight_depth - tiles + 1))
            source = int(rng.integers(0, config.program_depth - tiles * used + 1))
            ctx.set(copier.fields.copy_words, tiles * used)
            ctx.set(copier.fields.copy_source, source)
            ctx.set(copier.fields.copy_row, row)
            await ctx.tick()
            ctx.set(dut.begin, 1)
            await ctx.tick()
            ctx.set(dut.begin, 0)
            # The fields are the next instruction's by then.
            ctx.set(copier.fields.copy_source, 0)
            ctx.set(copier.fields.copy_words, 1)
            often = rng.choice([0.0, 0.3, 0.9])
            found, reads, free_at = [], 0, 0
            for now in range(30 * tiles * used + 10):
                blocked = bool(rng.random() < often)
                ctx.set(dut.blocked, blocked)
                if reads < tiles * used and not blocked:
                    reads += 1
                    free_at = now + COPY
                assert ctx.get(copier.busy) == (reads < tiles * used or now < free_at)
                if ctx.get(copier.arrived):
                    found.append((ctx.get(copier.address), ctx.get(dut.data)))
                await ctx.tick()
                if reads == tiles * used and now > free_at + 2:
                    break
            wanted = [
                ((row + tile) * per_row + index, image[source + tile * used + index])
                for tile in range(tiles)
                for index in range(used)
            ]
            assert found == wanted

    simulator.add_testbench(bench)
    simulator.run()
