"""Collect: takes finished totals off the columns, a group per cycle, with their parameters."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from weft.hw.bank import Bank
from weft.hw.config import Config
from weft.hw.decoder import late_layout
from weft.hw.delay import data_delay, delay
from weft.hw.isa import bits
from weft.hw.step import Next, Pixel

#: A group on its way to the store. `skip`: beyond the tensor's channels, not stored. `stored`:
#: the last one of its pixel that is.
Group = data.StructLayout({"valid": 1, "skip": 1, "stored": 1, "final": 1, "next": Next})


class Collect(wiring.Component):
    """Groups of a pixel in order, each with its row of the parameter memory.

    Members
    -------
    fields : In
    begin : In(1)
    pixel : In(Pixel)
        In the cycle before the totals of group 0 appear; group g appears g cycles later. Of pairs
        each result comes with a pixel of its own.
    totals : In
        `columns` totals.
    parameter_address : Out
    group : Out(Group)
        `latency` cycles after the group's totals, with
    values : Out
        `lanes` totals, and the data read at `parameter_address`.
    """

    latency = Bank.latency

    def __init__(self, config: Config):
        self.config = config
        super().__init__(
            {
                "fields": In(late_layout(config)),
                "begin": In(1),
                "pixel": In(Pixel),
                "totals": In(config.accumulator_bits * config.columns),
                "parameter_address": Out(bits(config.parameter_depth)),
                "group": Out(Group),
                "values": Out(config.accumulator_bits * config.lanes),
            }
        )

    def elaborate(self, platform):
        m = Module()
        groups = self.config.groups
        # The group of this cycle.
        current = Signal(Pixel)
        index = Signal(range(max(2, groups)))
        final = Signal(init=groups == 1)
        following = Signal.like(index)
        if groups > 1:
            m.d.comb += following.eq(Mux(self.pixel.valid, 0, index + 1))
        m.d.sync += [
            current.valid.eq(self.pixel.valid | (current.valid & ~final)),
            index.eq(following),
            final.eq(following == groups - 1),
        ]
        with m.If(self.pixel.valid):
            m.d.sync += [
                current.second.eq(self.pixel.second),
                current.next.eq(self.pixel.next),
                current.last_tile.eq(self.pixel.last_tile),
            ]

        # A pair's results come one by one: two groups of a pixel.
        ends: Value = final
        place: Value = index
        if self.config.pairs:
            ends, place = current.second | ~self.fields.pair, current.second

        tile_address = Signal.like(self.parameter_address)
        with m.If(self.begin):
            m.d.sync += [
                self.parameter_address.eq(self.fields.parameter),
                tile_address.eq(self.fields.parameter),
            ]
        with m.Elif(current.valid):
            m.d.sync += self.parameter_address.eq(self.parameter_address + 1)
            with m.If(ends):
                with m.If(current.next == Next.TILE):
                    m.d.sync += tile_address.eq(self.parameter_address + 1)
                with m.Else():
                    m.d.sync += self.parameter_address.eq(tile_address)

        group = Signal(Group)
        m.d.comb += [
            group.valid.eq(current.valid),
            group.skip.eq(current.last_tile & (place > self.fields.last_group)),
            group.stored.eq(ends | (current.last_tile & (place == self.fields.last_group))),
            group.final.eq(ends),
            group.next.eq(current.next),
        ]
        width = self.config.accumulator_bits * self.config.lanes
        values = Signal(width, reset_less=True)
        m.d.sync += values.eq(self.totals.word_select(index, width))
        m.d.comb += [
            self.group.eq(delay(m, group, self.latency, name="group")),
            self.values.eq(data_delay(m, values, self.latency - 1, name="values")),
        ]
        return m
