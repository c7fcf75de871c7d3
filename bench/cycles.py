"""Cycles and utilisation of the digits network on several arrays.

Usage: ``python bench/cycles.py [--simulate]``. It prints the table and writes
results/cycles.json and results/cycles.md beside this file. The cycles are the compiler's,
which are exact; with ``--simulate`` an image also runs through each array's Verilog in
Verilator, and a difference in cycles is an error.
"""

from __future__ import annotations

import json
import platform
import sys
from functools import cache
from importlib.metadata import version
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from weft.compiler.calibrate import calibrate
from weft.compiler.compile import compile_network, fit, macs
from weft.compiler.edges import encode_inputs
from weft.compiler.network import Network
from weft.compiler.onnx_reader import load_onnx
from weft.compiler.program import Program
from weft.compiler.quantize import quantize
from weft.examples.digits.data import load_digits
from weft.hw.config import Config

#: Memories are made as deep as the network needs.
ARRAYS = (
    Config(rows=4, columns=4),
    Config(rows=8, columns=8),
    Config(rows=16, columns=8, window=4),
    Config(rows=16, columns=16, window=4),
)

#: What the figures may depend on.
TOOLS = ("weft", "numpy", "onnx", "onnxruntime", "scikit-learn")

RESULTS = Path(__file__).parent / "results"


@cache
def digits_network() -> Network:
    """The integer graph of the digits network, calibrated as the demo does."""
    with as_file(files("weft.examples.digits") / "digits.onnx") as model:
        graph = load_onnx(model)
        return quantize(graph, calibrate(model, graph, {"image": load_digits().train_images}))


def programs() -> list[Program]:
    """The network compiled for every array."""
    network = digits_network()
    return [compile_network(network, fit(network, array)) for array in ARRAYS]


def count(program: Program) -> dict[str, Any]:
    """What one inference takes on one array."""
    config = program.config
    cycles = {layer["name"]: layer["cycles"] for layer in program.layers}
    total = sum(cycles.values())
    return {
        "array": f"{config.rows}x{config.columns}",
        "window": config.window,
        "multipliers": config.multipliers,
        "cycles": total,
        "utilization": round(macs(program.network) / (config.multipliers * total), 6),
        "layers": cycles,
    }


def simulate(program: Program) -> int:
    """Cycles that the Verilog takes in Verilator."""
    from weft.sim.verilog import engine  # noqa: PLC0415  # needs a C++ compiler

    image = {"image": load_digits().test_images[:1]}
    cycles = engine.run(program, encode_inputs(program.network, image)).cycles
    assert cycles is not None
    return cycles[0]


def measure() -> dict[str, Any]:
    """Everything that cycles.json holds."""
    tools = {"python": platform.python_version(), **{name: version(name) for name in TOOLS}}
    return {
        "network": "digits",
        "macs": macs(digits_network()),
        "arrays": [count(program) for program in programs()],
        "tools": tools,
    }


def markdown(found: dict[str, Any]) -> str:
    """The same as a table."""
    arrays = found["arrays"]
    rows = [
        ("array", *(row["array"] for row in arrays)),
        ("---", *("---:" for _ in arrays)),
        ("image rows of the second path", *(row["window"] or "none" for row in arrays)),
        ("INT8 multipliers", *(row["multipliers"] for row in arrays)),
        ("**cycles per image**", *(f"**{row['cycles']:,}**" for row in arrays)),
        ("utilization", *(f"{row['utilization']:.1%}" for row in arrays)),
        *((f"cycles of {name}", *(f"{row['layers'][name]:,}" for row in arrays))
          for name in arrays[0]["layers"]),
    ]  # fmt: skip
    table = "\n".join(f"| {' | '.join(map(str, row))} |" for row in rows)
    tools = ", ".join(f"{name} {number}" for name, number in found["tools"].items())
    return (
        "# Cycles of the digits network\n\n"
        f"{found['macs']:,} multiply-accumulates per image; utilization is their share of\n"
        "multipliers times cycles. Fetching of instructions and draining included, loading of\n"
        "the image not. Written by `python bench/cycles.py`.\n\n"
        f"{table}\n\n{tools}\n"
    )


def main(arguments: list[str]) -> int:
    """Print and write the results."""
    if arguments not in ([], ["--simulate"]):
        print(__doc__, file=sys.stderr)
        return 2
    found = measure()
    if arguments:
        for row, program in zip(found["arrays"], programs(), strict=True):
            if simulate(program) != row["cycles"]:
                print(f"the Verilog of {row['array']} takes other cycles", file=sys.stderr)
                return 1
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "cycles.json").write_text(json.dumps(found, indent=2) + "\n")
    (RESULTS / "cycles.md").write_text(markdown(found))
    print(markdown(found), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
