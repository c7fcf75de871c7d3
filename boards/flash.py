"""Put a bitstream onto a board."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from weft.boards.board import Board
from weft.boards.cache import digest
from weft.boards.registry import BOARDS
from weft.errors import InputError, RefusedError

#: How to get each tool.
REMEDIES = {
    "dfu-util": "`apt install dfu-util`, `brew install dfu-util`, or the OSS CAD Suite",
    "iceprog": "`apt install fpga-icestorm`, `brew install icestorm`, or the OSS CAD Suite",
    "openFPGALoader": "`apt install openfpgaloader`, `brew install openfpgaloader`, "
    "or the OSS CAD Suite",
}
#: Seconds after which a tool that says nothing more is stopped: flash memories take a minute.
PATIENCE = 600

#: What libusb and libftdi say through the tools. The board is there and may not be used,
_FORBIDDEN = re.compile(r"usb_open\(\) failed|LIBUSB_ERROR_ACCESS|permission|error -?4\b", re.I)
#: or it is not there.
_ABSENT = re.compile(
    r"device not found|can't find|cannot find|no dfu capable|no such device|unable to open ftdi",
    re.I,
)


@dataclass(frozen=True)
class Finished:
    """A finished build, as its build.json says.

    Parameters
    ----------
    board : Board
    bitstream : Path
    program : Path or None
        The image for flash memory, where the gateware has a boot loader that looks for it.
    config_digest : str
    program_digest : str or None
        None where the program comes over the link.
    clock, baud : float
        Hz of the core, and bits per second of the link.
    """

    board: Board
    bitstream: Path
    program: Path | None
    config_digest: str
    program_digest: str | None
    clock: float
    baud: float


def read_build(directory: Path | str) -> Finished:
    """Look at a folder with a finished build.

    Raises
    ------
    InputError
        If the folder holds none, or what is to be flashed is missing or not what was built.
    """
    folder = Path(directory)
    try:
        found = json.loads((folder / "build.json").read_text(encoding="utf-8"))
        board = BOARDS.get(found["board"])
        sums = {folder / found["files"][kind]: found["sums"][kind] for kind in found["sums"]}
        bitstream = folder / found["files"]["bitstream"]
        program = folder / found["files"]["program"] if "program" in found["files"] else None
        digests = found["config_digest"], found["program_digest"]
        speeds = float(found["target_mhz"]) * 1e6, float(found["baud"])
    except FileNotFoundError:
        raise InputError(f"{folder} holds no build.json; run `weft build` on it first") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise InputError(
            f"{folder / 'build.json'} holds no finished build; run `weft build` again"
        ) from None
    for file in filter(None, (bitstream, program)):
        try:
            data = file.read_bytes()
        except FileNotFoundError:
            raise InputError(f"{file} is missing; run `weft build` again") from None
        except (OSError, ValueError) as error:
            raise InputError(
                f"{file} cannot be read ({getattr(error, 'strerror', None) or error}); "
                "run `weft build` again"
            ) from None
        if digest(data) != sums.get(file):
            raise InputError(
                f"{file} is not what `weft build` wrote: it was cut short or changed; "
                "run `weft build` again"
            )
    if board is None:
        raise InputError(
            f"{folder / 'build.json'} is for a board {found['board']!r}, which this weft does not "
            "know; run `weft build` again"
        )
    return Finished(board, bitstream, program, *digests, *speeds)


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
    return [_tool(board), *(argument.format(file=bitstream) for argument in arguments)]


def program_command(finished: Finished) -> list[str]:
    """Make the command that puts a build's program where its boot loader finds it.

    Raises
    ------
    RefusedError
        If its gateware has no boot loader.
    """
    board, folder = finished.board, finished.bitstream.parent
    if finished.program is None:
        raise RefusedError(
            f"the gateware in {folder} has no boot loader that would find a program in flash "
            "memory; put a program into its bitstream with: weft build DIR --from "
            f"{folder}, or load it over the link with: weft run"
        )
    places = {"file": finished.program, "offset": board.program_offset}
    return [_tool(board), *(argument.format(**places) for argument in board.program_arguments)]


def flash_commands(
    finished: Finished, *, sram: bool = False, program: bool = False
) -> list[list[str]]:
    """Make the commands that put a build onto its board, in order.

    Parameters
    ----------
    finished : Finished
    sram : bool
        The bitstream into the FPGA alone.
    program : bool
        Only the program, for the boot loader of a bitstream that is there.

    Raises
    ------
    WeftError
        If the board, or the build, cannot do that.
    """
    if program:
        return [program_command(finished)]
    bitstream = flash_command(finished.board, finished.bitstream, sram=sram)
    # The program first: the bitstream's boot loader looks for it as soon as it runs.
    return [bitstream] if finished.program is None else [program_command(finished), bitstream]


def _tool(board: Board) -> str:
    return os.environ.get(board.flash_tool.upper().replace("-", "_"), board.flash_tool)


def run_flash(board: Board, command: list[str], *, patience: float = PATIENCE) -> None:
    """Run one of what `flash_commands` made.

    Raises
    ------
    RefusedError
        If the tool is absent, fails, or has not come to its end after `patience` seconds; the
        message says what to install, plug in or allow.
    """
    if shutil.which(command[0]) is None:
        raise RefusedError(
            f"{board.title} is flashed with {command[0]}, which is not here; "
            f"get it with {REMEDIES[board.flash_tool]}"
        )
    name = Path(command[0]).name
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, errors="replace",
            stdin=subprocess.DEVNULL, timeout=patience,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise RefusedError(
            f"{name} did not come to its end within {patience:g} s and was stopped; "
            f"unplug the {board.title}, plug it in and try again"
        ) from None
    except OSError as error:
        raise RefusedError(f"cannot run {command[0]}: {error.strerror}") from error
    if done.returncode:
        raise RefusedError(_failure(board, name, done.returncode, done.stdout + done.stderr))


def _failure(board: Board, tool: str, status: int, said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    last = lines[-1] if lines else "nothing"
    if _FORBIDDEN.search(said):
        return (
            f"no permission to use the {board.title} on USB ({tool} said: {last}); on Linux put "
            f'SUBSYSTEM=="usb", ATTRS{{idVendor}}=="{board.usb_vendor}", MODE="0666" into '
            "/etc/udev/rules.d/60-weft.rules, then unplug the board and plug it in"
        )
    if _ABSENT.search(said):
        return f"no {board.title} on USB ({tool} said: {last}); {board.plug}"
    return f"{tool} stopped with status {status} and said: {last}; {board.plug} and try again"
