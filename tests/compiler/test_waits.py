"""Waits: never shorter than what a step-by-step timetable of reads and writes allows."""

from dataclasses import replace

import numpy as np
import pytest
from random_networks import random_network

from weft.compiler.compile import compile_network, fit
from weft.compiler.verify_program import verify
from weft.compiler.waits import least_wait, with_waits
from weft.errors import InputError
from weft.hw.config import Config, Space
from weft.hw.isa import Instruction, encode
from weft.hw.latency import drain, last_tile_read, until_sums

CONFIG = Config(rows=8, columns=4, lanes=4)
SETTLE = drain(CONFIG, elementwise=False)


def test_what_lies_apart_waits_for_the_array_alone():
    first = Instruction(last_ox=40, target=100, target_ox=1)
    second = Instruction(last_ox=40, source_ox=1, width=41)
    assert least_wait(first, second, CONFIG) == max(SETTLE - until_sums(CONFIG), until_sums(CONFIG))


@pytest.mark.parametrize("step", range(6))
def test_a_word_is_read_after_it_is_written(step):
    """The last result goes to word 100, which `step` reads."""
    first = Instruction(last_ox=40, target=60, target_ox=1)
    second = Instruction(last_ox=40, source=100 - step, source_ox=1, width=41)
    assert least_wait(first, second, CONFIG) == SETTLE - step - 1


@pytest.mark.parametrize("ago", range(6))
def test_earlier_results_are_there_sooner(ago):
    first = Instruction(last_ox=40, target=60, target_ox=1)
    second = Instruction(source=100 - ago)
    assert least_wait(first, second, CONFIG) == SETTLE - ago - 1


def test_padding_reads_nothing():
    first = Instruction(last_ox=40, target=60, target_ox=1)
    second = Instruction(source=100, origin_y=1024)
    assert least_wait(first, second, CONFIG) < SETTLE - 1


def test_a_word_written_twice_counts_from_the_last_time():
    # Two tiles in one word of 8 lanes: the second is written with the last result.
    first = Instruction(last_tile=1, target=100)
    assert least_wait(first, Instruction(source=100), CONFIG) == SETTLE - 1


def test_a_copy_waits_for_the_last_tile():
    """With many rows and groups the last weights are read long after the last step."""
    config = Config(rows=16, columns=16, lanes=4, copies=1)
    first, second = Instruction(target=100), Instruction(copy_words=config.tile_words)
    assert least_wait(first, second, config) == last_tile_read(config)
    assert least_wait(first, Instruction(), config) < last_tile_read(config)


def test_elementwise_results_take_longer():
    config = replace(CONFIG, multiplier_bits=31, elementwise=1)
    first = Instruction(elementwise=1, last_kx=1, target=100)
    expected = drain(config, elementwise=True) - 1
    assert least_wait(first, Instruction(source=100), config) == expected
    assert expected > drain(config, elementwise=False)


@pytest.mark.parametrize("seed", range(10))
def test_the_verifier_asks_for_every_wait(seed):
    print("seed", seed)
    network = random_network(np.random.default_rng(seed), size=400, max_nodes=4, max_side=5)
    made = compile_network(network, fit(network, Config(rows=4, columns=4)))
    instructions = made.instructions
    assert instructions == with_waits(instructions, made.config)
    for index in range(1, len(instructions)):
        short = list(instructions)
        short[index] = replace(short[index], wait=short[index].wait - 1)
        words = np.array([encode(ins, made.config) for ins in short], "<u4").reshape(-1, 1)
        made.images = {**made.images, Space.PROGRAM: words.view(np.uint8)}
        wait = instructions[index].wait
        fault = f"instruction {index} waits {wait - 1} cycles, and must wait {wait}"
        with pytest.raises(InputError, match=fault):
            verify(made)
