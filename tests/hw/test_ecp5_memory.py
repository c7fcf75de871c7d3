"""DP16KD blocks beside the plain bank, in every shape, against a model of the block."""

from types import SimpleNamespace

import blocks
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from weft.hw.bank import Bank
from weft.hw.primitives import ecp5_memory
from weft.hw.verilog import convert

#: DP16KD as Lattice's memory usage guide (FPGA-TN-02204) describes it, reduced to one clock, to
#: writing at port A and reading at port B with its output register, and to both data ports side
#: by side where they are 36 bits wide. 1,024 rows of 18 bits, 20 apart in the parameters; shapes
#: of 4, 2 and 1 bits leave the ninth of every nine out.
DP16KD = """
module DP16KD(%(ports)s);
  parameter DATA_WIDTH_A = 18;
  parameter DATA_WIDTH_B = 18;
  parameter REGMODE_A = "NOREG";
  parameter REGMODE_B = "NOREG";
  parameter RESETMODE = "SYNC";
  parameter ASYNC_RESET_RELEASE = "SYNC";
  parameter CSDECODE_A = "0b111";
  parameter CSDECODE_B = "0b111";
  parameter WRITEMODE_A = "NORMAL";
  parameter WRITEMODE_B = "NORMAL";
  parameter CLKAMUX = "CLKA";
  parameter CLKBMUX = "CLKB";
  parameter GSR = "ENABLED";
%(parameters)s
  reg [17:0] memory [0:1023];
  wire [20479:0] initial_values = {%(values)s};
  wire [13:0] ada = {%(ada)s};
  wire [13:0] adb = {%(adb)s};
  wire [35:0] data = {%(dib)s, %(dia)s};
  reg [35:0] row, output_row;
  wire pair = DATA_WIDTH_B == 36;
  integer i, at;
  initial begin
    #0;
    for (i = 0; i < 1024; i = i + 1)
      memory[i] = initial_values[20 * i +: 18];
  end
  // An address counts bits of 16 a row; the wide shapes have two more in each.
  function integer bit_of(input [13:0] address, input integer width);
    bit_of = width >= 18 ? 0 : width == 9 ? address[3] * 9 : address[3] * 9 + address[2:0];
  endfunction
  always @(posedge CLKA) begin
    if (CEA && WEA && {CSA2, CSA1, CSA0} == 0 && CSDECODE_A == "0b000") begin
      at = bit_of(ada, DATA_WIDTH_A);
      for (i = 0; i < DATA_WIDTH_A; i = i + 1)
        if (DATA_WIDTH_A < 18 || ada[i / 9])
          if (DATA_WIDTH_A == 36)
            memory[{ada[13:5], i >= 18}][i %% 18] <= data[i];
          else
            memory[ada[13:4]][at + i] <= data[i];
    end
    if (CEB && !WEB && {CSB2, CSB1, CSB0} == 0 && CSDECODE_B == "0b000") begin
      at = bit_of(adb, DATA_WIDTH_B);
      row <= DATA_WIDTH_B == 36 ? {memory[{adb[13:5], 1'b1}], memory[{adb[13:5], 1'b0}]}
           : DATA_WIDTH_B == 18 ? memory[adb[13:4]]
           : (memory[adb[13:4]] >> at) & ((1 << DATA_WIDTH_B) - 1);
    end
    if (OCEB && REGMODE_B == "OUTREG")
      output_row[35:18] <= pair ? row[35:18] : row[17:0];
    if (OCEB && REGMODE_B == "OUTREG" && (DATA_WIDTH_B < 36 || OCEA && REGMODE_A == "OUTREG"))
      output_row[17:0] <= row[17:0];
  end
  assign {%(doa)s} = output_row[17:0];
  assign {%(dob)s} = output_row[35:18];
endmodule
"""


def model():
    def bus(name, width):
        return [f"{name}{bit}" for bit in reversed(range(width))]

    inputs = [*bus("ADA", 14), *bus("ADB", 14), *bus("DIA", 18), *bus("DIB", 18)]
    inputs += [f"{pin}{port}" for pin in ("CLK", "CE", "OCE", "WE", "RST") for port in "AB"]
    inputs += [f"CS{port}{bit}" for port in "AB" for bit in range(3)]
    outputs = [*bus("DOA", 18), *bus("DOB", 18)]
    ports = [*(f"input {name}" for name in inputs), *(f"output {name}" for name in outputs)]
    values = [f"INITVAL_{place:02X}" for place in range(64)]
    buses = {
        name: ", ".join(bus(name.upper(), width))
        for name, width in (("ada", 14), ("adb", 14), ("dia", 18), ("dib", 18), ("doa", 18),
                            ("dob", 18))
    }  # fmt: skip
    return DP16KD % {
        "ports": ", ".join(ports),
        "parameters": "\n".join(f"  parameter [319:0] {name} = 0;" for name in values),
        "values": ", ".join(reversed(values)),
        **buses,
    }


class OnEcp5(Bank):
    """The bank that an ECP5 gets."""

    def elaborate(self, platform):
        return super().elaborate(SimpleNamespace(device="LFE5U-85F"))


@pytest.mark.parametrize(
    ("width", "depth"),
    [(36, 512), (70, 300), (18, 1024), (9, 2048), (32, 2048), (4, 4096), (3, 8192), (1, 16384),
     (32, 1500), (8, 4600), (1, 17000)],
)  # fmt: skip
def test_rows(width, depth, monkeypatch):
    def with_model(component, *, name):
        text = convert(component, name=name)
        assert "DP16KD" in text
        return text + model()

    monkeypatch.setattr(blocks, "convert", with_model)
    rng = np.random.default_rng(depth)

    def rows(count):
        return [int.from_bytes(rng.bytes(9), "little") >> (72 - width) for _ in range(count)]

    init = rows(depth)
    written = rng.permutation(depth)[:200].tolist()
    data = rows(len(written))
    asked = [0, depth - 1, *written, *rng.integers(0, depth, 300).tolist()]
    seen = blocks.play(
        OnEcp5(width=width, depth=depth, init=init),
        {
            # Every other cycle writes nothing.
            "write_enable": [1, 0] * len(written) + [0] * len(asked),
            "write_address": [a for row in written for a in (row, 0)] + [0] * len(asked),
            "write_data": [d for row in data for d in (row, rows(1)[0])] + [0] * len(asked),
            "read_address": [0] * (2 * len(written)) + asked,
        },
        simulator="icarus",
    )["read_data"]
    expected = dict(enumerate(init)) | dict(zip(written, data, strict=True))
    begin = 2 * len(written) + Bank.latency
    assert_array_equal(seen[begin:], [expected[row] for row in asked][: -Bank.latency])


def test_a_block_has_so_many_rows():
    assert ecp5_memory.block_width(16384) == 1
    with pytest.raises(ValueError, match="at most 16384 rows, not 16385"):
        ecp5_memory.block_width(16385)
