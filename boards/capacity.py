"""Whether a configuration's core has room in a board's FPGA, before anything is built."""

from __future__ import annotations

from weft.boards.board import Board
from weft.boards.record import BLOCK_RAMS
from weft.errors import Problem
from weft.hw.area import MARGIN, estimate_area
from weft.hw.config import Config


def misfits(config: Config, board: Board) -> list[Problem]:
    """Everything of which the FPGA has too little.

    Multipliers and block RAMs are counted; lookup tables are estimated, and only as many too
    many as the estimate's error cannot explain are a problem.
    """
    area = estimate_area(config, board.family)
    recorded = BLOCK_RAMS if board.keeps(config) else 0
    exact = {
        "multiplier blocks": (area.multipliers, 0, board.multiplier_blocks),
        "block RAMs": (area.block_rams, recorded, board.block_rams),
    }
    result = [
        _problem(
            what,
            board,
            f"the core takes {core:,}" + (f", the program's record {more}," if more else ""),
            available,
        )
        for what, (core, more, available) in exact.items()
        if core + more > available
    ]
    margin = MARGIN[board.family]
    if area.lut4 * (1 - margin) > board.luts:
        taken = f"the core takes about {area.lut4:,} (within {margin:.0%})"
        result.append(_problem("lookup tables", board, taken, board.luts))
    return result


def _problem(what: str, board: Board, taken: str, available: int) -> Problem:
    return Problem(
        what, "device", f"{taken} and the {board.title} has {available:,}",
        "use a smaller array, fewer lanes or a larger board",
    )  # fmt: skip
