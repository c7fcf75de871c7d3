"""Pieces of an instruction: some of its tiles, as an instruction of their own."""

from __future__ import annotations

from dataclasses import replace

from weft.hw.config import Config
from weft.hw.isa import LOOPS, Instruction, bits, groups_of_tile, tiles_of_word, tiles_read


def granularity(instruction: Instruction, config: Config) -> int:
    """Pieces begin at multiples of so many tiles: those that share a word stay together."""
    if instruction.hold_tiles:
        return instruction.last_tile + 1
    return tiles_of_word(instruction, config) if instruction.share else 1


def piece(instruction: Instruction, first: int, count: int, config: Config) -> Instruction:
    """The instruction for the tiles [first, first + count), without its wait.

    `first` is a multiple of `granularity`. The pieces of an instruction, one after the other,
    do what it does.
    """
    tiles = instruction.last_tile + 1
    stride = inner = 0  # of the tile loop: its move, and the way that the loops inside have gone
    for loop in LOOPS:
        stride = getattr(instruction, f"source_{loop}") + inner
        inner += getattr(instruction, f"last_{loop}") * stride
    moved = first * stride
    if instruction.share:
        moved += first // tiles_of_word(instruction, config)
    groups = groups_of_tile(instruction, config)
    group = instruction.target_group + first * groups
    word, group = divmod(group, config.rows // config.lanes)
    wrap = 1 << bits(config.activation_depth)
    return replace(
        instruction,
        last_tile=count - 1,
        source=(instruction.source + moved) % wrap,
        weight=instruction.weight + tiles_read(instruction) * first // tiles,
        parameter=instruction.parameter + first * groups,
        target=(instruction.target + word) % wrap,
        target_group=group,
        last_group=instruction.last_group if first + count == tiles else groups - 1,
        wait=0,
    )
