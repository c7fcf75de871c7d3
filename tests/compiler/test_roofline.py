"""What bounds a layer: what must hold of any program, and layers made to be bound by each."""

from dataclasses import asdict, replace

import numpy as np
import pytest
from levels import ARRAYS, pair, seeds_of

from weft.compiler.cycles import instruction_cycles, issue_cycles
from weft.compiler.program import Program
from weft.compiler.roofline import Ideal, ideal, layer_times
from weft.errors import InputError
from weft.hw.config import Config
from weft.hw.isa import Instruction


@pytest.mark.parametrize("name", ARRAYS)
def test_no_layer_takes_less_than_what_bounds_it(name):
    """`issue_cycles` without lanes to wait for counts the steps in another way."""
    for seed in list(seeds_of(name))[::3]:
        program = pair(name, seed).program
        config = program.config
        times = layer_times(program)
        taken = instruction_cycles(program.instructions, config)
        where = str(pair(name, seed))
        assert sum(time.cycles for time in times) == sum(taken), where
        assert [time.cycles for time in times] == [n["cycles"] for n in program.layers], where
        at_once = replace(
            config, lanes=1, columns=1, rows=1, window=0, interleave=0, table_multipliers=0
        )
        for time, own in zip(times, program.instructions_of_layers(), strict=True):
            need = time.ideal
            steps = [issue_cycles(program.instructions[i], at_once) for i in own]
            assert need.reads == sum(steps), where
            assert need.array <= need.reads <= time.cycles - need.start, where
            # The last results of a layer are taken while the next one starts.
            spare = len(own) * (2 if config.shared_elementwise else config.groups)
            assert max(need.requantizer, need.elementwise) <= time.cycles + spare, where
            assert asdict(need)[time.bound] == max(asdict(need).values()), where
            assert time.utilization == time.macs / (config.multipliers * time.cycles)


WIDE = Config(rows=8, columns=8, lanes=8)


@pytest.mark.parametrize(
    ("config", "instruction", "macs", "start", "bound"),
    [
        (WIDE, {"last_ox": 99, "last_kx": 2}, 300 * 64, 20, "array"),
        (WIDE, {"last_ox": 99, "last_kx": 2}, 299 * 64, 20, "reads"),
        (WIDE, {"last_ox": 9}, 10 * 64, 20, "start"),
        (replace(WIDE, lanes=2), {"last_ox": 99, "last_kx": 2, "last_group": 3}, 300 * 64, 20,
         "requantizer"),
        (WIDE, {"last_ox": 99, "last_block": 1, "elementwise": 1}, 0, 20, "elementwise"),
        (WIDE, {"last_ox": 99, "last_block": 1}, 0, 20, "reads"),
    ],
)  # fmt: skip
def test_bounds(config, instruction, macs, start, bound):
    assert ideal([Instruction(**instruction)], config, macs=macs, start=start).bound == bound


def test_ideal_cycles_by_hand():
    """Two tiles of 5 columns, of 2 lanes each: 4 groups, then 3 of the last tile's."""
    config = Config(rows=8, columns=8, lanes=2, elementwise=1)
    instruction = Instruction(last_ox=9, last_oy=1, last_kx=1, last_tile=1, last_group=2,
                              elementwise=2)  # fmt: skip
    found = ideal([instruction] * 3, config, macs=1000, start=7)
    assert found == Ideal(
        array=16, elementwise=3 * 20 * 7, requantizer=3 * 20 * 7, reads=3 * 2 * 20 * 2, start=7
    )


def test_skipped_zeros_are_not_what_the_array_needs():
    assert ideal([Instruction(last_ox=9)], WIDE, macs=11 * 64, start=0).array == 10


def test_a_program_that_does_not_say_whose_instructions_are_whose():
    program = pair("4x4", 0).program
    cut = replace(program, layers=[{**program.layers[0], "instructions": 1000}])
    with pytest.raises(InputError, match="which instructions belong to which node; compile the"):
        layer_times(cut)
    assert isinstance(cut, Program)
    assert np.all([len(own) > 0 for own in program.instructions_of_layers()])
