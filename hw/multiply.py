"""A wide product out of the 18 x 18 multipliers of an FPGA."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from weft.hw.delay import delay
from weft.hw.primitives.product import OPERAND, Product

#: Bits of a lower half, so that the sum of both halves still is an operand.
PIECE = 16

#: Bits that two halves can have: an unsigned one of PIECE, and a signed one above it whose sum
#: with the other fits the operand.
WIDEST = 2 * PIECE + 1


class Multiply(wiring.Component):
    """``a * b``, plus ``2**half_bit`` where `half` says so.

    Two wide factors take three multipliers (Karatsuba and Ofman, 1962)::

        a * b = hh * 2**32 + ((ah + al) * (bh + bl) - hh - ll) * 2**16 + ll

    with ``hh = ah * bh``, ``ll = al * bl``. A narrow and a wide one take two, two narrow ones one.

    Parameters
    ----------
    a_width, b_width : int
        At most 33.
    half_bit : int
        At least 16 where both are wide.

    Members
    -------
    a : In(signed(a_width))
    b : In(signed(b_width))
    half : In(1)
        With the factors.
    product : Out(signed(a_width + b_width))
        `latency` cycles later.
    """

    latency = 4 + Product.latency

    def __init__(self, *, a_width: int, b_width: int, half_bit: int = 0):
        assert max(a_width, b_width) <= WIDEST
        self.half_bit = half_bit
        super().__init__(
            {
                "a": In(signed(a_width)),
                "b": In(signed(b_width)),
                "half": In(1),
                "product": Out(signed(a_width + b_width)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        half = delay(m, self.half, 1 + Product.latency, name="half")
        narrow, wide = sorted((self.a, self.b), key=len)
        if len(wide) <= OPERAND:
            product = self._multiply(m, narrow, wide, name="whole")
            total = product + (half << self.half_bit)
            m.d.comb += self.product.eq(delay(m, total, 3, name="total"))
        elif len(narrow) <= OPERAND:
            m.d.comb += self.product.eq(self._two(m, half, narrow, wide))
        else:
            m.d.comb += self.product.eq(self._three(m, half, narrow, wide))
        return m

    def _multiply(self, m: Module, a: Value, b: Value, *, name: str) -> Value:
        """A product, a cycle later than the multiplier has it, as sums of halves come later."""
        m.submodules[name] = part = Product(a_width=len(a), b_width=len(b))
        m.d.comb += [
            part.a.eq(delay(m, a, 1, name=f"{name}_a")),
            part.b.eq(delay(m, b, 1, name=f"{name}_b")),
        ]
        return part.product

    def _two(self, m: Module, half: Value, a: Value, b: Value) -> Value:
        """A narrow factor with both halves of the other."""
        low, high = _halves(b)
        lower = self._multiply(m, a, low, name="low")
        upper = self._multiply(m, a, high, name="high")
        total = Signal(signed(len(self.product)))
        # The constant goes where the sum does not need it at once.
        m.d.sync += total.eq(lower + (half << self.half_bit))
        upper = delay(m, upper, 1, name="upper")
        return delay(m, total + (upper << PIECE), 2, name="total")

    def _three(self, m: Module, half: Value, a: Value, b: Value) -> Value:
        """Both halves of either factor."""
        (al, ah), (bl, bh) = _halves(a), _halves(b)
        ll = self._multiply(m, al, bl, name="low")
        hh = self._multiply(m, ah, bh, name="high")
        both = self._multiply(m, al + ah, bl + bh, name="both")

        # What is taken from the product of the sums, and half a unit beside it.
        corners = Signal((ll + hh).shape())
        middle = Signal((both + 1).shape())
        at = self.half_bit - PIECE
        m.d.sync += [
            corners.eq(ll + hh),
            middle.eq(Cat(both[:at], (both >> at) + half)),
        ]
        # Without a sign below, the two corners are one number.
        outer = delay(m, Cat(ll[: 2 * PIECE], hh).as_signed(), 2, name="outer")
        cross = Signal(signed(len(b) + 2))
        m.d.sync += cross.eq(middle - corners)
        total = Cat(outer[:PIECE], (outer >> PIECE) + cross)
        return delay(m, total[: len(self.product)].as_signed(), 1, name="total")


def _halves(value: Value) -> tuple[Value, Value]:
    """`value` as a lower half that is not negative, and a signed upper one."""
    return Cat(value[:PIECE], 0).as_signed(), value[PIECE:].as_signed()
