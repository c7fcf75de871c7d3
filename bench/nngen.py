"""NNgen beside weft on two layers: cycles, multipliers and cells, measured in the same run.

Usage: ``python bench/nngen.py (--python PYTHON | --only weft) [options]``. PYTHON is that of an
environment of its own with NNgen, which weft never needs; make it with

    python3 -m venv v_nngen && v_nngen/bin/pip install nngen

After a change of weft ``--only weft`` measures weft again, in a minute or two, beside what the
record has of NNgen; it needs no NNgen, and refuses another Yosys than NNgen's cells are of.

The layers are a 3 x 3 convolution of 16 channels to 16 on 16 x 16
pixels, and a dense layer of 640 to 128, both int8 with int32 sums and bias and a shift at the end.
NNgen runs with each of its `SETTINGS` (no more multipliers than the first), with its own model of
AXI memory, and is counted at its best; weft's outputs must be golden's. Both run in Verilator and
go through the same Yosys. Exit status 1 if weft does not win a mark. An hour the first time, most
of it Yosys on NNgen's Verilog; what is finished is kept in weft's cache.
"""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from area import SYNTHESIS, area_of_cells, synthesize  # a script finds what is beside it

from weft.boards.cache import digest, step
from weft.boards.tools import find_tool, run_tool, tool_version
from weft.compiler.compile import compile_network, fit, macs
from weft.compiler.network import Conv2D, FullyConnected, Network, Port, Requantize, Tensor
from weft.hw.config import Config
from weft.sim import golden
from weft.sim.verilog.environment import find_tools

HERE = Path(__file__).parent
RESULTS = HERE / "results"
WORKER = HERE / "nngen_layer.py"
#: YoWASP's tools see no folder outside the one they are called in.
BUILD = HERE.parent / "build" / "nngen"

LAYERS: dict[str, dict[str, Any]] = {
    "conv": {"layer": "conv", "inputs": 16, "outputs": 16, "size": 16, "kernel": 3},
    "dense": {"layer": "dense", "inputs": 640, "outputs": 128},
}

#: NNgen's parallelism over input and output channels, and its AXI port's bits. A convolution
#: has 9 multipliers for each pair of channels, a dense layer one: 144 and 64. A dense layer
#: waits for its weights, so it also has a port that brings one for each multiplier. Many output
#: channels at once (1 by 16) make 19 MB of Verilog, whose simulator takes hours to build.
SETTINGS: dict[str, tuple[dict[str, Any], ...]] = {
    "conv": (
        {"axi_bits": 128, "attributes": {"par_ich": 4, "par_och": 4}},
        {"axi_bits": 32, "attributes": {"par_ich": 4, "par_och": 4}},
        {"axi_bits": 128, "attributes": {"par_ich": 16, "par_och": 1}},
    ),
    "dense": (
        {"axi_bits": 128, "attributes": {"par_ich": 8, "par_och": 8}},
        {"axi_bits": 128, "attributes": {"par_ich": 64, "par_och": 1}},
        {"axi_bits": 512, "attributes": {"par_ich": 64, "par_och": 1}},
    ),
}

#: Fewer multipliers than NNgen's for the convolution, as many for the dense layer; a requantizer
#: that shifts, as NNgen's does here, and no elementwise unit.
CONFIGS = {
    "conv": Config(rows=16, columns=8, lanes=4),
    "dense": Config(rows=8, columns=8, lanes=2),
}


def multipliers(layer: dict[str, Any], settings: dict[str, Any]) -> int:
    """INT8 multipliers of NNgen's datapath."""
    attributes = settings["attributes"]
    return layer.get("kernel", 1) ** 2 * attributes["par_ich"] * attributes["par_och"]


def network(layer: dict[str, Any]) -> Network:
    """The same layer as an integer graph, with weights at random."""
    rng = np.random.default_rng(0)
    inputs, outputs = layer["inputs"], layer["outputs"]
    size = layer.get("size", 1)
    bias = rng.integers(-1000, 1001, outputs, np.int32)
    shift = Requantize(np.full(outputs, 10, np.int32))
    if layer["layer"] == "conv":
        kernel = layer["kernel"]
        weights = rng.integers(-127, 128, (outputs, kernel, kernel, inputs), np.int8)
        edge = kernel // 2
        node: Any = Conv2D(
            "conv", ("x",), "y", weights=weights, bias=bias, requantize=shift,
            padding=(edge, edge, edge, edge),
        )  # fmt: skip
    else:
        weights = rng.integers(-127, 128, (outputs, inputs), np.int8)
        node = FullyConnected("dense", ("x",), "y", weights=weights, bias=bias, requantize=shift)
    shapes = {"x": (size, size, inputs), "y": (size, size, outputs)}
    tensors = {name: Tensor(name, shape, 1.0) for name, shape in shapes.items()}
    ports = {name: Port(name, name, shape, "int8") for name, shape in shapes.items()}
    return Network(layer["layer"], tensors, [node], [ports["x"]], [ports["y"]])


def of_weft(name: str) -> dict[str, Any]:
    """What weft takes; its outputs in Verilator are compared with golden's."""
    from weft.sim.verilog import engine  # noqa: PLC0415  # needs a C++ compiler

    graph = network(LAYERS[name])
    config = fit(graph, CONFIGS[name])
    program = compile_network(graph, config)
    rng = np.random.default_rng(1)
    inputs = {"x": rng.integers(-128, 128, (1, *graph.tensors["x"].shape), np.int8)}
    expected = golden.run(program, inputs).outputs
    cycles = engine.run(program, inputs, expected=expected).cycles
    assert cycles is not None
    return {
        "settings": f"{config.rows} x {config.columns} array, {config.lanes} requantizer lanes, "
        "shifts only, memories as deep as the layer needs",
        "cycles": cycles[0],
        "words": len(program.input_words({"x": inputs["x"][0]})) + len(program.output_addresses()),
        "multipliers": config.multipliers,
        "cells": synthesize(config, "ecp5"),
    }


def of_nngen(name: str, settings: dict[str, Any], python: Path) -> dict[str, Any]:
    """What NNgen takes, without cells."""
    whole = {**LAYERS[name], **settings}
    text = json.dumps(whole, sort_keys=True)
    code = "from importlib.metadata import version as v; print(v('nngen'), v('veriloggen'))"
    found = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    if found.returncode:
        raise click.UsageError(f"{python} has no NNgen: {python} -m pip install nngen")
    identity = digest("nngen", text, found.stdout, WORKER.read_bytes())
    folder = BUILD / identity[:16]
    folder.mkdir(parents=True, exist_ok=True)

    def make() -> None:
        # Isolated: this script's folder must not hide the package of the same name.
        command = [str(python), "-I", str(WORKER), text, str(folder)]
        with find_tools("verilator").active():
            run_tool(command, directory=folder, log=folder / "log")

    step(identity, folder, ["result.json", "design.v"], make)
    attributes = ", ".join(f"{key} {value}" for key, value in settings["attributes"].items())
    result = json.loads((folder / "result.json").read_text())
    return {
        "settings": f"{attributes}, AXI port of {settings['axi_bits']} bits",
        "cycles": result["cycles"],
        "multipliers": multipliers(LAYERS[name], settings),
        "folder": folder,
        "tools": result["tools"],
    }


def nngen_cells(folder: Path) -> dict[str, int]:
    """What the Yosys that synthesises weft's core makes of NNgen's Verilog."""
    yosys = find_tool("yosys")
    script = (
        f"read_verilog design.v\n{SYNTHESIS['ecp5']} -top nngen_layer\n"
        "tee -q -o cells.json stat -json\n"
    )

    def make() -> None:
        (folder / "cells.ys").write_text(script)
        run_tool([yosys, "-q", "cells.ys"], directory=folder, log=folder / "yosys.log")

    design = (folder / "design.v").read_bytes()
    step(digest(tool_version(yosys), design, script), folder, ["cells.json"], make)
    cells = json.loads((folder / "cells.json").read_text())["design"]["num_cells_by_type"]
    return {name: cells[name] for name in sorted(cells) if not name.startswith("$")}


def figures(run: dict[str, Any], work: int) -> dict[str, Any]:
    """What a run comes to, for each multiply-accumulate and multiplier."""
    area = area_of_cells(run["cells"])
    return {
        **run,
        "lut4": area.lut4,
        "dsp_blocks": area.multipliers,
        "block_rams": area.block_rams,
        "lut4_per_mac": round(area.lut4 / run["multipliers"], 1),
        "cycles_per_mac_and_multiplier": round(run["cycles"] * run["multipliers"] / work, 4),
    }


def simulated_with() -> dict[str, str]:
    """Versions of what both halves of the comparison go through."""
    return {"verilator": version("verilator"), "yosys": tool_version(find_tool("yosys"))}


def measure_nngen(name: str, python: Path, *, first: bool) -> dict[str, Any]:
    """NNgen's part of a layer: its best run, all that was tried, and the tools."""
    tried = [of_nngen(name, one, python) for one in SETTINGS[name][: 1 if first else None]]
    best = min(tried, key=lambda run: run["cycles"] * run["multipliers"])
    kept = ("settings", "cycles", "multipliers")
    cells = nngen_cells(best["folder"])
    return {
        "nngen": {**{key: best[key] for key in kept}, "cells": cells},
        "nngen_tried": [{key: run[key] for key in kept} for run in tried],
        "tools": {**best["tools"], **simulated_with()},
    }


def recorded_nngen(name: str, path: Path) -> dict[str, Any]:
    """The same, from a record.

    Raises
    ------
    click.UsageError
        If there is none, or its cells are of another Yosys than weft's would be.
    """
    try:
        found = json.loads(path.read_text())
        layer, tools = found["layers"][name], found["tools"]["nngen"]
        kept = {key: layer[key] for key in ("nngen", "nngen_tried")}
    except (OSError, ValueError, KeyError, TypeError):
        raise click.UsageError(
            f"{path} has nothing of NNgen; measure it: python bench/nngen.py --python PYTHON"
        ) from None
    yosys = simulated_with()["yosys"]
    if tools["yosys"] != yosys:
        raise click.UsageError(
            f"{path} has NNgen's cells of {tools['yosys']} and this is {yosys}; measure both: "
            "python bench/nngen.py --python PYTHON"
        )
    return {**kept, "tools": tools}


def measure(python: Path | None, record: Path, *, first: bool) -> dict[str, Any]:
    """Everything that nngen.json holds; without `python` with NNgen's part of `record`."""
    layers: dict[str, Any] = {}
    tools: dict[str, dict[str, str]] = {}
    for name, layer in LAYERS.items():
        work = macs(network(layer))
        found = (
            recorded_nngen(name, record)
            if python is None
            else measure_nngen(name, python, first=first)
        )
        tools["nngen"] = found["tools"]
        layers[name] = {
            "macs": work,
            "nngen": figures(found["nngen"], work),
            "nngen_tried": found["nngen_tried"],
            "weft": figures(of_weft(name), work),
        }
    ours = {name: version(name) for name in ("weft", "amaranth", "numpy")}
    tools["weft"] = {**ours, **simulated_with()}
    return {"layers": layers, "synthesis": SYNTHESIS["ecp5"], "tools": tools}


def missed(found: dict[str, Any]) -> list[str]:
    """The marks that weft does not win."""
    return [
        f"{name}: {mark} is {layer['weft'][mark]} with weft and {layer['nngen'][mark]} with NNgen"
        for name, layer in found["layers"].items()
        for mark in ("cycles_per_mac_and_multiplier", "lut4_per_mac")
        if layer["weft"][mark] >= layer["nngen"][mark]
    ]


def markdown(found: dict[str, Any]) -> str:
    """The same as tables."""
    lines = [
        "# NNgen and weft on two layers",
        "",
        "int8, batch 1, ECP5 after Yosys' `" + found["synthesis"] + "`, the whole accelerator of",
        "both. NNgen's cycles are from the host's start to the end it reads, its transfers from",
        "and to its own model of AXI memory included; weft's from the start to the last result,",
        "with weights, input and output in its own memories. *Words moved* are weft's 32-bit words",
        "of input and output, one cycle each at its ports before and after; NNgen has none beside.",
        "Written by `python bench/nngen.py`.",
        "",
    ]
    for name, layer in found["layers"].items():
        lines += [
            f"## {name}: {layer['macs']:,} multiply-accumulates",
            "",
            "| | NNgen | weft |",
            "| --- | ---: | ---: |",
        ]
        for title, key in (
            ("cycles", "cycles"),
            ("words moved", "words"),
            ("multipliers of the datapath", "multipliers"),
            ("**cycles per MAC and multiplier**", "cycles_per_mac_and_multiplier"),
            ("the same, words moved included", "with_words"),
            ("LUT4", "lut4"),
            ("**LUT4 per MAC**", "lut4_per_mac"),
            ("DSP blocks", "dsp_blocks"),
            ("block RAMs", "block_rams"),
        ):
            cells = (_with_words(layer[who], layer["macs"]).get(key) for who in ("nngen", "weft"))
            shown = ("-" if cell is None else f"{cell:,}" for cell in cells)
            lines.append(f"| {title} | {' | '.join(shown)} |")
        tried = "; ".join(f"{run['settings']}: {run['cycles']:,}" for run in layer["nngen_tried"])
        lines += [
            "",
            f"NNgen at its best: {layer['nngen']['settings']}. Cycles of all that was tried: "
            f"{tried}.",
            f"weft: {layer['weft']['settings']}.",
            "",
        ]
    for title, part in (("NNgen's part", "nngen"), ("weft's part", "weft")):
        tools = ", ".join(
            number if number.startswith("Yosys") else f"{name} {number}"
            for name, number in found["tools"][part].items()
        )
        lines.append(f"{title}: {tools}.")
    return "\n".join([*lines, ""])


def _with_words(run: dict[str, Any], work: int) -> dict[str, Any]:
    """A run with what it comes to if the host's words are moved before and after, not beside."""
    whole = run["cycles"] + run.get("words", 0)
    return {**run, "with_words": round(whole * run["multipliers"] / work, 4)}


@click.command(help=__doc__)
@click.option("--python", type=click.Path(path_type=Path, exists=True))
@click.option("--only", type=click.Choice(["weft"]), help="Keep what the record has of NNgen.")
@click.option("--first", is_flag=True, help="Only the first of NNgen's settings of each layer.")
@click.option("--output", "-o", type=click.Path(path_type=Path), default=RESULTS)
def main(python: Path | None, only: str | None, first: bool, output: Path) -> None:
    """Measure, write and judge."""
    if (python is None) == (only is None):
        raise click.UsageError("give either --python PYTHON or --only weft")
    # Not resolved: an environment's Python is a link, and the link is what makes it one.
    chosen = None if python is None else python.absolute()
    found = measure(chosen, output / "nngen.json", first=first)
    output.mkdir(parents=True, exist_ok=True)
    (output / "nngen.json").write_text(json.dumps(found, indent=1) + "\n")
    (output / "nngen.md").write_text(markdown(found))
    click.echo(markdown(found), nl=False)
    for mark in missed(found):
        click.echo(f"missed: {mark}", err=True)
    sys.exit(bool(missed(found)))


if __name__ == "__main__":
    main()
