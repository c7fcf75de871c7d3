"""Gowin: SDPB and SDPX9B, block RAMs of 18 kbit with one write port and one read port.

Synthesis makes block RAMs with two full ports of most memories, and nextpnr knows no delays of
the second one. The output register of the block is left out: GW1N-9C and GW2A-18C have one at
32 bits alone. Ports and parameters: Gowin, "BSRAM & SSRAM User Guide" (UG285).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Cat, ClockSignal, Const, Instance, Module, Signal, Value

#: Shapes of one block, (width, depth); the narrow ones leave the ninth bit of every byte out.
SHAPES = ((36, 512), (18, 1024), (9, 2048), (4, 4096), (2, 8192), (1, 16384))

_ADDRESS, _PARAMETERS = 14, 64


def block_width(depth: int) -> int:
    """Width of blocks of at least so many rows: one under another would need a multiplexer.

    Raises
    ------
    ValueError
        If no block has so many rows.
    """
    for width, rows in SHAPES:
        if depth <= rows:
            return width
    raise ValueError(f"a block RAM of Gowin's has at most {SHAPES[-1][1]} rows, not {depth}")


def block_ram(
    m: Module,
    *,
    width: int,
    depth: int,
    init: Sequence[int],
    write: tuple[Value, Value, Value],
    read_address: Value,
    name: str,
) -> Value:
    """A memory of one block or several side by side: the row, a cycle after its address.

    Parameters
    ----------
    width, depth : int
        At most the 16,384 rows of a block.
    init : sequence of int
    write : tuple of Value
        Enable, address and data.
    read_address : Value
    name : str
        Of the blocks.
    """
    shape = block_width(depth)
    enable, write_address, data = write
    # As even as can be: the bytes of a row of bytes stay whole.
    even = -(-width // -(-width // shape))
    slices = []
    for first in range(0, width, even):
        taken = min(even, width - first)
        bits = [(value >> first) & ((1 << taken) - 1) for value in init]
        row = Signal(taken, name=f"{name}_row_{first}")
        slices.append(row)
        written = (enable, write_address, data[first : first + taken])
        ninth = shape >= 9
        m.submodules[f"{name}_{first}"] = Instance(
            "SDPX9B" if ninth else "SDPB",
            p_READ_MODE=Const(0, 1),
            p_BIT_WIDTH_0=shape,
            p_BIT_WIDTH_1=shape,
            p_BLK_SEL_0=Const(0, 3),
            p_BLK_SEL_1=Const(0, 3),
            p_RESET_MODE="SYNC",
            **initial_values(bits, shape),
            **_ports(shape, written, read_address, row, 36 if ninth else 32),
        )
    return Cat(slices)


def _ports(
    shape: int, write: tuple[Value, Value, Value], read_address: Value, row: Signal, bus: int
) -> dict[str, Any]:
    """Connections of one block: port A writes, port B reads."""
    enable, write_address, data = write
    low = {36: 5, 18: 4, 9: 3, 4: 2, 2: 1, 1: 0}[shape]
    # The lowest address bits of the wide shapes are byte enables.
    enables = {36: 0b1111, 18: 0b0011}.get(shape, 0)
    rest = Signal(bus - len(row), name=f"{row.name}_rest")
    return {
        "i_CLKA": ClockSignal(),
        "i_CEA": enable,
        "i_RESETA": Const(0),
        "i_ADA": _padded(Cat(Const(enables, low), write_address), _ADDRESS),
        "i_BLKSELA": Const(0, 3),
        "i_DI": _padded(data, bus),
        "i_CLKB": ClockSignal(),
        "i_CEB": Const(1),
        "i_OCE": Const(1),
        "i_RESETB": Const(0),
        "i_ADB": _padded(Cat(Const(0, low), read_address), _ADDRESS),
        "i_BLKSELB": Const(0, 3),
        "o_DO": Cat(row, rest),
    }


def _padded(value: Value, width: int) -> Value:
    """`value` with zeros above it."""
    return Cat(value, Const(0, width))[:width]


def initial_values(rows: Sequence[int], shape: int) -> dict[str, Const]:
    """Parameters for a block's contents at power-up: its rows without gaps."""
    width = 288 if shape >= 9 else 256
    flat = 0
    for index, value in enumerate(rows):
        flat |= value << index * shape
    return {
        f"p_INIT_RAM_{place:02X}": Const(flat >> place * width & (1 << width) - 1, width)
        for place in range(_PARAMETERS)
    }
