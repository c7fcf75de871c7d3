"""The decoder: programs fetched, begun and ended, and fields that stay while results drain."""

from dataclasses import replace

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from weft.hw.bank import Bank
from weft.hw.config import Config
from weft.hw.decoder import Decoder, fields_layout, late_layout
from weft.hw.isa import LOOPS, Instruction, encode, fetch_cycles, layout
from weft.hw.latency import LIMITS, SEQUENCE, settle, until_sums

CONFIGS = [
    Config(rows=4, columns=4, activation_depth=300),
    Config(rows=1, columns=1, activation_depth=3, weight_depth=2, parameter_depth=2, tables=0),
    Config(rows=4, columns=2, multiplier_bits=31, elementwise=1),
]


class WithMemory(wiring.Component):
    """A decoder with its program memory."""

    def __init__(self, config, image):
        self.config = config
        self.image = image
        self.decoder = Decoder(config)
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


@pytest.mark.parametrize("config", CONFIGS, ids=["4x4", "1x1", "elementwise"])
@pytest.mark.parametrize("seed", range(6))
def test_programs(config, seed):
    print("seed", seed)
    rng = np.random.default_rng(seed)
    count = int(rng.integers(2, 7))
    program = [random_instruction(rng, config, end=i == count - 1) for i in range(count)]
    # The late fields have been taken over before they change again.
    program = [replace(ins, wait=max(ins.wait, until_sums(config))) for ins in program]
    # Words of no instruction behind the end: they must not be run.
    words = [*(encode(ins, config) for ins in program), rng.integers(0, 1 << 32, 40)]
    dut = WithMemory(config, np.concatenate(words).tolist())
    runs = int(rng.integers(2, 4))
    trace = play(dut, rng, runs)

    names = [field.name for field in layout(config)]
    places = [names.index(f"last_{loop}") for loop in LOOPS]

    def limits(fields):
        return tuple(fields[place] for place in places)

    wanted = [tuple(getattr(ins, name) for name in names) for ins in program]
    begins = [t for t, cycle in enumerate(trace) if cycle["begin"]]
    assert [trace[t]["fields"] for t in begins] == wanted * runs

    dones = [t for t, cycle in enumerate(trace) if cycle["done"]]
    assert len(dones) == len(begins)
    late_names = list(late_layout(config).members)
    late = [tuple(getattr(ins, name) for name in late_names) for ins in program]
    for index, (begin, done) in enumerate(zip(begins, dones, strict=True)):
        # All fields until three cycles after `done`, the limits from some cycles before.
        fields = wanted[index % count]
        assert {cycle["fields"] for cycle in trace[begin : done + 4]} == {fields}
        assert {limits(cycle["fields"]) for cycle in trace[begin - LIMITS : done + 4]} == {
            limits(fields)
        }
        # The late ones with the first step, from stage to stage, until the next one's.
        ends = begins[index + 1] if index + 1 < len(begins) else len(trace) - until_sums(config) - 4
        kept = late[index % count]
        assert {cycle["entering"] for cycle in trace[begin + SEQUENCE : ends + SEQUENCE]} == {kept}
        arrive = until_sums(config) + SEQUENCE
        assert {cycle["late"] for cycle in trace[begin + arrive : ends + arrive]} == {kept}
        assert trace[begin + arrive]["begin_late"]
        if program[index % count].end:
            continue
        # The next one is there as soon as it may and has been fetched.
        wait = program[(index + 1) % count].wait
        apart = begins[index + 1] - done
        assert wait < apart <= max(wait + 1, fetch_cycles(config) + 8)

    # Busy from the cycle after `start` until the results of the last one are stored.
    busy = [t for t, cycle in enumerate(trace) if cycle["busy"]]
    until = settle(config, elementwise=bool(program[-1].elementwise))
    expected = []
    for run in range(runs):
        start = max(t for t in range(begins[run * count]) if trace[t]["start"] == "accepted")
        expected += range(start + 1, dones[run * count + count - 1] + until + 2)
    assert busy == expected
    assert sum(cycle["begin_late"] for cycle in trace) == len(begins)


def play(dut, rng, runs):
    """Runs the program `runs` times; `start` is pulsed at random also while it is busy."""
    decoder = dut.decoder
    trace = []

    async def bench(ctx):
        left, idle, done_at = runs, 60, None
        names = [field.name for field in layout(dut.config)]
        late_names = list(late_layout(dut.config).members)
        while left or idle:
            busy = ctx.get(dut.busy)
            if not busy:
                idle = idle - 1 if not left else 60
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
                    "begin_late": ctx.get(decoder.begin_late),
                    "fields": tuple(ctx.get(decoder.fields[name]) for name in names),
                    "entering": tuple(ctx.get(decoder.entering[name]) for name in late_names),
                    "late": tuple(ctx.get(decoder.late[name]) for name in late_names),
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
