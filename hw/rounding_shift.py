"""Division by a power of two, to the nearest integer."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class RoundingShift(wiring.Component):
    """``round(value / 2**shift)``; ties go away from zero, or upward with `up`.

    Members
    -------
    value : In(signed(width))
    shift : In(5)
    up : In(1)
        Constant while results are on their way.
    result : Out(signed(width + 1))
        `latency` cycles later.
    """

    latency = 3

    def __init__(self, *, width: int):
        self.width = width
        super().__init__(
            {
                "value": In(signed(width)),
                "shift": In(5),
                "up": In(1),
                "result": Out(signed(width + 1)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        width = self.width

        # Stage 1: half of the divisor, less one unit for negative values, so that the
        # arithmetic shift, which rounds down, takes ties away from zero. The unit rides
        # on the carry input: half - 1 is a mask, and the carry is the sign's complement.
        mask = Signal(width - 1)
        for bit in range(width - 1):
            m.d.comb += mask[bit].eq(self.shift > bit + 1)
        # The mask ends with the width; beyond it every result is 0, and so is this sum's.
        carry = (self.shift != 0) & (self.up | ~self.value[-1] | (self.shift > width))
        rounded = Signal(signed(width + 1))
        shift = Signal(5)
        total = Signal(signed(width + 2))
        m.d.comb += total.eq(Cat(carry, self.value).as_signed() + Cat(carry, mask, 0).as_signed())
        m.d.sync += [rounded.eq(total >> 1), shift.eq(self.shift)]

        # Stages 2 and 3: the shift, coarse then fine.
        coarse = Signal(signed(width + 1))
        fine_shift = Signal(3)
        m.d.sync += [coarse.eq(rounded >> (shift[3:] << 3)), fine_shift.eq(shift)]
        m.d.sync += self.result.eq(coarse >> fine_shift)
        return m
