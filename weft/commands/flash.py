"""``weft flash``: a build onto its board."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from weft.boards import flash as programmer
from weft.console import say, step


@dataclass(frozen=True)
class Flashed:
    """The commands that put a build onto its board, or would have."""

    commands: tuple[tuple[str, ...], ...]
    done: bool

    holds = True

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``json.dumps``."""
        return {"commands": [list(command) for command in self.commands], "done": self.done}

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
    """
    if program:
        steps = [partial(programmer.flash_program, folder)]
    else:
        # The program first: the bitstream's boot loader looks for it as soon as it runs.
        first = programmer.program_command(folder) is not None
        steps = [partial(programmer.flash_program, folder)] if first else []
        steps.append(partial(programmer.flash, folder, sram=sram))
    if dry_run:
        return Flashed(tuple(tuple(run(dry_run=True)) for run in steps), done=False)
    with step(f"flashing {folder}"):
        return Flashed(tuple(tuple(run()) for run in steps), done=True)
