"""One layer made and simulated by NNgen: runs in an environment that has NNgen, and not weft.

Usage: ``python nngen_layer.py SETTINGS FOLDER``. SETTINGS is one JSON object: the layer's shape
(`bench/nngen.py` has them) and NNgen's own attributes. Into FOLDER go the accelerator's Verilog
(design.v) and result.json: cycles from the start that the host writes to the end that it reads,
as a counter in the test bench sees them. Memory is NNgen's own model of AXI memory, outputs are
compared with NNgen's own evaluation of the layer, and Verilator simulates.
"""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import nngen as ng
import numpy as np
import veriloggen as vg
from veriloggen import simulation
from veriloggen.thread import AXIMLite
from veriloggen.types import axi

#: Of addresses, and of NNgen's images of constants.
CHUNK = 64
MEMORY_WORD = 32
MEMORY_BYTES = 1 << 18
#: Files of the memory's contents: before the run, and after it.
MEMORY_BEFORE, MEMORY_AFTER = "before.hex", "after.hex"


def layer(settings: dict[str, Any]) -> tuple[Any, Any, np.ndarray]:
    """The input, the operator with its weights, and codes at random for the input."""
    rng = np.random.default_rng(0)

    def constant(name: str, shape: tuple[int, ...], dtype: Any, most: int) -> Any:
        made = ng.variable(dtype=dtype, shape=shape, name=name)
        made.set_value(rng.integers(-most, most + 1, shape, np.int64))
        return made

    inputs, outputs = settings["inputs"], settings["outputs"]
    dtypes = {"dtype": ng.int8, "sum_dtype": ng.int32}
    if settings["layer"] == "conv":
        size, kernel = settings["size"], settings["kernel"]
        source = ng.placeholder(dtype=ng.int8, shape=(1, size, size, inputs), name="source")
        weights = constant("weights", (outputs, kernel, kernel, inputs), ng.int8, 127)
        bias = constant("bias", (outputs,), ng.int32, 1000)
        made = ng.conv2d(source, weights, strides=(1, 1, 1, 1), bias=bias, **dtypes)
        depth = kernel * kernel * inputs
    else:
        source = ng.placeholder(dtype=ng.int8, shape=(1, inputs), name="source")
        weights = constant("weights", (outputs, inputs), ng.int8, 127)
        bias = constant("bias", (outputs,), ng.int32, 1000)
        made = ng.matmul(source, weights, bias=bias, transposed_b=True, **dtypes)
        depth = inputs
    # Sums that use the int8 range, and saturate now and then.
    made.attribute(cshamt_out=7 + int(math.log2(depth)) // 2, **settings["attributes"])
    return source, made, rng.integers(-127, 128, source.shape, np.int64)


def next_free(address: int, size: int) -> int:
    """The next address at which something may lie."""
    return -(-(address + size) // CHUNK) * CHUNK


def test_bench(
    target: Any, source: Any, made: Any, codes: np.ndarray, width: int
) -> tuple[Any, int]:
    """Memory, host and counter around the accelerator, and where in memory what must come is.

    It prints CYCLES and leaves what is in memory at the end.
    """
    wanted = ng.eval([made], source=codes)[0]
    constants = ng.export_ndarray([made], CHUNK)
    at_constants = next_free(source.addr, source.memory_size)
    at_wanted = next_free(at_constants, len(constants))
    at_scratch = next_free(at_wanted, made.memory_size)
    image = np.zeros(MEMORY_BYTES * 8 // MEMORY_WORD, np.int64)
    words = -(-width // 8)
    aligned = [max(words, o.get_word_alignment()) for o in (source, made)]
    axi.set_memory(image, codes, MEMORY_WORD, 8, source.addr, aligned[0])
    axi.set_memory(image, constants, MEMORY_WORD, 8, at_constants)
    axi.set_memory(image, wanted, MEMORY_WORD, 8, at_wanted, aligned[1])

    m = vg.Module("test")
    m.copy_params(target)
    ports = m.copy_sim_ports(target)
    clk, resetn = ports["CLK"], ports["RESETN"]
    rst = m.Wire("RST")
    rst.assign(vg.Not(resetn))
    memory = axi.AxiMemoryModel(
        m, "memory", clk, rst, datawidth=width, memimg=image, memimg_name=MEMORY_BEFORE,
        memimg_datawidth=MEMORY_WORD,
    )  # fmt: skip
    memory.connect(ports, "maxi")
    host = AXIMLite(m, "host", clk, rst, noio=True)
    host.connect(ports, "saxi")
    counter = m.Reg("counter", 32, initval=0)
    done = m.Reg("done", 1, initval=0)
    counting = vg.Seq(m, "counting", clk, rst)
    counting(counter.inc())
    counting.If(done)(vg.Systask("writememh", MEMORY_AFTER, memory.mem), vg.Systask("finish"))

    # Veriloggen reads this function's source and makes a state machine of it.
    def run():
        for _ in range(100):
            pass
        ng.sim.set_global_addrs(host, at_scratch)
        began = counter.value
        ng.sim.start(host)
        ng.sim.wait(host)
        ended = counter.value
        print("CYCLES %d" % (ended - began))  # noqa: UP031
        done.value = 1

    machine = vg.thread.Thread(m, "machine", clk, rst, run)
    machine.start()
    m.Instance(target, "target", params=m.connect_params(target), ports=m.connect_ports(target))
    simulation.setup_clock(m, clk, hperiod=5)
    setup = simulation.setup_reset(m, resetn, m.make_reset(), period=100, polarity="low")
    setup.add(vg.Delay(2_000_000), vg.Systask("finish"))
    return m, at_wanted


def simulate(text: str, folder: Path) -> int:
    """Cycles that the test bench prints; an error if it does not end.

    In Verilator, which makes and runs in minutes what takes Icarus Verilog an hour. Whoever calls
    this has it on the PATH.
    """
    (folder / "test.v").write_text(text)
    options = ["-Wno-fatal", "-Wno-lint", "-Wno-style", "--output-split", "20000"]
    # Its own make rules leave the standard that coroutines need to the compiler.
    flags = ["-CFLAGS", "-std=c++20 -fcoroutines -O1"]
    made = subprocess.run(
        ["verilator", "--binary", "--timing", "--top-module", "test", *options, *flags, "test.v"],
        cwd=folder, check=False, capture_output=True, text=True,
    )  # fmt: skip
    if made.returncode:
        raise SystemExit(f"Verilator stopped with status {made.returncode}: {made.stderr[-2000:]}")
    done = subprocess.run(
        [folder / "obj_dir" / "Vtest"], cwd=folder, check=True, capture_output=True, text=True
    )
    found = re.search(r"^CYCLES +(\d+)", done.stdout, re.MULTILINE)
    if found is None:
        raise SystemExit("the simulation did not end in time")
    return int(found[1])


def memory_after(folder: Path) -> np.ndarray:
    """Bytes of the memory at the end."""
    lines = (folder / MEMORY_AFTER).read_text().splitlines()
    words = [word for line in lines if not line.startswith("//") for word in line.split()]
    return np.array([int(word, 16) for word in words])


def main(arguments: list[str]) -> int:
    """Make, simulate and write."""
    settings, folder = json.loads(arguments[0]), Path(arguments[1]).resolve()
    width = settings["axi_bits"]
    source, made, codes = layer(settings)
    target = ng.to_veriloggen([made], "nngen_layer", silent=True, config={"maxi_datawidth": width})
    (folder / "design.v").write_text(target.to_verilog())
    bench, at_wanted = test_bench(target, source, made, codes, width)
    cycles = simulate(bench.to_verilog(), folder)
    after = memory_after(folder)
    have, want = (after[at : at + made.memory_size] for at in (made.addr, at_wanted))
    if not np.array_equal(have, want) or len(np.unique(want)) < 16:
        print("NNgen's simulation and NNgen's evaluation of the layer differ", file=sys.stderr)
        return 1
    tools = {name: version(name) for name in ("nngen", "veriloggen", "numpy")}
    (folder / "result.json").write_text(json.dumps({"cycles": cycles, "tools": tools}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
