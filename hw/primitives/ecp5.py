"""ECP5: MULT18X18D with its own input and output registers, one per product.

Without its registers the block, routing included, takes most of a clock cycle. Ports and
parameters: Lattice, "ECP5 and ECP5-5G sysDSP Usage Guide" (FPGA-TN-02205).
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import ClockSignal, Const, Instance, Module, Signal, Value

_WIDTH = 18


def multipliers(m: Module, component, count: int) -> None:
    """The first `count` of `Multipliers`, one MULT18X18D each."""
    for index in range(count):
        a, b = (vector.word_select(index, 8).as_signed() for vector in (component.a, component.b))
        product = multiply(m, a, b, name=f"product_{index}")
        m.d.comb += component.products.word_select(index, 16).eq(product)


def multiply(m: Module, a: Value, b: Value, *, name: str) -> Value:
    """The product of two signed values of up to 18 bits, 2 cycles later."""
    ports: dict[str, Any] = {}
    for port, value in (("A", a), ("B", b)):
        operand = Signal(_WIDTH, name=f"{name}_{port.lower()}")
        # At the top of the operand: extending the sign instead would route it eleven times.
        m.d.comb += operand[_WIDTH - len(value) :].eq(value)
        ports |= {f"i_{port}{bit}": operand[bit] for bit in range(_WIDTH)}
        ports |= {f"i_SIGNED{port}": Const(1), f"i_SOURCE{port}": Const(0)}
        ports |= {f"p_REG_INPUT{port}_CLK": "CLK0", f"p_REG_INPUT{port}_CE": "CE0"}
    product = Signal(2 * _WIDTH, name=name)
    ports |= {f"o_P{bit}": product[bit] for bit in range(2 * _WIDTH)}
    m.submodules[f"{name}_mult"] = Instance(
        "MULT18X18D",
        p_REG_PIPELINE_CLK="NONE",
        p_REG_OUTPUT_CLK="CLK0",
        p_REG_OUTPUT_CE="CE0",
        i_CLK0=ClockSignal(),
        i_CE0=Const(1),
        i_RST0=Const(0),
        **ports,
    )
    return product[2 * _WIDTH - len(a) - len(b) :].as_signed()
