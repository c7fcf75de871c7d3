"""Requantize by a rounding shift: accumulator to code, one lane.

``clamp(round(v / 2**shift) + zero_point, low, high)``, ties away from zero.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from weft.hw.rounding_shift import RoundingShift
from weft.hw.to_code import VALUE_BITS, ToCode


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

    latency = 1 + RoundingShift.latency + ToCode.latency

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
        m.submodules.shifted = shifted = RoundingShift(width=self.width + 1, kept=VALUE_BITS)
        m.submodules.to_code = to_code = ToCode()
        biased = Signal(signed(self.width))
        shift = Signal(5)
        m.d.sync += [biased.eq(self.value + self.bias), shift.eq(self.shift)]
        m.d.comb += [
            shifted.value.eq(Cat(0, biased)),
            shifted.shift.eq(shift),
            to_code.value.eq(shifted.result),
            to_code.carry.eq(shifted.carry),
            to_code.beyond.eq(shifted.beyond),
            to_code.sign.eq(shifted.sign),
            to_code.zero_point.eq(self.zero_point),
            to_code.low.eq(self.low),
            to_code.high.eq(self.high),
            self.code.eq(to_code.code),
        ]
        return m
