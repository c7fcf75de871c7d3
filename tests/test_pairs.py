"""Sums and products of two tensors on arrays that have a result in every step, on all levels."""

from dataclasses import replace

import numpy as np
import pytest
from random_networks import describe, random_inputs, random_network, single_operator

from weft.compiler.compile import compile_network
from weft.compiler.network import Add, Network, Port, Requantize, Scaling, Tensor
from weft.errors import UnsupportedError
from weft.hw.config import Config
from weft.sim import golden, interpreter, rtl
from weft.sim.engine import compare
from weft.sim.verilog import engine

TFLITE = {"multiplier_bits": 31, "elementwise": 1}
DEPTHS = {"activation_depth": 1500, "weight_depth": 600, "parameter_depth": 600}
ARRAYS = {
    "16x8": Config(rows=16, columns=8, window=3, pairs=1, **TFLITE, **DEPTHS),
    "16x4, stream": Config(rows=16, columns=4, window=3, pairs=1, stream=1, **TFLITE, **DEPTHS),
    "18x3, odd lanes": Config(rows=18, columns=3, window=4, pairs=1, **TFLITE, **DEPTHS),
    "16x2, shifts": Config(rows=16, columns=2, window=4, pairs=1, **DEPTHS),
}
SAMPLES = 2

arrays = pytest.mark.parametrize("name", ARRAYS)


def drawn(name, count, size):
    """Programs with pairs and their inputs: single sums and products, then networks with them."""
    config = ARRAYS[name]
    scales = "multiplier" if config.elementwise else "shift"
    choice = ["Add", "Mul"] if config.elementwise else ["Add"]
    rng = np.random.default_rng([*name.encode()])
    jobs = []
    while len(jobs) < count:
        if len(jobs) < count - 2:
            network = single_operator(rng, str(rng.choice(choice)), size=size, scales=scales)
        else:
            names = [*choice, "Conv2D", "DepthwiseConv2D", "Concat"]
            network = random_network(rng, operators=names, size=size, scales=scales)
        try:
            program = compile_network(network, config)
        except UnsupportedError:
            continue
        if any(instruction.pair for instruction in program.instructions):
            jobs.append((program, random_inputs(rng, network, SAMPLES)))
    return jobs


def assert_equal(level, jobs, results):
    """Golden's outputs, in the compiler's cycles."""
    for (program, inputs), result in zip(jobs, results, strict=True):
        expected = golden.run(program, inputs).outputs
        found = compare(expected, result.outputs, level=level, names=program.core_outputs)
        assert found is None, f"{found}\n{program.config}\n{describe(program.network)}"
        cycles = sum(layer["cycles"] for layer in program.layers)
        assert result.cycles in (None, SAMPLES * [cycles]), describe(program.network)


@arrays
def test_program(name):
    jobs = drawn(name, 12, 5000)
    assert_equal("program", jobs, [interpreter.run(*job) for job in jobs])


@arrays
def test_verilog(name):
    jobs = drawn(name, 12, 5000)
    assert_equal("verilog", jobs, engine.run_many(jobs))


@pytest.mark.parametrize(
    "name",
    [
        # Amaranth's simulator is slow.
        pytest.param(name, marks=[pytest.mark.slow] if config.multipliers > 36 else [])
        for name, config in ARRAYS.items()
    ],
)
def test_rtl(name):
    jobs = drawn(name, 4, 400)
    assert_equal("rtl", jobs, rtl.run_many(jobs))


def sum_of(channels, *, same=False, signs=(1, 1), first=0):
    """A sum of scaled tensors of 6 x 5 pixels; `first` is the operand that is halved."""
    shape = (6, 5, channels)
    half = Scaling(np.array([0]), np.array([1 << 30]), "double")
    other = Scaling(np.array([-2]), np.array([1500000001]), "double")
    scalings = (half, other) if first == 0 else (other, half)
    requantize = Requantize(
        shift=np.array([-17]), multiplier=np.array([1400000003]), rounding="double", zero_point=5
    )
    names = ("a", "a") if same else ("a", "b")
    node = Add("add", names, "c", left=(20, 20), requantize=requantize, signs=signs,
               scalings=scalings)  # fmt: skip
    tensors = {n: Tensor(n, shape, 1.0, zero_point=z) for n, z in (("a", -7), ("b", 9), ("c", 5))}
    if same:
        del tensors["b"]
    ports = {n: Port(n, n, shape, "int8") for n in tensors}
    inputs = [ports[n] for n in tensors if n != "c"]
    return Network("sum", tensors, [node], inputs, [ports["c"]])


def steps_of(network, config):
    """Steps of a network's only instruction, and whether its words come in turns."""
    (ins,) = compile_network(network, config).instructions
    loops = ("block", "kx", "ky", "digit", "ox", "oy", "tile")
    return int(np.prod([getattr(ins, f"last_{loop}") + 1 for loop in loops])), ins.pair


def test_a_word_is_read_once():
    config = ARRAYS["16x8"]
    for channels, words in ((16, 1), (12, 1), (64, 4), (24, 2)):
        # Two steps a word, and four more for each word of a pixel.
        assert steps_of(sum_of(channels), config) == (words * (2 * 30 + 4), 1)
        assert steps_of(sum_of(channels, same=True), config) == (words * (2 * 30 + 4), 1)
    # Half a word is no gain.
    assert steps_of(sum_of(8), config) == (60, 0)
    # A difference whose halved operand is the second asks for a weight of +256.
    assert steps_of(sum_of(16, signs=(1, -1), first=1), config) == (120, 0)
    assert steps_of(sum_of(16, signs=(1, -1)), config) == (64, 1)
    # Without it a result takes two steps.
    assert steps_of(sum_of(16), replace(config, pairs=0)) == (120, 0)


@pytest.mark.parametrize("channels", [16, 24])
def test_sums_of_extremes(channels):
    networks = [
        sum_of(channels), sum_of(channels, same=True), sum_of(channels, first=1),
        sum_of(channels, signs=(1, -1)), sum_of(channels, signs=(1, -1), first=1),
    ]  # fmt: skip
    rng = np.random.default_rng(channels)
    jobs = []
    for network in networks:
        inputs = {
            port.tensor: rng.choice(
                np.array([-128, -127, 0, 126, 127], np.int8), (SAMPLES, *port.shape)
            )
            for port in network.inputs
        }
        jobs.append((compile_network(network, ARRAYS["16x4, stream"]), inputs))
    assert_equal("program", jobs, [interpreter.run(*job) for job in jobs])
    assert_equal("verilog", jobs, engine.run_many(jobs))
