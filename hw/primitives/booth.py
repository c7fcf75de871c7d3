"""Signed 8 x 8 multipliers of lookup tables alone, for where multiplier blocks run out.

Booth's recoding in base 4 (MacSorley, 1961): a digit of `b` from -2 to 2 costs a table per bit
of `a`, and there are four of them.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed


def multiply(m: Module, a: Value, b: Value, *, name: str) -> Value:
    """The product of two int8, 2 cycles later; the last addition comes after the registers."""
    operands = [Signal(signed(8), name=f"{name}_{end}", reset_less=True) for end in "ab"]
    m.d.sync += [operands[0].eq(a), operands[1].eq(b)]
    a, b = operands
    # ~x = -x - 1: what is missing from a negated row is added with the sums of pairs.
    rows, missing = zip(*(_row(a, b, digit) for digit in range(4)), strict=True)
    sums = []
    for low in (0, 2):
        pair = Signal(signed(12), name=f"{name}_pair_{low}", reset_less=True)
        # The first row's lies on the carry input.
        first, second = Cat(1, rows[low]), Cat(missing[low], 0, 0, rows[low + 1])
        m.d.sync += pair.eq((first.as_signed() + second.as_signed()) >> 1)
        sums.append(pair)
    late = Signal(7, name=f"{name}_missing", reset_less=True)
    m.d.sync += late.eq(Cat(0, 0, missing[1], 0, 0, 0, missing[3]))
    product = Signal(signed(16), name=name)
    m.d.comb += product.eq(sums[0] + (sums[1] << 4) + late)
    return product


def _row(a: Value, b: Value, digit: int) -> tuple[Value, Value]:
    """`a` times a digit of `b`, inverted where that is negative or -0; and whether it is."""
    below = b[2 * digit - 1] if digit else 0
    low, high = b[2 * digit], b[2 * digit + 1]
    one = low ^ below
    two = (high ^ low) & ~one
    row = Mux(one, a, Mux(two, a << 1, 0))[:9].as_signed()
    return Mux(high, ~row, row), high
