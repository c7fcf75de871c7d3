"""The next input, loaded while the core computes the present one, in Amaranth's simulator."""

from collections import deque
from dataclasses import replace

import numpy as np
import pytest
from amaranth.hdl import Signal
from amaranth.sim import Simulator
from numpy.testing import assert_array_equal
from random_networks import describe, random_inputs, random_network

from weft.compiler.compile import compile_network, fit
from weft.compiler.program import LOAD_WORD
from weft.compiler.release import release_cycle
from weft.errors import UnsupportedError
from weft.hw.config import Config, Space
from weft.hw.core import Core
from weft.sim import golden

ARRAYS = {
    "1x1": Config(rows=1, columns=1),
    "2x2": Config(rows=2, columns=2, lanes=1),
    "4x4": Config(rows=4, columns=4, multiplier_bits=31, elementwise=1),
    "4x6": Config(rows=4, columns=6, lanes=2),
    "5x3": Config(rows=5, columns=3),
    "9x3, window": Config(rows=9, columns=3, window=3, line_depth=16),
    "4x2, in turns": Config(rows=4, columns=2, window=1, interleave=3),
}
SAMPLES = 3


class WatchedCore(Core):
    """The core, which also shows what its activation memory does."""

    def __init__(self, config):
        super().__init__(config)
        self.step, self.inside, self.source = Signal(), Signal(), Signal(24)
        self.storing, self.stored = Signal(), Signal(24)
        self.loading, self.loaded = Signal(), Signal(24)

    def elaborate(self, platform):
        m = super().elaborate(platform)
        sequencer, store, memory = (
            getattr(m.submodules, name) for name in ("sequencer", "store", "activation")
        )
        m.d.comb += [
            self.step.eq(sequencer.action.valid),
            self.inside.eq(sequencer.inside),
            self.source.eq(sequencer.source),
            self.storing.eq(store.enable),
            self.stored.eq(store.address),
            self.loading.eq(memory.load_enable),
            self.loaded.eq(memory.load_row),
        ]
        return m


class Streamed:
    """Runs samples back to back: the next input is offered while the present one is computed.

    Attributes
    ----------
    outputs, cycles : list
        Of each sample.
    first : list of int or None
        The core's count of cycles when a run took its first word, None if it took none.
    """

    def __init__(self, program, inputs, *, stalls=0.0, seed=0):
        self.program = program
        self.samples = [
            {name: codes[n] for name, codes in inputs.items()}
            for n in range(len(next(iter(inputs.values()))))
        ]
        self.stalls, self.rng = stalls, np.random.default_rng(seed)
        self.core = WatchedCore(program.config)
        self.words = deque(program.load_words())
        self.outputs, self.cycles, self.first = [], [], []
        inputs_at = [program.placements[name] for name in program.core_inputs]
        self.rows = {
            row for place in inputs_at for row in range(place.base, place.base + place.words)
        }
        simulator = Simulator(self.core)
        simulator.add_clock(1e-8)
        simulator.add_testbench(self.load, background=True)
        simulator.add_testbench(self.watch, background=True)
        simulator.add_testbench(self.drive)
        simulator.run()

    async def load(self, ctx):
        """Words one after the other, with pauses in between."""
        load = self.core.load
        while True:
            while not self.words or self.rng.random() < self.stalls:
                await ctx.tick()
            word = self.words[0]
            ctx.set(load.payload, {name: int(word[name]) for name in ("space", "address", "data")})
            ctx.set(load.valid, 1)
            while True:
                _, _, taken, busy, cycles = await ctx.tick().sample(
                    load.ready, self.core.busy, self.core.cycles
                )
                if taken:
                    break
            ctx.set(load.valid, 0)
            if busy and self.first[-1] is None:
                self.first[-1] = cycles
            self.words.popleft()

    async def watch(self, ctx):
        """Nobody reads a word of an input once the next one has been written there."""
        core, fresh, read = self.core, set(), None
        while True:
            _, _, busy, step, inside, source, storing, stored, loading, loaded = await (
                ctx.tick().sample(core.busy, core.step, core.inside, core.source, core.storing,
                                  core.stored, core.loading, core.loaded)
            )  # fmt: skip
            # Whether a word was inside the image is known a cycle later.
            if read is not None and inside:
                assert read not in fresh, f"word {read} is read after the next input came"
            if not busy:
                fresh = set()
            elif loading:
                assert loaded in self.rows
                fresh.add(loaded)
            read = None
            if step and source in fresh:
                read = source
            if storing:
                assert not loading
                assert stored not in fresh, f"word {stored} is written after the next input came"

    async def drive(self, ctx):
        core, program = self.core, self.program
        self.words.extend(program.input_words(self.samples[0]))
        for number in range(len(self.samples)):
            while self.words:
                await ctx.tick()
            self.first.append(None)
            ctx.set(core.start, 1)
            await ctx.tick()
            ctx.set(core.start, 0)
            following = self.samples[number + 1 : number + 2]
            if program.released is not None:
                self.words.extend(word for s in following for word in program.input_words(s))
            while ctx.get(core.busy):
                await ctx.tick()
            self.cycles.append(ctx.get(core.cycles))
            words = [await self.read(ctx, int(at)) for at in program.output_addresses()]
            self.outputs.append(program.decode(np.array(words, np.uint32)))
            if program.released is None:
                self.words.extend(word for s in following for word in program.input_words(s))

    async def read(self, ctx, address):
        core = self.core
        ctx.set(core.read.payload, address)
        ctx.set(core.read.valid, 1)
        while not (await ctx.tick().sample(core.read.ready))[-1]:
            pass
        ctx.set(core.read.valid, 0)
        ctx.set(core.data.ready, 1)
        while True:
            *_, valid, word = await ctx.tick().sample(core.data.valid, core.data.payload)
            if valid:
                ctx.set(core.data.ready, 0)
                return word


def drawn(name, seed, **sizes):
    rng = np.random.default_rng(seed)
    array = replace(ARRAYS[name], stream=1, **sizes)
    scales = "multiplier" if array.multiplier_bits else "shift"
    network = random_network(rng, max_nodes=3, size=600, max_side=4, scales=scales)
    return network, array, random_inputs(rng, network, SAMPLES)


def assert_streams(program, inputs, found):
    expected = golden.run(program, inputs).outputs
    for name in program.core_outputs:
        output = np.stack([sample[name] for sample in found.outputs])
        assert_array_equal(output, expected[name], err_msg=describe(program.network))
    assert found.cycles == SAMPLES * [sum(layer["cycles"] for layer in program.layers)]


@pytest.mark.parametrize("stalls", [0.0, 0.5])
@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("seed", range(2))
def test_outputs_and_cycles(name, seed, stalls):
    print("seed", seed)
    network, array, inputs = drawn(name, seed)
    program = compile_network(network, fit(network, array))
    found = Streamed(program, inputs, stalls=stalls, seed=seed)
    assert_streams(program, inputs, found)
    if stalls == 0.0 and program.released is not None:
        assert found.first == (SAMPLES - 1) * [release_cycle(program)] + [None]


@pytest.mark.parametrize("name", ["2x2", "4x6", "5x3"])
def test_copies(name):
    """The copier goes the load port's way into the weight memory, while inputs come."""
    copying = 0
    for seed in range(30):
        network, array, inputs = drawn(name, seed)
        fitted = fit(network, array)
        config = replace(
            fitted, weight_depth=int(0.7 * fitted.weight_depth) + 1, program_depth=1 << 14, copies=1
        )
        try:
            program = compile_network(network, config)
        except UnsupportedError:
            continue
        if program.copied_bytes:
            print("seed", seed)
            assert_streams(program, inputs, Streamed(program, inputs, stalls=0.2, seed=seed))
            copying += 1
            if copying == 3:
                break
    assert copying == 3


def test_no_room():
    """Where inputs share their words with other tensors, the next ones wait for the outputs."""
    for seed in range(30):
        network, array, inputs = drawn("2x2", seed)
        small = fit(network, replace(array, stream=0)).activation_depth
        fitted = fit(network, array)
        if small < fitted.activation_depth:
            break
    print("seed", seed)
    program = compile_network(network, replace(fitted, activation_depth=small))
    found = Streamed(program, inputs)
    assert found.first == SAMPLES * [None]
    assert_streams(program, inputs, found)


class Spoiling(Streamed):
    """One sample; meanwhile a word of the program is offered, destroyed."""

    async def drive(self, ctx):
        self.words.extend(self.program.input_words(self.samples[0]))
        while self.words:
            await ctx.tick()
        self.first.append(None)
        ctx.set(self.core.start, 1)
        await ctx.tick()
        ctx.set(self.core.start, 0)
        self.words.append(np.array([(Space.PROGRAM, 0, 0xFFFFFFFF)], LOAD_WORD)[0])
        while ctx.get(self.core.busy):
            await ctx.tick()
        self.left = len(self.words)


def test_other_memories_wait():
    network, array, inputs = drawn("2x2", 0)
    program = compile_network(network, fit(network, array))
    assert program.released is not None
    found = Spoiling(program, inputs)
    assert (found.left, found.first) == (1, [None])
