"""Batches as a stream in the Verilog: golden's outputs, and when each sample ran."""

import numpy as np
import pytest
from blocks import SIMULATORS
from numpy.testing import assert_array_equal
from random_networks import random_inputs, random_network

from weft.compiler.compile import compile_network, fit
from weft.errors import InputError, RefusedError
from weft.hw.config import Config
from weft.sim import golden
from weft.sim.verilog import engine
from weft.sim.verilog.source import core_verilog
from weft.sim.verilog.stream import StreamResult

ARRAY = Config(rows=4, columns=2, activation_depth=700, weight_depth=600, parameter_depth=200,
               program_depth=600, tables=2, stream=1)  # fmt: skip


def drawn(seed, samples=4):
    rng = np.random.default_rng(seed)
    network = random_network(rng, size=2000, max_nodes=4, max_side=6)
    return compile_network(network, ARRAY), random_inputs(rng, network, samples)


def outputs_of(program, inputs):
    expected = golden.run(program, inputs).outputs
    return {name: expected[name] for name in program.core_outputs}


@pytest.mark.parametrize("simulator", SIMULATORS)
@pytest.mark.parametrize("stalls_seed", [None, 3])
def test_outputs_and_times(simulator, stalls_seed):
    """Several programs in one simulation, each on a batch of its own."""
    pairs = [drawn(seed, samples=2 + seed % 3) for seed in range(6)]
    jobs = [engine.Job(program, inputs) for program, inputs in pairs]
    expected = [outputs_of(program, inputs) for program, inputs in pairs]
    results = engine.run_jobs(
        jobs, simulator, stalls_seed=stalls_seed, expected=expected, stream=True
    )
    faster = 0
    for (program, _), job, result, want in zip(pairs, jobs, results, expected, strict=True):
        for name, output in want.items():
            assert_array_equal(result.outputs[name], output)
        count = sum(layer["cycles"] for layer in program.layers)
        assert result.cycles == job.samples * [count]
        assert isinstance(result, StreamResult)
        assert len(result.periods) == job.samples - 1
        starts, ends, reads = np.transpose(result.times)
        assert (ends - starts >= count).all()
        assert (starts[1:] >= reads[:-1]).all()
        if stalls_seed is None:
            loading, reading = len(job.input[0]), len(job.addresses)
            assert result.alone >= loading + count + reading
            assert set(result.periods) == {result.periods[0]}
            assert result.periods[0] <= result.alone
            if program.released is not None:
                faster += result.periods[0] < result.alone
    assert stalls_seed is not None or faster >= 4


def test_progress():
    program, inputs = drawn(1)
    seen = []
    engine.run(program, inputs, "verilator", stream=True, progress=lambda *done: seen.append(done))
    assert seen[-1] == (4, 4)


def test_scoreboard_names_the_first_mismatch():
    program, inputs = drawn(0)
    want = outputs_of(program, inputs)
    name = program.core_outputs[0]
    want[name] = want[name].copy()
    want[name][2, 0, 0, 0] ^= 1
    with pytest.raises(RefusedError, match="program 0, sample 2: activation word"):
        engine.run(program, inputs, "verilator", expected=want, stream=True)


def test_a_core_that_takes_other_words_early_is_refused(tmp_path):
    """Only for the activation memory may words come while it is busy."""
    program, inputs = drawn(0)
    text = core_verilog(program.config)
    path = tmp_path / "core.v"
    line = "  output load__ready;\n  wire load__ready;\n"
    assert line in text
    broken = text.replace("module weft_core(", "module weft_inner(", 1)
    ports = ["clk", "rst", "start", "busy", "cycles"]
    ports += [f"{port}__{part}" for port in ("load", "read", "data")
              for part in ("payload", "valid", "ready")]  # fmt: skip
    links = ", ".join(f".{port}({port})" for port in ports if port != "read__ready")
    path.write_text(f"""{broken}
module weft_core(input clk, rst, start, output busy, output [31:0] cycles,
  input [58:0] load__payload, input load__valid, output load__ready,
  input [23:0] read__payload, input read__valid, output read__ready,
  output [31:0] data__payload, output data__valid, input data__ready);
  wire ready;
  assign read__ready = ready | busy;
  weft_inner inner ({links}, .read__ready(ready));
endmodule
""")
    with pytest.raises(RefusedError, match="broke the protocol"):
        engine.run(program, inputs, "verilator", verilog_path=path, stream=True)


def test_refused():
    program, inputs = drawn(0, samples=1)
    with pytest.raises(InputError, match="a stream has at least two samples, and this is one"):
        engine.run(program, inputs, stream=True)
    rng = np.random.default_rng(0)
    network = random_network(rng, size=500, max_nodes=2)
    plain = compile_network(network, fit(network, Config(rows=2, columns=2)))
    with pytest.raises(InputError, match="compile the model with --stream"):
        engine.run(plain, random_inputs(rng, network, 3), stream=True)
