"""MLPerf Tiny's networks on every board: cycles, clock after routing, cells, latency, times.

Usage: ``python bench/boards.py [options]``; ``--help`` lists them. For every board of the registry
it compiles the four published models for the board's configuration, runs an input through each
program's Verilog in Verilator, synthesises board and core, places and routes them with several
seeds, and writes results/boards.json and results/boards.md beside this file. Hours, the first
time; whatever is finished is kept in weft's cache, and the files are written after every step, so
an interrupted run goes on where it was. The rows of boards that are not asked for stay.
"""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

sys.path.insert(0, str(Path(__file__).parent))
import boards_page  # a script finds what is beside it
from area import area_of_cells
from mlperf_tiny import MODELS, networks, simulate
from processor import timed
from published_models import MODELS as FOLDER

from weft.boards.board import Board
from weft.boards.build import Build
from weft.boards.cache import digest, step
from weft.boards.registry import BOARDS, find_board
from weft.boards.tools import tool_version
from weft.compiler.compile import compile_network, macs
from weft.compiler.network import Network
from weft.compiler.program import Program
from weft.errors import RefusedError, UnsupportedError, WeftError

RESULTS = Path(__file__).parent / "results"
#: YoWASP's tools see no folder outside the one they are called in, or the system's for scratch.
BUILD = Path(__file__).parents[1] / "build" / "boards"
SEEDS = (1, 2, 3)
TOOLS = ("weft", "amaranth", "numpy", "tflite", "verilator")


def programs(found: dict[str, Network], board: Board) -> Iterator[tuple[str, Any, float]]:
    """Each network's program for the board, or what does not fit, and the seconds it took."""
    for name, network in found.items():

        def attempt(network: Network = network) -> Program | list[str]:
            try:
                return compile_network(network, board.config)
            except UnsupportedError as error:
                return [f"{problem.node}: {problem.reason}" for problem in error.problems]

        yield name, *timed(attempt)


def count(program: Program) -> dict[str, Any]:
    """What one inference takes: exact, and what the tests compare."""
    cycles = sum(layer["cycles"] for layer in program.layers)
    return {
        "cycles": cycles,
        "utilization": round(macs(program.network) / (program.config.multipliers * cycles), 6),
    }


def cycles(found: dict[str, Network], board: Board) -> dict[str, dict[str, Any]]:
    """Cycles of every model on a board, or why it does not fit."""
    return {
        name: count(made) if isinstance(made, Program) else {"reasons": made}
        for name, made, _ in programs(found, board)
    }


class Hardware:
    """A board's configuration on its way to a bitstream, with what each stage takes.

    The programs come over the link, so one design serves all models.
    """

    def __init__(self, board: Board, name: str):
        self.board = board
        self.folder = BUILD / name
        self.build = Build(board.config, board, self.folder)

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
            return {"reason": str(error)}
        fmax, _ = self.build.timing()
        report = json.loads((self.folder / "report.json").read_text())
        netlist = (self.folder / "top.json").read_bytes()
        options = " ".join(self.board.place_options)
        return {
            "fmax_mhz": round(fmax, 2),
            "used": {
                name: number["used"]
                for name, number in sorted(report["utilization"].items())
                if number["used"]
            },
            "seconds": self._remembered(stage, seconds, netlist, options),
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
    found: dict[str, Network],
    *,
    seeds: tuple[int, ...],
    simulated: bool,
) -> Iterator[str]:
    """Fill `record` step by step; yields what was done after each."""
    config = board.config
    record.update(
        title=board.title,
        board=board.name,
        config=asdict(config),
        config_digest=config.digest,
        multipliers=config.multipliers,
        models={},
    )
    for model, made, seconds in programs(found, board):
        if isinstance(made, Program):
            row = {**count(made), "compile_seconds": seconds}
            if simulated:
                # The first inference may build the simulator, which is counted once, apart.
                if "simulator_seconds" not in record:
                    _, record["simulator_seconds"] = timed(lambda made=made: simulate(made))
                taken, row["simulate_seconds"] = timed(lambda made=made: simulate(made))
                if taken != row["cycles"]:
                    raise RefusedError(f"the Verilog of {name} takes {taken:,} cycles for {model}")
        else:
            row = {"reasons": made}
        record["models"][model] = row
        yield model
    hardware = Hardware(board, name)
    record["tools"] = hardware.tools()
    _, record["elaborate_seconds"] = timed(hardware.elaborate)
    record["synthesis"] = hardware.synthesize()
    yield "synthesis"
    for seed in seeds:
        record.setdefault("route", {})[str(seed)] = hardware.route(seed)
        yield f"place and route, seed {seed}"


def overridden(board: Board, override: str | None) -> tuple[Board, str]:
    """The board with some fields of its configuration replaced, and a name for it."""
    if override is None:
        return board, board.name
    try:
        fields = json.loads(override)
        config = replace(board.config, **fields)
    except (ValueError, TypeError) as error:
        raise click.UsageError(f"--config: {error}") from None
    return replace(board, config=config), f"{board.name} {config.digest[:8]}"


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
@click.option("--no-simulation", is_flag=True, help="Leave Verilator out.")
@click.option("--config", "override", help='Instead of the board\'s: {"rows": 4, ...} as JSON.')
@click.option("--models", type=click.Path(path_type=Path), default=FOLDER, help="Their folder.")
@click.option("--output", "-o", type=click.Path(path_type=Path), default=RESULTS)
def main(  # noqa: PLR0917  # click gives them by name
    names: tuple[str, ...],
    seeds: tuple[int, ...],
    no_route: bool,
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
    found = networks(models)
    whole["macs"] = {name: macs(network) for name, network in found.items()}
    whole["tools"] = {
        "python": platform.python_version(),
        **{name: version(name) for name in TOOLS},
    }
    try:
        chosen = [find_board(name) for name in names] or list(BOARDS.values())
        for board in chosen:
            made, name = overridden(board, override)
            before = whole["boards"].get(name, {})
            record = whole["boards"][name] = {}
            steps = measure(
                record, made, name, found,
                seeds=() if no_route else seeds, simulated=not no_simulation,
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
    click.echo(boards_page.markdown(whole), nl=False)


def keep_routes(record: dict[str, Any], before: dict[str, Any]) -> None:
    """Seeds that were not asked for this time stay, if the netlist is as it was."""
    same = before.get("synthesis", {}).get("cells") == record["synthesis"]["cells"]
    if same and before["tools"] == record["tools"]:
        routes = {**before.get("route", {}), **record.get("route", {})}
        if routes:
            record["route"] = {seed: routes[seed] for seed in sorted(routes, key=int)}


if __name__ == "__main__":
    main()
