"""The copier: brings weights from the program memory into the weight memory during a run.

The program memory is read in the cycles in which the decoder does not fetch, a word each, and
the weight memory's write port is idle while the array computes: a network's weights may take
more room than the weight memory has, and no time.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from weft.hw.bank import Bank
from weft.hw.config import Config, Space
from weft.hw.decoder import fields_layout
from weft.hw.isa import bits


class Copier(wiring.Component):
    """One copy at a time, of consecutive words into consecutive tiles.

    Members
    -------
    fields : In
        The instruction, with `begin`; `copy_words` a cycle earlier, too.
    begin : In(1)
        An instruction begins: start its copy, if it has one.
    blocked : In(1)
        Read nothing in this cycle.
    read_address : Out
        Of the program memory, unless `blocked`.
    busy : Out(1)
        Words are still on their way, from the cycle after `begin` on.
    arrived : Out(1)
        The program memory shows a word, `Bank.latency` cycles after it was read.
    address : Out
        Where it goes: a word address of the load port.
    """

    def __init__(self, config: Config):
        self.config = config
        self._index_bits = (config.row_words(Space.WEIGHT) - 1).bit_length()
        super().__init__(
            {
                "fields": In(fields_layout(config)),
                "begin": In(1),
                "blocked": In(1),
                "read_address": Out(bits(config.program_depth)),
                "busy": Out(1),
                "arrived": Out(1),
                "address": Out(bits(config.weight_depth) + self._index_bits),
            }
        )

    def elaborate(self, platform):
        m = Module()
        left = Signal.like(self.fields.copy_words)
        reading = Signal()
        arriving = Signal(Bank.latency)
        row = Signal.like(self.fields.copy_row)
        index = Signal(self._index_bits)
        last_index = self.config.tile_words - 1

        read = Signal()
        m.d.comb += read.eq(reading & ~self.blocked)
        m.d.sync += arriving.eq(Cat(read, arriving))
        with m.If(read):
            m.d.sync += [
                self.read_address.eq(self.read_address + 1),
                left.eq(left - 1),
                reading.eq(left != 1),
            ]
        with m.If(self.arrived):
            m.d.sync += index.eq(index + 1)
            with m.If(index == last_index):
                m.d.sync += [index.eq(0), row.eq(row + 1)]
        # A comparison of many bits, before anyone waits for it.
        wanted = Signal()
        m.d.sync += wanted.eq(self.fields.copy_words != 0)
        with m.If(self.begin & wanted):
            m.d.sync += [
                self.read_address.eq(self.fields.copy_source),
                left.eq(self.fields.copy_words),
                reading.eq(1),
                row.eq(self.fields.copy_row),
                index.eq(0),
            ]
        m.d.comb += [
            self.arrived.eq(arriving[-1]),
            self.busy.eq(reading | arriving.any()),
            self.address.eq(Cat(index, row)),
        ]
        return m
