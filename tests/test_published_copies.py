"""Published models whose weights exceed the weight memory: cycles at full speed, exactly golden."""

from dataclasses import replace

import numpy as np
import published
import pytest

from weft.boards.catalog.icebreaker import BOARD
from weft.commands.compile import compile_for_board
from weft.commands.quantize import quantize_model
from weft.compiler.compile import compile_network, fit
from weft.compiler.cycles import instruction_cycles
from weft.hw.config import Config
from weft.models import read_network
from weft.sim import golden, interpreter
from weft.sim.verilog import engine


def ad():
    """MLPerf Tiny's ad: 2,072 tiles where an ECP5-85F has 2,048 rows."""
    network = published.network("ad")
    config = fit(network, Config(rows=16, columns=8, lanes=8, window=3))
    assert config.weight_depth == 2072
    config = replace(config, weight_depth=2048, program_depth=2048, copies=1)
    return compile_network(network, config)


def kws(folder):
    """MLPerf Tiny's kws with power-of-two scales: 29 kB of weights beside 16 kB of activations."""
    file = folder / "kws.onnx"
    data = folder / "x.npz"
    np.savez(data, inputs=published.arrays("kws", "tests.npz")["inputs"])
    quantize_model(published.model_file("kws"), data, file, scales="shift")
    return compile_for_board(read_network(file, None), BOARD)


def random_inputs(program):
    rng = np.random.default_rng(0)
    return {
        name: rng.integers(-128, 128, (1, *program.network.tensors[name].shape), np.int8)
        for name in program.core_inputs
    }


def assert_golden(program, run):
    inputs = random_inputs(program)
    result = run(program, inputs)
    expected = golden.run_network(program.network, inputs)
    for name in program.core_outputs:
        np.testing.assert_array_equal(result.outputs[name], expected[name])
    return result


def test_ad():
    program = ad()
    assert sum(instruction_cycles(program.instructions, program.config)) <= 2515
    assert program.copied_bytes == 48 * 128
    assert_golden(program, interpreter.run)


def test_kws(tmp_path):
    published.folder("kws")
    program = kws(tmp_path)
    assert program.config == BOARD.large
    assert sum(instruction_cycles(program.instructions, program.config)) <= 208_000
    assert_golden(program, interpreter.run)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ad", "kws"])
def test_verilog(name, tmp_path):
    published.folder(name)
    program = ad() if name == "ad" else kws(tmp_path)
    result = assert_golden(program, engine.run)
    assert result.cycles == [sum(instruction_cycles(program.instructions, program.config))]
