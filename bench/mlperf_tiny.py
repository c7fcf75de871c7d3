"""Cycles and utilisation of MLPerf Tiny's four networks on several arrays.

Usage: ``python bench/mlperf_tiny.py [--models DIR] [--simulate]``. DIR (by default ../shared/models
beside the repository) holds the published models as ``ic/``, ``kws/``, ``vww/`` and ``ad/``. It
prints the table and writes results/mlperf_tiny.json and results/mlperf_tiny.md beside this file.
The cycles are the compiler's, which are exact; with ``--simulate`` an input also runs through the
Verilog of the first array in Verilator, and a difference in cycles is an error.
"""

from __future__ import annotations

import json
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from published_models import models_folder  # a script finds what is beside it

from weft.compiler.compile import compile_network, fit, macs
from weft.compiler.network import Network
from weft.compiler.program import Program
from weft.compiler.tflite_reader import read_tflite
from weft.hw.config import Config

MODELS = {
    "ic": "ic/pretrainedResnet_quant.tflite",
    "kws": "kws/kws_ref_model.tflite",
    "vww": "vww/vww_96_int8.tflite",
    "ad": "ad/ad01_int8.tflite",
}

#: Memories are made as deep as each network needs.
ARRAYS = (
    Config(rows=16, columns=8, lanes=8, window=3),
    Config(rows=16, columns=8, lanes=4, window=3),
    Config(rows=8, columns=8, lanes=4),
    Config(rows=4, columns=4),
    Config(rows=4, columns=4, window=1, interleave=3),
)

TOOLS = ("weft", "numpy", "tflite")

RESULTS = Path(__file__).parent / "results"


def networks(folder: Path) -> dict[str, Network]:
    """The integer graphs by name."""
    return {name: read_tflite(folder / file) for name, file in MODELS.items()}


def compiled(network: Network, array: Config) -> Program:
    """A network on an array whose memories fit it."""
    return compile_network(network, fit(network, array))


def count(name: str, array: Config, program: Program) -> dict[str, Any]:
    """What one inference takes."""
    cycles = sum(layer["cycles"] for layer in program.layers)
    return {
        "network": name,
        "array": f"{array.rows}x{array.columns}",
        "lanes": array.lanes,
        "window": array.window,
        "cycles": cycles,
        "utilization": round(macs(program.network) / (array.multipliers * cycles), 6),
        "instructions": len(program.instructions),
    }


def measure(folder: Path) -> dict[str, Any]:
    """Everything that mlperf_tiny.json holds."""
    found = networks(folder)
    return {
        "macs": {name: macs(network) for name, network in found.items()},
        "runs": [
            count(name, array, compiled(network, array))
            for array in ARRAYS
            for name, network in found.items()
        ],
        "tools": {
            "python": platform.python_version(), **{name: version(name) for name in TOOLS}
        },
    }  # fmt: skip


def simulate(program: Program) -> int:
    """Cycles that the Verilog takes in Verilator, for codes at random."""
    from weft.sim.verilog import engine  # noqa: PLC0415  # needs a C++ compiler

    rng = np.random.default_rng(0)
    inputs = {
        name: rng.integers(-128, 128, (1, *program.network.tensors[name].shape), np.int8)
        for name in program.core_inputs
    }
    cycles = engine.run(program, inputs).cycles
    assert cycles is not None
    return cycles[0]


def markdown(found: dict[str, Any]) -> str:
    """The same as a table."""
    arrays = list(dict.fromkeys((r["array"], r["lanes"], r["window"]) for r in found["runs"]))
    lines = [
        "# Cycles of MLPerf Tiny's networks",
        "",
        "INT8, batch 1, by `weft compile MODEL.tflite --array RxC --lanes N --window N`.",
        "Utilisation is the share of the network's multiply-accumulates in multipliers times",
        "cycles, from the start of the program to its last result. Written by",
        "`python bench/mlperf_tiny.py`. It may be over 100%: tiles of all-zero weights are not",
        "read. In the last row three image rows come in turns (`--interleave 3`).",
        "",
        f"| array, lanes, window | {' | '.join(MODELS)} |",
        f"| --- | {' | '.join('---:' for _ in MODELS)} |",
        f"| multiply-accumulates | {' | '.join(f'{n:,}' for n in found['macs'].values())} |",
    ]
    for array in arrays:
        runs = [r for r in found["runs"] if (r["array"], r["lanes"], r["window"]) == array]
        cells = (f"{run['cycles']:,} · {run['utilization']:.1%}" for run in runs)
        lines.append(f"| {', '.join(map(str, array))} | {' | '.join(cells)} |")
    tools = ", ".join(f"{name} {number}" for name, number in found["tools"].items())
    return "\n".join([*lines, "", tools, ""])


def main(arguments: list[str]) -> int:
    """Print and write the results."""
    simulated = arguments[-1:] == ["--simulate"]
    rest = arguments[:-1] if simulated else arguments
    folder = models_folder(rest, MODELS.values(), __doc__)
    if folder is None:
        return 2
    found = measure(folder)
    if simulated:
        for run, network in zip(found["runs"], networks(folder).values(), strict=False):
            if simulate(compiled(network, ARRAYS[0])) != run["cycles"]:
                print(f"the Verilog of {run['network']} takes other cycles", file=sys.stderr)
                return 1
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "mlperf_tiny.json").write_text(json.dumps(found, indent=2) + "\n")
    (RESULTS / "mlperf_tiny.md").write_text(markdown(found))
    print(markdown(found), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
