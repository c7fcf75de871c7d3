"""Patterns into a board's activation memory and back: the one memory that can be read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from weft.boards.driver import Driver
from weft.compiler.program import LOAD_WORD
from weft.hw.config import Config, Space

#: Called with patterns done, and all.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class MemoryFault:
    """The first word that came back wrong.

    Parameters
    ----------
    address : int
        Of the 32-bit word in the activation memory.
    expected, actual : int
    """

    address: int
    expected: int
    actual: int

    def __str__(self) -> str:
        return (
            f"word {self.address} of the activation memory is {self.actual:#010x} instead of "
            f"{self.expected:#010x}"
        )


def check_memory(
    driver: Driver, config: Config, *, seed: int, progress: Progress | None = None
) -> MemoryFault | None:
    """Write random words to every address, read them back, and then their complements.

    So every bit is 0 once and 1 once, and an address that reaches the wrong word shows. What was
    in the memory is lost: inputs and outputs only.

    Parameters
    ----------
    driver : Driver
        Of a board with this configuration.
    config : Config
    seed : int
        Of the words.

    Raises
    ------
    RefusedError
        If the board does not answer, or its core is busy.
    """
    per_row = config.row_words(Space.ACTIVATION)
    count = config.activation_depth * per_row
    # A row may have fewer bytes than its words.
    kept = np.zeros((config.activation_depth, 4 * per_row), np.uint8)
    kept[:, : config.rows] = 0xFF
    mask = kept.view("<u4").reshape(-1)
    words = np.zeros(count, LOAD_WORD)
    words["space"] = Space.ACTIVATION
    words["address"] = np.arange(count)
    pattern = np.random.default_rng(seed).integers(0, 1 << 32, count, np.uint32)
    for number, data in enumerate((pattern, ~pattern)):
        words["data"] = data
        driver.write(words)
        read = driver.read(words["address"])
        wrong = np.flatnonzero((read ^ data) & mask)
        if len(wrong):
            at = int(wrong[0])
            return MemoryFault(at, int(data[at] & mask[at]), int(read[at] & mask[at]))
        if progress:
            progress(number + 1, 2)
    return None
