"""The decoder: programs fetched, begun and ended, and fields that stay while results drain."""

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from weft.hw.bank import Bank
from weft.hw.config import Config
from weft.hw.decoder import Decoder, fields_layout
from weft.hw.isa import LATE, Instruction, encode, instruction_words, layout

CONFIGS = [
    Config(rows=4, columns=4, activation_depth=300),
    Config(rows=1, columns=1, activation_depth=3, weight_depth=2, parameter_depth=2, tables=0),
]


class WithMemory(wiring.Component):
    """A decoder with its program memory."""

    def __init__(self, config, drain, image):
        self.config = config
        self.image = image
        self.decoder = Decoder(config, drain=drain)
        super().__init__({"start": In(1), "done": In(1), "busy": Out(1), "begin": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.decoder = decoder = self.decoder
        m.submodules.bank = bank = Bank(width=32, depth=self.config.program_depth, init=self.image)
        m.d.comb += [
            decoder.start.eq(self.start),
            decoder.done.eq(self.done),
            bank.read_address.eq(decoder.read_address),
            decoder.read_data.eq(bank.read_data),
            self.busy.eq(decoder.busy),
            self.begin.eq(decoder.begin),
        ]
        return m


def random_instruction(rng, config, *, end):
    values = {}
    for field in layout(config):
        low = -(1 << (field.width - 1)) if field.signed else 0
        values[field.name] = int(rng.integers(low, low + (1 << field.width)))
    return Instruction(**{**values, "end": int(end)})


@pytest.mark.parametrize("config", CONFIGS, ids=["4x4", "1x1"])
@pytest.mark.parametrize("drain", [1, 5, 40])
@pytest.mark.parametrize("seed", range(2))
def test_programs(config, drain, seed):
    rng = np.random.default_rng(seed)
    count = int(rng.integers(2, 7))
    program = [random_instruction(rng, config, end=i == count - 1) for i in range(count)]
    # Words of no instruction behind the end: they must not be run.
    words = [*(encode(ins, config) for ins in program), rng.integers(0, 1 << 32, 40)]
    dut = WithMemory(config, drain, np.concatenate(words).tolist())
    runs = int(rng.integers(2, 4))
    trace = play(dut, rng, runs)

    names = [field.name for field in layout(config)]
    wanted = [tuple(getattr(ins, name) for name in names) for ins in program]
    begins = [t for t, cycle in enumerate(trace) if cycle["begin"]]
    assert [trace[t]["fields"] for t in begins] == wanted * runs

    # All fields until two cycles after `done`, the late ones until the results are stored.
    dones = [t for t, cycle in enumerate(trace) if cycle["done"]]
    assert len(dones) == len(begins)
    late = [i for i, name in enumerate(names) if name in LATE]
    for index, (begin, done) in enumerate(zip(begins, dones, strict=True)):
        fields = wanted[index % count]
        assert {cycle["fields"] for cycle in trace[begin : done + 3]} == {fields}
        kept = {tuple(cycle["fields"][i] for i in late) for cycle in trace[begin : done + drain]}
        assert kept == {tuple(fields[i] for i in late)}
        # The next one is there soon, and never before the results are.
        if fields[names.index("end")] == 0:
            assert drain < begins[index + 1] - done <= drain + instruction_words(config) + 8

    # Busy from the cycle after `start` until `drain` cycles after the last `done`.
    busy = [t for t, cycle in enumerate(trace) if cycle["busy"]]
    expected = []
    for run in range(runs):
        start = max(t for t in range(begins[run * count]) if trace[t]["start"] == "accepted")
        expected += range(start + 1, dones[run * count + count - 1] + drain + 2)
    assert busy == expected


def play(dut, rng, runs):
    """Runs the program `runs` times; `start` is pulsed at random also while it is busy."""
    decoder = dut.decoder
    trace = []

    async def bench(ctx):
        left, idle, done_at = runs, 3, None
        names = [field.name for field in layout(dut.config)]
        while left or idle:
            busy = ctx.get(dut.busy)
            if not busy:
                idle = idle - 1 if not left else 3
            start = bool(rng.random() < 0.2) and bool(busy or left)
            ctx.set(dut.start, start)
            left -= start and not busy
            begin = ctx.get(dut.begin)
            if begin:
                done_at = len(trace) + int(rng.choice([1, 2, 3, 10, 60]))
            ctx.set(dut.done, done_at == len(trace))
            trace.append(
                {
                    "start": ("accepted" if not busy else "ignored") if start else "",
                    "busy": busy,
                    "begin": begin,
                    "done": done_at == len(trace),
                    "fields": tuple(ctx.get(decoder.fields[name]) for name in names),
                }
            )
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    return trace


def test_fields_are_those_of_the_instruction_set():
    config = CONFIGS[0]
    members = dict(iter(fields_layout(config)))
    assert {name: field.width for name, field in members.items()} == {
        field.name: field.width for field in layout(config)
    }
