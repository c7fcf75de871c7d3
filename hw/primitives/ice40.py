"""iCE40 UltraPlus: SB_MAC16, each used as two signed 8 x 8 multipliers.

Synthesis never infers the two-multiplier mode. Parameters: Lattice, "DSP Function Usage
Guide for iCE40 Devices" (FPGA-TN-02007), the 8 x 8 multipliers with registered inputs and
outputs.
"""

from __future__ import annotations

from amaranth.hdl import Cat, ClockSignal, Const, Instance, Module, Signal

_LOW = ("AHOLD", "BHOLD", "CHOLD", "DHOLD", "OHOLDTOP", "OHOLDBOT",
        "IRSTTOP", "IRSTBOT", "ORSTTOP", "ORSTBOT")  # fmt: skip


def multipliers(m: Module, component, count: int) -> None:
    """The first `count` of `Multipliers`, pairs in an SB_MAC16."""
    for first in range(0, count, 2):
        pair = range(first, min(first + 2, count))
        out = Signal(32, name=f"out_{first}")
        a, b = (
            Cat(*(vector.word_select(i, 8) for i in pair), Const(0, 8 * (2 - len(pair))))
            for vector in (component.a, component.b)
        )
        m.submodules[f"mac16_{first}"] = Instance(
            "SB_MAC16",
            p_MODE_8x8=Const(1, 1),
            p_A_SIGNED=Const(1, 1),
            p_B_SIGNED=Const(1, 1),
            p_A_REG=Const(1, 1),
            p_B_REG=Const(1, 1),
            p_TOP_8x8_MULT_REG=Const(1, 1),
            p_BOT_8x8_MULT_REG=Const(1, 1),
            p_TOPOUTPUT_SELECT=Const(2, 2),
            p_BOTOUTPUT_SELECT=Const(2, 2),
            i_CLK=ClockSignal(),
            i_CE=Const(1),
            i_A=a,
            i_B=b,
            # Simulations of the block do not take a floating control input for a low one.
            **{f"i_{port}": Const(0) for port in _LOW},
            o_O=out,
        )
        for place, index in enumerate(pair):
            m.d.comb += component.products.word_select(index, 16).eq(out.word_select(place, 16))
