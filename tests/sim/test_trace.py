"""How long instructions take in the simulated core, against what the compiler says."""

import shutil

import numpy as np
import pytest
from levels import ARRAYS, pair, seeds_of

from weft.compiler.cycles import instruction_cycles
from weft.compiler.roofline import layer_times
from weft.errors import InputError, RefusedError
from weft.sim import rtl
from weft.sim.trace import BEGIN, DONE, KIND_BIT, ends
from weft.sim.verilog import engine

#: Amaranth's simulator takes a second or two for each.
SMALL = ("1x4", "4x4", "6x1, window 2", "8x4, 2 lanes", "4x4, multiplier")

needs_icarus = pytest.mark.skipif(not shutil.which("iverilog"), reason="Icarus is not installed")


def wanted(case):
    return instruction_cycles(case.program.instructions, case.program.config)


@pytest.mark.parametrize("name", SMALL)
def test_amaranth_takes_the_cycles_of_the_estimate(name):
    """Each instruction, each layer and the whole, on random networks, in every sample."""
    seeds = np.random.default_rng(len(name)).choice(seeds_of(name), 2, replace=False)
    for case in (pair(name, int(seed)) for seed in seeds):
        result = rtl.run(case.program, case.inputs, trace=True)
        assert case.differences("rtl", result) == []
        assert result.instruction_cycles == 2 * [wanted(case)], str(case)
        for cycles in result.instruction_cycles:
            owned = case.program.instructions_of_layers()
            layers = [sum(cycles[i] for i in own) for own in owned]
            assert layers == [time.cycles for time in layer_times(case.program)], str(case)


@needs_icarus
@pytest.mark.parametrize("name", ["4x4", "12x4, window 3", "5x3, multiplier"])
def test_verilog_takes_the_cycles_of_the_estimate(name):
    case = pair(name, seeds_of(name)[-1])
    result = engine.run(case.program, case.inputs, "icarus", trace=True)
    assert result.instruction_cycles == 2 * [wanted(case)], str(case)
    assert case.differences("verilog", result) == []


@needs_icarus
def test_several_programs_one_after_another():
    cases = [pair("4x4", seed) for seed in (14, 0)]
    jobs = [rtl.Job(case.program, case.inputs) for case in cases]
    results = engine.run_jobs(jobs, "icarus", trace=True)
    assert [r.instruction_cycles for r in results] == [2 * [wanted(case)] for case in cases]
    results = rtl.run_jobs(jobs, trace=True)
    assert [r.instruction_cycles for r in results] == [2 * [wanted(case)] for case in cases]


def test_nobody_asked():
    case = pair("4x4", 14)
    assert rtl.run(case.program, case.inputs).instruction_cycles is None
    assert set(ARRAYS) >= set(SMALL)


def event(kind, cycle):
    return kind << KIND_BIT | cycle


def test_cycles_from_events():
    events = [event(BEGIN, 10), event(DONE, 12), event(BEGIN, 20), event(DONE, 29)]
    assert ends(events, 2, 50) == [13, 37]
    assert ends([event(BEGIN, 10), event(DONE, 12)], 1, 50) == [50]


@pytest.mark.parametrize("kinds", [[BEGIN], [BEGIN, DONE, BEGIN], [DONE, BEGIN, BEGIN, DONE], []])
def test_events_that_no_program_makes(kinds):
    events = [event(kind, cycle) for cycle, kind in enumerate(kinds)]
    begun, ended = kinds.count(BEGIN), kinds.count(DONE)
    with pytest.raises(RefusedError) as error:
        ends(events, 2, 50)
    assert str(error.value) == (
        f"the program has 2 instructions, and the simulated core began {begun} and ended {ended}; "
        "compile the model again"
    )


def test_verilog_that_shows_nothing(tmp_path):
    (tmp_path / "core.v").write_text("module weft_core; endmodule\n")
    case = pair("4x4", 14)
    with pytest.raises(InputError) as error:
        engine.run(case.program, case.inputs, verilog_path=tmp_path / "core.v", trace=True)
    assert str(error.value) == (
        f"the Verilog {tmp_path / 'core.v'} does not show when an instruction begins and ends; "
        "compile the model again"
    )
