"""Put a program into a bitstream that another program's build made: no synthesis, no routing."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import fields
from pathlib import Path

from weft.boards.board import Board
from weft.boards.build import Build, Progress
from weft.boards.build_report import BuildReport
from weft.boards.cache import digest
from weft.boards.memory_map import MAP, MemoryMap
from weft.compiler.program import Program
from weft.errors import InputError, RefusedError


def patch(
    program: Program,
    board: Board,
    out: Path | str,
    source: Path | str,
    *,
    progress: Progress | None = None,
) -> BuildReport:
    """Make a program's bitstream from a finished build for the same board and configuration.

    It is the one that a build with the same seed would make. Where the program is for a boot
    loader, the bitstream is the source's and only the image in flash memory is new.

    Parameters
    ----------
    program : Program
    board : Board
    out : path
        The folder for the bitstream and build.json; made if it is not there.
    source : path
        The finished build's folder, or that of another patched bitstream.
    progress : callable or None
        As of `weft.boards.build.build`.

    Raises
    ------
    InputError
        If `source` is no finished build or was changed since, or `out` cannot be written.
    RefusedError
        If the source's hardware is not what this program's build would make, or cannot be
        patched.
    """
    out, source = Path(out), Path(source)
    if not (board.keeps(program.config) or board.boots(program.config)):
        raise RefusedError(
            f"the {board.title}'s large memories have no initial contents that a patch could set; "
            "the program comes over the link with: weft run"
        )
    report = _finished(source)
    if report.board != board.name:
        raise RefusedError(
            f"{source} was built for the board {report.board} and {out} was compiled for "
            f"{board.name}; compile it with: --board {report.board}"
        )
    if report.config_digest != program.config.digest:
        raise RefusedError(
            f"{source} was built for configuration {report.config_digest} and {out} was compiled "
            f"for {program.config.digest}; only programs of the same configuration share a "
            f"bitstream: build {out} with: weft build {out}"
        )
    places = MemoryMap.load(source)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write to {out}: {error.strerror}") from error
    job = Build(program, board, out, progress=progress)
    job.elaborate()
    if job.hardware != places.hardware:
        raise RefusedError(
            f"{source} holds gateware {places.hardware} and this weft makes {job.hardware} for the "
            f"same configuration; build one of the two again with: weft build {out}"
        )
    routed = _unchanged(source, job.routed, places)
    for kind, name in report.files.items():
        if kind not in ("bitstream", "program") and out.resolve() != source.resolve():
            _copy(source, name, out)
    (out / "build.json").unlink(missing_ok=True)
    (out / MAP).unlink(missing_ok=True)
    start = time.monotonic()
    if progress:
        progress("fill memories", False)
    job.put_in(routed, places.blocks)
    job.seconds["fill memories"] = round(time.monotonic() - start, 3)
    report.patched = {"folder": str(source), "program_digest": report.program_digest}
    report.program_digest = job.program_digest
    report.seconds, report.cached = job.seconds, job.cached
    job.pack(report)
    job.write(report)
    return report


def _finished(source: Path) -> BuildReport:
    """The source's build.json."""
    path = source / "build.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        known = {field.name for field in fields(BuildReport)}
        report = BuildReport(**{name: value for name, value in found.items() if name in known})
        _check(report)
    except FileNotFoundError:
        raise InputError(
            f"{source} holds no build.json; build it first with: weft build {source}"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise InputError(
            f"{path} holds no finished build; build it again with: weft build {source}"
        ) from None
    return report


def _check(report: BuildReport) -> None:
    """Raise something where what the report holds is not what a build writes."""
    for name in (report.board, report.files["bitstream"], *report.files.values()):
        Path(name)  # no number
    for cells in report.utilization.values():
        int(cells["used"]), int(cells["available"])
    float(report.fmax_mhz), float(report.target_mhz), int(report.baud)


def _copy(source: Path, name: str, out: Path) -> None:
    try:
        shutil.copyfile(source / name, out / name)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{source / name} cannot be copied to {out} ({getattr(error, 'strerror', error)}); "
            f"build {source} again with: weft build {source}"
        ) from None


def _unchanged(source: Path, name: str, places: MemoryMap) -> str:
    """The source's routed design, as it was written."""
    path = source / name
    try:
        routed = path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        routed = None
    found = "no readable file" if routed is None else digest(routed)
    if routed is None or found != places.routed:
        raise InputError(
            f"{path} is not what its build wrote: its digest is {found[:16]} and should be "
            f"{places.routed[:16]}; build it again with: weft build {source}"
        )
    return routed
