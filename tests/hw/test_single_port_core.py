"""The core with single-port memories: the same results, in exactly the cycles counted."""

import shutil

import numpy as np
import pytest
from random_networks import describe, random_inputs, random_network

from weft.compiler.compile import compile_network, fit
from weft.hw.config import Config
from weft.sim import golden, rtl
from weft.sim.verilog import engine

#: And the seeds of networks that take few cycles.
ARRAYS = {
    "4x4": (Config(rows=4, columns=4, lanes=2, single_port=1), (10, 0)),
    "3x5": (Config(rows=3, columns=5, lanes=1, single_port=1), (1, 2)),
    "8x4, window 2": (Config(rows=8, columns=4, lanes=2, window=2, single_port=1), (2, 12)),
    "multiplier": (Config(rows=6, columns=6, lanes=3, single_port=1), (4, 8)),
}


def drawn(name, seed):
    array, _ = ARRAYS[name]
    scales = "multiplier" if name == "multiplier" else "shift"
    rng = np.random.default_rng(seed)
    network = random_network(rng, size=1200, max_nodes=3, max_side=6, scales=scales)
    program = compile_network(network, fit(network, array))
    return program, random_inputs(rng, network, 2)


def assert_equal(program, inputs, result):
    expected = golden.run(program, inputs).outputs
    for tensor in program.core_outputs:
        np.testing.assert_array_equal(
            result.outputs[tensor], expected[tensor], describe(program.network)
        )
    cycles = sum(layer["cycles"] for layer in program.layers)
    assert result.cycles == [cycles] * len(result.cycles)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if config.window else [])
        for name, (config, _) in ARRAYS.items()
    ],
)
def test_random_networks(name):
    for seed in ARRAYS[name][1]:
        print("seed", seed)
        program, inputs = drawn(name, seed)
        assert_equal(program, inputs, rtl.run(program, inputs, stalls_seed=seed))


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="Icarus not installed")
def test_verilog():
    """As others get it, with a module for the memory that shows a read of a written cycle."""
    program, inputs = drawn("4x4", 10)
    assert_equal(program, inputs, engine.run(program, inputs, simulator="icarus", stalls_seed=1))


def test_waiting_for_stores_takes_time():
    program, _ = drawn("4x4", 10)
    config = Config(rows=4, columns=4, lanes=2)
    other = compile_network(program.network, fit(program.network, config))
    cycles = [sum(layer["cycles"] for layer in made.layers) for made in (other, program)]
    assert cycles[0] < cycles[1]
