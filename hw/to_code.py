"""The last step of a requantizer: zero point and saturation."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, signed
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
    beyond, sign : In(1)
        The value is beyond all codes, to this side, whatever `value` says.
    zero_point, low, high : In(signed(8))
        Constant while results are on their way, and a cycle before.
    code : Out(signed(8))
        `latency` cycles later.
    """

    latency = 2

    def __init__(self):
        super().__init__(
            {
                "value": In(signed(VALUE_BITS)),
                "carry": In(1),
                "beyond": In(1),
                "sign": In(1),
                "zero_point": In(signed(8)),
                "low": In(signed(8)),
                "high": In(signed(8)),
                "code": Out(signed(8)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        # Limits before the zero point is added, so that nobody has to wait for the sum.
        to_low = Signal(signed(VALUE_BITS))
        over_high = Signal(signed(VALUE_BITS))
        m.d.sync += [
            to_low.eq(self.zero_point - self.low),
            over_high.eq(self.zero_point - self.high - 1),
        ]

        # Stage 1: three sums, with the carry on their carry inputs.
        value = Cat(1, self.value).as_signed()

        def plus(term):
            return (value + Cat(self.carry, term).as_signed()) >> 1

        moved = Signal(8, reset_less=True)
        below, above = Signal(reset_less=True), Signal(reset_less=True)
        m.d.sync += [
            moved.eq(plus(self.zero_point)),
            below.eq(Mux(self.beyond, self.sign, plus(to_low) < 0)),
            above.eq(Mux(self.beyond, ~self.sign, plus(over_high) >= 0)),
        ]

        # Stage 2: saturate.
        code = Signal.like(self.code, reset_less=True)
        m.d.sync += code.eq(Mux(below, self.low, Mux(above, self.high, moved.as_signed())))
        m.d.comb += self.code.eq(code)
        return m
