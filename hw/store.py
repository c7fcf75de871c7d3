"""Store: where each group of codes goes in the activation memory."""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from weft.hw.collect import Group
from weft.hw.config import Config
from weft.hw.decoder import late_layout
from weft.hw.isa import bits
from weft.hw.step import Next


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
        last_in_word = self.config.rows // self.config.lanes - 1

        # Where the current group, pixel and image row start.
        here = Signal.like(self.address)
        pixel = Signal.like(self.address)
        row = Signal.like(self.address)
        lane_group = Signal.like(self.lane_group)
        tile_group = Signal.like(self.lane_group)
        first_pixel = Signal()

        m.d.sync += [
            self.enable.eq(group.valid & ~group.skip),
            self.address.eq(here),
            self.lane_group.eq(lane_group),
            self.data.eq(self.codes),
            self.last.eq(group.stored),
        ]

        after = Signal.like(here)
        after_group = Signal.like(lane_group)
        with m.If(lane_group == last_in_word):
            m.d.comb += [after.eq(here + 1), after_group.eq(0)]
        with m.Else():
            m.d.comb += [after.eq(here), after_group.eq(lane_group + 1)]

        # The tile's first pixel shows where the next tile starts.
        next_tile = Signal.like(here)
        next_tile_group = Signal.like(lane_group)
        tile_end = Signal.like(here)
        tile_end_group = Signal.like(lane_group)
        m.d.comb += [tile_end.eq(next_tile), tile_end_group.eq(next_tile_group)]
        with m.If(first_pixel):
            m.d.comb += [tile_end.eq(after), tile_end_group.eq(after_group)]

        def go(address, lane_group_value):
            return [here.eq(address), lane_group.eq(lane_group_value)]

        with m.If(self.begin):
            m.d.sync += go(fields.target, fields.target_group)
            m.d.sync += [
                pixel.eq(fields.target),
                row.eq(fields.target),
                tile_group.eq(fields.target_group),
                first_pixel.eq(1),
            ]
        with m.Elif(group.valid):
            m.d.sync += go(after, after_group)
            with m.If(group.final):
                m.d.sync += first_pixel.eq(group.next == Next.TILE)
                m.d.sync += [next_tile.eq(tile_end), next_tile_group.eq(tile_end_group)]
                with m.Switch(group.next):
                    with m.Case(Next.OX):
                        m.d.sync += go(pixel + fields.target_ox, tile_group)
                        m.d.sync += pixel.eq(pixel + fields.target_ox)
                    with m.Case(Next.OY):
                        m.d.sync += go(row + fields.target_oy, tile_group)
                        m.d.sync += pixel.eq(row + fields.target_oy)
                        m.d.sync += row.eq(row + fields.target_oy)
                    with m.Case(Next.TILE):
                        m.d.sync += go(tile_end, tile_end_group)
                        m.d.sync += [pixel.eq(tile_end), row.eq(tile_end)]
                        m.d.sync += tile_group.eq(tile_end_group)
        return m
