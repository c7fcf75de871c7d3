"""Two activations made one value: TFLite's ADD and SUB before their last scaling, and MUL.

The accumulator carries both operands, ``value = x1 - 256 * x0``, so that the array and the
accumulators need to know nothing of it. Of the operands of an addition the one with the
larger scale has a factor of exactly 1/2, and only the other one is multiplied.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from weft.hw.delay import data_delay
from weft.hw.isa import Elementwise as Operation
from weft.hw.multiply import Multiply
from weft.hw.primitives.copies import copy
from weft.hw.primitives.device import device
from weft.hw.primitives.sums import chosen_sum, signed_sum
from weft.hw.rounding_shift import RoundingShift

#: Left shift of an addition's operands: TFLite's.
LEFT_SHIFT = 20


class Elementwise(wiring.Component):
    """One result per cycle, `latency` cycles later; no flow control.

    Parameters
    ----------
    width : int
        Of the value; at least 17 for both operands.
    multiplier_bits : int
        Of the factor; 0 leaves out addition and subtraction.

    Members
    -------
    value, other : In(signed(width))
    choose_other : In(1)
        Take `other` for the value.
    operation : In(Operation)
        This and all further inputs are constant while results are on their way, and for two cycles
        before.
    zero_0, zero_1 : In(signed(9))
    factor : In(multiplier_bits)
    factor_shift : In(5)
    single : In(1)
        Round once where the factor is applied, instead of twice.
    result : Out(signed(32))
        Of an operation; anything for Operation.NONE.
    """

    latency = 1 + Multiply.latency + RoundingShift.latency + 1 + 1

    def __init__(self, *, width: int, multiplier_bits: int):
        self.multiplier_bits = multiplier_bits
        super().__init__(
            {
                "value": In(signed(width)),
                "other": In(signed(width)),
                "choose_other": In(1),
                "operation": In(Operation),
                "zero_0": In(signed(9)),
                "zero_1": In(signed(9)),
                "factor": In(max(multiplier_bits, 1)),
                "factor_shift": In(5),
                "single": In(1),
                "result": Out(signed(32)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        bits = self.multiplier_bits
        # A multiplier of fewer bits than 20 leaves nothing to round in the product.
        drop = max(bits - LEFT_SHIFT, 0)
        grow = max(LEFT_SHIFT - bits, 0)

        # What is made of the constants, a cycle before anything needs it. The units' own registers,
        # as one unit may be far from another.
        fpga = device(platform)
        shift = copy(m, self.factor_shift, device=fpga, name="shift")
        single = copy(m, self.single, device=fpga, name="single_rounding")
        product, add, minus = Signal(), Signal(), Signal()
        less_0 = Signal(10)
        factor = Signal.like(self.factor)
        m.d.sync += [
            product.eq(self.operation == Operation.MULTIPLY),
            add.eq(self.operation != Operation.MULTIPLY),
            minus.eq(self.operation == Operation.SUBTRACT),
            less_0.eq(-self.zero_0),
            factor.eq(Mux(self.operation == Operation.MULTIPLY, 0, self.factor)),
        ]

        # Stage 1: the operands, less their zero points. -v is ~v + 1, and a negative x1 has taken
        # one from -x0: the bit that tells whether not meets a one.
        either = (self.other, self.value)
        # (An accumulator may have 17 bits, and of these no bit 17.)
        high = [side[7:18].as_signed() for side in either]
        low = [side[:8].as_signed() for side in either]
        sum_0 = Cat(1, less_0) + ~Mux(self.choose_other, *high)
        sum_1 = chosen_sum(
            m, platform, ~self.zero_1, choice=self.choose_other, b=low[0], c=low[1], carry=1,
            name="sum_1",
        )  # fmt: skip
        d0 = Signal(signed(10), reset_less=True)
        d1 = Signal(signed(9), reset_less=True)
        m.d.sync += [d0.eq(sum_0 >> 1), d1.eq(sum_1)]

        # The product: of both, or of the second with its factor. The first operand comes at the
        # upper end, so that it meets few of the factor's bits.
        b_width = max(bits + 1, 10)
        place = b_width - 10
        m.submodules.multiply = multiply = Multiply(a_width=9, b_width=b_width)
        upper = Mux(product, d0, Cat(factor, 0)[place:b_width])
        m.d.comb += [
            multiply.a.eq(d1),
            multiply.b.eq(Cat(factor[:place], upper)),
        ]

        # The scaled second operand.
        # In halves; a factor of fewer bits than the left shift leaves nothing to round.
        scaled = multiply.product
        halves = (scaled >> drop - 1) if drop else (scaled << grow + 1)
        m.submodules.shifted = shifted = RoundingShift(width=30, kept=29)
        m.d.comb += [
            shifted.value.eq(halves),
            shifted.shift.eq(shift),
            shifted.up.eq(single),
        ]

        # The last stage: their sum, or the product. -v is ~v + 1; the carries ride on one input.
        until_sum = Multiply.latency + RoundingShift.latency
        first = data_delay(m, d0, until_sum, name="first") << (LEFT_SHIFT - 1)
        exact = multiply.product[place : place + 20].as_signed()
        exact = data_delay(m, exact, RoundingShift.latency, name="exact")
        start = Signal(signed(32), reset_less=True)
        m.d.sync += start.eq(Mux(product, exact, first))
        second = data_delay(m, Cat(shifted.carry, shifted.result), 1, name="second")
        total = signed_sum(m, platform, Cat(1, start), second, use=add, invert=minus, name="total")
        m.d.comb += self.result.eq(data_delay(m, total[1:].as_signed(), 1, name="result"))
        return m
