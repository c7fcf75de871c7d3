"""summary.json: what was compiled, layer by layer and memory by memory."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from weft.compiler.compile import macs
from weft.compiler.program import Program
from weft.compiler.release import release_cycle
from weft.console import say, short, table
from weft.hw.config import MULTIPLIER_BITS, Space

#: What each rounding gives, for people.
_WHOSE = {
    "double": "rounded twice, as by TFLite Micro",
    "single": "rounded once, as by TFLite Micro with single rounding",
    "litert": "rounded as by LiteRT's reference kernels",
}


def summarize(program: Program, model: Path, board: str | None, rounding: str) -> dict[str, Any]:
    """What summary.json says.

    Parameters
    ----------
    program : Program
    model : Path
        The file it was compiled from.
    board : str or None
        Name of the board it is for.
    rounding : str
        "shift", or of a TFLite model "double", "single" or "litert".
    """
    config = program.config
    return {
        "weft": version("weft"),
        "model": {
            "name": program.network.name,
            "file": model.name,
            "sha256": hashlib.sha256(model.read_bytes()).hexdigest(),
        },
        "board": board,
        "rounding": rounding,
        "config": asdict(config),
        "config_digest": config.digest,
        "program_digest": program.digest,
        "multipliers": config.multipliers,
        "macs": macs(program.network),
        "cycles": sum(layer["cycles"] for layer in program.layers),
        "layers": program.layers,
        "copied_bytes": program.copied_bytes,
        "released_cycles": release_cycle(program),
        "memories": _memories(program),
    }


def _memories(program: Program) -> list[dict[str, Any]]:
    used = {space: len(image) for space, image in program.images.items()}
    copies = (ins.copy_row + ins.copy_words // program.config.tile_words
              for ins in program.instructions)  # fmt: skip
    used[Space.WEIGHT] = max(used.get(Space.WEIGHT, 0), *copies)
    used[Space.ACTIVATION] = max(p.base + p.words for p in program.placements.values())
    return [
        {
            "memory": space.name.lower(),
            "rows": program.config.depth(space),
            "row_bytes": program.config.row_bytes(space),
            "rows_used": used.get(space, 0),
        }
        for space in Space
    ]


def show_release(released: int | None, cycles: int) -> None:
    """Print when the next input may be loaded."""
    if released is None:
        say(
            "the next input is loaded when the outputs are read: activation memory has no room to "
            "keep inputs apart from what is computed, or an output is an input"
        )
    else:
        say(f"the next input may be loaded after {released:,} of {cycles:,} cycles")


def show_summary(summary: dict[str, Any]) -> None:
    """Print layers and memories as tables."""
    multipliers = summary["multipliers"]
    rows = []
    for layer in summary["layers"]:
        density = f"{layer['macs'] / (layer['cycles'] * multipliers):.0%}"
        rows.append([short(layer["name"]), layer["op"], layer["macs"], layer["cycles"], density])
    table(["layer", "op", "MACs", "cycles", "array"], rows)
    sizes = ("weight_bytes", "bias_bytes", "requantize_bytes", "output_bytes")
    table(
        ["bytes of layer", "weights", "biases", "requantize", "output"],
        [[short(layer["name"]), *(layer[size] for size in sizes)] for layer in summary["layers"]],
    )
    table(
        ["memory", "rows used", "of rows", "bytes each", "bytes"],
        [
            (m["memory"], m["rows_used"], m["rows"], m["row_bytes"], m["rows"] * m["row_bytes"])
            for m in summary["memories"]
        ],
    )
    config = summary["config"]
    density = summary["macs"] / (summary["cycles"] * multipliers)
    say(
        f"{config['rows']} x {config['columns']} array: {summary['macs']:,} MACs in "
        f"{summary['cycles']:,} cycles, utilization {density:.1%}"
    )
    if summary["copied_bytes"]:
        say(
            f"{summary['copied_bytes']:,} bytes of weights are copied from the program memory "
            "in every inference, while the array computes"
        )
    if config["stream"]:
        show_release(summary["released_cycles"], summary["cycles"])
    if summary["rounding"] in _WHOSE:
        say(f"{summary['rounding']}: {_WHOSE[summary['rounding']]}")
    if 0 < config["multiplier_bits"] < MULTIPLIER_BITS:
        say(
            f"multipliers are rounded to {config['multiplier_bits']} bits: the results are not "
            "those of the model, but of a network close to it"
        )
    say(f"configuration {summary['config_digest']}, program {summary['program_digest']}")
