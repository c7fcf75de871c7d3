"""``weft build``: a folder compiled for a board to a bitstream."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from weft.boards import build as bitstream
from weft.boards.board import Board
from weft.boards.build_report import RESOURCES, BuildReport
from weft.boards.patch import patch
from weft.boards.registry import BOARDS
from weft.boards.uart import divisor
from weft.console import say, step, table
from weft.errors import InputError
from weft.models import SUMMARY, read_program

#: Bits per second that USB adapters on boards make at the most.
_FASTEST = 3_000_000
#: At fewer the link would take the pause within a byte for the end of a request.
_SLOWEST = 9_600


@dataclass(frozen=True, eq=False)
class Built:
    """A bitstream and how it came out.

    Parameters
    ----------
    folder : Path
    board : Board
    report : BuildReport
        The contents of build.json.
    """

    folder: Path
    board: Board
    report: BuildReport

    holds = True

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``json.dumps``."""
        return {"folder": str(self.folder), **asdict(self.report)}

    def rows(self) -> list[tuple[str, str]]:
        """What a table says of it: clock and resources."""
        clock = f"{self.report.fmax_mhz:.1f} MHz routed, runs at {self.report.target_mhz:.1f} MHz"
        return [
            ("clock", clock),
            *(
                (RESOURCES[name], f"{cells['used']:,} of {cells['available']:,}")
                for name, cells in self.report.utilization.items()
                if name in RESOURCES
            ),
        ]

    def show(self) -> None:
        """Print it for a person."""
        table(["", ""], self.rows(), title=self.board.title)
        say(f"{self.folder / self.report.files['bitstream']} and build.json written")


def build(folder: Path, *, baud: int | None = None, source: Path | None = None) -> Built:
    """Build the bitstream of a folder that was compiled for a board.

    Parameters
    ----------
    folder : Path
        What `compile_model` wrote; the bitstream and build.json go there as well.
    baud : int, optional
        Bits per second of the link, instead of the board's own: within 2 % of a whole fraction of
        its clock.
    source : Path or None
        A folder with a finished build for the same board and configuration: its bitstream gets
        this program, without synthesis or place and route.

    Raises
    ------
    InputError
        If `source` holds no finished build.
    RefusedError
        If the design is too large, misses the clock, or a tool is absent or fails; or if the
        bitstream of `source` is for other programs.
    """
    program = read_program(folder)
    board = _board_of(folder)
    if source is not None:
        if baud is not None:
            raise InputError("the link of a finished build keeps its speed; leave --baud out")
        with step(f"putting the program into the bitstream of {source}") as running:
            report = patch(program, board, folder, source, progress=running.stage)
            running.note(f"{sum(report.seconds.values()):.1f} s")
        return Built(folder, board, report)
    if baud is not None:
        board = _with_baud(board, baud)
    with step(f"building the bitstream for {board.title}") as running:
        report = bitstream.build(program, board, folder, progress=running.stage)
        running.note(f"{report.fmax_mhz:.1f} MHz after routing")
    return Built(folder, board, report)


def _with_baud(board: Board, baud: int) -> Board:
    """A board whose link has another speed."""
    clock = board.target_mhz * 1e6
    if baud < _SLOWEST:
        raise InputError(f"--baud {baud} is too slow for the link; give at least {_SLOWEST}")
    try:
        divisor(clock=clock, baud=baud)
    except ValueError as error:
        fastest = clock / math.ceil(clock / _FASTEST)
        raise InputError(
            f"{board.title}: {error}; give a whole fraction of its clock, up to {fastest:.0f}"
        ) from None
    return replace(board, baud=baud)


def _board_of(folder: Path) -> Board:
    try:
        name = json.loads((folder / SUMMARY).read_text())["board"]
        board = None if name is None else BOARDS[name]
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(
            f"{folder} has no readable {SUMMARY}; "
            f"make it again with: weft compile MODEL --board BOARD -o {folder}"
        ) from None
    if board is None:
        raise InputError(
            f"{folder} was compiled for an array, which has no pins; "
            f"compile it again with: weft compile MODEL --board BOARD -o {folder}"
        )
    return board
