"""Requantize by a rounding shift: accumulator to code, one lane.

``clamp(round(v / 2**shift) + zero_point, low, high)``, ties away from zero.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class Requantize(wiring.Component):
    """One result per cycle, `latency` cycles later; no flow control.

    Members
    -------
    value, bias : In(signed(width))
        Their sum must fit the width.
    shift : In(5)
    zero_point, low, high : In(signed(8))
        Constant while results are on their way.
    code : Out(signed(8))
    """

    latency = 6

    def __init__(self, *, width: int):
        self.width = width
        super().__init__(
            {
                "value": In(signed(width)),
                "bias": In(signed(width)),
                "shift": In(5),
                "zero_point": In(signed(8)),
                "low": In(signed(8)),
                "high": In(signed(8)),
                "code": Out(signed(8)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        width = self.width

        # Stage 1: the bias.
        biased = Signal(signed(width))
        shift_1 = Signal(5)
        m.d.sync += [biased.eq(self.value + self.bias), shift_1.eq(self.shift)]

        # Stage 2: half of the divisor, less one unit for negative values, so that the
        # arithmetic shift, which rounds down, takes ties away from zero. The unit rides
        # on the carry input: half - 1 is a mask, and the carry is the sign's complement.
        mask = Signal(width - 1)
        for bit in range(width - 1):
            m.d.comb += mask[bit].eq(shift_1 > bit + 1)
        # The mask ends with the width; beyond it every result is 0, and so is this sum's.
        carry = (shift_1 != 0) & (~biased[-1] | (shift_1 > width))
        rounded = Signal(signed(width + 1))
        shift_2 = Signal(5)
        total = Signal(signed(width + 2))
        m.d.comb += total.eq(Cat(carry, biased).as_signed() + Cat(carry, mask, 0).as_signed())
        m.d.sync += [rounded.eq(total >> 1), shift_2.eq(shift_1)]

        # Stages 3 and 4: the shift, coarse then fine.
        coarse = Signal(signed(width + 1))
        shift_3 = Signal(3)
        m.d.sync += [coarse.eq(rounded >> (shift_2[3:] << 3)), shift_3.eq(shift_2)]
        fine = Signal(signed(width + 1))
        m.d.sync += fine.eq(coarse >> shift_3)

        # Stage 5: the zero point. Beyond ±512 no zero point brings a value back into int8.
        narrow = Signal(signed(10))
        fits = (fine[9:] == 0) | fine[9:].all()
        m.d.comb += narrow.eq(Mux(fits, fine, Mux(fine[-1], -512, 511)))
        moved = Signal(signed(11))
        m.d.sync += moved.eq(narrow + self.zero_point)

        # Stage 6: saturate.
        with m.If(moved < self.low):
            m.d.sync += self.code.eq(self.low)
        with m.Elif(moved > self.high):
            m.d.sync += self.code.eq(self.high)
        with m.Else():
            m.d.sync += self.code.eq(moved)
        return m
