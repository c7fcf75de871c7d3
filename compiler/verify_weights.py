"""What the verifier of programs knows of the weight memory: which rows hold weights, and when."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from weft.compiler.program import Program
from weft.hw.config import Space
from weft.hw.isa import Instruction, tiles_read


class WeightRows:
    """The weight memory from one instruction to the next.

    At the start a row holds what its image says, unless a copy ever goes there: an inference
    must not depend on how the one before left it. A copy's rows hold nothing that can be relied
    on until an instruction has waited for it.

    Parameters
    ----------
    program : Program
    instruction_size : int
        Words of the program memory that hold instructions.
    """

    def __init__(self, program: Program, instruction_size: int):
        self._config = program.config
        self._first = instruction_size
        self._words = len(program.images[Space.PROGRAM])
        self._permanent = len(program.images.get(Space.WEIGHT, ()))
        self._ready = np.zeros(max(self._config.weight_depth, self._permanent), bool)
        self._ready[: self._permanent] = True
        self._copied = False
        self._under_way: slice | None = None
        for instruction in program.instructions:
            if instruction.copy_words:
                self._copied = True
                self._ready[self._rows(instruction)] = False

    def _rows(self, instruction: Instruction) -> slice:
        size = instruction.copy_words // self._config.tile_words
        return slice(instruction.copy_row, instruction.copy_row + size)

    def begin(self, instruction: Instruction) -> Iterator[str]:
        """What is wrong with the copy that an instruction starts."""
        if instruction.copied:
            self._wait()
        if not instruction.copy_words:
            return
        if instruction.copy_words % self._config.tile_words:
            yield (f"copies {instruction.copy_words} words, and a tile has "
                   f"{self._config.tile_words}")  # fmt: skip
        last = instruction.copy_source + instruction.copy_words - 1
        if instruction.copy_source < self._first or last >= self._words:
            yield (f"copies words {instruction.copy_source} to {last}, and weights lie in words "
                   f"{self._first} to {self._words - 1}")  # fmt: skip
        rows = self._rows(instruction)
        if rows.stop > self._config.weight_depth:
            yield f"copies to weight row {rows.stop - 1} of {self._config.weight_depth}"
        if self._under_way is not None:
            yield "starts a copy without waiting for the one before"
        self._ready[rows] = False
        self._under_way = rows

    def read(self, instruction: Instruction) -> Iterator[str]:
        """What is wrong with the tiles that an instruction reads."""
        end = instruction.weight + tiles_read(instruction)
        if not self._copied:
            if end > self._permanent:
                yield f"reads weight tile {end - 1} of {self._permanent}"
            return
        missing = np.flatnonzero(~self._ready[instruction.weight : end])
        if end > len(self._ready):
            yield f"reads weight tile {end - 1} of {len(self._ready)}"
        elif len(missing):
            yield f"reads weight tile {instruction.weight + missing[0]} before it is copied"

    def end(self) -> Iterator[str]:
        """What is wrong when the last instruction has begun."""
        if self._under_way is not None:
            yield "a copy is not waited for by any instruction"

    def _wait(self) -> None:
        if self._under_way is not None:
            self._ready[self._under_way] = True
            self._under_way = None
