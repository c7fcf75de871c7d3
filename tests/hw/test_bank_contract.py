"""The whole core on banks that return wrong data wherever they may return anything.

A read in the cycle in which its row is written, and where a bank is `relaxed` one in the cycle
before, gives the complement of what was there: nobody may have relied on it.
"""

import contextlib
from dataclasses import replace

import numpy as np
import pytest
from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import memory
from levels import WINDOWS, Pair, seeds_of, windows
from random_networks import describe, random_inputs, random_network

from weft.compiler.compile import compile_network, fit
from weft.errors import UnsupportedError
from weft.hw.bank import Bank
from weft.hw.config import Config
from weft.sim import golden, rtl


def poisoned(bank, platform):
    """Elaborates a bank of that kind, with its register where an iCE40 has it."""
    m = Module()
    m.submodules.memory = ram = memory.Memory(shape=bank.width, depth=bank.depth, init=bank.init)
    write, read = ram.write_port(), ram.read_port()
    address = Signal.like(bank.read_address)
    collides = Signal(2)
    at = Signal()
    m.d.comb += [
        write.en.eq(bank.write_enable),
        write.addr.eq(bank.write_address),
        write.data.eq(bank.write_data),
        at.eq(bank.write_enable & (bank.write_address == bank.read_address)),
    ]
    m.d.sync += [address.eq(bank.read_address), collides[0].eq(at)]
    after = bank.write_enable & (bank.write_address == address)
    if bank.relaxed:
        data = read.data
        m.d.comb += read.addr.eq(address)
        m.d.sync += collides[1].eq(collides[0] | after)
    else:
        data = Signal(bank.width)
        m.d.comb += read.addr.eq(bank.read_address)
        m.d.sync += [data.eq(read.data), collides[1].eq(collides[0])]
    m.d.comb += bank.read_data.eq(Mux(collides[1], ~data, data))
    return m


def assert_golden(program, inputs, seed):
    result = rtl.run(program, inputs, stalls_seed=seed)
    expected = golden.run(program, inputs).outputs
    for tensor in program.core_outputs:
        np.testing.assert_array_equal(
            result.outputs[tensor], expected[tensor], describe(program.network)
        )
    cycles = sum(layer["cycles"] for layer in program.layers)
    assert result.cycles == [cycles] * len(result.cycles)


@pytest.mark.parametrize("name", ["4x4, 3 in turns", "6x1, window 2"])
def test_windows(name, monkeypatch):
    pair = Pair(name, seeds_of(name).stop - WINDOWS)
    assert windows(pair.program) > 0
    monkeypatch.setattr(Bank, "elaborate", poisoned)
    assert_golden(pair.program, pair.inputs, pair.seed)


def test_copies(monkeypatch):
    """Weights that take the place of others."""
    array = Config(rows=4, columns=4, lanes=2, window=1, interleave=3, single_port=1)
    found = {}
    for seed in range(12):
        network = random_network(np.random.default_rng(seed), size=1200, max_nodes=3)
        fitted = fit(network, array)
        depth = max(1, int(0.7 * fitted.weight_depth))
        config = replace(fitted, weight_depth=depth, program_depth=1 << 14, copies=1)
        with contextlib.suppress(UnsupportedError):
            program = compile_network(network, config)
            if program.copied_bytes:
                found[sum(layer["cycles"] for layer in program.layers)] = seed, program
    seed, program = found[min(found)]
    print("seed", seed)
    monkeypatch.setattr(Bank, "elaborate", poisoned)
    inputs = random_inputs(np.random.default_rng(seed), program.network, 2)
    assert_golden(program, inputs, seed)
