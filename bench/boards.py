"""MLPerf Tiny's networks on every board: cycles, clock after routing, cells, latency, times.

Usage: ``python bench/boards.py [options]``; ``--help`` lists them. For every board of the registry
it compiles the four published models for the board's configurations, runs an input through each
program's Verilog in Verilator, makes the bitstream of each configuration, with several seeds, and
writes results/boards.json and results/boards.md beside this file, and boards/catalog/builds.json,
which `weft boards` shows. Where the gateware only shifts, the models are quantised anew to
power-of-two scales. Hours, the first time; whatever is finished is kept in weft's cache, and the
files are written after every step, so an interrupted run goes on where it was. The rows of boards
that are not asked for stay.
"""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
import boards_page  # a script finds what is beside it
from area import area_of_cells
from mlperf_tiny import MODELS, networks, simulate
from processor import timed
from published_models import MODELS as FOLDER

from weft.boards.board import Board
from weft.boards.build import Build
from weft.boards.builds import FILE as BUILDS
from weft.boards.cache import digest, step
from weft.boards.registry import BOARDS, find_board
from weft.boards.tools import tool_version
from weft.commands.compile import compile_for_configs
from weft.commands.quantize import quantize_model
from weft.compiler.compile import macs
from weft.compiler.network import Network
from weft.compiler.program import Program
from weft.errors import RefusedError, UnsupportedError, WeftError
from weft.hw.config import Config
from weft.models import read_network

RESULTS = Path(__file__).parent / "results"
#: YoWASP's tools see no folder outside the one they are called in, or the system's for scratch.
BUILD = Path(__file__).parents[1] / "build" / "boards"
#: What `weft boards` shows.
BUILT = Path(__file__).parents[1] / "boards" / "catalog" / BUILDS
TOOLS = ("weft", "amaranth", "numpy", "tflite", "verilator")


def shifted(models: Path, folder: Path) -> dict[str, Network]:
    """The published models with power-of-two scales, calibrated on their published inputs."""
    found = {}
    folder.mkdir(parents=True, exist_ok=True)
    for name, file in MODELS.items():
        data, quantized = folder / "data.npz", folder / f"{name}.onnx"
        with np.load((models / file).parent / "tests.npz") as published:
            np.savez(data, inputs=published["inputs"])
        quantize_model(models / file, data, quantized, scales="shift")
        found[name] = read_network(quantized, None)
    return found


class Models:
    """The published models, as a board's gateware can run them."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.published = networks(folder)

    @cached_property
    def shifted(self) -> dict[str, Network]:
        """With power-of-two scales."""
        return shifted(self.folder, BUILD / "shifted")

    def of(self, board: Board) -> dict[str, Network]:
        """By name."""
        return self.published if board.config.multiplier_bits else self.shifted


def programs(found: Models, board: Board) -> Iterator[tuple[str, Any, float]]:
    """Each network's program for the board, or what does not fit, and the seconds it took."""
    for name, network in found.of(board).items():

        def attempt(network: Network = network) -> Program | list[str]:
            try:
                return compile_for_configs(network, board)
            except UnsupportedError as error:
                return [f"{problem.node}: {problem.reason}" for problem in error.problems]

        yield name, *timed(attempt)


def count(program: Program, board: Board) -> dict[str, Any]:
    """What one inference takes: exact, and what the tests compare."""
    cycles = sum(layer["cycles"] for layer in program.layers)
    return {
        "configuration": board.name_of(program.config),
        "cycles": cycles,
        "utilization": round(macs(program.network) / (program.config.multipliers * cycles), 6),
    }


def cycles(found: Models, board: Board) -> dict[str, dict[str, Any]]:
    """Cycles of every model on a board, or why it does not fit."""
    return {
        name: count(made, board) if isinstance(made, Program) else {"reasons": made}
        for name, made, _ in programs(found, board)
    }


class Hardware:
    """A configuration of a board on its way to a bitstream, with what each stage takes.

    The programs come over the link, so one design serves all models.
    """

    def __init__(self, board: Board, config: Config, name: str):
        self.board = board
        self.folder = BUILD / name
        self.build = Build(config, board, self.folder)

    def elaborate(self) -> None:
        """Make what Yosys reads."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.build.elaborate()

    def synthesize(self) -> dict[str, Any]:
        """Cells of the whole design, link and all."""
        _, seconds = timed(self.build.synthesize)
        files = self.build.files
        seconds = self._remembered("synthesize", seconds, files["top.il"], files["top.ys"])
        netlist = json.loads((self.folder / "top.json").read_text())
        cells: dict[str, int] = {}
        for cell in netlist["modules"]["top"]["cells"].values():
            cells[cell["type"]] = cells.get(cell["type"], 0) + 1
        return {
            "cells": {name: cells[name] for name in sorted(cells) if not name.startswith("$")},
            **asdict(area_of_cells(cells)),
            "seconds": seconds,
        }

    def route(self, seed: int) -> dict[str, Any]:
        """Fmax after routing, or why nothing came of it."""
        stage = f"place and route, seed {seed}"
        try:
            _, seconds = timed(lambda: self.build.place_seed(seed))
        except RefusedError as error:
            return {"reason": str(error).splitlines()[0]}  # the others name files
        fmax, _ = self.build.timing()
        self.build.pack_seed(seed)
        report = json.loads((self.folder / "report.json").read_text())
        netlist = (self.folder / "top.json").read_bytes()
        return {
            "fmax_mhz": round(fmax, 2),
            "used": {
                name: number["used"]
                for name, number in sorted(report["utilization"].items())
                if number["used"]
            },
            "seconds": self._remembered(stage, seconds, netlist),
        }

    def tools(self) -> dict[str, str]:
        """Versions of synthesis and place and route."""
        names = self.board.toolchain[:2]
        return {name: tool_version(self.build.tools[name]) for name in names}

    def _remembered(self, stage: str, seconds: float, *inputs: str | bytes) -> float | None:
        """The stage's seconds, of the time when it ran if it came from the cache."""
        cached = self.build.cached[stage]

        def make() -> None:
            if cached:
                raise LookupError
            (self.folder / "seconds.json").write_text(json.dumps(seconds))

        identity = digest("seconds", stage, *self.tools().values(), *inputs)
        try:
            step(identity, self.folder, ["seconds.json"], make)
        except LookupError:  # it was built before, by something that did not count
            return None
        return json.loads((self.folder / "seconds.json").read_text())


def measure(
    record: dict[str, Any],
    board: Board,
    name: str,
    found: Models,
    *,
    seeds: tuple[int, ...],
    simulated: bool,
    made: bool = True,
) -> Iterator[str]:
    """Fill `record` step by step; yields what was done after each."""
    record.update(
        title=board.title,
        board=board.name,
        scales="published" if board.config.multiplier_bits else "powers of two",
        models={},
        configs={
            str(board.name_of(config)): {
                "config": asdict(config),
                "config_digest": config.digest,
                "multipliers": config.multipliers,
            }
            for config in board.configs
        },
    )
    for model, program, seconds in programs(found, board):
        if isinstance(program, Program):
            row = {**count(program, board), "compile_seconds": seconds}
            if simulated:
                taken, row["simulate_seconds"] = timed(lambda program=program: simulate(program))
                if taken != row["cycles"]:
                    raise RefusedError(f"the Verilog of {name} takes {taken:,} cycles for {model}")
        else:
            row = {"reasons": program}
        record["models"][model] = row
        yield model
    for config in board.configs if made else ():
        which = str(board.name_of(config))
        hardware = Hardware(board, config, f"{name}-{which}")
        part = record["configs"][which]
        part["tools"] = hardware.tools()
        _, part["elaborate_seconds"] = timed(hardware.elaborate)
        part["synthesis"] = hardware.synthesize()
        yield f"synthesis, {which}"
        for seed in seeds:
            part.setdefault("route", {})[str(seed)] = hardware.route(seed)
            yield f"place and route, {which}, seed {seed}"


def builds(whole: dict[str, Any]) -> dict[str, Any]:
    """What `weft boards` says of each board: its own configuration's best seed."""
    found = {}
    for name, record in whole["boards"].items():
        part = record.get("configs", {}).get("config", {})
        best = boards_page.fmax(part)
        if best is not None:
            found[name] = {
                "config_digest": part["config_digest"],
                "fmax_mhz": best,
                "seeds": len(part["route"]),
                "tools": part["tools"],
            }
    return found


def overridden(board: Board, override: str | None) -> tuple[Board, str]:
    """The board with some fields of its configuration replaced, and a name for it."""
    if override is None:
        return board, board.name
    try:
        fields = json.loads(override)
        config = replace(board.config, **fields)
    except (ValueError, TypeError) as error:
        raise click.UsageError(f"--config: {error}") from None
    return replace(board, config=config, large=None), f"{board.name} {config.digest[:8]}"


def numbers(_context: Any, _parameter: Any, text: str) -> tuple[int, ...]:
    """Seeds as "1,2,3"."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise click.BadParameter(f"write seeds as 1,2,3, not {text!r}") from None


@click.command(help=__doc__)
@click.option("--board", "names", multiple=True, help="Only this board; may be given again.")
@click.option("--seeds", default="1,2,3", callback=numbers, help="Placements, as 1,2,3.")
@click.option("--no-route", is_flag=True, help="Cycles and synthesis only.")
@click.option("--no-hardware", is_flag=True, help="Cycles only.")
@click.option("--no-simulation", is_flag=True, help="Leave Verilator out.")
@click.option("--config", "override", help='Instead of the board\'s: {"rows": 4, ...} as JSON.')
@click.option("--models", type=click.Path(path_type=Path), default=FOLDER, help="Their folder.")
@click.option("--output", "-o", type=click.Path(path_type=Path), default=RESULTS)
def main(  # noqa: PLR0917  # click gives them by name
    names: tuple[str, ...],
    seeds: tuple[int, ...],
    no_route: bool,
    no_hardware: bool,
    no_simulation: bool,
    override: str | None,
    models: Path,
    output: Path,
) -> None:
    """Measure and write."""
    if override is not None and (len(names) != 1 or output == RESULTS):
        raise click.UsageError("--config wants one --board, and an --output of its own")
    missing = [models / file for file in MODELS.values() if not (models / file).is_file()]
    if missing:
        raise click.UsageError(f"{missing[0]} is not there; give --models DIR")
    path = output / "boards.json"
    output.mkdir(parents=True, exist_ok=True)
    whole = json.loads(path.read_text()) if path.exists() else {"boards": {}}
    found = Models(models)
    whole["macs"] = {name: macs(network) for name, network in found.published.items()}
    whole["tools"] = {
        "python": platform.python_version(),
        **{name: version(name) for name in TOOLS},
    }
    try:
        chosen = [find_board(name) for name in names] or list(BOARDS.values())
        for board in chosen:
            chosen_board, name = overridden(board, override)
            before = whole["boards"].get(name, {})
            record = whole["boards"][name] = {}
            steps = measure(
                record, chosen_board, name, found, seeds=() if no_route else seeds,
                simulated=not no_simulation, made=not no_hardware,
            )  # fmt: skip
            for done in steps:
                click.echo(f"{name}: {done}", err=True)
                path.write_text(json.dumps(whole, indent=1) + "\n")
                (output / "boards.md").write_text(boards_page.markdown(whole))
            keep_routes(record, before)
    except WeftError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.status)
    path.write_text(json.dumps(whole, indent=1) + "\n")
    (output / "boards.md").write_text(boards_page.markdown(whole))
    if output == RESULTS:
        BUILT.write_text(json.dumps(builds(whole), indent=1) + "\n")
    click.echo(boards_page.markdown(whole), nl=False)


def keep_routes(record: dict[str, Any], before: dict[str, Any]) -> None:
    """Seeds that were not asked for this time stay, if the netlist is as it was."""
    for which, part in record["configs"].items():
        old = before.get("configs", {}).get(which, {})
        if "synthesis" not in part:
            # Nothing was made this time: what is known of the same configuration stays.
            if old.get("config_digest") == part["config_digest"]:
                record["configs"][which] = old
            continue
        same = old.get("synthesis", {}).get("cells") == part["synthesis"]["cells"]
        if same and old["tools"] == part["tools"]:
            routes = {**old.get("route", {}), **part.get("route", {})}
            if routes:
                part["route"] = {seed: routes[seed] for seed in sorted(routes, key=int)}


if __name__ == "__main__":
    main()
