"""A signed product of up to 18 x 18 bits, registered before and behind: one for every family."""

from __future__ import annotations

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from weft.hw.primitives import ecp5, gowin
from weft.hw.primitives.device import device

#: Bits of each operand that an FPGA's multiplier block takes.
OPERAND = 18


class Product(wiring.Component):
    """``product = a * b``, `latency` cycles later. No flow control.

    Parameters
    ----------
    a_width, b_width : int
        At most 18.

    Members
    -------
    a : In(signed(a_width))
    b : In(signed(b_width))
    product : Out(signed(a_width + b_width))
    """

    latency = 2

    def __init__(self, *, a_width: int, b_width: int):
        assert max(a_width, b_width) <= OPERAND
        super().__init__(
            {
                "a": In(signed(a_width)),
                "b": In(signed(b_width)),
                "product": Out(signed(a_width + b_width)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        if device(platform).startswith("LFE5"):
            m.d.comb += self.product.eq(ecp5.multiply(m, self.a, self.b, name="product"))
            return m
        if device(platform).startswith("GW"):
            product = gowin.multiply(m, self.a, self.b, width=gowin.WIDE, name="product")
            m.d.comb += self.product.eq(product)
            return m
        # No reset: with one, synthesis could not take the registers into a multiplier block.
        a = Signal.like(self.a, name="a_register", reset_less=True)
        b = Signal.like(self.b, name="b_register", reset_less=True)
        product = Signal.like(self.product, name="product_register", reset_less=True)
        m.d.sync += [a.eq(self.a), b.eq(self.b), product.eq(a * b)]
        m.d.comb += self.product.eq(product)
        return m
