"""How far golden is from ONNX Runtime on networks that ONNX Runtime quantised.

Usage: ``python bench/onnx_runtime.py``. It quantises 25 small networks with `quantize_static`
(tests/affine_models.py: five kinds, five seeds, uint8, per channel), runs 200 samples through
each in ONNX Runtime and in golden, with the rounding that weft chooses and with TFLite's other
one, prints the output codes that differ and writes results/onnx_runtime.json beside this file.
"""

from __future__ import annotations

import json
import platform
import sys
import tempfile
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from weft.compiler.edges import decode_outputs, encode_inputs
from weft.compiler.network import Network, Scaling
from weft.models import read_network
from weft.sim import golden

TOP = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"
SEEDS, SAMPLES = 5, 200
TOOLS = ("weft", "numpy", "onnx", "onnxruntime")


def rounded(network: Network, rounding: str) -> Network:
    """The same network with every multiplier rounded another way."""
    nodes = []
    for node in network.nodes:
        changes: dict[str, Any] = {}
        for name in ("requantize", "scalings"):
            found = getattr(node, name, None)
            if isinstance(found, Scaling):
                changes[name] = _rounded(found, rounding)
            elif found is not None:
                changes[name] = tuple(_rounded(scaling, rounding) for scaling in found)
        nodes.append(replace(node, **changes))
    return replace(network, nodes=nodes)


def _rounded(scaling: Scaling, rounding: str) -> Any:
    return scaling if scaling.multiplier is None else replace(scaling, rounding=rounding)


def difference(network: Network, inputs: dict[str, np.ndarray], expected: np.ndarray) -> np.ndarray:
    """How many codes golden's only output is from ONNX Runtime's."""
    (port,) = network.outputs
    (made,) = decode_outputs(
        network, golden.run_network(network, encode_inputs(network, inputs))
    ).values()
    return np.rint(np.abs(made - expected) / network.tensors[port.tensor].scale).astype(int)


def measure(seeds: int = SEEDS, samples: int = SAMPLES) -> dict[str, Any]:
    """Codes that differ and the largest difference, by network and rounding."""
    sys.path.insert(0, str(TOP / "tests"))
    from affine_models import (  # noqa: PLC0415  # where the tests are
        NETWORKS,
        OPTIONS,
        quantized_by_onnxruntime,
        run_onnxruntime,
    )

    found: dict[str, Any] = {}
    for name in NETWORKS:
        rows = {kind: {"outputs": 0, "codes": 0, "largest": 0} for kind in ("single", "double")}
        for seed in range(seeds):
            with tempfile.TemporaryDirectory() as folder:
                path, inputs = quantized_by_onnxruntime(
                    name, seed, Path(folder), samples, **OPTIONS["qdq uint8 per channel"]
                )
                (expected,) = run_onnxruntime(path, inputs)
                network = read_network(path)
            for kind, row in rows.items():
                apart = difference(rounded(network, kind), inputs, expected)
                row["outputs"] += apart.size
                row["codes"] += int((apart > 0).sum())
                row["largest"] = max(row["largest"], int(apart.max()))
        found[name] = rows
    return found


def total(found: dict[str, Any], kind: str) -> dict[str, int]:
    """All networks together."""
    rows = [rows[kind] for rows in found.values()]
    return {
        "outputs": sum(row["outputs"] for row in rows),
        "codes": sum(row["codes"] for row in rows),
        "largest": max(row["largest"] for row in rows),
    }


def main(arguments: list[str]) -> int:
    """Print and write the results."""
    if arguments:
        print(__doc__, file=sys.stderr)
        return 2
    found = measure()
    tools = {"python": platform.python_version(), "machine": platform.machine()}
    tools |= {name: version(name) for name in TOOLS}
    result = {"networks": found, "tools": tools}
    (RESULTS / "onnx_runtime.json").write_text(json.dumps(result, indent=2) + "\n")
    for kind in ("single", "double"):
        row = total(found, kind)
        print(f"{kind}: {row['codes']:,} of {row['outputs']:,} codes differ, by {row['largest']}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
