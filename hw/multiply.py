"""A wide product out of the 18 x 18 multipliers of an FPGA."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from weft.hw.delay import data_delay
from weft.hw.primitives.product import OPERAND, Product

#: Bits of a lower half, so that the sum of both halves still is an operand.
PIECE = 16

#: Bits that two halves can have: an unsigned one of PIECE, and a signed one above it whose sum
#: with the other fits the operand.
WIDEST = 2 * PIECE + 1


class Multiply(wiring.Component):
    """``a * b``.

    Two wide factors take three multipliers (Karatsuba and Ofman, 1962)::

        a * b = hh * 2**32 + ((ah + al) * (bh + bl) - hh - ll) * 2**16 + ll

    with ``hh = ah * bh``, ``ll = al * bl``. A narrow and a wide one take two, two narrow ones one.

    Parameters
    ----------
    a_width, b_width : int
        At most 33.

    Members
    -------
    a : In(signed(a_width))
    b : In(signed(b_width))
    product : Out(signed(a_width + b_width))
        `latency` cycles later.
    """

    latency = 4 + Product.latency

    def __init__(self, *, a_width: int, b_width: int):
        assert max(a_width, b_width) <= WIDEST
        super().__init__(
            {
                "a": In(signed(a_width)),
                "b": In(signed(b_width)),
                "product": Out(signed(a_width + b_width)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        narrow, wide = sorted((self.a, self.b), key=len)
        if len(wide) <= OPERAND:
            product = self._multiply(m, narrow, wide, name="whole")
            m.d.comb += self.product.eq(data_delay(m, product, 3, name="total"))
        elif len(narrow) <= OPERAND:
            m.d.comb += self.product.eq(self._two(m, narrow, wide))
        else:
            m.d.comb += self.product.eq(self._three(m, narrow, wide))
        return m

    def _multiply(self, m: Module, a: Value, b: Value, *, name: str) -> Value:
        """A product, a cycle later than the multiplier has it, as sums of halves come later."""
        m.submodules[name] = part = Product(a_width=len(a), b_width=len(b))
        m.d.comb += [
            part.a.eq(data_delay(m, a, 1, name=f"{name}_a")),
            part.b.eq(data_delay(m, b, 1, name=f"{name}_b")),
        ]
        return part.product

    def _two(self, m: Module, a: Value, b: Value) -> Value:
        """A narrow factor with both halves of the other."""
        low, high = _halves(b)
        lower = self._multiply(m, a, low, name="low")
        upper = self._multiply(m, a, high, name="high")
        lower, upper = data_delay(m, lower, 1, name="lower"), data_delay(m, upper, 1, name="upper")
        total = Cat(lower[:PIECE], (lower >> PIECE) + upper)
        return data_delay(m, total[: len(self.product)].as_signed(), 2, name="total")

    def _three(self, m: Module, a: Value, b: Value) -> Value:
        """Both halves of either factor."""
        (al, ah), (bl, bh) = _halves(a), _halves(b)
        ll = self._multiply(m, al, bl, name="low")
        hh = self._multiply(m, ah, bh, name="high")
        both = self._multiply(m, al + ah, bl + bh, name="both")

        corners = Signal((ll + hh).shape(), reset_less=True)
        m.d.sync += corners.eq(ll + hh)
        middle = data_delay(m, both, 1, name="middle")
        # Without a sign below, the two corners are one number.
        outer = data_delay(m, Cat(ll[: 2 * PIECE], hh).as_signed(), 2, name="outer")
        cross = Signal(signed(len(b) + 2), reset_less=True)
        m.d.sync += cross.eq(middle - corners)
        total = Cat(outer[:PIECE], (outer >> PIECE) + cross)
        return data_delay(m, total[: len(self.product)].as_signed(), 1, name="total")


def _halves(value: Value) -> tuple[Value, Value]:
    """`value` as a lower half that is not negative, and a signed upper one."""
    return Cat(value[:PIECE], 0).as_signed(), value[PIECE:].as_signed()
