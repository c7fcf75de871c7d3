"""``weft compile``: a quantised model to Verilog, program and memory images."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weft.boards.registry import find_board
from weft.commands.summary import show_summary, summarize
from weft.compiler.compile import compile_network, fit
from weft.compiler.network import Network
from weft.compiler.program import Program
from weft.console import say, step
from weft.errors import InputError
from weft.hw.config import Config
from weft.hw.verilog import to_verilog
from weft.models import SUMMARY, VERILOG, make_folder, read_network


@dataclass(frozen=True, eq=False)
class Compiled:
    """What was compiled, and where it lies.

    Parameters
    ----------
    program : Program
    folder : Path
    summary : dict
        The contents of summary.json.
    """

    program: Program
    folder: Path
    summary: dict[str, Any]

    holds = True

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``json.dumps``."""
        return {"folder": str(self.folder), **self.summary}

    def show(self) -> None:
        """Print it for a person."""
        show_summary(self.summary)
        say(f"{VERILOG}, program, images and {SUMMARY} written to {self.folder}")


def compile_model(
    model: Path, folder: Path, *, board: str | None = None, array: tuple[int, int] | None = None
) -> Compiled:
    """Compile a quantised model for a board, or for an array with memories to fit.

    Parameters
    ----------
    model : Path
        A quantised ONNX model.
    folder : Path
        Where Verilog, program, images and summary.json go.
    board : str, optional
        Name of a board: its configuration is taken.
    array : (rows, columns), optional
        The shape of an array, where there is no board.

    Raises
    ------
    UnsupportedError
        If the network does not fit.
    """
    if (board is None) == (array is None):
        raise InputError("give either a board or an array shape to compile for")
    chosen = None if board is None else find_board(board)
    network = read_network(model)
    with step(f"compiling {network.name}"):
        if chosen is not None:
            program = compile_network(network, chosen.config)
        else:
            assert array is not None
            program = compile_for_array(network, array)
        verilog = to_verilog(program.config, program.digest)
    summary = summarize(program, model, None if chosen is None else chosen.name)
    make_folder(folder)
    (folder / VERILOG).write_text(verilog)
    (folder / SUMMARY).write_text(json.dumps(summary, indent=2) + "\n")
    program.save(folder)
    return Compiled(program, folder, summary)


def compile_for_array(network: Network, array: tuple[int, int]) -> Program:
    """Compile for an array of rows x columns, with memories as deep as the network needs."""
    rows, columns = array
    return compile_network(network, fit(network, Config(rows=rows, columns=columns)))
