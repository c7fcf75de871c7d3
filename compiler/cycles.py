"""How long a program takes: exact, as every latency of the gateware is a constant.

The formulas follow `weft.hw.decoder` and `weft.hw.sequencer`; a test holds them equal to
the simulated gateware.
"""

from __future__ import annotations

from collections.abc import Sequence

from weft.hw.config import Config
from weft.hw.isa import LOOPS, Instruction, fetch_cycles, results
from weft.hw.latency import settle

#: Cycles from asking for a word of an instruction until it is among the fields, and one until
#: the first step is issued.
_BEGIN = 3 + 1


def issue_cycles(instruction: Instruction, config: Config) -> int:
    """Cycles from an instruction's first step to its last, both included.

    One a step, unless two results would come closer together than `config.groups`.
    """
    turns = {loop: getattr(instruction, f"last_{loop}") + 1 for loop in LOOPS}
    steps = turns["block"] * turns["kx"] * turns["ky"] * turns["digit"]
    rows, columns = results(instruction)
    # Steps from the end of one row of results to the first result of the next row, and of
    # the next tile; a row ends with its last result.
    lead = (instruction.skip_x + 1) * steps
    next_row = instruction.every_y * turns["ox"] * steps + lead
    next_tile = instruction.skip_y * turns["ox"] * steps + lead
    in_row = (columns - 1) * max((instruction.every_x + 1) * steps, config.groups)
    tile = rows * in_row + (rows - 1) * max(next_row, config.groups)
    return next_tile + tile + (turns["tile"] - 1) * (max(next_tile, config.groups) + tile)


def instruction_cycles(instructions: Sequence[Instruction], config: Config) -> list[int]:
    """Cycles per instruction, what it waits and the last drain included.

    Their sum is the core's `cycles`.
    """
    fetch = fetch_cycles(config) + _BEGIN - 1
    result = []
    for index, instruction in enumerate(instructions):
        # The first one waits for nothing.
        start = max(fetch, instruction.wait + 1) if index else fetch
        result.append(start + issue_cycles(instruction, config))
    if result:
        result[-1] += settle(config, elementwise=bool(instructions[-1].elementwise)) + 1
    return result
