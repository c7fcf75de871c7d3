"""A board's top level as an executable that talks over a serial line, built once and kept."""

from __future__ import annotations

import subprocess
from pathlib import Path

from weft.errors import RefusedError
from weft.sim.cache import cache_folder, cached, digest
from weft.sim.line import sources
from weft.sim.verilog.build import tail
from weft.sim.verilog.environment import find_tools

_OPTIONS = (
    "--cc", "--exe", "--build", "-O3", "--x-assign", "fast", "--x-initial", "fast",
    "--no-timing", "--threads", "1", "--output-split", "0", "-CFLAGS", "-std=c++20",
    # Verilog that Amaranth writes raises style warnings which say nothing about its meaning.
    "-Wno-fatal", "-Werror-USERFATAL", "-Wno-lint", "-Wno-style", "-Wno-TIMESCALEMOD",
)  # fmt: skip


#: A board that takes no reset is configured anew instead.
_ANEW = ("-CFLAGS", "-DWEFT_CONFIGURED_ANEW")


def executable(
    board: str, core: str, beside: str = sources.CORE_VERILOG, *, anew: bool = False
) -> Path:
    """The executable.

    Its arguments are a file descriptor, the cycles per bit, those of silence after which time
    stands still, and of the line's noise a seed and of how many bytes in a million a bit is
    damaged, that are lost, and that come twice.

    Parameters
    ----------
    board : str
        Verilog of a module `sources.TOP` with clk, rst, rx, tx, busy and ready.
    core : str
        Verilog of the core, ``weft_core``.
    beside : str
        Verilog of what else is in the board: `sources.CORE`, which fills the core's memories, or
        `sources.FLASH`.
    anew : bool
        At a reset, begin with a new model: for a board that takes none.

    Raises
    ------
    RefusedError
        If a tool is missing, or does not accept the text.
    """
    tools = find_tools("verilator")
    text = core + beside + board
    options = (*_OPTIONS, *_ANEW) if anew else _OPTIONS
    key = digest([text, sources.MAIN, *options, *tools.versions])

    def make(folder: Path) -> None:
        (folder / "board.sv").write_text(text)
        (folder / "main.cpp").write_text(sources.MAIN)
        command = ["verilator", *options, "--top-module", sources.TOP, "-j", "2",
                   "-o", "board", "board.sv", "main.cpp"]  # fmt: skip
        log = folder / "build.log"
        with tools.active(), log.open("w") as output:
            done = subprocess.run(
                command, cwd=folder, stdout=output, stderr=subprocess.STDOUT, check=False
            )
        if done.returncode:
            kept = cache_folder() / "board" / f"{key}.log"
            kept.write_text(log.read_text(errors="replace"))
            raise RefusedError(f"verilator could not build the board's simulation; {tail(kept)}")
        (folder / "obj_dir" / "board").rename(folder / "board")
        for path in sorted(folder.rglob("*"), reverse=True):
            if path.is_dir():
                path.rmdir()
            elif path.name not in ("board", "build.log"):
                path.unlink()

    return cached("board", key, make) / "board"
