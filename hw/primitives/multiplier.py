"""Signed 8 × 8 multipliers with registered operands and product: the portable form."""

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class Multiplier(wiring.Component):
    """``product = a * b``, `latency` cycles later. No flow control.

    Members
    -------
    a, b : In(signed(8))
    product : Out(signed(16))
    """

    latency = 2

    a: In(signed(8))
    b: In(signed(8))
    product: Out(signed(16))

    def elaborate(self, platform):
        m = Module()
        left = Signal(signed(8))
        right = Signal(signed(8))
        m.d.sync += [left.eq(self.a), right.eq(self.b), self.product.eq(left * right)]
        return m
