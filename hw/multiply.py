"""A wide product in pieces that fit the 18 x 18 multipliers of an FPGA."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

#: Bits of a piece, so that it fits 18 signed bits with its sign.
PIECE = 16


class Multiply(wiring.Component):
    """``a * b``, plus ``2**half_bit`` where `half` says so.

    Parameters
    ----------
    a_width, b_width : int
        At most 33.
    half_bit : int

    Members
    -------
    a : In(signed(a_width))
    b : In(signed(b_width))
    half : In(1)
        With the factors.
    product : Out(signed(a_width + b_width))
        `latency` cycles later.
    """

    latency = 3

    def __init__(self, *, a_width: int, b_width: int, half_bit: int = 0):
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
        # Stage 1: a product for every pair of pieces; those of one weight belong together.
        products: dict[int, list[Signal]] = {}
        for i, a in enumerate(_pieces(self.a)):
            for j, b in enumerate(_pieces(self.b)):
                product = Signal((a * b).shape(), name=f"product_{i}_{j}")
                m.d.sync += product.eq(a * b)
                products.setdefault(PIECE * (i + j), []).append(product)
        half = Signal()
        m.d.sync += half.eq(self.half)

        # Stage 2: a sum for every weight. Half a unit enters where it costs no wide addition.
        enters = max(weight for weight in products if weight <= self.half_bit)
        sums: dict[int, Value] = {}
        for weight, parts in products.items():
            terms: list[Value] = list(parts)
            if weight == enters:
                terms.append(half << (self.half_bit - weight))
            total = sum(terms[1:], start=terms[0])
            registered = Signal(total.shape(), name=f"sum_{weight}")
            m.d.sync += registered.eq(total)
            sums[weight] = registered

        # Stage 3: all of them. Two that do not overlap are one number already.
        if 2 * PIECE in sums:
            low = sums.pop(0)[: 2 * PIECE]
            sums[0] = Cat(low, sums.pop(2 * PIECE)).as_signed()
        m.d.sync += self.product.eq(sum(value << weight for weight, value in sums.items()))
        return m


def _pieces(value: Value) -> list[Value]:
    """`value` in the base 2**PIECE, the last piece signed and a bit wider where that is enough."""
    pieces: list[Value] = []
    while len(value) > PIECE + 1:
        pieces.append(value[:PIECE])
        value = value[PIECE:].as_signed()
    return [*pieces, value]
