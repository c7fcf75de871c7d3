"""A memory with one port, as large ones often are: in a cycle it is either written or read."""

from __future__ import annotations

from collections.abc import Iterable

from amaranth.hdl import Cat, ClockSignal, Instance, Module, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from weft.hw.bank import PlainVerilog
from weft.hw.isa import bits
from weft.hw.primitives import ice40
from weft.hw.primitives.device import device


class SinglePort(wiring.Component):
    """A memory with registered output, whose rows are written in units.

    What was read in a cycle in which something is written is undefined.

    Parameters
    ----------
    width, depth : int
    unit : int
        Bits that are written together; divides `width`.
    init : iterable of int
        Contents at power-up, zeros where it is short. The large memories of an iCE40 have none.

    Members
    -------
    address : In
    write_enable : In
        A bit per unit.
    write_data : In
    read_data : Out
        The row addressed `latency` cycles before.
    """

    latency = 2

    def __init__(self, *, width: int, depth: int, unit: int, init: Iterable[int] = ()):
        self.width = width
        self.depth = depth
        self.unit = unit
        self.init = list(init)
        super().__init__(
            {
                "address": In(bits(depth)),
                "write_enable": In(width // unit),
                "write_data": In(width),
                "read_data": Out(width),
            }
        )

    def elaborate(self, platform):
        spram = device(platform).startswith("iCE40UP")
        if spram and self.init:
            raise ValueError("a memory of this FPGA has no initial contents: load it over the link")
        m = Module()
        if isinstance(platform, PlainVerilog) and not self.init:
            m.submodules.memory = self._plain_verilog()
            return m
        word = Signal(self.width)
        if spram:
            ice40.single_port(m, self, word)
        else:
            ram = memory.Memory(shape=self.width, depth=self.depth, init=self.init)
            m.submodules.memory = ram
            write = ram.write_port(granularity=self.unit)
            read = ram.read_port()
            m.d.comb += [
                write.en.eq(self.write_enable),
                write.addr.eq(self.address),
                write.data.eq(self.write_data),
                read.addr.eq(self.address),
                word.eq(read.data),
            ]
        output = Signal(self.width, reset_less=True)
        m.d.sync += output.eq(word)
        m.d.comb += self.read_data.eq(output)
        return m

    def _plain_verilog(self) -> Instance:
        return Instance(
            "weft_single_port",
            p_WIDTH=self.width,
            p_DEPTH=self.depth,
            p_ADDRESS=bits(self.depth),
            i_clk=ClockSignal(),
            i_address=self.address,
            # A bit per bit of the row, as foundries' memories have it.
            i_write_enable=Cat(enable.replicate(self.unit) for enable in self.write_enable),
            i_write_data=self.write_data,
            o_read_data=self.read_data,
        )


#: What `PlainVerilog` makes of it: the one place to put a foundry's or a vendor's own memory.
VERILOG = """\
// A single-port memory: what is read appears two cycles later. A cycle in which anything is
// written may read anything.
module weft_single_port #(
  parameter WIDTH = 8,
  parameter DEPTH = 256,
  parameter ADDRESS = 8
) (
  input clk,
  input [ADDRESS-1:0] address,
  input [WIDTH-1:0] write_enable,
  input [WIDTH-1:0] write_data,
  output reg [WIDTH-1:0] read_data
);
  reg [WIDTH-1:0] memory [0:DEPTH-1];
  reg [WIDTH-1:0] word;
  integer row;
  initial begin
    for (row = 0; row < DEPTH; row = row + 1)
      memory[row] = 0;
    word = 0;
    read_data = 0;
  end
  always @(posedge clk) begin
    if (|write_enable)
      memory[address] <= (memory[address] & ~write_enable) | (write_data & write_enable);
    // Not what the row holds: nobody may rely on it.
    word <= (|write_enable) ? ~memory[address] : memory[address];
    read_data <= word;
  end
endmodule
"""
