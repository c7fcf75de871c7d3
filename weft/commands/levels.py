"""Engines by the name of their level."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from weft.commands import netlists
from weft.compiler.program import Program
from weft.errors import InputError
from weft.sim import golden, interpreter, layers, rtl
from weft.sim.golden import RunResult
from weft.sim.verilog import engine as verilog

#: In the order of how far down they look.
LEVELS = ("golden", "program", "rtl", "verilog", *netlists.LEVELS)

#: Called with (samples done, samples in all).
Progress = Callable[[int, int], None]


def run_level(
    level: str,
    program: Program,
    inputs: Mapping[str, np.ndarray],
    *,
    simulator: str = "verilator",
    verilog_path: Path | None = None,
    build: Path | None = None,
    progress: Progress | None = None,
    trace: bool = False,
    stream: bool = False,
) -> RunResult:
    """Run a program at one level.

    Parameters
    ----------
    level : str
        One of `LEVELS`.
    program : Program
    inputs : mapping of tensor name to int8 array, shape (N, H, W, C)
    simulator : str
        ``"verilator"`` or ``"icarus"``, for the level "verilog".
    verilog_path : Path, optional
        The Verilog to simulate; by default it is made from the program's configuration.
    build : Path, optional
        The folder with the program's finished build, for the levels "netlist" and "routed".
    progress : callable, optional
        Told how far the levels from "rtl" on are; the others do not say.
    trace : bool
        At the levels "rtl" and "verilog", also see how long each instruction takes.
    stream : bool
        At the level "verilog", load each sample while the core computes the one before: the
        result is a `weft.sim.verilog.stream.StreamResult`.
    """
    match level:
        case "golden":
            return golden.run(program, inputs)
        case "program":
            return interpreter.run(program, inputs)
        case "rtl":
            return rtl.run(program, inputs, progress=progress, trace=trace)
        case "verilog":
            if verilog_path is not None:
                _check_core(verilog_path, program)
            return verilog.run(
                program, inputs, simulator=simulator, verilog_path=verilog_path,
                progress=progress, trace=trace, stream=stream,
            )  # fmt: skip
        case "netlist" | "routed":
            return netlists.run(level, _built(build, level), program, inputs, progress=progress)
    raise ValueError(f"level must be one of {', '.join(LEVELS)}, not {level!r}")


def run_layers(
    level: str,
    program: Program,
    inputs: Mapping[str, np.ndarray],
    *,
    simulator: str = "verilator",
    verilog_path: Path | None = None,
    build: Path | None = None,
    progress: Progress | None = None,
) -> RunResult:
    """Run a program node by node at one level but "golden", for the tensors of every node.

    Parameters are those of `run_level`; `progress` counts nodes of all samples.
    """
    match level:
        case "program":
            return layers.run(program, inputs, layers.interpret)
        case "rtl":
            return layers.run(program, inputs, partial(rtl.run_jobs, progress=progress))
        case "verilog":
            if verilog_path is not None:
                _check_core(verilog_path, program)
            run_jobs = partial(
                verilog.run_jobs, simulator=simulator, verilog_path=verilog_path, progress=progress
            )
            return layers.run(program, inputs, run_jobs)
        case "netlist" | "routed":
            built = _built(build, level)
            return netlists.run_layers(level, built, program, inputs, progress=progress)
    raise ValueError(f"level must be one of {', '.join(LEVELS[1:])}, not {level!r}")


def _built(build: Path | None, level: str) -> Path:
    if build is None:
        raise InputError(
            f"level {level} simulates what `weft build DIR` made of a folder; give that folder"
        )
    return build


def _check_core(path: Path, program: Program) -> None:
    """Refuse Verilog whose header names another configuration than the program's.

    A compilation that was cut short leaves such a pair. What cannot be read is refused where
    it is used.
    """
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError):
        return
    if f"configuration digest: {program.config.digest}\n" not in text:
        raise InputError(
            f"{path} is not the core of configuration {program.config.digest}, for which the "
            "program beside it was made; compile the model again"
        )
