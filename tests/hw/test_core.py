"""The core's protocol, with small random networks in Amaranth's simulator."""

import shutil
from dataclasses import dataclass

import numpy as np
import pytest
from amaranth.hdl import ResetInserter, Signal
from amaranth.sim import Simulator
from numpy.testing import assert_array_equal
from random_networks import describe, random_inputs, random_network

from weft.compiler.compile import compile_network, fit
from weft.compiler.cycles import instruction_cycles
from weft.compiler.network import Conv2D, Network, Port, Requantize, Tensor
from weft.compiler.program import LOAD_WORD
from weft.hw.config import Config, Space
from weft.hw.core import Core
from weft.sim import golden, rtl
from weft.sim.verilog import engine

SHAPES = [(1, 1, 1), (2, 2, 1), (3, 2, 1), (4, 4, 4), (4, 6, 2), (5, 3, 1)]


def drawn(seed, shape=(2, 2, 1), samples=1):
    """A program and inputs."""
    rng = np.random.default_rng(seed)
    network = random_network(rng, max_nodes=3, size=1500, max_side=5)
    rows, columns, lanes = shape
    program = compile_network(
        network, fit(network, Config(rows=rows, columns=columns, lanes=lanes))
    )
    return program, random_inputs(rng, network, samples)


def assert_outputs(program, inputs, outputs):
    expected = golden.run(program, inputs).outputs
    for name, output in outputs.items():
        assert_array_equal(output, expected[name], err_msg=describe(program.network))


@pytest.mark.parametrize("stalls", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(3))
def test_outputs_and_cycles(shape, seed, stalls):
    program, inputs = drawn(seed, shape, samples=2)
    result = rtl.run(program, inputs, stalls_seed=seed if stalls else None)
    assert_outputs(program, inputs, result.outputs)
    assert result.cycles == 2 * [sum(instruction_cycles(program.instructions, program.config))]


def convolved(array, shape, result, weights, **options):
    """A program of one 3 x 3 convolution, and inputs."""
    rng, channels = np.random.default_rng(0), result[2]
    print("seed 0")
    weights = rng.integers(-128, 128, weights, np.int8)
    bias, requantize = np.zeros(channels, np.int32), Requantize(np.full(channels, 8, np.int32))
    node = Conv2D("conv", ("x",), "y", weights, bias, requantize, **options)
    tensors = {"x": Tensor("x", shape, 1.0, zero_point=-77), "y": Tensor("y", result, 1.0)}
    ports = [Port(name, name, tensor.shape, "int8") for name, tensor in tensors.items()]
    network = Network("one", tensors, [node], ports[:1], ports[1:])
    return compile_network(network, fit(network, array)), random_inputs(rng, network, 2)


@pytest.mark.parametrize("shape", [(2, 2, 1), (4, 4, 4)])
def test_padding(shape):
    """Padded on all sides, with a zero point that is not 0: every pixel but one is at a border."""
    rows, columns, lanes = shape
    array = Config(rows=rows, columns=columns, lanes=lanes)
    weights = (3, 3, 3, 2)
    program, inputs = convolved(array, (3, 3, 2), (3, 3, 3), weights, padding=(1, 1, 1, 1))
    assert_outputs(program, inputs, rtl.run(program, inputs).outputs)


@pytest.mark.parametrize("stride", [(2, 2), (3, 1)])
def test_second_path_with_a_stride(stride):
    """Rows and columns that a stride leaves out are computed and not stored."""
    array = Config(rows=9, columns=3, window=3)
    result = (*((side - 3) // step + 1 for side, step in zip((6, 7), stride, strict=True)), 3)
    program, inputs = convolved(
        array, (6, 7, 3), result, (3, 3, 3, 1), groups=3, stride=stride, padding=(0, 0, 0, 0)
    )
    assert program.instructions[0].window
    found = rtl.run(program, inputs)
    assert_outputs(program, inputs, found.outputs)
    assert found.cycles == 2 * [sum(instruction_cycles(program.instructions, program.config))]


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="Icarus not installed")
def test_outputs_and_cycles_in_icarus():
    program, inputs = drawn(2, (3, 2, 1), samples=3)
    result = engine.run(program, inputs, simulator="icarus", stalls_seed=1)
    assert_outputs(program, inputs, result.outputs)
    assert result.cycles == 3 * [sum(instruction_cycles(program.instructions, program.config))]


@dataclass
class Bench:
    """Drives a core's ports, a word at a time."""

    ctx: object
    dut: object

    async def load(self, words):
        ctx, load = self.ctx, self.dut.load
        ctx.set(load.valid, 1)
        for word in words:
            ctx.set(load.payload, payload(word))
            while not (await ctx.tick().sample(load.ready))[-1]:
                pass
        ctx.set(load.valid, 0)

    async def start(self):
        self.ctx.set(self.dut.start, 1)
        await self.ctx.tick()
        self.ctx.set(self.dut.start, 0)

    async def finish(self):
        """Wait until the core is idle; returns the cycles."""
        while self.ctx.get(self.dut.busy):
            await self.ctx.tick()
        return self.ctx.get(self.dut.cycles)

    async def read(self, addresses):
        return [await self.read_one(int(address)) for address in addresses]

    async def read_one(self, address):
        ctx, dut = self.ctx, self.dut
        ctx.set(dut.read.payload, address)
        ctx.set(dut.read.valid, 1)
        while not (await ctx.tick().sample(dut.read.ready))[-1]:
            pass
        ctx.set(dut.read.valid, 0)
        return await self.answer()

    async def answer(self):
        ctx, dut = self.ctx, self.dut
        ctx.set(dut.data.ready, 1)
        while True:
            *_, valid, word = await ctx.tick().sample(dut.data.valid, dut.data.payload)
            if valid:
                ctx.set(dut.data.ready, 0)
                return word

    async def infer(self, program, sample):
        """Everything but the images: the outputs and the cycles of one sample."""
        await self.load(program.input_words(sample))
        await self.start()
        cycles = await self.finish()
        words = await self.read(program.output_addresses())
        return program.decode(np.array(words, np.uint32)), cycles


def payload(word):
    return {name: int(word[name]) for name in ("data", "address", "space")}


def simulate(core, bench, top=None):
    """Run ``await bench(Bench)``."""

    async def testbench(ctx):
        await bench(Bench(ctx, core))

    simulator = Simulator(top if top is not None else core)
    simulator.add_clock(1e-8)
    simulator.add_testbench(testbench)
    simulator.run()


def sample_of(inputs, index=0):
    return {name: codes[index] for name, codes in inputs.items()}


def expected_of(program, inputs):
    """Golden's outputs of the first sample that the core has to give."""
    outputs = golden.run(program, inputs).outputs
    return {name: outputs[name][0].tolist() for name in program.core_outputs}


def plain(outputs):
    return {name: output.tolist() for name, output in outputs.items()}


def cycles_of(program):
    return sum(instruction_cycles(program.instructions, program.config))


@pytest.mark.parametrize("seed", range(3))
def test_two_runs_are_alike(seed):
    program, inputs = drawn(seed)
    seen = []

    async def bench(core):
        await core.load(program.load_words())
        for _ in range(2):
            outputs, cycles = await core.infer(program, sample_of(inputs))
            seen.append((plain(outputs), cycles))

    simulate(Core(program.config), bench)
    assert seen == 2 * [(expected_of(program, inputs), cycles_of(program))]


@pytest.mark.parametrize("seed", range(3))
def test_images_at_power_up(seed):
    program, inputs = drawn(seed)
    seen = []

    async def bench(core):
        seen.append(await core.infer(program, sample_of(inputs)))

    simulate(Core(program.config, program.images), bench)
    outputs, cycles = seen[0]
    assert (plain(outputs), cycles) == (expected_of(program, inputs), cycles_of(program))


@pytest.mark.parametrize("seed", range(3))
def test_start_is_ignored_while_busy(seed):
    program, inputs = drawn(seed)
    rng = np.random.default_rng(seed)
    seen = []

    async def bench(core):
        await core.load(program.load_words())
        await core.load(program.input_words(sample_of(inputs)))
        await core.start()
        busy = 0
        while core.ctx.get(core.dut.busy):
            core.ctx.set(core.dut.start, bool(rng.random() < 0.5))
            busy += 1
            await core.ctx.tick()
            core.ctx.set(core.dut.start, 0)
        # It counts exactly the cycles in which it is busy, and keeps the number.
        for _ in range(10):
            await core.ctx.tick()
        seen.append((busy, core.ctx.get(core.dut.cycles), core.ctx.get(core.dut.busy)))
        words = await core.read(program.output_addresses())
        seen.append(plain(program.decode(np.array(words, np.uint32))))

    simulate(Core(program.config), bench)
    cycles = cycles_of(program)
    assert seen == [(cycles, cycles, 0), expected_of(program, inputs)]


@pytest.mark.parametrize("offered_with_start", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_loads_and_reads_wait_while_busy(seed, offered_with_start):
    program, inputs = drawn(seed)
    address = int(program.output_addresses()[-1])
    # The first word of the program, destroyed: harmless if it really waits.
    spoil = np.array([(Space.PROGRAM, 0, 0xFFFFFFFF)], LOAD_WORD)[0]
    seen = []

    async def bench(core):
        ctx, dut = core.ctx, core.dut
        await core.load(program.load_words())
        await core.load(program.input_words(sample_of(inputs)))

        def offer():
            ctx.set(dut.load.payload, payload(spoil))
            ctx.set(dut.load.valid, 1)
            ctx.set(dut.read.payload, address)
            ctx.set(dut.read.valid, 1)

        if offered_with_start:
            offer()
        await core.start()
        offer()
        while ctx.get(dut.busy):
            ready = ctx.get(dut.load.ready) or ctx.get(dut.read.ready) or ctx.get(dut.data.valid)
            seen.append(bool(ready))
            await ctx.tick()
        await ctx.tick()
        ctx.set(dut.load.valid, 0)
        ctx.set(dut.read.valid, 0)
        answer = await core.answer()
        words = await core.read(program.output_addresses())
        seen.append((answer == words[-1], plain(program.decode(np.array(words, np.uint32)))))

    simulate(Core(program.config), bench)
    assert seen == [False] * cycles_of(program) + [(True, expected_of(program, inputs))]


@pytest.mark.parametrize("seed", range(3))
def test_a_read_taken_before_start_is_answered(seed):
    program, inputs = drawn(seed)
    words = program.input_words(sample_of(inputs))
    seen = []

    async def bench(core):
        ctx, dut = core.ctx, core.dut
        await core.load(program.load_words())
        await core.load(words)
        await ctx.tick()
        ctx.set(dut.read.payload, int(words["address"][0]))
        ctx.set(dut.read.valid, 1)
        await ctx.tick()
        ctx.set(dut.read.valid, 0)
        await core.start()
        answer = await core.answer()
        seen.append((answer, await core.finish()))

    simulate(Core(program.config), bench)
    assert seen == [(int(words["data"][0]), cycles_of(program))]


@pytest.mark.parametrize("seed", range(4))
def test_reset_in_the_middle_of_a_run(seed):
    program, inputs = drawn(seed)
    rng = np.random.default_rng(seed)
    after = int(rng.integers(1, cycles_of(program)))
    core, reset = Core(program.config), Signal()
    seen = []

    async def bench(bench):
        await bench.load(program.load_words())
        await bench.load(program.input_words(sample_of(inputs)))
        await bench.start()
        for _ in range(after):
            await bench.ctx.tick()
        bench.ctx.set(reset, 1)
        await bench.ctx.tick()
        bench.ctx.set(reset, 0)
        seen.append((bench.ctx.get(core.busy), bench.ctx.get(core.cycles)))
        await bench.load(program.load_words())
        outputs, cycles = await bench.infer(program, sample_of(inputs))
        seen.append((plain(outputs), cycles))

    simulate(core, bench, top=ResetInserter(reset)(core))
    assert seen == [(0, 0), (expected_of(program, inputs), cycles_of(program))]
