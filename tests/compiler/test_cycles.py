"""Cycle counts: what must hold of any machine; equality with the gateware is tested with it."""

from dataclasses import replace

import numpy as np
import pytest
from random_networks import random_network

from weft.compiler.compile import compile_network, fit
from weft.compiler.cycles import instruction_cycles, issue_cycles
from weft.hw.config import Config
from weft.hw.isa import LOOPS, Instruction, instruction_words
from weft.hw.latency import settle

CONFIG = Config(rows=8, columns=8)


@pytest.mark.parametrize("seed", range(20))
def test_a_step_takes_a_cycle(seed):
    rng = np.random.default_rng(seed)
    turns = {loop: int(n) for loop, n in zip(LOOPS, rng.integers(1, 6, len(LOOPS)), strict=True)}
    instruction = Instruction(**{f"last_{loop}": n - 1 for loop, n in turns.items()})
    assert issue_cycles(instruction, CONFIG) == np.prod(list(turns.values()))


def test_pixels_are_as_far_apart_as_groups():
    instruction = Instruction(last_ox=9, last_kx=2)
    cycles = [issue_cycles(instruction, Config(rows=8, columns=8, lanes=n)) for n in (8, 4, 2, 1)]
    assert cycles == [30, 30, 3 + 9 * 4, 3 + 9 * 8]


@pytest.mark.parametrize("loop", LOOPS)
def test_more_turns_never_take_less(loop):
    base = Instruction(last_block=1, last_kx=2, last_ox=3, last_tile=1)
    cycles = [
        issue_cycles(replace(base, **{f"last_{loop}": last}), Config(rows=8, columns=8, lanes=2))
        for last in range(6)
    ]
    assert cycles == sorted(cycles)
    assert len(set(cycles)) > 1


def test_nothing_takes_no_time():
    assert instruction_cycles([], CONFIG) == []


def test_fetch_and_drain_come_on_top():
    fetch, end = instruction_words(CONFIG), settle(CONFIG, elementwise=False)
    alone = instruction_cycles([Instruction()], CONFIG)[0]
    assert alone > fetch + end
    three = instruction_cycles([Instruction()] * 3, CONFIG)
    assert fetch < three[0] == three[1] < alone
    assert three[2] == three[1] + end + 1


def test_waiting_takes_the_place_of_fetching():
    times = [
        instruction_cycles([Instruction(), Instruction(wait=wait)], CONFIG)[1] for wait in range(60)
    ]
    fetch = times[0]
    assert times == [max(fetch, times[59] - 59 + wait) for wait in range(60)]
    # The first one waits for nothing.
    assert instruction_cycles([Instruction(wait=40)], CONFIG) == instruction_cycles(
        [Instruction()], CONFIG
    )


@pytest.mark.parametrize("seed", range(5))
def test_a_larger_array_takes_no_more_steps(seed):
    network = random_network(np.random.default_rng(seed), operators=("Conv2D", "FullyConnected"))
    totals = []
    for side in (1, 2, 4, 8):
        array = Config(rows=side, columns=side)
        program = compile_network(network, fit(network, array))
        totals.append(sum(issue_cycles(ins, array) for ins in program.instructions))
        exact = instruction_cycles(program.instructions, program.config)
        assert sum(layer["cycles"] for layer in program.layers) == sum(exact)
    assert totals == sorted(totals, reverse=True)
