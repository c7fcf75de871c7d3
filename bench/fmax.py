"""Frequencies that place and route reaches, and the model of boards/fmax.py fitted to them.

Usage: ``python bench/fmax.py [--seeds N | --fit | --add DIR...]``. It builds every configuration
of `CONFIGS` for its board, one after another (about half an hour; what is as it was comes from
weft's cache), each from N placements, writes what came of it to results/fmax.json beside this
file, fits the coefficients of `weft.boards.fmax` to it and writes these to
boards/fmax_coefficients.py, and the errors to results/fmax.md. With ``--fit`` it only fits, to
what results/fmax.json has. With ``--add`` it records builds made before, from folders that
``weft build`` filled, and fits; they stay in the record until their configuration is built or
added again.

The 16 x 16 array in the record is the build of results/boards_256.json, whose command stands in
docs/performance.md: nothing else that large is built here.

To be run whenever the gateware or the tools change.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from weft.boards.board import Board
from weft.boards.build import build
from weft.boards.catalog import icebreaker, ulx3s_85f
from weft.boards.fmax import silicon, terms
from weft.boards.record import BLOCK_RAMS as RECORD_BLOCK_RAMS
from weft.boards.registry import find_board
from weft.errors import RefusedError
from weft.hw.area import count_block_rams, count_multipliers
from weft.hw.config import Config

sys.path.insert(0, str(Path(__file__).parent))
from least_squares import least_squares

#: What of boards/ goes into a bitstream, or says how it is made.
TARGET = ("build", "clock", "link", "protocol", "target", "uart")

#: nextpnr's names for them.
BLOCK_RAMS = ("DP16KD", "ICESTORM_RAM", "BSRAM")
MULTIPLIERS = ("MULT18X18D", "ICESTORM_DSP", "MULT9X9")

TOP = Path(__file__).parents[1]
RECORD = TOP / "bench/results/fmax.json"
PAGE = TOP / "bench/results/fmax.md"
COEFFICIENTS = TOP / "boards/fmax_coefficients.py"

_SMALL = Config(
    rows=4, columns=4, activation_depth=1024, weight_depth=256, parameter_depth=128,
    program_depth=256,
)  # fmt: skip


def _with(rows: int, columns: int, lanes: int, **more: int) -> Config:
    return replace(_SMALL, rows=rows, columns=columns, lanes=lanes, **more)


#: From small to as large as a few minutes allow, each part in two of them: what is in one alone
#: cannot be told from luck.
CONFIGS: tuple[tuple[Board, Config], ...] = (
    *(
        (icebreaker.BOARD, config)
        for config in (
            icebreaker.BOARD.config,
            _with(2, 2, 1, tables=0, activation_depth=512),
            _with(4, 2, 2),
            _with(6, 2, 2, window=2),
            _with(6, 1, 1, window=2),
            _with(2, 2, 1, multiplier_bits=12),
            _with(2, 1, 1, multiplier_bits=16),
        )
    ),
    *(
        (ulx3s_85f.BOARD, config)
        for config in (
            _with(4, 4, 4),
            _with(4, 4, 2, multiplier_bits=31, elementwise=1),
            _with(8, 4, 4),
            _with(8, 8, 4),
            _with(8, 4, 4, activation_depth=8192, weight_depth=8192),
            _with(4, 4, 4, activation_depth=8192, weight_depth=16384),
            _with(9, 3, 3, window=3),
            _with(12, 4, 4, window=3),
        )
    ),
)


def measure(seeds: Sequence[int]) -> list[dict[str, Any]]:
    """Every build of `CONFIGS`, as fmax.json has it."""
    scratch = TOP / "build"  # YoWASP's tools see no folders outside
    scratch.mkdir(exist_ok=True)
    found = []
    for board, config in CONFIGS:
        reports = []
        start = time.monotonic()
        with tempfile.TemporaryDirectory(dir=scratch) as folder:
            try:
                for seed in seeds:
                    build(config, board, folder, seeds=[seed], require_timing=False)
                    reports.append(json.loads((Path(folder) / "build.json").read_text()))
            except RefusedError as error:  # the gateware has grown: the others still count
                print(f"{board.name} {title(config)}: {error}", flush=True)
                continue
        found.append(merge(reports))
        seconds = time.monotonic() - start
        rates = ", ".join(f"{report['fmax_mhz']:.2f}" for report in reports)
        print(f"{board.name} {title(config)}: {rates} MHz ({seconds:.0f} s)", flush=True)
    return found


def merge(reports: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Entry of fmax.json from the build.json of one configuration's placements."""
    first = reports[0]
    return {
        "board": first["board"],
        "device": find_board(first["board"]).device,
        "config": first["config"],
        "fmax_mhz": {str(report["seed"]): report["fmax_mhz"] for report in reports},
        "utilization": {name: cells["used"] for name, cells in first["utilization"].items()},
        "tools": first["tools"],
        "gateware": gateware(),
    }


def gateware() -> str:
    """Digest of the sources that make a bitstream: tells which builds are of the same."""
    state = sha256()
    parts = (TOP / "boards" / f"{name}.py" for name in TARGET)
    for path in sorted([*(TOP / "hw").rglob("*.py"), *parts]):
        state.update(path.read_bytes())
    return state.hexdigest()[:16]


def added(record: list[dict[str, Any]], folders: Sequence[Path]) -> list[dict[str, Any]]:
    """The record with the builds in some folders."""
    reports = [json.loads((folder / "build.json").read_text()) for folder in folders]
    return replaced(record, [merge([report]) for report in reports])


def replaced(record: list[dict[str, Any]], fresh: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """`fresh`, and what the record has of other configurations."""
    known = [(entry["board"], entry["config"]) for entry in fresh]
    return fresh + [e for e in record if (e["board"], e["config"]) not in known]


def miscounted(record: Sequence[dict[str, Any]]) -> list[str]:
    """Builds whose block RAMs or multipliers are not those that hw/area.py counts.

    Beside the core there is the program's record, where the board has one.
    """
    result = []
    for entry in record:
        board, config = find_board(entry["board"]), Config(**entry["config"])
        for what, names, count in (
            ("block RAMs", BLOCK_RAMS, count_block_rams),
            ("multiplier blocks", MULTIPLIERS, count_multipliers),
        ):
            made = sum(entry["utilization"].get(name, 0) for name in names)
            if names is MULTIPLIERS:
                # Two of Gowin's wide ones have the place of four narrow ones.
                made += 4 * -(-entry["utilization"].get("MULT18X18", 0) // 2)
            counted = count(config, board.family)
            if names is BLOCK_RAMS and board.keeps(config):
                counted += RECORD_BLOCK_RAMS
            if made != counted:
                result.append(
                    f"{board.name} {title(config)}: hw/area.py counts {counted} {what}, and the "
                    f"build has {made}"
                )
    return result


@dataclass(frozen=True)
class Fit:
    """The model of one kind of silicon.

    Parameters
    ----------
    weights : dict of term to nanoseconds
    margin : float
        Largest error, as a share, on a build left out.
    rows : list of (configuration, MHz routed, error, error with this build left out, remarks)
    """

    weights: dict[str, float]
    margin: float
    rows: list[tuple[str, float, float, float, str]]


def fit(record: Sequence[dict[str, Any]]) -> dict[str, Fit]:
    """The model of each kind of silicon that the record has builds of."""
    kinds = {entry["board"]: silicon(find_board(entry["board"])) for entry in record}
    return {
        kind: _fit([entry for entry in record if kinds[entry["board"]] == kind])
        for kind in sorted(set(kinds.values()))
    }


def _fit(own: Sequence[dict[str, Any]]) -> Fit:
    configs = [Config(**entry["config"]) for entry in own]
    found = [
        terms(config, find_board(entry["board"]))
        for config, entry in zip(configs, own, strict=True)
    ]
    # A part that no build has is left out: weft.boards.fmax says so where it is asked for.
    names = [name for name in found[0] if any(sizes[name] for sizes in found)]
    sizes = np.array([[sizes[name] for name in names] for sizes in found], float)
    rates = np.array([median(entry["fmax_mhz"].values()) for entry in own])
    periods = 1000 / rates
    solution = least_squares(sizes, periods)
    now, rows = gateware(), []
    for row, (entry, config) in enumerate(zip(own, configs, strict=True)):
        others = np.arange(len(own)) != row
        unseen = sizes[row] @ least_squares(sizes[others], periods[others])
        seeds = entry["fmax_mhz"].values()
        remarks = []
        if len(seeds) > 1:
            apart = max(seeds) / min(seeds) - 1
            remarks.append(f"{len(seeds)} placements, {apart:.0%} apart")
        if entry["gateware"] != now:
            remarks.append("of another gateware")
        errors = [
            1000 / float(period) / rates[row] - 1 for period in (sizes[row] @ solution, unseen)
        ]
        rows.append((title(config), float(rates[row]), *errors, ", ".join(remarks)))
    margin = float(np.ceil(100 * max(abs(row[3]) for row in rows)) / 100)
    return Fit(dict(zip(names, solution.round(5).tolist(), strict=True)), margin, rows)


def write_page(fits: dict[str, Fit], record: Sequence[dict[str, Any]]) -> None:
    """Write results/fmax.md, and print it."""
    tools = sorted({tool for entry in record for tool in entry["tools"].values()})
    lines = [
        "# Clocks after place and route, and the model's error",
        "",
        f"Written by `python bench/fmax.py`, with {', '.join(tools)}. Core, link and UART, on the",
        "board's FPGA. *Left out*: the error of the model had it not seen that build.",
    ]
    for kind, found in fits.items():
        lines += [
            "",
            f"## {kind}: within {found.margin:.0%}",
            "",
            "| configuration | MHz | error | left out | |",
            "|---|---|---|---|---|",
        ]
        lines += [
            f"| {name} | {rate:.1f} | {error:+.1%} | {unseen:+.1%} | {remarks} |"
            for name, rate, error, unseen, remarks in found.rows
        ]
    PAGE.write_text("\n".join(lines) + "\n")
    print(PAGE.read_text())


def write_coefficients(fits: dict[str, Fit]) -> None:
    """Write boards/fmax_coefficients.py."""
    lines = [
        '"""Nanoseconds per unit of what makes paths long, written by bench/fmax.py."""',
        "",
        "COEFFICIENTS: dict[str, dict[str, float]] = {",
    ]
    for kind, found in fits.items():
        entries = [f'        "{name}": {value!r},' for name, value in found.weights.items()]
        lines += [f'    "{kind}": {{', *entries, "    },"]
    shares = ", ".join(f'"{kind}": {found.margin!r}' for kind, found in fits.items())
    counts = ", ".join(f'"{kind}": {len(found.rows)}' for kind, found in fits.items())
    lines += [
        "}",
        "",
        "#: Largest error, as a share, on a build that the fit has not seen.",
        f"MARGIN: dict[str, float] = {{{shares}}}",
        "",
        "#: Configurations that the fit has seen.",
        f"BUILDS: dict[str, int] = {{{counts}}}",
    ]
    COEFFICIENTS.write_text("\n".join(lines) + "\n")


def title(config: Config) -> str:
    """A configuration in a few words."""
    return (
        f"{config.rows}x{config.columns} lanes {config.lanes} window {config.window} "
        f"multiplier {config.multiplier_bits} elementwise {config.elementwise} "
        f"rows {config.activation_depth} + {config.weight_depth}"
    )


def main(arguments: Sequence[str]) -> int:
    """Build, or take what was built, then fit and write."""
    record = json.loads(RECORD.read_text())["builds"] if RECORD.exists() else []
    match arguments:
        case []:
            record = replaced(record, measure([1]))
        case ["--seeds", count] if count.isdecimal() and int(count):
            record = replaced(record, measure(range(1, int(count) + 1)))
        case ["--fit"]:
            pass
        case ["--add", _, *_]:
            record = added(record, [Path(name) for name in arguments[1:]])
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    RECORD.write_text(json.dumps({"builds": record}, indent=1) + "\n")
    wrong = miscounted(record)
    if wrong:
        print("\n".join([*wrong, "correct hw/area.py"]))
        return 1
    fits = fit(record)
    write_coefficients(fits)
    write_page(fits, record)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
