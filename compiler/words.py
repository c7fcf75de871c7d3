"""Which activation words an instruction reads and writes, as sets."""

from __future__ import annotations

import numpy as np

from weft.hw.config import Config
from weft.hw.isa import LOOPS, Instruction, groups_of_tile, results, tiles_of_word


def turns_of(instruction: Instruction) -> dict[str, int]:
    """Turns of each loop."""
    return {loop: getattr(instruction, f"last_{loop}") + 1 for loop in LOOPS}


def words_read(ins: Instruction, turns: dict[str, int], config: Config, depth: int) -> np.ndarray:
    """Activation words read inside the image: bool array of the memory.

    A word's address is a sum of one term per loop, and whether it lies inside the image depends
    on y and x apart. So the words are found axis by axis, and no step is looked at on its own:
    there are millions.
    """
    strides = {}
    inner = 0
    for loop in LOOPS:
        strides[loop] = getattr(ins, f"source_{loop}") + inner
        inner += (turns[loop] - 1) * strides[loop]
    words = np.zeros(depth, bool)
    words[ins.source % depth] = True
    for axis, size in (("y", ins.height), ("x", ins.width)):
        outer, tap = np.arange(turns[f"o{axis}"])[:, None], np.arange(turns[f"k{axis}"])
        coordinate = getattr(ins, f"origin_{axis}") + (
            outer * getattr(ins, f"stride_{axis}") + tap * getattr(ins, f"step_{axis}")
        )
        moved = outer * strides[f"o{axis}"] + tap * strides[f"k{axis}"]
        words = _moved(words, moved[(coordinate >= 0) & (coordinate < size)])
    tiles = np.arange(turns["tile"])
    shared = tiles // tiles_of_word(ins, config) if ins.share else 0
    words = _moved(words, tiles * strides["tile"] + shared)
    for loop in ("digit", "block"):
        words = _moved(words, np.arange(turns[loop]) * strides[loop])
    return words


def words_written(
    ins: Instruction, turns: dict[str, int], config: Config, depth: int
) -> np.ndarray:
    """Activation words written: bool array of the memory."""
    lanes = (
        ins.target_group * config.lanes
        + (turns["tile"] - 1) * groups_of_tile(ins, config) * config.lanes
        + (ins.last_group + 1) * config.lanes
    )
    words = np.zeros(depth, bool)
    words[ins.target % depth] = True
    rows, columns = results(ins)
    for count, stride in (
        (rows, ins.target_oy),
        (columns, ins.target_ox),
        (-(-lanes // config.rows), 1),
    ):
        words = _moved(words, np.arange(count) * stride)
    return words


def _moved(words: np.ndarray, distances: np.ndarray) -> np.ndarray:
    """Every word of the set, moved by each distance; addresses wrap."""
    result = np.zeros_like(words)
    for distance in np.unique(distances % len(words)):
        result[distance:] |= words[: len(words) - distance]
        result[:distance] |= words[len(words) - distance :]
    return result
