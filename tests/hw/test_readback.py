"""Read-back: every word asked for, in order, whoever stalls."""

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from weft.hw.bank import Bank
from weft.hw.config import Config
from weft.hw.readback import ReadBack


class WithMemory(wiring.Component):
    """Read-back with an activation memory; while held, others use the memory's address."""

    def __init__(self, config, image):
        self.config = config
        self.image = image
        super().__init__(
            {
                "read": In(stream.Signature(24)),
                "data": Out(stream.Signature(32)),
                "hold": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.readback = readback = ReadBack(self.config)
        m.submodules.bank = bank = Bank(
            width=8 * self.config.rows, depth=self.config.activation_depth, init=self.image
        )
        wiring.connect(m, readback.read, wiring.flipped(self.read))
        wiring.connect(m, wiring.flipped(self.data), readback.data)
        m.d.comb += [
            readback.hold.eq(self.hold),
            bank.read_address.eq(readback.read_address),
            readback.row.eq(bank.read_data),
        ]
        return m


@pytest.mark.parametrize("rows", [1, 3, 4, 8, 12, 17])
@pytest.mark.parametrize(
    ("asking", "taking", "held"), [(1, 1, 0), (0.3, 0.9, 0.2), (0.9, 0.2, 0.5)]
)
@pytest.mark.parametrize("seed", range(1))
def test_answers(rows, asking, taking, held, seed):
    rng = np.random.default_rng(seed)
    config = Config(rows=rows, columns=rows, activation_depth=50)
    image = rng.integers(0, 256, (50, rows), np.uint8)
    row_words = 1 << (-(-rows // 4) - 1).bit_length()
    padded = np.zeros((50, 4 * row_words), np.uint8)
    padded[:, :rows] = image
    words = padded.view("<u4").reshape(-1)
    addresses = rng.integers(0, len(words), 40).tolist()
    dut = WithMemory(config, [int.from_bytes(row.tobytes(), "little") for row in image])
    taken_while_held = []
    answers = []
    changed = []

    async def bench(ctx):
        waiting = iter(addresses)
        offered, shown = None, None
        while len(answers) < len(addresses):
            if offered is None and rng.random() < asking:
                offered = next(waiting, None)
            ctx.set(dut.read.valid, offered is not None)
            ctx.set(dut.read.payload, offered or 0)
            ctx.set(dut.data.ready, bool(rng.random() < taking))
            ctx.set(dut.hold, bool(rng.random() < held))
            valid, payload = ctx.get(dut.data.valid), ctx.get(dut.data.payload)
            # An answer that was shown stays until it is taken.
            changed.append(shown is not None and (valid, payload) != (1, shown))
            shown = payload if valid and not ctx.get(dut.data.ready) else None
            if offered is not None and ctx.get(dut.read.ready):
                taken_while_held.append(ctx.get(dut.hold))
                offered = None
            if valid and ctx.get(dut.data.ready):
                answers.append(payload)
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    assert (answers, any(taken_while_held), any(changed)) == (
        words[addresses].tolist(),
        False,
        False,
    )
