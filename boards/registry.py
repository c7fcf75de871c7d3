"""The boards, by name."""

from __future__ import annotations

from weft.boards import icebreaker, tang_nano_9k, tang_primer_20k, ulx3s_85f
from weft.boards.board import Board
from weft.errors import InputError

#: Every board, in the order lists show them.
BOARDS: dict[str, Board] = {
    board.name: board
    for board in (icebreaker.BOARD, ulx3s_85f.BOARD, tang_nano_9k.BOARD, tang_primer_20k.BOARD)
}


def find_board(name: str) -> Board:
    """Look a board up by its name, whatever its case, ``-`` or ``_``.

    Raises
    ------
    InputError
        If there is none of that name; the message lists those there are.
    """
    board = BOARDS.get(name.strip().lower().replace("_", "-"))
    if board is None:
        raise InputError(f"no board {name!r}; the boards are {', '.join(BOARDS)}")
    return board
