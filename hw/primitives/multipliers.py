"""Signed 8 x 8 multipliers, registered before and behind: one interface for every family.

The portable form is a plain product, which any tool understands and every simulation
uses. Where the platform's family has multiplier blocks that synthesis would use badly or
not at all, they are instantiated.
"""

from __future__ import annotations

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from weft.hw.primitives import ecp5, ice40


class Multipliers(wiring.Component):
    """``products[i] = a[i] * b[i]``, `latency` cycles later. No flow control.

    Members
    -------
    a, b : In
        `count` int8 each.
    products : Out
        `count` int16.
    """

    latency = 2

    def __init__(self, *, count: int):
        self.count = count
        super().__init__({"a": In(8 * count), "b": In(8 * count), "products": Out(16 * count)})

    def elaborate(self, platform):
        device = getattr(platform, "device", "")
        if device.startswith("iCE40UP"):
            return ice40.multipliers(self)
        if device.startswith("LFE5"):
            return ecp5.multipliers(self)
        m = Module()
        for index in range(self.count):
            a = Signal(signed(8), name=f"a_{index}")
            b = Signal(signed(8), name=f"b_{index}")
            m.d.sync += [
                a.eq(self.a.word_select(index, 8)),
                b.eq(self.b.word_select(index, 8)),
                self.products.word_select(index, 16).eq(a * b),
            ]
        return m
