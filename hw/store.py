"""Store: where each group of codes goes in the activation memory."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from weft.hw.collect import Group
from weft.hw.config import Config
from weft.hw.decoder import late_layout
from weft.hw.isa import bits
from weft.hw.step import Next


class LaneGroups(wiring.Component):
    """Which lane group of its word every group goes to: consecutive ones, from pixel to pixel.

    Members
    -------
    first : In
        That of an instruction's first group, with
    begin : In(1)
    group : In(Group)
    lane_group : Out
        Of the present group.
    wraps : Out(1)
        It is the word's last.
    """

    def __init__(self, config: Config):
        self._last = config.rows // config.lanes - 1
        width = bits(self._last + 1)
        super().__init__(
            {
                "first": In(width),
                "begin": In(1),
                "group": In(Group),
                "lane_group": Out(width),
                "wraps": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        group = self.group
        here = Signal.like(self.lane_group, reset_less=True)
        # Where the tile's channels begin.
        tile = Signal.like(here, reset_less=True)
        after = Signal.like(here)
        m.d.comb += [
            self.lane_group.eq(here),
            self.wraps.eq(here == self._last),
            after.eq(Mux(self.wraps, 0, here + 1)),
        ]
        with m.If(self.begin):
            m.d.sync += [here.eq(self.first), tile.eq(self.first)]
        with m.Elif(group.valid):
            # The next tile goes on where the last pixel of this one ends.
            m.d.sync += here.eq(after)
            with m.If(group.final):
                with m.If(group.next == Next.TILE):
                    m.d.sync += tile.eq(after)
                with m.Else():
                    m.d.sync += here.eq(tile)
        return m


class Store(wiring.Component):
    """Writes groups to consecutive lane groups, pixel after pixel, tile after tile.

    Members
    -------
    fields : In
    begin : In(1)
    group : In(Group)
    codes : In
        `lanes` codes, with `group`.
    enable, address, lane_group, data : Out
        One write, `latency` cycles later.
    last : Out(1)
        It is the pixel's last.
    """

    latency = 1

    def __init__(self, config: Config):
        self.config = config
        super().__init__(
            {
                "fields": In(late_layout(config)),
                "begin": In(1),
                "group": In(Group),
                "codes": In(8 * config.lanes),
                "enable": Out(1),
                "address": Out(bits(config.activation_depth)),
                "lane_group": Out(bits(config.rows // config.lanes)),
                "data": Out(8 * config.lanes),
                "last": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        fields, group = self.fields, self.group
        m.submodules.lane_groups = lane_groups = LaneGroups(self.config)
        m.d.comb += [
            lane_groups.first.eq(fields.target_group),
            lane_groups.begin.eq(self.begin),
            lane_groups.group.eq(group),
        ]

        # A word's address is a sum: where its pixel is, and which of a pixel's words it is.
        pixel = Signal.like(self.address, reset_less=True)
        row = Signal.like(self.address, reset_less=True)
        word = Signal.like(self.address, reset_less=True)
        # Where the tile's channels begin.
        tile_word = Signal.like(word, reset_less=True)

        m.d.sync += [
            self.enable.eq(group.valid & ~group.skip),
            self.address.eq(pixel + word),
            self.lane_group.eq(lane_groups.lane_group),
            self.data.eq(self.codes),
            self.last.eq(group.stored),
        ]

        after_word = Signal.like(word)
        wraps = Cat(lane_groups.wraps, Const(0, len(word)))
        m.d.comb += after_word.eq((Cat(1, word) + wraps) >> 1)
        with m.If(self.begin):
            m.d.sync += [word.eq(0), tile_word.eq(0)]
        with m.Elif(group.valid):
            # The next tile goes on where the last pixel of this one ends.
            m.d.sync += word.eq(after_word)
            with m.If(group.final):
                with m.If(group.next == Next.TILE):
                    m.d.sync += tile_word.eq(after_word)
                with m.Else():
                    m.d.sync += word.eq(tile_word)

        with m.If(self.begin | (group.valid & group.final & (group.next == Next.TILE))):
            m.d.sync += [pixel.eq(fields.target), row.eq(fields.target)]
        with m.Elif(group.valid & group.final):
            m.d.sync += pixel.eq(pixel + fields.target_ox)
            with m.If(group.next == Next.OY):
                m.d.sync += [pixel.eq(row + fields.target_oy), row.eq(row + fields.target_oy)]
        return m
