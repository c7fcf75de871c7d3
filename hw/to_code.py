"""The last step of a requantizer: zero point and saturation."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

#: Bits of a value before the zero point. Beyond ±512 none brings it back into int8.
VALUE_BITS = 10


class ToCode(wiring.Component):
    """``clamp(value + carry + zero_point, low, high)``.

    Members
    -------
    value : In(signed(VALUE_BITS))
    carry : In(1)
    zero_point, low, high : In(signed(8))
        Constant while results are on their way.
    code : Out(signed(8))
        `latency` cycles later.
    """

    latency = 2

    def __init__(self):
        super().__init__(
            {
                "value": In(signed(VALUE_BITS)),
                "carry": In(1),
                "zero_point": In(signed(8)),
                "low": In(signed(8)),
                "high": In(signed(8)),
                "code": Out(signed(8)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        # Stage 1: the zero point. The carry rides on the carry input of the sum.
        moved = Signal(signed(VALUE_BITS + 1))
        value, zero_point = Cat(1, self.value), Cat(self.carry, self.zero_point)
        m.d.sync += moved.eq((value.as_signed() + zero_point.as_signed()) >> 1)

        # Stage 2: saturate.
        with m.If(moved < self.low):
            m.d.sync += self.code.eq(self.low)
        with m.Elif(moved > self.high):
            m.d.sync += self.code.eq(self.high)
        with m.Else():
            m.d.sync += self.code.eq(moved)
        return m
