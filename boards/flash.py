"""Put a bitstream onto a board."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

from weft.boards.board import Board
from weft.boards.registry import find_board
from weft.errors import InputError, RefusedError

#: How to get each tool.
REMEDIES = {
    "iceprog": "`apt install fpga-icestorm`, `brew install icestorm`, or the OSS CAD Suite",
    "openFPGALoader": "`apt install openfpgaloader`, `brew install openfpgaloader`, "
    "or the OSS CAD Suite",
}


def read_build(directory: Path | str) -> tuple[Board, Path]:
    """Board and bitstream of a finished build.

    Raises
    ------
    InputError
        If the folder holds none, or its bitstream is missing or empty.
    """
    folder = Path(directory)
    try:
        found = json.loads((folder / "build.json").read_text(encoding="utf-8"))
        board, name = found["board"], found["files"]["bitstream"]
    except FileNotFoundError:
        raise InputError(f"{folder} holds no build.json; run `weft build` on it first") from None
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(
            f"{folder / 'build.json'} holds no finished build; run `weft build` again"
        ) from None
    bitstream = folder / name
    if not bitstream.is_file() or bitstream.stat().st_size == 0:
        raise InputError(f"{bitstream} is missing or empty; run `weft build` again")
    return find_board(board), bitstream


def flash_command(board: Board, bitstream: Path, *, sram: bool = False) -> list[str]:
    """Make the command that puts a bitstream onto a board.

    Parameters
    ----------
    board : Board
    bitstream : path
    sram : bool
        Into the FPGA alone, until the power goes, instead of the flash memory.

    Raises
    ------
    InputError
        If the board cannot do that.
    """
    arguments = board.sram_arguments if sram else board.flash_arguments
    if not arguments:
        raise InputError(f"{board.title} has no way to load its FPGA directly; leave out --sram")
    variable = board.flash_tool.upper()
    tool = os.environ.get(variable, board.flash_tool)
    return [tool, *(argument.format(file=bitstream) for argument in arguments)]


def program_command(directory: Path | str) -> list[str] | None:
    """Make the command that puts a build's program where its boot loader finds it.

    None where the gateware has no boot loader.

    Raises
    ------
    InputError
        If the folder holds no finished build, or its program is missing or empty.
    """
    board, bitstream = read_build(directory)
    found = json.loads((Path(directory) / "build.json").read_text(encoding="utf-8"))
    if "program" not in found["files"]:
        return None
    image = bitstream.with_name(found["files"]["program"])
    if not image.is_file() or image.stat().st_size == 0:
        raise InputError(f"{image} is missing or empty; run `weft build` again")
    tool = os.environ.get(board.flash_tool.upper(), board.flash_tool)
    places = {"file": image, "offset": board.program_offset}
    return [tool, *(argument.format(**places) for argument in board.program_arguments)]


def flash(directory: Path | str, *, sram: bool = False, dry_run: bool = False) -> list[str]:
    """Put a finished build's bitstream onto its board; the command that did it, or would.

    Raises
    ------
    InputError
        If the folder holds no finished build.
    RefusedError
        If the tool is absent or fails.
    """
    board, bitstream = read_build(directory)
    command = flash_command(board, bitstream, sram=sram)
    return command if dry_run else _run(board, command)


def flash_program(directory: Path | str, *, dry_run: bool = False) -> list[str]:
    """Put a finished build's program into its board's flash memory; the command that does it.

    Raises
    ------
    InputError
        If the folder holds no finished build.
    RefusedError
        If its gateware has no boot loader, or the tool is absent or fails.
    """
    board, _ = read_build(directory)
    command = program_command(directory)
    if command is None:
        raise RefusedError(
            f"the gateware in {directory} has no boot loader that would find a program in flash "
            "memory; put a program into its bitstream with: weft build DIR --from "
            f"{directory}, or load it over the link with: weft run"
        )
    return command if dry_run else _run(board, command)


def _run(board: Board, command: list[str]) -> list[str]:
    if shutil.which(command[0]) is None:
        raise RefusedError(
            f"{board.title} is flashed with {command[0]}, which is not here; "
            f"get it with {REMEDIES[board.flash_tool]}"
        )
    done = subprocess.run(command, capture_output=True, text=True, check=False, errors="replace")
    if done.returncode:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        last = lines[-1].strip() if lines else "nothing"
        raise RefusedError(
            f"{Path(command[0]).name} stopped with status {done.returncode} and said: {last}; "
            "check that the board is plugged in and that you may use USB devices"
        )
    return command
