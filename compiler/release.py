"""When the host may load the next inputs, while a program runs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from weft.compiler.cycles import instruction_cycles
from weft.compiler.program import Program
from weft.hw.config import Config
from weft.hw.isa import Instruction
from weft.hw.latency import RELEASE, settle


def release_cycle(program: Program) -> int | None:
    """The core's count of cycles when it first takes a word of the next input.

    None where the inputs are not released: then the next ones come when the outputs are read.
    """
    if program.released is None:
        return None
    return last_steps(program.instructions, program.config)[program.released] + RELEASE


def last_steps(instructions: Sequence[Instruction], config: Config) -> list[int]:
    """The core's count of cycles when each instruction's last step is issued."""
    steps = [after - 1 for after in accumulate(instruction_cycles(instructions, config))]
    # The last one's results are counted as well.
    steps[-1] -= _settle(instructions[-1], config) + 1
    return steps


def still_storing(instructions: Sequence[Instruction], released: int, config: Config) -> list[int]:
    """Instructions as far as `released` with results yet to be stored when it releases inputs."""
    steps = last_steps(instructions, config)
    return [
        index
        for index in range(released + 1)
        if steps[index] + _settle(instructions[index], config) > steps[released] + RELEASE
    ]


def _settle(instruction: Instruction, config: Config) -> int:
    return settle(config, elementwise=bool(instruction.elementwise))
