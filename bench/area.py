"""Cells that Yosys makes of the core in many configurations, and the model fitted to them.

Usage: ``python bench/area.py [--fit]``. It synthesises every configuration of `CONFIGS` for its
FPGA family, one after another (a few minutes, later runs find them in weft's cache), writes the
cells to results/area.json beside this file, fits the coefficients of `weft.hw.area` to them and
writes these to hw/area_coefficients.py. With ``--fit`` it only fits, to what results/area.json has.

To be run whenever the gateware or Yosys changes; it prints the model's error for every
configuration, and what it would be had the fit not seen that configuration.
"""

from __future__ import annotations

import json
import math
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from amaranth.back import rtlil

from weft.boards.build import COLLISIONS
from weft.boards.cache import digest, step
from weft.boards.catalog import icebreaker, tang_nano_9k, tang_primer_20k
from weft.boards.tools import find_tool, run_tool, tool_version
from weft.hw.area import Area, Family, count_block_rams, count_multipliers, features
from weft.hw.config import Config
from weft.hw.core import Core

sys.path.insert(0, str(Path(__file__).parent))
from least_squares import least_squares

TOP = Path(__file__).parents[1]
RECORD = TOP / "bench/results/area.json"
COEFFICIENTS = TOP / "hw/area_coefficients.py"

#: What the gateware asks a platform for, and how Yosys is called, as Amaranth's own scripts do.
DEVICES = {"ecp5": "LFE5U-85F", "ice40": "iCE40UP5K", "gowin": "GW1NR-LV9QN88PC6/I5"}
SYNTHESIS = {
    "ecp5": "synth_ecp5 -noabc9",
    "ice40": "synth_ice40",
    # With a netlist to be written it keeps to what nextpnr knows.
    "gowin": "synth_gowin -noiopads -json top.json",
}

#: Lookup tables in each cell that has some.
LUTS = {"LUT4": 1, "CCU2C": 2, "TRELLIS_DPR16X4": 4, "SB_LUT4": 1, "LUT1": 1, "LUT2": 1, "LUT3": 1,
        "ALU": 1, "RAM16SDP4": 4}  # fmt: skip
MULTIPLIERS = ("MULT18X18D", "SB_MAC16", "MULT9X9")
#: Two of Gowin's wide ones make a macro, which has room for four narrow ones.
WIDE = "MULT18X18"
BLOCK_RAMS = ("DP16KD", "SB_RAM40_4K", "SDPB", "SDPX9B")

_SMALL = Config(
    rows=4, columns=4, activation_depth=1024, weight_depth=256, parameter_depth=128,
    program_depth=256,
)  # fmt: skip
_WIDE = replace(_SMALL, activation_depth=2048, weight_depth=512, program_depth=512)


def _with(base: Config, rows: int, columns: int, lanes: int, **more: int) -> Config:
    return replace(base, rows=rows, columns=columns, lanes=lanes, **more)


#: Every part of the core in several sizes: what is not here the model must not be asked for.
CONFIGS: dict[Family, tuple[Config, ...]] = {
    "ecp5": (
        _with(_SMALL, 4, 4, 4),
        _with(_SMALL, 4, 4, 1, accumulator_bits=24),
        _with(_SMALL, 4, 4, 2, multiplier_bits=8),
        _with(_SMALL, 4, 4, 4, multiplier_bits=31, tables=0),
        _with(_SMALL, 4, 8, 4, elementwise=1, tables=0),
        _with(_SMALL, 4, 4, 4, elementwise=1),
        _with(_SMALL, 8, 4, 2, elementwise=1, accumulator_bits=24),
        _with(_SMALL, 6, 4, 2, activation_depth=1536, weight_depth=640, tables=2),
        _with(_WIDE, 8, 8, 8, accumulator_bits=24),
        _with(_WIDE, 8, 8, 4, multiplier_bits=31, elementwise=1, tables=4),
        _with(_WIDE, 8, 8, 4, multiplier_bits=16),
        _with(_WIDE, 8, 8, 2, multiplier_bits=13, elementwise=1, weight_depth=2560),
        _with(_WIDE, 8, 4, 4, multiplier_bits=18, accumulator_bits=28),
        _with(_WIDE, 8, 4, 2, multiplier_bits=17, elementwise=1, program_depth=1280),
        _with(_WIDE, 4, 16, 2, multiplier_bits=31, tables=0),
        _with(_SMALL, 8, 8, 1, multiplier_bits=24, elementwise=1, activation_depth=4096),
        _with(_SMALL, 9, 3, 3, window=3, multiplier_bits=8),
        _with(_SMALL, 12, 4, 4, window=3),
        _with(_WIDE, 16, 8, 4, window=4, multiplier_bits=31),
        _with(_WIDE, 16, 8, 8, window=4, line_depth=64),
        _with(_WIDE, 16, 8, 8, multiplier_bits=31, elementwise=1),
        _with(_WIDE, 16, 16, 4, accumulator_bits=28),
        _with(_SMALL, 4, 16, 4, activation_depth=1280),
        _with(_WIDE, 16, 16, 8, multiplier_bits=10),
        _with(_WIDE, 8, 8, 8, multiplier_bits=20, elementwise=1, table_multipliers=16),
        _with(_SMALL, 4, 4, 4, multiplier_bits=10, elementwise=1, table_multipliers=6),
        Config(
            rows=8,
            columns=8,
            lanes=4,
            activation_depth=7168,
            weight_depth=4096,
            parameter_depth=1024,
            program_depth=1536,
            tables=4,
            multiplier_bits=31,
            elementwise=1,
        ),
    ),
    "ice40": (
        _with(_SMALL, 2, 2, 1, tables=0),
        _with(_SMALL, 4, 4, 4),
        _with(_SMALL, 4, 4, 1, accumulator_bits=24),
        _with(_SMALL, 4, 4, 2, multiplier_bits=8),
        _with(_SMALL, 4, 4, 2, multiplier_bits=31),
        _with(_SMALL, 4, 4, 4, multiplier_bits=16, accumulator_bits=28),
        _with(_SMALL, 4, 4, 2, multiplier_bits=16, elementwise=1),
        _with(_SMALL, 4, 4, 1, multiplier_bits=31, elementwise=1),
        _with(_SMALL, 2, 4, 2, elementwise=1, tables=0),
        _with(_SMALL, 6, 2, 2, window=2),
        _with(_SMALL, 8, 4, 2, accumulator_bits=28),
        _with(_SMALL, 8, 2, 2, activation_depth=1536, weight_depth=640, tables=2),
        _with(_SMALL, 9, 3, 3, window=3),
        _with(_WIDE, 8, 8, 8),
        _with(_WIDE, 8, 8, 2, multiplier_bits=13),
        _with(_SMALL, 4, 2, 1, multiplier_bits=18, program_depth=512),
        _with(_SMALL, 4, 8, 4, multiplier_bits=12, elementwise=1),
        _with(_SMALL, 2, 4, 1, accumulator_bits=20),
        _with(_SMALL, 4, 2, 2, weight_depth=1536, tables=2),
        _with(_SMALL, 4, 4, 4, elementwise=1),
        _with(_SMALL, 4, 4, 2, table_multipliers=5),
        _with(_SMALL, 4, 2, 2, table_multipliers=4),
        icebreaker.BOARD.config,
    ),
    "gowin": (
        _with(_SMALL, 4, 4, 4),
        _with(_SMALL, 4, 4, 1, accumulator_bits=24, tables=0),
        _with(_SMALL, 4, 4, 2, multiplier_bits=16, elementwise=1),
        _with(_SMALL, 8, 4, 4, multiplier_bits=20, elementwise=1, table_multipliers=8),
        tang_nano_9k.BOARD.config,
        tang_nano_9k.BOARD.large,
        tang_primer_20k.BOARD.config,
    ),
}


#: Families with few cores in the record, and those of which they take the coefficients: their
#: cells are alike, and one factor is fitted.
LIKE: dict[Family, Family] = {"gowin": "ecp5"}


class Platform:
    """All of a platform that the gateware looks at."""

    def __init__(self, device: str):
        self.device = device


def synthesize(config: Config, family: str) -> dict[str, int]:
    """Cells by type."""
    core = rtlil.convert(
        Core(config), platform=Platform(DEVICES[family]), name="top", emit_src=False
    )
    script = (
        f"read_rtlil top.il\n{COLLISIONS}\ndelete w:$verilog_initial_trigger\n"
        f"{SYNTHESIS[family]} -top top\ntee -q -o cells.json stat -json\n"
    )
    yosys = find_tool("yosys")
    build = TOP / "build"  # YoWASP's tools see no folders outside
    build.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=build) as scratch:
        folder = Path(scratch)

        def make() -> None:
            (folder / "top.il").write_text(core)
            (folder / "top.ys").write_text(script)
            run_tool([yosys, "-q", "top.ys"], directory=folder, log=folder / "log")

        step(digest(tool_version(yosys), core, script), folder, ["cells.json"], make)
        found = json.loads((folder / "cells.json").read_text())
    cells = found["design"]["num_cells_by_type"]
    return {name: cells[name] for name in sorted(cells) if not name.startswith("$")}


def area_of_cells(cells: dict[str, int]) -> Area:
    """The same as `Area`."""
    return Area(
        lut4=sum(LUTS.get(name, 0) * count for name, count in cells.items()),
        multipliers=sum(cells.get(name, 0) for name in MULTIPLIERS)
        + 4 * math.ceil(cells.get(WIDE, 0) / 2),
        block_rams=sum(cells.get(name, 0) for name in BLOCK_RAMS),
        spram=cells.get("SB_SPRAM256KA", 0),
    )


def measure() -> dict[str, Any]:
    """Everything that area.json holds."""
    found = []
    for family, configs in CONFIGS.items():
        for config in configs:
            start = time.monotonic()
            cells = synthesize(config, family)
            found.append({"family": family, "config": asdict(config), "cells": cells})
            seconds = time.monotonic() - start
            print(f"{family} {_title(config)}: {area_of_cells(cells)} ({seconds:.0f} s)")
    tools = {
        "yosys": tool_version(find_tool("yosys")),
        **{name: version(name) for name in ("weft", "amaranth")},
    }
    return {"cores": found, "synthesis": SYNTHESIS, "tools": tools}


def _title(config: Config) -> str:
    return (
        f"{config.rows}x{config.columns} lanes {config.lanes} window {config.window} "
        f"multiplier {config.multiplier_bits} elementwise {config.elementwise}"
    )


def fit(found: dict[str, Any]) -> tuple[dict[str, dict[str, float]], dict[str, float]]:
    """Coefficients and largest error of the model, by family, printed for every core."""
    coefficients, margins = {}, {}
    for family in CONFIGS:
        cores = [core for core in found["cores"] if core["family"] == family]
        configs = [Config(**core["config"]) for core in cores]
        names = list(features(configs[0]))
        sizes = np.array([list(features(config).values()) for config in configs], float)
        wanted = np.array([area_of_cells(core["cells"]).lut4 for core in cores], float)
        like = LIKE.get(family)
        if like:
            # One feature: what the other family takes.
            names, shares = list(coefficients[like]), np.array(list(coefficients[like].values()))
            sizes = sizes @ shares[:, None]
        solution = least_squares(sizes, wanted)
        weights = solution[0] * shares if like else solution
        coefficients[family] = dict(zip(names, weights.round(4).tolist(), strict=True))
        margins[family] = 0.0
        print(f"{family}: lookup tables, error of the model, and with this core left out")
        for row, config in enumerate(configs):
            others = np.arange(len(configs)) != row
            unseen = sizes[row] @ least_squares(sizes[others], wanted[others]) / wanted[row] - 1
            error = sizes[row] @ solution / wanted[row] - 1
            print(f"  {_title(config)}: {wanted[row]:,.0f} {error:+.1%} {unseen:+.1%}")
            margins[family] = max(margins[family], abs(unseen))
        margins[family] = float(np.ceil(100 * margins[family]) / 100)
    return coefficients, margins


def write_coefficients(
    coefficients: dict[str, dict[str, float]], margins: dict[str, float]
) -> None:
    """Write hw/area_coefficients.py."""
    lines = [
        '"""Lookup tables per unit of each part of a core, written by bench/area.py."""',
        "",
        "COEFFICIENTS: dict[str, dict[str, float]] = {",
    ]
    for family, values in coefficients.items():
        entries = [f'        "{name}": {value!r},' for name, value in values.items()]
        lines += [f'    "{family}": {{', *entries, "    },"]
    shares = ", ".join(f'"{family}": {share!r}' for family, share in margins.items())
    lines += [
        "}",
        "",
        "#: Largest error, as a share, on a configuration that the fit has not seen.",
        f"MARGIN: dict[str, float] = {{{shares}}}",
    ]
    COEFFICIENTS.write_text("\n".join(lines) + "\n")


def main(arguments: Sequence[str]) -> int:
    """Synthesise, unless told not to, fit and write."""
    if list(arguments) not in ([], ["--fit"]):
        print(__doc__, file=sys.stderr)
        return 2
    if not arguments:
        RECORD.write_text(json.dumps(measure(), indent=1) + "\n")
    found = json.loads(RECORD.read_text())
    for core in found["cores"]:
        config, family = Config(**core["config"]), core["family"]
        counted = count_multipliers(config, family), count_block_rams(config, family)
        made = area_of_cells(core["cells"])
        if counted != (made.multipliers, made.block_rams):
            print(
                f"{family} {_title(config)}: hw/area.py counts {counted[0]} multipliers and "
                f"{counted[1]} block RAMs, and Yosys makes {made}; correct hw/area.py"
            )
            return 1
    write_coefficients(*fit(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
