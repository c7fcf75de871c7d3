"""``weft compile``: a quantised model to Verilog, program and memory images."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from weft.boards.board import Board
from weft.boards.registry import BOARDS, find_board
from weft.commands.summary import show_summary, summarize
from weft.compiler.compile import compile_network, fit, fits, problems_of
from weft.compiler.network import Network
from weft.compiler.program import Program
from weft.console import say, step
from weft.errors import InputError, Problem, UnsupportedError
from weft.hw.config import Config, Space
from weft.models import (
    SUMMARY,
    VERILOG,
    TfliteRounding,
    filling,
    keep_model,
    naming,
    read_network,
    rounding_of,
)
from weft.sim.verilog.source import core_verilog

#: Multipliers that an array may have; Verilog for more takes minutes to make.
LARGEST_ARRAY = 1024

#: Boards that a remedy names.
_NAMED = 3

#: Memories that a smaller network would fit into, as problems name them.
_DEEP = tuple(space.name.lower() for space in Space if space is not Space.TABLE)


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
    model: Path,
    folder: Path,
    *,
    board: str | None = None,
    array: Config | tuple[int, int] | None = None,
    rounding: TfliteRounding | None = None,
) -> Compiled:
    """Compile a quantised model for a board, or for an array with memories to fit.

    Parameters
    ----------
    model : Path
        A quantised ONNX or TFLite model.
    folder : Path
        Where Verilog, program, images, summary.json and a copy of the model go.
    board : str, optional
        Name of a board: its configuration is taken.
    array : Config or (rows, columns), optional
        The array, where there is no board; its memories are made to fit.
    rounding : str, optional
        Of a TFLite model, as `read_network` takes it.

    Raises
    ------
    UnsupportedError
        If the network does not fit.
    """
    if (board is None) == (array is None):
        raise InputError("give either a board or an array shape to compile for")
    chosen = None if board is None else find_board(board)
    network = read_network(model, rounding)
    with step(f"compiling {network.name}"), naming(str(model)):
        if chosen is not None:
            program = compile_for_board(network, chosen)
        else:
            assert array is not None
            program = compile_for_array(network, array)
        verilog = core_verilog(program.config, program.digest)
    name = None if chosen is None else chosen.name
    summary = summarize(program, model, name, rounding_of(model, rounding))
    with filling(folder):
        (folder / VERILOG).write_text(verilog)
        (folder / SUMMARY).write_text(json.dumps(summary, indent=2) + "\n")
        program.save(folder)
        keep_model(model, folder)
    return Compiled(program, folder, summary)


def compile_for_board(network: Network, board: Board) -> Program:
    """Compile for a board's first configuration that will do, or say which boards would do.

    Raises
    ------
    UnsupportedError
        With everything that is too small on its largest, or cannot run on any board.
    """
    try:
        return compile_for_configs(network, board)
    except UnsupportedError as error:
        if problems_of(network):
            raise
        others = fitting(network, BOARDS.values())
        raise UnsupportedError(network.name, with_remedies(error.problems, others)) from None


def with_remedies(problems: Sequence[Problem], others: list[str]) -> list[Problem]:
    """What stands in the way on one board, with the names of others where the network fits."""
    return [replace(problem, remedy=_remedy(problem, others)) for problem in problems]


def compile_for_configs(network: Network, board: Board) -> Program:
    """Compile for the first configuration of a board that will do.

    Raises
    ------
    UnsupportedError
        With what is too small on its largest.
    """
    *small, largest = board.configs
    for config in small:
        with contextlib.suppress(UnsupportedError):
            return compile_network(network, config)
    return compile_network(network, largest)


def try_boards(network: Network, boards: Iterable[Board]) -> dict[str, Program | UnsupportedError]:
    """What each board's configurations make of a network, by the board's name.

    Boards with the same FPGA have the same configurations: they are compiled for once.
    """
    found: dict[tuple[Config, ...], Program | UnsupportedError] = {}
    result = {}
    for board in boards:
        if board.configs not in found:
            try:
                found[board.configs] = compile_for_configs(network, board)
            except UnsupportedError as error:
                found[board.configs] = error
        result[board.name] = found[board.configs]
    return result


def fitting(network: Network, boards: Iterable[Board]) -> list[str]:
    """Names of the boards on which a network fits."""
    found: dict[tuple[Config, ...], bool] = {}
    names = []
    for board in boards:
        if board.configs not in found:
            found[board.configs] = any(fits(network, config) for config in board.configs)
        if found[board.configs]:
            names.append(board.name)
    return names


def _remedy(problem: Problem, others: list[str]) -> str:
    if others:
        more = len(others) - _NAMED
        also = f" (or one of {more} more)" if more > 0 else ""
        return f"use --board {' or '.join(others[:_NAMED])}{also}, where the network fits"
    if problem.node in _DEEP:
        return "no board here has room for it; use a smaller network"
    return problem.remedy


def compile_for_array(network: Network, array: Config | tuple[int, int]) -> Program:
    """Compile for an array, with memories as deep as the network needs."""
    if isinstance(array, tuple):
        array = Config(rows=array[0], columns=array[1])
    if array.multipliers > LARGEST_ARRAY:
        raise InputError(
            f"an array of {array.rows} x {array.columns} has more than {LARGEST_ARRAY:,} "
            "multipliers, the most that weft makes Verilog for; give a smaller one"
        )
    return compile_network(network, fit(network, array))
