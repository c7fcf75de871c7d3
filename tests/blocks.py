"""Block-level benches: any Amaranth component as Verilog in Verilator and Icarus, under cocotb.

`play` is for blocks whose ports simply have a value in every cycle: it applies arrays to
the inputs and returns arrays of the outputs, and the test is one equality with NumPy.
`block_bench` runs a cocotb test module of one's own. `play` knows a third simulator,
Amaranth's own, which starts at once: `PLAYERS` has all three.

    @pytest.mark.parametrize("simulator", SIMULATORS)
    @pytest.mark.parametrize("seed", range(3))
    def test_adder(simulator, seed):
        a, b = np.random.default_rng(seed).integers(-128, 128, (2, 100))
        seen = play(Adder(), {"a": a, "b": b}, simulator=simulator)
        assert_array_equal(seen["sum"][1:], (a + b)[:-1])
"""

import json
import shutil
import tempfile
from pathlib import Path

import blocks_amaranth
import numpy as np
import pytest
from amaranth.hdl import Shape
from amaranth.lib.wiring import Flow
from cocotb_tools.check_results import get_results

from weft.hw.verilog import convert
from weft.sim.verilog.build import build, tail
from weft.sim.verilog.engine import run_bench

SIMULATORS = (
    "verilator",
    pytest.param(
        "icarus",
        marks=pytest.mark.skipif(shutil.which("iverilog") is None, reason="Icarus not installed"),
    ),
)

#: What `play` takes.
PLAYERS = (*SIMULATORS, "amaranth")


def block_bench(component, test_module, *, simulator="verilator", name="block", seed=0, files=None):
    """Run a cocotb test module on a component; fail with the end of its log.

    Parameters
    ----------
    component : wiring.Component
    test_module : str
        Name of the module with the cocotb tests, importable from the folder tests/, such
        as "bench_fifo". A path of ports (a, b) is `dut.a__b` there.
    name : str
        Of the top module.
    seed : int
        For Python's `random` in the simulator; cocotb sets it.
    files : mapping of str to str, optional
        Text files to put into the folder where the simulator runs.

    Returns
    -------
    mapping of str to str
        The .json files that the test module has written there.
    """
    if simulator == "icarus" and shutil.which("iverilog") is None:
        pytest.skip("Icarus not installed")
    simulation = build(convert(component, name=name), top=name, simulator=simulator)
    folder = Path(tempfile.mkdtemp(prefix="weft-block-"))
    for file, text in (files or {}).items():
        (folder / file).write_text(text)
    log = folder / "bench.log"
    results = run_bench(simulation, test_module, folder=folder, log=log, seed=seed)
    tests, failed = get_results(results) if results.exists() else (0, 0)
    good = tests > 0 and failed == 0
    assert good, f"{test_module} failed in {simulator}; {tail(log, 40)}"
    written = {path.name: path.read_text() for path in folder.glob("*.json")}
    shutil.rmtree(folder)
    return written


def play(component, stimulus, *, simulator="verilator", name="block", outputs=None):
    """Values of the outputs in every cycle, from values of the inputs in every cycle.

    Parameters
    ----------
    component : wiring.Component
    stimulus : mapping of str to int array, shape (cycles,)
        By port name, "a__b" for port b of interface a. Other inputs stay 0.
    outputs : iterable of str, optional
        Names of the outputs wanted; by default all.

    Returns
    -------
    dict of str to array, shape (cycles,)
        What an output is while the inputs of that cycle apply, before the clock edge:
        a register shows an input of cycle t in cycle t + 1. Signed ports give signed
        values; ports wider than 63 bits give arrays of Python ints.
    """
    shapes = {"in": {}, "out": {}}
    for path, member, _ in component.signature.flatten(component):
        side = "in" if member.flow == Flow.In else "out"
        shapes[side]["__".join(map(str, path))] = Shape.cast(member.shape)
    wanted = list(outputs or shapes["out"])
    unknown = (set(stimulus) - set(shapes["in"])) | (set(wanted) - set(shapes["out"]))
    assert not unknown, f"the component has no such ports: {sorted(unknown)}"
    (cycles,) = {len(values) for values in stimulus.values()}
    plan = {
        "cycles": cycles,
        "inputs": {
            port: [int(value) & ((1 << shapes["in"][port].width) - 1) for value in values]
            for port, values in stimulus.items()
        },
        "idle": sorted(set(shapes["in"]) - set(stimulus)),
        "outputs": wanted,
    }
    if simulator == "amaranth":
        seen = blocks_amaranth.play(component, plan["inputs"], wanted)
        return {port: _values(seen[port], shapes["out"][port]) for port in wanted}
    seen = json.loads(
        block_bench(
            component,
            "blocks_player",
            simulator=simulator,
            name=name,
            files={"plan.json": json.dumps(plan)},
        )["seen.json"]
    )
    return {port: _values(seen[port], shapes["out"][port]) for port in wanted}


def _values(raw, shape):
    half = 1 << (shape.width - 1) if shape.width else 0
    values = [value - 2 * half if shape.signed and value >= half else value for value in raw]
    return np.array(values, np.int64 if shape.width < 64 else object)
