"""``weft flash``: a built bitstream onto its board."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weft.boards.flash import Finished, flash_command, read_build, run_flash
from weft.console import say, step
from weft.errors import RefusedError
from weft.models import read_program


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

    Raises
    ------
    InputError
        If the folder holds no finished build.
    RefusedError
        If the folder's program was compiled anew since, or the tool is absent or fails.
    """
    finished = read_build(folder)
    _check_program(folder, finished)
    command = flash_command(finished.board, finished.bitstream, sram=sram)
    if not dry_run:
        with step(f"flashing {folder}"):
            run_flash(finished.board, command)
    return Flashed(tuple(command), done=not dry_run)


def _check_program(folder: Path, finished: Finished) -> None:
    """A bitstream of another program than the folder's would be refused by the driver, too."""
    program = read_program(folder)
    pairs = (
        ("configuration", finished.config_digest, program.config.digest),
        ("program", finished.program_digest or program.digest, program.digest),
    )
    for what, built, compiled in pairs:
        if built != compiled:
            raise RefusedError(
                f"{finished.bitstream} was built of {what} {built}, and {folder} holds {compiled}: "
                "it was compiled again since; run `weft build` on it"
            )
