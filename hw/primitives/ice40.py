"""iCE40 UltraPlus: SB_MAC16, each two signed 8 x 8 multipliers; SB_SPRAM256KA, its large memories.

Synthesis never infers the two-multiplier mode. Parameters: Lattice, "DSP Function Usage
Guide for iCE40 Devices" (FPGA-TN-02007), the 8 x 8 multipliers with registered inputs and
outputs; and "Memory Usage Guide for iCE40 Devices" (FPGA-TN-02002), the single-port memory.
"""

from __future__ import annotations

from amaranth.hdl import Cat, ClockSignal, Const, Instance, Module, Mux, Signal, Value

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


#: Bits and rows of an SB_SPRAM256KA, and bits of a row that are written together.
SPRAM_WIDTH, SPRAM_DEPTH, _NIBBLE = 16, 1 << 14, 4


def single_port(m: Module, component, word: Signal) -> None:
    """The memory of a `SinglePort`, without its output register."""
    address, rows = component.address, SPRAM_DEPTH.bit_length() - 1
    high = address[rows:]
    chosen = Signal.like(high, name="chosen")
    m.d.sync += chosen.eq(high)
    enables = Cat(bit.replicate(component.unit // _NIBBLE) for bit in component.write_enable)
    found: Value = Const(0, component.width)
    for block in range(-(-component.depth // SPRAM_DEPTH)):
        data = []
        for first in range(0, component.width, SPRAM_WIDTH):
            out = Signal(SPRAM_WIDTH, name=f"out_{block}_{first}")
            m.submodules[f"spram_{block}_{first}"] = Instance(
                "SB_SPRAM256KA",
                i_CLOCK=ClockSignal(),
                i_ADDRESS=Cat(address[:rows], Const(0, max(0, rows - len(address)))),
                i_DATAIN=Cat(component.write_data[first : first + SPRAM_WIDTH], Const(0, 16))[:16],
                i_MASKWREN=Cat(enables[first // _NIBBLE :][:4], Const(0, 4))[:4],
                i_WREN=component.write_enable.any(),
                i_CHIPSELECT=high == block,
                i_STANDBY=Const(0),
                i_SLEEP=Const(0),
                i_POWEROFF=Const(1),
                o_DATAOUT=out,
            )
            data.append(out)
        found = Mux(chosen == block, Cat(data), found) if len(high) else Cat(data)
    m.d.comb += word.eq(found)
