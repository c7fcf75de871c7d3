"""ECP5: carry chains whose lookup tables do more than add.

Half of a CCU2C is a lookup table of four inputs in front of a carry. Synthesis gives it the two
bits of a sum and leaves the rest empty; what would be a table before each bit finds room there.

A half's sum is ``table(a, b, c, d) ^ carry``. The next carry is this one where the table is 1, and
else the table's entry for a and b with ``c = d = 0``: Lattice, "ECP5 and ECP5-5G Family Data
Sheet" (FPGA-DS-02012), and Yosys' model of the cell.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Instance, Module, Signal, Value, signed

#: Tables with input a in bit 0 of the entry's number, d in bit 3.
#: ``a + (b if d else c)``
CHOSEN = 0x665A
#: ``a + (~b if c else b) if d else a``
SIGNED = 0x96AA
#: ``(a & b) + (c & d)``
PRODUCTS = 0x7888
#: ``~(a & b) + (c & d)``
LESS_PRODUCT = 0x8777


def carry_chain(
    m: Module, table: int, inputs: tuple[Value, Value, Value, Value], *, carry: int = 0, name: str
) -> Signal:
    """The sum of two numbers that `table` makes of every bit's inputs.

    Parameters
    ----------
    table : int
    inputs : tuple of Value
        Of equal width.
    carry : int
        Into the lowest bit.

    Returns
    -------
    Signal
        Unsigned, as wide as the inputs, at once.
    """
    width = len(inputs[0])
    assert all(len(value) == width for value in inputs)
    total = Signal(width, name=name)
    following: Value = Const(carry)
    for low in range(0, width, 2):
        carries, sums = Signal(name=f"{name}_carry_{low}"), Signal(2, name=f"{name}_sum_{low}")
        ports: dict[str, Value] = {}
        for port, value in zip("ABCD", inputs, strict=True):
            pair = Cat(value[low : low + 2], 0)
            ports |= {f"i_{port}0": pair[0], f"i_{port}1": pair[1]}
        m.submodules[f"{name}_ccu2c_{low}"] = Instance(
            "CCU2C",
            p_INIT0=Const(table, 16),
            p_INIT1=Const(table, 16),
            p_INJECT1_0="NO",
            p_INJECT1_1="NO",
            i_CIN=following,
            o_S0=sums[0],
            o_S1=sums[1],
            o_COUT=carries,
            **ports,
        )
        m.d.comb += total[low : low + 2].eq(sums)
        following = carries
    return total


def multiply(m: Module, a: Value, b: Value, *, name: str) -> Value:
    """The product of two int8, 2 cycles later; the last addition comes after the registers.

    A chain adds `a` times one bit of `b` and `a` times the next; the last bit counts negative.
    """
    operands = [Signal(8, name=f"{name}_{end}", reset_less=True) for end in "ab"]
    m.d.sync += [operands[0].eq(a), operands[1].eq(b)]
    once = operands[0].as_signed()
    twice = Cat(Const(0, 1), once, once[-1])
    once = Cat(once, once[-1].replicate(2))
    halves = []
    for low in (0, 4):
        pairs = []
        for bit in (low, low + 2):
            below, above = (operands[1][bit + i].replicate(10) for i in range(2))
            inputs, last = (once, below, twice, above), bit == 6
            if last:
                inputs = (twice, above, once, below)
            table = LESS_PRODUCT if last else PRODUCTS
            pair = carry_chain(m, table, inputs, carry=int(last), name=f"{name}_pair_{bit}")
            pairs.append(pair.as_signed())
        half = Signal(signed(12), name=f"{name}_half_{low}", reset_less=True)
        m.d.sync += half.eq(Cat(pairs[0][:2], (pairs[0] >> 2) + pairs[1]))
        halves.append(half)
    product = Signal(signed(16), name=name)
    m.d.comb += product.eq(Cat(halves[0][:4], (halves[0] >> 4) + halves[1]))
    return product
