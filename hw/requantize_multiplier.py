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

A shift to the left comes with a multiplier of 2**(b - 3) at least, as TFLite's are, or 0. Then
x = ±2048 ends beyond all codes, whatever the zero point, and 12 bits of it are enough.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from weft.hw.delay import delay
from weft.hw.multiply import Multiply
from weft.hw.rounding_shift import RoundingShift
from weft.hw.to_code import VALUE_BITS, ToCode

#: Width of a shift from -31 to 30.
SHIFT_BITS = 6

#: Bits that a value needs to be shifted to the left: beyond them it is beyond all codes.
_SMALL = 12

#: Stages of bias and left shift.
_SHIFTED = 4


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
        At most ``2**multiplier_bits``, and with a shift to the left at least an eighth
        of that, or 0.
    single : In(1)
    zero_point, low, high : In(signed(8))
        These four constant while results are on their way.
    code : Out(signed(8))
    """

    latency = _SHIFTED + Multiply.latency + RoundingShift.latency + ToCode.latency

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

        # Stages 2 to 4: the left shift of the value's lowest bits, coarse then fine.
        small = delay(m, _saturate(biased, _SMALL), 1, name="small")
        coarse_shift, fine_shift = Signal(2), Signal(2)
        # Beyond the width there are only zero and the ends.
        m.d.sync += Cat(fine_shift, coarse_shift).eq(Mux(left >= _SMALL, _SMALL, left))
        coarse = delay(m, _saturating_shift(m, small, coarse_shift, 4), 1, name="coarse")
        fine = _saturating_shift(m, coarse, delay(m, fine_shift, 1, name="fine_shift"), 1)
        shifted_left = delay(m, left != 0, 2, name="shifted_left")
        x = Signal(signed(self.width))
        m.d.sync += x.eq(Mux(shifted_left, fine, delay(m, biased, 2, name="unshifted")))

        # The product. Rounding twice, or not rounding after it, it is rounded here.
        m.submodules.multiply = multiply = Multiply(
            a_width=self.width, b_width=bits + 2, half_bit=bits - 1
        )
        multiplier = delay(m, self.multiplier, _SHIFTED, name="multiplier")
        right_late = delay(m, right, _SHIFTED - 1, name="right")
        m.d.comb += [
            multiply.a.eq(x),
            multiply.b.eq(Cat(multiplier, 0).as_signed()),
            multiply.half.eq(~self.single | (right_late == 0)),
        ]

        m.submodules.shifted = shifted = RoundingShift(width=self.width + 1, kept=VALUE_BITS)
        m.submodules.to_code = to_code = ToCode()
        m.d.comb += [
            shifted.value.eq(multiply.product >> bits),
            shifted.shift.eq(delay(m, right_late, Multiply.latency, name="right_shift")),
            shifted.up.eq(self.single),
            to_code.value.eq(shifted.result),
            to_code.carry.eq(shifted.carry),
            to_code.zero_point.eq(self.zero_point),
            to_code.low.eq(self.low),
            to_code.high.eq(self.high),
            self.code.eq(to_code.code),
        ]
        return m


def _saturate(value: Value, width: int) -> Value:
    """`value` held in `width` bits."""
    above = value[width - 1 :]
    extreme = Mux(value[-1], -(1 << width - 1), (1 << width - 1) - 1)
    return Mux(above.any() & ~above.all(), extreme, value[:width].as_signed())[:width].as_signed()


def _saturating_shift(m: Module, value: Value, count: Value, unit: int) -> Value:
    """``saturate(value << unit * count)`` in the width of `value`."""
    result = Signal.like(value, name=f"by_{unit}s")
    with m.Switch(count):
        for turns in range(1 << len(count)):
            with m.Case(turns):
                m.d.comb += result.eq(_saturate(value << unit * turns, len(value)))
    return result
