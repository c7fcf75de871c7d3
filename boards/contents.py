"""Contents of a bitstream's memories, taken out of a design before it is synthesised.

What lies in the memories decides nothing about the logic around them or its places. So the tools
get a design whose memories hold ink: numbers that look random and follow from the memory's name
alone. Netlist, placement and routing are then the same for every program, and where the ink turns
up in the routed design says where each memory went.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest

from weft.boards.board import Family

#: An ECP5's block RAM, as it is configured: rows of 18 bits, 16 of them in a parameter of 320.
ECP5_WIDTH, ECP5_DEPTH, _ECP5_ROWS, _ECP5_STEP = 18, 1024, 16, 20

#: Gowin's, with and without the ninth bit of every byte: a row is one of the parameters, whatever
#: the width at the ports.
GOWIN_WIDTHS = {"SDPX9B": 288, "SDPB": 256}
GOWIN_DEPTH = 64

#: Memories that are to be marked with this style, where Amaranth's memories are meant.
_STYLES = {"ice40": "block", "gowin": "distributed"}


@dataclass(frozen=True)
class _Cell:
    """How a block RAM's contents are written down as parameters of its cell.

    Parameters
    ----------
    parameter : str
        Their name, without the two hexadecimal digits that count them.
    width : int
        Of a row.
    rows, step : int
        In a parameter, and bits from one to the next.
    depth : int
        Rows of the block.
    """

    parameter: str
    width: int
    rows: int
    step: int
    depth: int


_ECP5 = {"DP16KD": _Cell("INITVAL", ECP5_WIDTH, _ECP5_ROWS, _ECP5_STEP, ECP5_DEPTH)}
_GOWIN = {
    name: _Cell("INIT_RAM", width, 1, width, GOWIN_DEPTH) for name, width in GOWIN_WIDTHS.items()
}


@dataclass(frozen=True)
class Memory:
    """A memory and what is in it.

    Parameters
    ----------
    width, depth : int
        Bits of a row, and rows.
    flat : int
        The rows one after the other, the first lowest.
    """

    width: int
    depth: int
    flat: int

    def inked(self, name: str) -> Memory:
        """The same memory full of ink."""
        count = self.width * self.depth
        data = hashlib.shake_256(name.encode()).digest(-(-count // 8))
        return Memory(self.width, self.depth, int.from_bytes(data, "little") & (1 << count) - 1)

    def folded(self, rows: int) -> Memory:
        """Of so many rows at most: each holds those that are `rows` apart, side by side."""
        if self.depth <= rows:
            return self
        count = -(-self.depth // rows)
        parts = [self.part(0, self.width, first, rows) for first in range(0, self.depth, rows)]
        flat = 0
        for row, values in enumerate(zip_longest(*parts, fillvalue=0)):
            for place, value in enumerate(values):
                flat |= value << (row * count + place) * self.width
        return Memory(self.width * count, rows, flat)

    def part(self, first_bit: int, bits: int, first_row: int, rows: int) -> list[int]:
        """Some bits of some rows; zeros beyond the last."""
        data = self.flat.to_bytes(-(-self.width * self.depth // 8), "little")
        mask = (1 << min(bits, self.width - first_bit)) - 1
        found = [0] * rows
        for index in range(min(rows, self.depth - first_row)):
            bit = (first_row + index) * self.width + first_bit
            # The few bytes around them: shifting the whole number would take its whole length.
            near = data[bit // 8 : (bit + bits) // 8 + 1]
            found[index] = int.from_bytes(near, "little") >> bit % 8 & mask
        return found


def take_out(rtlil: str, family: Family) -> tuple[str, dict[str, Memory]]:
    """Put ink into the block RAMs of a design in RTLIL.

    Parameters
    ----------
    rtlil : str
        As Amaranth writes it.
    family : str
        ``"ice40"``, where memories marked as block RAMs are meant; ``"ecp5"``, where the
        blocks themselves are; or ``"gowin"``, where the blocks are, and memories marked as
        distributed ones, too.

    Returns
    -------
    str
        The design with ink.
    dict of str to Memory
        What it held before, by the memory's name in the flat netlist.
    """
    lines = rtlil.split("\n")
    paths = _paths(lines)
    found: dict[str, Memory] = {}
    if family != "ice40":
        _take_blocks(lines, paths, found, _ECP5 if family == "ecp5" else _GOWIN)
    if family in _STYLES:
        _take_memories(lines, paths, found, _STYLES[family])
    return "\n".join(lines), found


def _paths(lines: list[str]) -> dict[str, str]:
    """Where each module is in the hierarchy: names of its instances, each with a dot behind."""
    parents: dict[str, tuple[str, str]] = {}
    modules, module = [], ""
    for line in lines:
        if line.startswith("module "):
            module = line[8:]
            modules.append(module)
        elif line.startswith("  cell \\"):
            kind, name = line[8:].split(" \\", 1)
            parents[kind] = module, name

    def path(name: str) -> str:
        if name not in parents:
            return ""
        parent, instance = parents[name]
        return f"{path(parent)}{instance}."

    return {name: path(name) for name in modules}


def _constant(value: int, width: int) -> str:
    return f"{width}'{value:0{width}b}"


def _take_memories(
    lines: list[str], paths: Mapping[str, str], found: dict[str, Memory], style: str
) -> None:
    """Initial values of Amaranth's memories that are marked with a style."""
    module, names, marked, name = "", set[str](), False, ""
    width = depth = 0
    for number, line in enumerate(lines):
        if line.startswith("module "):
            module, names = line[8:], set()
        elif line == f'  attribute \\ram_style "{style}"':
            marked = True
        elif line.startswith("  memory "):
            if marked:
                names.add(line.rsplit("\\", 1)[1])
            marked = False
        elif line.startswith("  cell "):
            name = ""
        elif line.startswith("    parameter \\MEMID "):
            name = line.rsplit("\\", 1)[1][:-1]
        elif line.startswith("    parameter \\WIDTH "):
            width = int(line[21:])
        elif line.startswith("    parameter \\WORDS "):
            depth = int(line[21:])
        elif name in names and line.startswith(f"    connect \\DATA {width * depth}'"):
            path = paths[module] + name
            memory = Memory(width, depth, int(line.split("'")[1], 2))
            found[path] = memory
            ink = _constant(memory.inked(path).flat, width * depth)
            lines[number] = f"    connect \\DATA {ink}"
            name = ""


def _take_blocks(
    lines: list[str],
    paths: Mapping[str, str],
    found: dict[str, Memory],
    kinds: Mapping[str, _Cell],
) -> None:
    """Parameters with the contents of block RAMs that are instantiated."""
    starts, module = [], ""
    for number, line in enumerate(lines):
        if line.startswith("module "):
            module = line[8:]
        elif line.startswith("  cell \\"):
            kind, name = line[8:].split(" \\", 1)
            if kind in kinds:
                starts.append((number, paths[module] + name, kinds[kind]))
    for start, path, cell in starts:
        span = cell.rows * cell.width
        flat, places = 0, {}
        for number in range(start + 1, len(lines)):
            if lines[number] == "  end":
                break
            pattern = rf"    parameter \\{cell.parameter}_(..) \d+'([01]+)"
            value = re.fullmatch(pattern, lines[number])
            if value:
                place = int(value[1], 16)
                places[number] = place
                padded = int(value[2], 2)
                for row in range(cell.rows):
                    word = padded >> row * cell.step & (1 << cell.width) - 1
                    flat |= word << place * span + row * cell.width
        memory = Memory(cell.width, cell.depth, flat)
        found[path] = memory
        rows = memory.inked(path).part(0, cell.width, 0, cell.depth)
        for number, place in places.items():
            chosen = rows[place * cell.rows : (place + 1) * cell.rows]
            padded = sum(row << index * cell.step for index, row in enumerate(chosen))
            ink = _constant(padded, cell.rows * cell.step)
            lines[number] = f"    parameter \\{cell.parameter}_{place:02X} {ink}"
