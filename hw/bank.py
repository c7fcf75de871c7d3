"""The bank: one block RAM with a write port and a read port.

Everything that the core stores lies in banks. There are two realisations of one contract:
Amaranth's memory, and in Verilog that is written for others a module of its own.
"""

from __future__ import annotations

from collections.abc import Iterable

from amaranth.hdl import ClockSignal, Instance, Module, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from weft.hw.isa import bits


class Bank(wiring.Component):
    """A simple dual-port block RAM with registered output.

    Reading a row in the cycle in which it is written returns an undefined value.

    Parameters
    ----------
    width, depth : int
    init : iterable of int
        Contents at power-up, zeros where it is short.

    Members
    -------
    write_enable, write_address, write_data : In
    read_address : In
    read_data : Out
        The row addressed `latency` cycles before.
    """

    latency = 2

    def __init__(self, *, width: int, depth: int, init: Iterable[int] = ()):
        self.width = width
        self.depth = depth
        self.init = list(init)
        super().__init__(
            {
                "write_enable": In(1),
                "write_address": In(bits(depth)),
                "write_data": In(width),
                "read_address": In(bits(depth)),
                "read_data": Out(width),
            }
        )

    def elaborate(self, platform):
        m = Module()
        if isinstance(platform, PlainVerilog) and not self.init:
            m.submodules.memory = self._plain_verilog()
            return m
        m.submodules.memory = ram = memory.Memory(
            shape=self.width, depth=self.depth, init=self.init
        )
        write = ram.write_port()
        read = ram.read_port()
        m.d.comb += [
            write.en.eq(self.write_enable),
            write.addr.eq(self.write_address),
            write.data.eq(self.write_data),
            read.addr.eq(self.read_address),
        ]
        # The output register of a block RAM has no use for a reset.
        output = Signal(self.width, reset_less=True)
        m.d.sync += output.eq(read.data)
        m.d.comb += self.read_data.eq(output)
        return m

    def _plain_verilog(self) -> Instance:
        return Instance(
            "weft_bank",
            p_WIDTH=self.width,
            p_DEPTH=self.depth,
            p_ADDRESS=bits(self.depth),
            i_clk=ClockSignal(),
            i_write_enable=self.write_enable,
            i_write_address=self.write_address,
            i_write_data=self.write_data,
            i_read_address=self.read_address,
            o_read_data=self.read_data,
        )


class PlainVerilog:
    """Stands in for a platform where Verilog is written for others to use.

    Empty banks are then instances of one module, `BANK`: short to read, quick to convert
    whatever their depth, and the one place to put a foundry's or a vendor's own memory.
    """

    BANK = """\
// A simple dual-port memory: what is read appears two cycles later. Reading a row in the cycle
// in which it is written may return anything.
module weft_bank #(
  parameter WIDTH = 8,
  parameter DEPTH = 256,
  parameter ADDRESS = 8
) (
  input clk,
  input write_enable,
  input [ADDRESS-1:0] write_address,
  input [WIDTH-1:0] write_data,
  input [ADDRESS-1:0] read_address,
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
    if (write_enable)
      memory[write_address] <= write_data;
    word <= memory[read_address];
    read_data <= word;
  end
endmodule
"""
