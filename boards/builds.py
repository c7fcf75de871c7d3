"""The last recorded build of each board; ``bench/boards.py`` makes the record."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files

from weft.boards.board import Board

#: Beside the boards' files.
FILE = "builds.json"


@dataclass(frozen=True)
class Recorded:
    """What came of a board's own configuration, with its link and no program.

    Parameters
    ----------
    config_digest : str
        Of the configuration that was built.
    fmax_mhz : float
        After routing, the best of the seeds that were tried.
    seeds : int
        How many.
    tools : dict of str to str
        Versions of synthesis, and of place and route.
    """

    config_digest: str
    fmax_mhz: float
    seeds: int
    tools: dict[str, str]


def recorded_builds() -> dict[str, Recorded]:
    """Every record, by the board's name."""
    text = (files("weft.boards.catalog") / FILE).read_text(encoding="utf-8")
    return {name: Recorded(**fields) for name, fields in json.loads(text).items()}


def recorded_build(board: Board) -> Recorded | None:
    """The record of a board, unless it is of another configuration."""
    found = recorded_builds().get(board.name)
    return found if found and found.config_digest == board.config.digest else None
