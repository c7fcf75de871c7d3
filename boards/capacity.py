"""Whether a configuration's core has room in a board's FPGA, before anything is built."""

from __future__ import annotations

from weft.boards.board import Board
from weft.errors import Problem
from weft.hw.area import MARGIN, estimate_area
from weft.hw.config import Config


def misfits(config: Config, board: Board) -> list[Problem]:
    """Everything of which the FPGA has too little.

    Multipliers and block RAMs are counted; lookup tables are estimated, and only as many too
    many as the estimate's error cannot explain are a problem.
    """
    area = estimate_area(config, board.family)
    exact = {
        "multiplier blocks": (area.multipliers, board.multiplier_blocks),
        "block RAMs": (area.block_rams, board.block_rams),
    }
    result = [
        _problem(what, board, f"the core takes {needed:,}", available)
        for what, (needed, available) in exact.items()
        if needed > available
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
