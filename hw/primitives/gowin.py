"""Gowin: MULT9X9 and MULT18X18 with their own input and output registers, one per product.

Synthesis infers the blocks without their registers. Ports and parameters: Gowin, "Digital Signal
Processing (DSP) User Guide" (UG287). Four of the narrow ones or two of the wide ones make a macro.
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, ClockSignal, Const, Instance, Module, Signal, Value

#: Bits of the narrow block's operands, and of the wide one's.
NARROW, WIDE = 9, 18
#: Narrow blocks in a macro, and wide ones; a macro has blocks of one kind.
NARROW_IN_MACRO, WIDE_IN_MACRO = 4, 2

#: Rows of a memory that lookup tables hold well: a block RAM for fewer would be wasted.
TABLE_ROWS = 16


def multipliers(m: Module, component, count: int) -> None:
    """The first `count` of `Multipliers`, one MULT9X9 each."""
    for index in range(count):
        a, b = (vector.word_select(index, 8).as_signed() for vector in (component.a, component.b))
        product = multiply(m, a, b, width=NARROW, name=f"product_{index}")
        m.d.comb += component.products.word_select(index, 16).eq(product)


def multiply(m: Module, a: Value, b: Value, *, width: int, name: str) -> Value:
    """The product of two signed values of up to `width` bits, 9 or 18, 2 cycles later."""
    ports: dict[str, Any] = {}
    for port, value in (("A", a), ("B", b)):
        sign = value[-1].replicate(width - len(value))
        ports |= {f"i_{port}": Cat(value, sign), f"i_{port}SIGN": Const(1)}
        # The operand comes from the fabric, not from the block beside.
        ports |= {f"i_SI{port}": Const(0, width), f"i_{port}SEL": Const(0)}
    product = Signal(2 * width, name=name)
    m.submodules[f"{name}_mult"] = Instance(
        f"MULT{width}X{width}",
        p_AREG=Const(1, 1),
        p_BREG=Const(1, 1),
        p_OUT_REG=Const(1, 1),
        p_PIPE_REG=Const(0, 1),
        p_ASIGN_REG=Const(0, 1),
        p_BSIGN_REG=Const(0, 1),
        p_SOA_REG=Const(0, 1),
        p_MULT_RESET_MODE="SYNC",
        i_CLK=ClockSignal(),
        i_CE=Const(1),
        i_RESET=Const(0),
        o_DOUT=product,
        **ports,
    )
    return product[: len(a) + len(b)].as_signed()
