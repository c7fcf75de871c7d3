"""The last step of a requantizer: zero point and saturation."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class ToCode(wiring.Component):
    """``clamp(value + zero_point, low, high)``.

    Members
    -------
    value : In(signed(width))
    zero_point, low, high : In(signed(8))
        Constant while results are on their way.
    code : Out(signed(8))
        `latency` cycles later.
    """

    latency = 2

    def __init__(self, *, width: int):
        super().__init__(
            {
                "value": In(signed(width)),
                "zero_point": In(signed(8)),
                "low": In(signed(8)),
                "high": In(signed(8)),
                "code": Out(signed(8)),
            }
        )

    def elaborate(self, platform):
        m = Module()

        # Stage 1: the zero point. Beyond ±512 no zero point brings a value back into int8.
        narrow = Signal(signed(10))
        fits = (self.value[9:] == 0) | self.value[9:].all()
        m.d.comb += narrow.eq(Mux(fits, self.value, Mux(self.value[-1], -512, 511)))
        moved = Signal(signed(11))
        m.d.sync += moved.eq(narrow + self.zero_point)

        # Stage 2: saturate.
        with m.If(moved < self.low):
            m.d.sync += self.code.eq(self.low)
        with m.Elif(moved > self.high):
            m.d.sync += self.code.eq(self.high)
        with m.Else():
            m.d.sync += self.code.eq(moved)
        return m
