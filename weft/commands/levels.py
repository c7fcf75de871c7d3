"""Engines by the name of their level."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from weft.compiler.program import Program
from weft.sim import golden, interpreter, rtl
from weft.sim.golden import RunResult
from weft.sim.verilog import engine as verilog

#: In the order of how far down they look.
LEVELS = ("golden", "program", "rtl", "verilog")

#: Called with (samples done, samples in all).
Progress = Callable[[int, int], None]


def run_level(
    level: str,
    program: Program,
    inputs: Mapping[str, np.ndarray],
    *,
    simulator: str = "verilator",
    verilog_path: Path | None = None,
    progress: Progress | None = None,
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
    progress : callable, optional
        Told how far the levels "rtl" and "verilog" are; the others do not say.
    """
    match level:
        case "golden":
            return golden.run(program, inputs)
        case "program":
            return interpreter.run(program, inputs)
        case "rtl":
            return rtl.run(program, inputs, progress=progress)
        case "verilog":
            return verilog.run(
                program, inputs, simulator=simulator, verilog_path=verilog_path, progress=progress
            )
    raise ValueError(f"level must be one of {', '.join(LEVELS)}, not {level!r}")
