"""The levels below Verilog: a finished build's netlists, run as boards are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from weft.boards.flash import read_build
from weft.boards.layer_runs import run_layers as run_layers_on
from weft.boards.netlist import LEVELS, Level
from weft.boards.unpack import UNPACKERS, first_difference, read_configuration, unpack
from weft.compiler.program import Program
from weft.errors import RefusedError
from weft.netlist_board import NetlistBoard, read_built
from weft.sim import layers
from weft.sim.engine import RunResult

__all__ = ["LEVELS", "compare_bitstream", "run", "run_layers"]

#: Called with (samples or layers done, all of them).
Progress = Callable[[int, int], None]

#: What the packer read, by the board's family.
_PACKED = {"ice40": "top.asc", "ecp5": "top.config"}


def run(
    level: str,
    folder: Path,
    program: Program,
    inputs: Mapping[str, np.ndarray],
    *,
    progress: Progress | None = None,
) -> RunResult:
    """Run samples on a netlist, through the pins of its serial line.

    Parameters
    ----------
    level : str
        ``"netlist"`` or ``"routed"``.
    folder : Path
        With the finished build of the program.
    program : Program
    inputs : mapping of tensor name to int8 array, shape (N, H, W, C)
    progress : callable, optional

    Raises
    ------
    InputError
        If there is no finished build of the program.
    RefusedError
        If it cannot be simulated, or does not answer.
    """
    built = read_built(folder, program, _level(level))
    with NetlistBoard(built) as board, board.driver() as driver:
        if built.has_program:
            driver.require(program)
        result = driver.run(
            program, inputs,
            progress=lambda what, done, total: _tell(progress, done, total, what == "run"),
        )  # fmt: skip
    return RunResult(result.outputs, result.cycles, None)


def run_layers(
    level: str,
    folder: Path,
    program: Program,
    inputs: Mapping[str, np.ndarray],
    *,
    progress: Progress | None = None,
) -> RunResult:
    """The same layer by layer, for the tensors of every node."""
    samples = program.check_inputs(inputs)
    built = read_built(folder, program, _level(level))
    found: dict[str, list[np.ndarray]] = {}
    with NetlistBoard(built) as board, board.driver() as driver:
        for sample in range(samples):
            driver.load(program)
            codes = {name: inputs[name][sample] for name in program.core_inputs}

            def tell(ended: int, total: int, done: int = sample) -> None:
                _tell(progress, done * total + ended, samples * total, True)

            for layer in run_layers_on(driver, program, codes, progress=tell):
                assert layer.codes is not None
                found.setdefault(layer.tensor, []).append(layer.codes)
    tensors = {name: np.stack(codes) for name, codes in found.items()}
    return layers.finished(program, inputs, tensors)


def compare_bitstream(folder: Path) -> str | None:
    """Unpack a build's bitstream and compare it with what was packed; None on Gowin's FPGAs.

    Returns
    -------
    str or None
        A sentence that says what was compared.

    Raises
    ------
    RefusedError
        If they differ.
    """
    finished = read_build(folder)
    family = finished.board.family
    if family not in UNPACKERS:
        return None
    path = folder / _PACKED[family]
    packed = read_configuration(path.read_text(encoding="utf-8"), family)
    difference = first_difference(packed, unpack(finished.bitstream, family), family)
    if difference is not None:
        raise RefusedError(
            f"{finished.bitstream} unpacks to something else than {path}: {difference}; build it "
            f"again with: weft build {folder}"
        )
    return f"{finished.bitstream.name} unpacks to {path.name}, which was packed"


def _level(level: str) -> Level:
    return "routed" if level == "routed" else "netlist"


def _tell(progress: Progress | None, done: int, total: int, really: bool) -> None:
    if progress is not None and really:
        progress(done, total)
