"""The bank: one block RAM with a write port and a read port.

Everything that the core stores lies in banks. There are two realisations of one contract:
Amaranth's memory, and in Verilog that is written for others a module of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from amaranth.hdl import ClockSignal, Instance, Module, Mux, Signal, Value
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from weft.hw.delay import delay
from weft.hw.isa import bits
from weft.hw.primitives import ecp5_memory, gowin, gowin_memory
from weft.hw.primitives.device import device

#: Rows below which a memory is not split: those of an ECP5's block RAM at its widest.
SMALLEST_PART = 512
#: Rows of its block RAM at its narrowest: a part is no deeper.
LARGEST_PART = 16384


class Bank(wiring.Component):
    """A simple dual-port block RAM with registered output.

    Reading a row in the cycle in which it is written returns an undefined value.

    Parameters
    ----------
    width, depth : int
    init : iterable of int
        Contents at power-up, zeros where it is short.
    relaxed : bool
        A row that is written in the cycle after it was read may return anything, too. Where block
        RAMs have no second register behind them, as those of an iCE40, the address then gets it,
        which has fewer bits than a row, and which other banks may share.

    Members
    -------
    write_enable, write_address, write_data : In
    read_address : In
    read_data : Out
        The row addressed `latency` cycles before.
    """

    latency = 2

    def __init__(self, *, width: int, depth: int, init: Iterable[int] = (), relaxed: bool = False):
        self.width = width
        self.depth = depth
        self.init = list(init)
        self.relaxed = relaxed
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
        # Amaranth's simulator is quicker with one memory.
        sizes = [self.depth] if platform is None else powers_of_two(self.depth)
        firsts = [sum(sizes[:part]) for part in range(len(sizes))]
        name = device(platform)
        early = self.relaxed and name.startswith("iCE40")
        address = delay(m, self.read_address, 1 if early else 0, name="address")
        inside = [_in_part(address, first, size) for first, size in zip(firsts, sizes, strict=True)]
        if name.startswith("LFE5"):
            # Each block has an output register of its own.
            make = ecp5_memory.block_ram
            rows = [self._block_ram(m, make, *part) for part in zip(firsts, sizes, strict=True)]
            chosen = [delay(m, here, 2, name=f"chosen_{n}") for n, here in enumerate(inside)]
            m.d.comb += self.read_data.eq(_chosen(rows, chosen))
            return m
        rows = []
        for first, size in zip(firsts, sizes, strict=True):
            if not name.startswith("GW"):
                rows.append(self._memory(m, first, size, "block", address))
            elif size <= gowin.TABLE_ROWS:
                rows.append(self._memory(m, first, size, "distributed", address))
            else:
                rows.append(self._block_ram(m, gowin_memory.block_ram, first, size))
        chosen = [delay(m, here, 1, name=f"chosen_{n}") for n, here in enumerate(inside)]
        row = _chosen(rows, chosen)
        if not early:
            # The output register of a block RAM has no use for a reset.
            output = Signal(self.width, reset_less=True)
            m.d.sync += output.eq(row)
            row = output
        m.d.comb += self.read_data.eq(row)
        return m

    def _memory(self, m: Module, first: int, size: int, style: str, address: Value) -> Value:
        """A part that synthesis makes RAMs of: a row, a cycle after its address.

        However small, it is not made of flip-flops.
        """
        ram = memory.Memory(
            shape=self.width,
            depth=size,
            init=self.init[first : first + size],
            attrs={"ram_style": style},
        )
        m.submodules[f"memory_{first}" if first else "memory"] = ram
        write = ram.write_port()
        read = ram.read_port()
        m.d.comb += [
            write.en.eq(self.write_enable & _in_part(self.write_address, first, size)),
            write.addr.eq(self.write_address),
            write.data.eq(self.write_data),
            read.addr.eq(address),
        ]
        return read.data

    def _block_ram(self, m: Module, make: Callable[..., Value], first: int, size: int) -> Value:
        """A part of instantiated blocks."""
        enable = self.write_enable & _in_part(self.write_address, first, size)
        low = (size - 1).bit_length()
        return make(
            m,
            width=self.width,
            depth=size,
            init=self.init[first : first + size],
            write=(enable, self.write_address[:low], self.write_data),
            read_address=self.read_address[:low],
            name=f"block_{first}",
        )

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


def powers_of_two(depth: int) -> list[int]:
    """Sizes of the memories that a bank is made of, the largest first.

    Block RAMs of a power of two side by side, each as deep as the memory, need nothing behind
    them. A memory of another depth would be made of shallow ones under one another, each of full
    width, and a multiplexer of as many inputs; so the rest is a memory of its own.
    """
    sizes = []
    while depth:
        size = min(1 << depth.bit_length() - 1, LARGEST_PART)
        size = depth if depth < SMALLEST_PART else size
        sizes.append(size)
        depth -= size
    return sizes


def _chosen(rows: list[Value], chosen: list[Signal]) -> Value:
    """The row of the part that is chosen."""
    result = rows[-1]
    for row, here in zip(rows[-2::-1], chosen[-2::-1], strict=True):
        result = Mux(here, row, result)
    return result


def _in_part(address: Value, first: int, size: int) -> Value:
    """Whether an address is in the part of `size` rows that begins at `first`."""
    low = (size - 1).bit_length()
    return address >> low == first >> low


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
