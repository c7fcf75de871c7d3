"""Requantize by a multiplier and a shift, as TFLite's kernels do it: one lane.

With ``left = max(shift, 0)``, ``right = max(-shift, 0)`` and b the multiplier's bits::

    x = saturate((value + bias) << left)                     # to int32
    double: q = (x * m + 2**(b - 1)) >> b                    # ties upward
            r = round(q / 2**right)                          # ties away from zero
    single: r = (x * m + 2**(b + right - 1)) >> (b + right)  # ties upward
    code = clamp(r + zero_point, low, high)

The sum of `single` is the same in two steps, as its constant is a multiple of 2**b: the
product is shifted without rounding, then rounded. ``m = 2**b`` is a factor of exactly 1: then
`double` is the rounding shift of power-of-two scales.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from weft.hw.delay import delay
from weft.hw.multiply import Multiply
from weft.hw.rounding_shift import RoundingShift
from weft.hw.to_code import ToCode

#: Width of a shift from -31 to 30.
SHIFT_BITS = 6


class RequantizeMultiplier(wiring.Component):
    """One result per cycle, `latency` cycles later; no flow control.

    Parameters
    ----------
    width : int
        Of `value` and `bias`, at most 32.
    multiplier_bits : int

    Members
    -------
    value, bias : In(signed(width))
        Their sum must fit the width.
    shift : In(signed(6))
        Positive to the left.
    multiplier : In(multiplier_bits + 1)
        At most ``2**multiplier_bits``.
    single : In(1)
    zero_point, low, high : In(signed(8))
        These four constant while results are on their way.
    code : Out(signed(8))
    """

    latency = 3 + Multiply.latency + RoundingShift.latency + ToCode.latency

    def __init__(self, *, width: int, multiplier_bits: int):
        self.width = width
        self.multiplier_bits = multiplier_bits
        super().__init__(
            {
                "value": In(signed(width)),
                "bias": In(signed(width)),
                "shift": In(signed(SHIFT_BITS)),
                "multiplier": In(multiplier_bits + 1),
                "single": In(1),
                "zero_point": In(signed(8)),
                "low": In(signed(8)),
                "high": In(signed(8)),
                "code": Out(signed(8)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        bits = self.multiplier_bits

        # Stage 1: the bias.
        biased = Signal(signed(self.width))
        left = Signal(5)
        right = Signal(5)
        m.d.sync += [
            biased.eq(self.value + self.bias),
            left.eq(Mux(self.shift < 0, 0, self.shift)),
            right.eq(Mux(self.shift < 0, -self.shift, 0)),
        ]

        # Stages 2 and 3: the left shift, coarse then fine.
        coarse = Signal(signed(32))
        fine = Signal(signed(32))
        m.d.sync += coarse.eq(_saturating_shift(m, biased, left[3:], 8, name="coarse"))
        left_fine = delay(m, left[:3], 1, name="left_fine")
        m.d.sync += fine.eq(_saturating_shift(m, coarse, left_fine, 1, name="fine"))

        # The product. Rounding twice, or not rounding after it, it is rounded here.
        m.submodules.multiply = multiply = Multiply(a_width=32, b_width=bits + 2, half_bit=bits - 1)
        right_late = delay(m, right, 2, name="right")
        m.d.comb += [
            multiply.a.eq(fine),
            multiply.b.eq(Cat(delay(m, self.multiplier, 3, name="multiplier"), 0).as_signed()),
            multiply.half.eq(~self.single | (right_late == 0)),
        ]

        m.submodules.shifted = shifted = RoundingShift(width=33)
        m.submodules.to_code = to_code = ToCode(width=34)
        m.d.comb += [
            shifted.value.eq(multiply.product >> bits),
            shifted.shift.eq(delay(m, right_late, Multiply.latency, name="right_shift")),
            shifted.up.eq(self.single),
            to_code.value.eq(shifted.result),
            to_code.zero_point.eq(self.zero_point),
            to_code.low.eq(self.low),
            to_code.high.eq(self.high),
            self.code.eq(to_code.code),
        ]
        return m


def _saturating_shift(m: Module, value: Value, count: Value, unit: int, *, name: str) -> Value:
    """``saturate(value << unit * count)`` to int32.

    A saturated value times a multiplier is far beyond any code, as the exact one is.
    """
    shifted = Signal(signed(32), name=f"{name}_shifted")
    overflows = Signal(name=f"{name}_overflows")
    with m.Switch(count):
        for turns in range(1 << len(count)):
            with m.Case(turns):
                m.d.comb += shifted.eq(value << unit * turns)
                lost = value[max(31 - unit * turns, 0) :]
                m.d.comb += overflows.eq(lost.any() & ~lost.all())
    return Mux(overflows, Mux(value[-1], -(1 << 31), (1 << 31) - 1), shifted)
