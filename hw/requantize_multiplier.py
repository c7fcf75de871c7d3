"""Requantize by a multiplier and a shift, as TFLite's kernels do it: one lane.

With ``left = max(shift, 0)``, ``right = max(-shift, 0)`` and b the multiplier's bits::

    x = saturate((value + bias) << left)                     # to int32
    double: q = (x * m + 2**(b - 1)) >> b                    # ties upward
            r = round(q / 2**right)                          # ties away from zero
    single: r = (x * m + 2**(b + right - 1)) >> (b + right)  # ties upward
    code = clamp(r + zero_point, low, high)

A shift to the left comes with a multiplier of 2**(b - 3) at least, as TFLite's are, or 0. Then
what saturates ends beyond all codes, and so does every value but 0 that is shifted by 12 or more.
So nothing is shifted to the left: with left = 12 at most, the product is divided by
``2**(b - left)``. There it is rounded once, ties upward, as it is with `single`; `RoundingShift`
does both roundings at once. ``m = 2**b`` is a factor of exactly 1: then `double` is the rounding
shift of power-of-two scales.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from weft.hw.delay import data_delay
from weft.hw.multiply import Multiply
from weft.hw.rounding_shift import RoundingShift
from weft.hw.to_code import VALUE_BITS, ToCode

#: Width of a shift from -31 to 30.
SHIFT_BITS = 6

#: The largest shift to the left: by more, every value but 0 is beyond all codes as well.
_MOST_LEFT = 12

#: Registers behind the code, on its way to a memory: the product may be far from there.
_SPREAD = 3


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

    latency = 1 + Multiply.latency + RoundingShift.latency + ToCode.latency + _SPREAD

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
        biased = Signal(signed(self.width), reset_less=True)
        m.d.sync += biased.eq(self.value + self.bias)

        # How far the product is shifted, in halves of the smallest unit that a shift to the left
        # can bring up. It has the time of the product.
        given = data_delay(m, self.shift, 1, name="given").as_signed()
        shift = Signal(6, reset_less=True)
        up = Signal(reset_less=True)
        most = Const(_MOST_LEFT, signed(SHIFT_BITS))
        m.d.sync += [
            shift.eq(Mux(given > most, 0, most - given)),
            up.eq(self.single | (given > 0)),
        ]

        m.submodules.multiply = multiply = Multiply(a_width=self.width, b_width=bits + 2)
        multiplier = data_delay(m, self.multiplier, 1, name="multiplier")
        m.d.comb += [
            multiply.a.eq(biased),
            multiply.b.eq(Cat(multiplier, 0).as_signed()),
        ]
        # The multiplier is at most 2**bits.
        product = multiply.product[: self.width + bits].as_signed()
        below = bits - _MOST_LEFT - 1
        halves = product >> below if below > 0 else product << -below

        m.submodules.shifted = shifted = RoundingShift(
            width=len(halves), kept=VALUE_BITS, fraction=_MOST_LEFT
        )
        m.submodules.to_code = to_code = ToCode()
        m.d.comb += [
            shifted.value.eq(halves),
            shifted.shift.eq(data_delay(m, shift, Multiply.latency - 1, name="shift")),
            shifted.up.eq(data_delay(m, up, Multiply.latency - 1, name="up")),
            to_code.value.eq(shifted.result),
            to_code.carry.eq(shifted.carry),
            to_code.beyond.eq(shifted.beyond),
            to_code.sign.eq(shifted.sign),
            to_code.zero_point.eq(self.zero_point),
            to_code.low.eq(self.low),
            to_code.high.eq(self.high),
            self.code.eq(data_delay(m, to_code.code, _SPREAD, name="code")),
        ]
        return m
