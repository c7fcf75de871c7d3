"""Gather: one write for all groups of a word, where the activation memory has a single port."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from weft.hw.collect import Group
from weft.hw.config import Config
from weft.hw.decoder import late_layout
from weft.hw.isa import bits
from weft.hw.store import LaneGroups


class Ahead(wiring.Component):
    """Tells early when a word will be complete: the store's groups, before their codes are there.

    Members
    -------
    fields, begin, group : In
        As of the store, but so many cycles before.
    soon : Out(1)
        `latency` cycles later: the word that `Gather` will then write is complete.
    """

    latency = 1

    def __init__(self, config: Config):
        self.config = config
        super().__init__(
            {
                "fields": In(late_layout(config)),
                "begin": In(1),
                "group": In(Group),
                "soon": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.lane_groups = lane_groups = LaneGroups(self.config)
        group = self.group
        m.d.comb += [
            lane_groups.first.eq(self.fields.target_group),
            lane_groups.begin.eq(self.begin),
            lane_groups.group.eq(group),
        ]
        ends = group.stored | lane_groups.wraps
        m.d.sync += self.soon.eq(group.valid & ~group.skip & ends)
        return m


class Gather(wiring.Component):
    """Keeps what the store writes until a word of a pixel is complete.

    The groups of a pixel come one after the other, so no other word comes in between.

    Members
    -------
    enable, last, address, lane_group, data : In
        From the store.
    write, write_address, write_lanes, write_data : Out
        Which groups of lanes of the word, and the word, a cycle later.
    """

    latency = 1

    def __init__(self, config: Config):
        self.config = config
        groups = config.rows // config.lanes
        super().__init__(
            {
                "enable": In(1),
                "last": In(1),
                "address": In(bits(config.activation_depth)),
                "lane_group": In(bits(groups)),
                "data": In(8 * config.lanes),
                "write": Out(1),
                "write_address": Out(bits(config.activation_depth)),
                "write_lanes": Out(groups),
                "write_data": Out(8 * config.rows),
            }
        )

    def elaborate(self, platform):
        m = Module()
        width = 8 * self.config.lanes
        chosen = Signal.like(self.write_lanes)
        begun = Signal()  # groups of this word are kept already
        complete = Signal()
        m.d.comb += [
            chosen.eq(1 << self.lane_group),
            complete.eq(self.enable & (self.last | chosen[-1])),
        ]
        m.d.sync += self.write.eq(complete)
        with m.If(self.enable):
            m.d.sync += [
                begun.eq(~complete),
                self.write_address.eq(self.address),
                self.write_lanes.eq(Mux(begun, self.write_lanes, 0) | chosen),
            ]
            for group, enable in enumerate(chosen):
                with m.If(enable):
                    m.d.sync += self.write_data.word_select(group, width).eq(self.data)
        return m
