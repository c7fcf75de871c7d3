"""When the host may load the next inputs, while a program runs."""

from __future__ import annotations

from weft.compiler.cycles import instruction_cycles
from weft.compiler.program import Program
from weft.hw.latency import RELEASE, settle


def release_cycle(program: Program) -> int | None:
    """The core's count of cycles when it first takes a word of the next input.

    None where the inputs are not released, so that it does when the program is done.
    """
    released = program.released
    if released is None:
        return None
    config, instructions = program.config, program.instructions
    cycles = instruction_cycles(instructions, config)
    after = sum(cycles[: released + 1])
    if released == len(cycles) - 1:  # its results are counted as well
        after -= settle(config, elementwise=bool(instructions[-1].elementwise)) + 1
    return after - 1 + RELEASE
