"""Two activations made one value: TFLite's ADD and SUB before their last scaling, and MUL.

The accumulator carries both operands, ``value = x1 - 256 * x0``, so that the array and the
accumulators need to know nothing of it. Of the operands of an addition the one with the
larger scale has a factor of exactly 1/2, and only the other one is multiplied.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from weft.hw.delay import delay
from weft.hw.isa import Elementwise as Operation
from weft.hw.multiply import Multiply
from weft.hw.rounding_shift import RoundingShift

#: Left shift of an addition's operands: TFLite's.
LEFT_SHIFT = 20


class Elementwise(wiring.Component):
    """One result per cycle, `latency` cycles later; no flow control.

    Parameters
    ----------
    width : int
        Of the value; at least 18 for both operands.
    multiplier_bits : int
        Of the factor; 0 leaves out addition and subtraction.

    Members
    -------
    value : In(signed(width))
    operation : In(Operation)
        This and all further inputs are constant while results are on their way.
    zero_0, zero_1 : In(signed(9))
    factor : In(multiplier_bits)
    factor_shift : In(5)
    single : In(1)
        Round once where the factor is applied, instead of twice.
    result : Out(signed(32))
        Of an operation; anything for Operation.NONE.
    """

    latency = 1 + Multiply.latency + RoundingShift.latency + 1

    def __init__(self, *, width: int, multiplier_bits: int):
        self.multiplier_bits = multiplier_bits
        super().__init__(
            {
                "value": In(signed(width)),
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

        # Stage 1: the operands, less their zero points.
        x1 = self.value[:8].as_signed()
        d0 = Signal(signed(10))
        d1 = Signal(signed(9))
        m.d.sync += [
            # -v is ~v + 1, and the carry of x1 is taken off: 1 - carry.
            d0.eq(~(self.value >> 8) + ~self.value[7] - self.zero_0),
            d1.eq(x1 - self.zero_1),
        ]

        # The product: of both, or of the second with its factor.
        b_width = max(bits + 1, 10)
        m.submodules.multiply = multiply = Multiply(
            a_width=9, b_width=b_width, half_bit=max(drop - 1, 0)
        )
        product = self.operation == Operation.MULTIPLY
        m.d.comb += [
            multiply.a.eq(d1),
            multiply.b.eq(Mux(product, d0, self.factor)),
            multiply.half.eq(~product & (drop > 0) & (~self.single | (self.factor_shift == 0))),
        ]

        # The scaled second operand.
        m.submodules.shifted = shifted = RoundingShift(width=30)
        m.d.comb += [
            shifted.value.eq((multiply.product >> drop) << grow),
            shifted.shift.eq(self.factor_shift),
            shifted.up.eq(self.single),
        ]

        # The last stage: their sum, or the product. -v is ~v + 1; the carries ride on one input.
        until_sum = Multiply.latency + RoundingShift.latency
        first = delay(m, d0, until_sum, name="first") << (LEFT_SHIFT - 1)
        exact = delay(m, multiply.product[:20].as_signed(), RoundingShift.latency, name="exact")
        minus = self.operation == Operation.SUBTRACT
        second = Cat(shifted.carry ^ minus, Mux(minus, ~shifted.result, shifted.result))
        total = (Cat(1, first).as_signed() + second.as_signed()) >> 1
        m.d.sync += self.result.eq(Mux(product, exact, total))
        return m
