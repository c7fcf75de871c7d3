"""Accumulators: one per column, adding a pixel's steps or keeping their maximum."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from weft.hw.isa import DIGIT_BITS
from weft.hw.primitives.sums import chosen_sum

#: What happens to an accumulator in a cycle; all zero is nothing.
Action = data.StructLayout({"valid": 1, "first": 1, "digit": 1})


class Accumulator(wiring.Component):
    """``total = (0 if first else total << 7 if digit else total) + sum``, or the peak.

    Parameters
    ----------
    sum_width, width : int
    apart : bool
        What the next sum is added to lies in a register of its own. It is cleared before a first
        step, and the total is not: so nothing but the digit's choice is left in front of the
        addition, which an ECP5's carry cell takes in. Where a lookup table has to make that choice,
        it masks the total as well, and one register is enough and nearer.

    Members
    -------
    sum : In(signed(sum_width))
    action : In(Action)
    soon : In(Action)
        The next cycle's action.
    peak : In(1)
        With actions: keep the maximum of the sums, which must fit int8, instead of the total.
    total : Out(signed(width))
        One cycle after a valid action.
    """

    latency = 1

    def __init__(self, *, sum_width: int, width: int, apart: bool = True):
        self.apart = apart
        super().__init__(
            {
                "sum": In(signed(sum_width)),
                "action": In(Action),
                "soon": In(Action),
                "peak": In(1),
                "total": Out(signed(width)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        width = len(self.total)
        total = Signal.like(self.total, name="accumulator", reset_less=True)
        base = Signal.like(total, name="base", reset_less=True)
        term = Signal(signed(width))
        m.d.comb += term.eq(self.sum)
        if self.apart:
            added = self._apart(m, platform, base, term)
        else:
            # Nothing is added to a maximum.
            with m.If(~(self.action.first | self.peak)):
                m.d.comb += base.eq(Mux(self.action.digit, total << DIGIT_BITS, total))
            added = base + term
        # The sign of a difference: a carry chain, which a comparison of 8 bits would not be.
        larger = (total[:8].as_signed() - self.sum[:8].as_signed())[-1]
        with m.If(self.action.valid & (~self.peak | self.action.first | larger)):
            m.d.sync += total.eq(added)
        m.d.comb += self.total.eq(total)
        return m

    def _apart(self, m: Module, platform: Any, base: Signal, term: Signal) -> Value:
        """The sum with `base`, which is made for the next one."""
        added = chosen_sum(
            m,
            platform,
            term.as_unsigned(),
            choice=self.action.digit,
            b=(base << DIGIT_BITS)[: len(base)],
            c=base,
            name="added",
        )
        # Nothing is added to a maximum.
        with m.If(self.peak | (self.soon.valid & self.soon.first)):
            m.d.sync += base.eq(0)
        with m.Elif(self.action.valid):
            m.d.sync += base.eq(added)
        return added
