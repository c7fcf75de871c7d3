"""Verilog into a simulation executable, built once and kept."""

from __future__ import annotations

import logging
import os
import shutil
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import cocotb_tools.config
from cocotb_tools.runner import Runner, get_runner

from weft.errors import RefusedError
from weft.sim.cache import cache_folder, cached, digest
from weft.sim.verilog.environment import Tools, find_tools

_VERILATOR = (
    "-O3",
    "--x-assign", "fast",
    "--x-initial", "fast",
    "--threads", "1",
    # One file: the headers that each would read again cost more than two compilers save.
    "--output-split", "0",
    "-CFLAGS", "-std=c++20",
    # Verilog that Amaranth writes raises style warnings which say nothing about its meaning.
    "-Wno-fatal", "-Wno-lint", "-Wno-style", "-Wno-TIMESCALEMOD",
)  # fmt: skip
#: cocotb's runner makes every signal public, which forbids most optimisations.
_PRIVATE = ("--no-public-flat-rw", "--timing")
_PUBLIC = ("--no-timing",)

#: The least that needs the same parts of Verilator's runtime library.
_LEAST = {
    _PRIVATE: (
        "module least; reg clk /* verilator public_flat_rw */ = 0; always #5 clk = ~clk; endmodule"
    ),
    _PUBLIC: "module least(input clk); endmodule",
}


@dataclass(frozen=True)
class Simulation:
    """A built executable.

    Parameters
    ----------
    tools : Tools
    top : str
        Name of the top module.
    folder : Path
        Where cocotb's runner finds it.
    """

    tools: Tools
    top: str
    folder: Path


def build(
    text: str, *, top: str, simulator: str = "verilator", private: bool = False
) -> Simulation:
    """Build the executable for `text`, or find the one built before.

    Parameters
    ----------
    text : str
        Verilog or SystemVerilog of everything.
    top : str
        Name of the top module.
    simulator : str
        ``"verilator"`` or ``"icarus"``.
    private : bool
        The text makes its own clock, and test benches see only what it marks
        ``/* verilator public_flat_rw */``: Verilator is much faster for it. Otherwise
        they see everything and drive the clock, and the text has no delays.

    Raises
    ------
    RefusedError
        If a tool is missing, or does not accept the text.
    """
    tools = find_tools(simulator)
    access = _PRIVATE if private else _PUBLIC
    key = digest([text, top, *_identity(tools, access)])

    def make(folder: Path) -> None:
        if simulator == "verilator":
            later = time.time() + 3600
            for part in _runtime(tools, access).iterdir():
                shutil.copyfile(part, folder / part.name)
                # Newer than its source, and than the makefile that Verilator is about to write:
                # make has no reason to compile it again.
                os.utime(folder / part.name, (later, later))
        _compile(folder, text, key=key, top=top, tools=tools, access=access)
        keep = {top, "sim.vvp", "build.log", f"{top}.sv"}
        for path in folder.iterdir():  # objects and generated C++: megabytes of no further use
            if path.name not in keep:
                path.unlink()

    return Simulation(tools, top, cached("simulation", key, make))


def runner(simulator: str) -> Runner:
    """Cocotb's runner, which keeps its log to itself."""
    made = get_runner(simulator)
    made.log.setLevel(logging.CRITICAL + 1)
    return made


def tail(log: Path, lines: int = 15) -> str:
    """The end of a log and where the rest is, for an error message."""
    text = log.read_text(errors="replace").rstrip() if log.exists() else ""
    last = "\n".join(f"  {line}" for line in text.splitlines()[-lines:])
    return f"its log {log} ends with:\n{last}"


def _options(tools: Tools, access: tuple[str, ...]) -> tuple[str, ...]:
    return (*_VERILATOR, *access) if tools.simulator == "verilator" else ()


def _identity(tools: Tools, access: tuple[str, ...]) -> list[str]:
    """Everything but the text that decides what comes out."""
    libraries = str(cocotb_tools.config.libs_dir)
    return [
        tools.simulator,
        *_options(tools, access),
        *tools.versions,
        f"cocotb {version('cocotb')}",
        libraries,
    ]


def _runtime(tools: Tools, access: tuple[str, ...]) -> Path:
    """Folder with Verilator's runtime library compiled, which takes longer than most designs."""
    text = _LEAST[access]
    key = digest([text, *_identity(tools, access)])

    def make(folder: Path) -> None:
        _compile(folder, text, key=key, top="least", tools=tools, access=access)
        for path in folder.iterdir():
            if not (path.name.startswith("verilated") and path.suffix == ".o"):
                path.unlink()

    return cached("verilator-runtime", key, make)


def _compile(
    folder: Path, text: str, *, key: str, top: str, tools: Tools, access: tuple[str, ...]
) -> None:
    source = folder / f"{top}.sv"
    source.write_text(text)
    log = folder / "build.log"
    try:
        with tools.active():
            runner(tools.simulator).build(
                sources=[source],
                hdl_toplevel=top,
                build_dir=folder,
                build_args=_options(tools, access),
                timescale=("1ns", "1ps"),
                log_file=log,
                always=True,
            )
    except (RuntimeError, SystemExit, OSError):
        kept = cache_folder() / "simulation" / f"{key}.log"
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(log.read_text(errors="replace") if log.exists() else "")
        raise RefusedError(
            f"{tools.simulator} could not build the simulation of {top}; {tail(kept)}"
        ) from None
