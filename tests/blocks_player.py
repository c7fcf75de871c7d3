"""The in-simulator half of `blocks.play`."""

import json
from pathlib import Path

import cocotb
from cocotb.triggers import Timer


@cocotb.test()
async def play(dut):
    plan = json.loads(Path("plan.json").read_text())
    inputs = [(getattr(dut, port), values) for port, values in plan["inputs"].items()]
    outputs = [(getattr(dut, port), []) for port in plan["outputs"]]
    clock = getattr(dut, "clk", None)
    for port in plan["idle"]:
        getattr(dut, port).value = 0
    for handle, values in inputs:
        handle.value = values[0]
    if getattr(dut, "rst", None) is not None:
        dut.rst.value = 1
        await step(clock)
        await step(clock)
        dut.rst.value = 0
    for cycle in range(plan["cycles"]):
        for handle, values in inputs:
            handle.value = values[cycle]
        await step(clock, outputs)
    seen = {port: values for port, (_, values) in zip(plan["outputs"], outputs, strict=True)}
    Path("seen.json").write_text(json.dumps(seen))


async def step(clock, outputs=()):
    """A cycle; the outputs are read at the end of its first half, when all has settled."""
    if clock is not None:
        clock.value = 0
    await Timer(5, "ns")
    for handle, values in outputs:
        values.append(int(handle.value))
    if clock is not None:
        clock.value = 1
    await Timer(5, "ns")
