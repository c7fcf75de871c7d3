"""Signed 8 x 8 multipliers, registered before and behind: one interface for every family.

The portable form is a plain product, which any tool understands and every simulation
uses. Where the platform's family has multiplier blocks that synthesis would use badly or
not at all, they are instantiated.
"""

from __future__ import annotations

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from weft.hw.primitives import booth, ecp5, ecp5_carry, gowin, ice40
from weft.hw.primitives.device import device


class Multipliers(wiring.Component):
    """``products[i] = a[i] * b[i]``, `latency` cycles later. No flow control.

    Parameters
    ----------
    count : int
    tables : int
        How many of them, the last ones, are made of lookup tables on an FPGA whose multiplier
        blocks are instantiated.

    Members
    -------
    a, b : In
        `count` int8 each.
    products : Out
        `count` int16.
    """

    latency = 2

    def __init__(self, *, count: int, tables: int = 0):
        self.count = count
        self.tables = tables
        super().__init__({"a": In(8 * count), "b": In(8 * count), "products": Out(16 * count)})

    def elaborate(self, platform):
        name = device(platform)
        m = Module()
        blocks = self.count - self.tables
        multiply = booth.multiply
        if name.startswith("iCE40UP"):
            ice40.multipliers(m, self, blocks)
        elif name.startswith("LFE5"):
            ecp5.multipliers(m, self, blocks)
            multiply = ecp5_carry.multiply
        elif name.startswith("GW"):
            gowin.multipliers(m, self, blocks)
        else:
            self._plain(m)
            return m
        for index in range(blocks, self.count):
            a, b = (vector.word_select(index, 8).as_signed() for vector in (self.a, self.b))
            product = multiply(m, a, b, name=f"product_{index}")
            m.d.comb += self.products.word_select(index, 16).eq(product)
        return m

    def _plain(self, m: Module) -> None:
        for index in range(self.count):
            a = Signal(signed(8), name=f"a_{index}")
            b = Signal(signed(8), name=f"b_{index}")
            m.d.sync += [
                a.eq(self.a.word_select(index, 8)),
                b.eq(self.b.word_select(index, 8)),
                self.products.word_select(index, 16).eq(a * b),
            ]
