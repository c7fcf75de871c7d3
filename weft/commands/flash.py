"""``weft flash``: a build onto its board."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weft.boards.flash import Finished, flash_commands, read_build, run_flash
from weft.console import say, step
from weft.errors import RefusedError
from weft.models import check_folder, read_program


@dataclass(frozen=True)
class Flashed:
    """The commands that put a build onto its board, or would have."""

    commands: tuple[tuple[str, ...], ...]
    done: bool

    holds = True

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``json.dumps``."""
        commands = [list(command) for command in self.commands]
        # The last one is the bitstream's, and mostly the only one.
        return {"command": commands[-1], "commands": commands, "done": self.done}

    def show(self) -> None:
        """Print it for a person."""
        for command in self.commands:
            say(f"{'done' if self.done else 'would run'}: {shlex.join(command)}")


def flash(
    folder: Path, *, sram: bool = False, program: bool = False, dry_run: bool = False
) -> Flashed:
    """Put a build onto its board: its bitstream and, for a boot loader, its program.

    Parameters
    ----------
    folder : Path
        What `build` filled.
    sram : bool
        The bitstream into the FPGA alone, until the power goes.
    program : bool
        Only the program, for the boot loader of a bitstream that is there.
    dry_run : bool
        Only say which commands would do it.

    Raises
    ------
    InputError
        If the folder holds no finished build.
    RefusedError
        If the folder's program was compiled anew since, there is no boot loader for `program`, or
        the tool is absent or fails.
    """
    check_folder(folder)
    finished = read_build(folder)
    _check_program(folder, finished)
    commands = flash_commands(finished, sram=sram, program=program)
    if not dry_run:
        with step(f"flashing {folder}"):
            for command in commands:
                run_flash(finished.board, command)
    return Flashed(tuple(map(tuple, commands)), done=not dry_run)


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
