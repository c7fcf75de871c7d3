"""ECP5: MULT18X18D with its own input and output registers, one per product.

Without its registers the block, routing included, takes most of a clock cycle. Ports and
parameters: Lattice, "ECP5 and ECP5-5G sysDSP Usage Guide" (FPGA-TN-02205).
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import ClockSignal, Const, Instance, Module, Signal

_WIDTH = 18


def multipliers(component) -> Module:
    """Body of `Multipliers`, one MULT18X18D each."""
    m = Module()
    for index in range(component.count):
        ports: dict[str, Any] = {}
        for name, vector in (("A", component.a), ("B", component.b)):
            value = Signal(_WIDTH, name=f"{name.lower()}_{index}")
            # At the top of the operand: extending the sign instead would route it eleven times.
            m.d.comb += value[_WIDTH - 8 :].eq(vector.word_select(index, 8))
            ports |= {f"i_{name}{bit}": value[bit] for bit in range(_WIDTH)}
            ports |= {f"i_SIGNED{name}": Const(1), f"i_SOURCE{name}": Const(0)}
            ports |= {f"p_REG_INPUT{name}_CLK": "CLK0", f"p_REG_INPUT{name}_CE": "CE0"}
        product = Signal(2 * _WIDTH, name=f"product_{index}")
        ports |= {f"o_P{bit}": product[bit] for bit in range(2 * _WIDTH)}
        m.submodules[f"mult_{index}"] = Instance(
            "MULT18X18D",
            p_REG_PIPELINE_CLK="NONE",
            p_REG_OUTPUT_CLK="CLK0",
            p_REG_OUTPUT_CE="CE0",
            i_CLK0=ClockSignal(),
            i_CE0=Const(1),
            i_RST0=Const(0),
            **ports,
        )
        m.d.comb += component.products.word_select(index, 16).eq(product[-16:])
    return m
