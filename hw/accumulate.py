"""Accumulators: one per column, adding a pixel's steps or keeping their maximum."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from weft.hw.isa import DIGIT_BITS

#: What happens to an accumulator in a cycle; all zero is nothing.
Action = data.StructLayout({"valid": 1, "first": 1, "digit": 1})


class Accumulator(wiring.Component):
    """``total = (0 if first else total << 7 if digit else total) + sum``, or the peak.

    Members
    -------
    sum : In(signed(sum_width))
    action : In(Action)
    peak : In(1)
        With actions: keep the maximum of the sums, which must fit int8, instead of the total.
    total : Out(signed(width))
        One cycle after a valid action.
    """

    latency = 1

    def __init__(self, *, sum_width: int, width: int):
        super().__init__(
            {
                "sum": In(signed(sum_width)),
                "action": In(Action),
                "peak": In(1),
                "total": Out(signed(width)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        total = Signal.like(self.total, name="accumulator", reset_less=True)
        base = Signal.like(total)
        # The largest sum takes the place of the total: nothing is added to it.
        with m.If(~(self.action.first | self.peak)):
            m.d.comb += base.eq(Mux(self.action.digit, total << DIGIT_BITS, total))
        # The sign of a difference: a carry chain, which a comparison of 8 bits would not be.
        larger = (total[:8].as_signed() - self.sum[:8].as_signed())[-1]
        with m.If(self.action.valid & (~self.peak | self.action.first | larger)):
            m.d.sync += total.eq(base + self.sum)
        m.d.comb += self.total.eq(total)
        return m
