"""The boards, by name."""

from __future__ import annotations

from weft.boards.board import Board
from weft.boards.catalog import (
    ecpix5_85f,
    icebreaker,
    orangecrab_25f,
    orangecrab_85f,
    tang_nano_9k,
    tang_primer_20k,
    ulx3s_12f,
    ulx3s_25f,
    ulx3s_45f,
    ulx3s_85f,
    upduino_v3,
)
from weft.errors import InputError

_FILES = (
    icebreaker,
    upduino_v3,
    ulx3s_12f,
    ulx3s_25f,
    ulx3s_45f,
    ulx3s_85f,
    orangecrab_25f,
    orangecrab_85f,
    ecpix5_85f,
    tang_nano_9k,
    tang_primer_20k,
)
#: Every board, in the order lists show them.
BOARDS: dict[str, Board] = {file.BOARD.name: file.BOARD for file in _FILES}


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
