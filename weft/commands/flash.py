"""``weft flash``: a built bitstream onto its board."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weft.boards import flash as programmer
from weft.console import say, step


@dataclass(frozen=True)
class Flashed:
    """The command that put the bitstream onto the board, or would have."""

    command: tuple[str, ...]
    done: bool

    holds = True

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``json.dumps``."""
        return {"command": list(self.command), "done": self.done}

    def show(self) -> None:
        """Print it for a person."""
        say(f"{'done' if self.done else 'would run'}: {shlex.join(self.command)}")


def flash(folder: Path, *, sram: bool = False, dry_run: bool = False) -> Flashed:
    """Put a built bitstream onto its board.

    Parameters
    ----------
    folder : Path
        What `build` filled.
    sram : bool
        Into the FPGA alone, until the power goes.
    dry_run : bool
        Only say which command would do it.
    """
    if dry_run:
        return Flashed(tuple(programmer.flash(folder, sram=sram, dry_run=True)), done=False)
    with step(f"flashing {folder}"):
        return Flashed(tuple(programmer.flash(folder, sram=sram)), done=True)
