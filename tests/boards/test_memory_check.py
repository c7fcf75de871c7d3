"""Patterns into a memory that is not as it should be."""

import numpy as np
import pytest

from weft.boards.memory_check import check_memory
from weft.hw.config import Config, Space

CONFIG = Config(rows=5, columns=3, activation_depth=20)


class Memory:
    """In a driver's place: a row has five bytes of eight; `spoil` has its way with what is read."""

    def __init__(self, spoil=lambda words: None):
        self.words = np.zeros(40, np.uint32)
        self.spoil = spoil

    def write(self, words):
        assert (words["space"] == Space.ACTIVATION).all()
        self.words[words["address"]] = words["data"]
        self.words[1::2] &= 0xFF

    def read(self, addresses):
        words = self.words.copy()
        self.spoil(words)
        return words[addresses]


def test_a_good_memory():
    assert check_memory(Memory(), CONFIG, seed=1) is None


@pytest.mark.parametrize("level", [0, 1])
def test_a_bit_that_is_stuck(level):
    def stick(words):
        words[12] = words[12] | 0x80 if level else words[12] & ~np.uint32(0x80)

    fault = check_memory(Memory(stick), CONFIG, seed=2)
    assert (fault.address, fault.expected ^ fault.actual) == (12, 0x80)
    assert str(fault) == (
        f"word 12 of the activation memory is {fault.actual:#010x} instead of "
        f"{fault.expected:#010x}"
    )


def test_an_address_line_that_is_stuck():
    def alias(words):
        words[16:32] = words[:16]

    assert check_memory(Memory(alias), CONFIG, seed=3).address == 16
