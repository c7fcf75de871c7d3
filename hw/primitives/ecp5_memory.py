"""ECP5: DP16KD with its own output register, one write port and one read port.

Without its output register the block alone takes more than half of a clock cycle, and synthesis
never uses that register. Ports and parameters: Lattice, "ECP5 and ECP5-5G Memory User Guide"
(FPGA-TN-02204); the order of initial values is that of Project Trellis.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Cat, ClockSignal, Const, Instance, Module, Signal, Value

#: Shapes of one block, (width, depth); the widest is made of both ports' data.
SHAPES = ((36, 512), (18, 1024), (9, 2048), (4, 4096), (2, 8192), (1, 16384))

_ADDRESS, _DATA = 14, 18
_ROWS, _ROW = 16, 20  # of 18 bits each in a parameter, and how far apart


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
    raise ValueError(f"a block RAM of the ECP5 has at most {SHAPES[-1][1]} rows, not {depth}")


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
    """A memory of one block or several side by side: the row, two cycles after its address.

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
        m.submodules[f"{name}_{first}"] = Instance(
            "DP16KD",
            p_DATA_WIDTH_A=shape,
            p_DATA_WIDTH_B=shape,
            p_REGMODE_A="OUTREG" if shape == 2 * _DATA else "NOREG",
            p_REGMODE_B="OUTREG",
            p_RESETMODE="SYNC",
            p_ASYNC_RESET_RELEASE="SYNC",
            p_CSDECODE_A="0b000",
            p_CSDECODE_B="0b000",
            p_WRITEMODE_A="NORMAL",
            p_WRITEMODE_B="NORMAL",
            p_CLKAMUX="CLKA",
            p_CLKBMUX="CLKB",
            p_GSR="AUTO",
            **initial_values(bits, shape),
            **_ports(shape, written, read_address, row),
        )
    return Cat(slices)


def _ports(
    shape: int, write: tuple[Value, Value, Value], read_address: Value, row: Value
) -> dict[str, Any]:
    """Connections of one block: port A writes, port B reads."""
    enable, write_address, data = write
    pair = shape == 2 * _DATA
    unused = {36: 5, 18: 4, 9: 3, 4: 2, 2: 1, 1: 0}[shape]
    # The lowest address bits of the wide shapes are byte enables.
    enables = {36: 0b1111, 18: 0b0011}.get(shape, 0)
    fields = {
        "ADA": (_ADDRESS, Cat(Const(enables, unused), write_address)),
        "ADB": (_ADDRESS, Cat(Const(0, unused), read_address)),
        "DIA": (_DATA, data[:_DATA]),
        "DIB": (_DATA, data[_DATA:] if pair else Const(0, 1)),
    }
    ports: dict[str, Any] = {}
    for port, (count, value) in fields.items():
        padded = Cat(value, Const(0, count))
        ports |= {f"i_{port}{bit}": padded[bit] for bit in range(count)}
    # The low half of a pair appears at port A, and whatever its enables say port B clocks it.
    halves = (("DOA", row[:_DATA]), ("DOB", row[_DATA:])) if pair else (("DOB", row),)
    for port, value in halves:
        ports |= {f"o_{port}{bit}": value[bit] for bit in range(len(value))}
    for side, writes in (("A", enable), ("B", Const(0))):
        ports |= {
            f"i_CLK{side}": ClockSignal(),
            f"i_CE{side}": Const(1),
            f"i_OCE{side}": Const(1),
            f"i_WE{side}": writes,
            f"i_RST{side}": Const(0),
        }
        ports |= {f"i_CS{side}{bit}": Const(0) for bit in range(3)}
    return ports


def initial_values(rows: Sequence[int], shape: int) -> dict[str, Const]:
    """Parameters for the contents of one block, zeros where `rows` is short.

    The block is 1,024 rows of 18 bits; a row holds two of 9 bits, or 16 bits of narrower ones.
    """
    flat = 0
    for index, value in enumerate(rows):
        flat |= value << _position(index * shape, shape)
    parameters = {}
    for place in range(64):
        value = 0
        for row in range(_ROWS):
            word = flat >> (place * _ROWS + row) * _DATA & (1 << _DATA) - 1
            value |= word << row * _ROW
        parameters[f"p_INITVAL_{place:02X}"] = Const(value, _ROWS * _ROW)
    return parameters


def _position(bit: int, shape: int) -> int:
    """Where a bit lies: the narrow shapes leave the ninth bit of every byte out."""
    return bit if shape >= 9 else bit // 8 * 9 + bit % 8
