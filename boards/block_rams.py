"""Block RAMs in a routed design: where each part of each memory lies, and what is in it.

Routed designs are texts. In those of IceStorm (``.asc``) and Project Trellis (``.config``) each
block RAM has a paragraph with its contents; nextpnr's own for Gowin are JSON, and a paragraph is
the parameters with a cell's contents, one on each line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from weft.boards.board import Family
from weft.boards.contents import (
    ECP5_DEPTH,
    ECP5_WIDTH,
    GOWIN_DEPTH,
    GOWIN_WIDTHS,
    Memory,
)
from weft.errors import RefusedError

#: Bits of an iCE40's block RAM; of a parameter and of a line of them.
_ICE40_BITS, _ICE40_LINE = 4096, 256

_PARAGRAPHS = {
    "ice40": re.compile(r"^\.ram_data (\d+ \d+)\n((?:[0-9a-f]{64}\n)+)", re.MULTILINE),
    "ecp5": re.compile(r"^\.bram_init (\d+)\n((?:(?:[0-9a-f]{3} ?)+\n)+)", re.MULTILINE),
}
#: Rows and bits of Gowin's small memories, a lookup table for each bit.
_TABLE, _TABLE_ROWS, _TABLE_BITS = "RAM16SDP4", 16, 4
#: Whose routed designs are understood.
FAMILIES = (*_PARAGRAPHS, "gowin")


@dataclass(frozen=True)
class Block:
    """A block RAM and the part of a memory in it.

    Parameters
    ----------
    cell : str
        The block's name in the netlist.
    memory : str
        The memory's.
    rows : int
        In the block. Of a deeper memory it has as many as there are side by side.
    first_bit, bits : int
        Which part of such a row.
    place : str
        As the routed design calls it.
    """

    cell: str
    memory: str
    rows: int
    first_bit: int
    bits: int
    place: str = ""

    def text(self, memory: Memory, family: Family) -> str:
        """The lines of its paragraph."""
        part = memory.folded(self.rows).part(self.first_bit, self.bits, 0, self.rows)
        if family == "gowin":
            return _table_lines(part) if self.rows == _TABLE_ROWS else _gowin_lines(part, self.bits)
        return _ecp5_lines(part) if family == "ecp5" else _ice40_lines(part, self.bits)


def _ice40_lines(rows: Sequence[int], bits: int) -> str:
    """Contents of an SB_RAM40_4K: sixteen lines of 64 hexadecimal digits.

    Synthesis leaves the lowest address bits of a row narrower than 16 to the place within a word,
    and swaps bits so that every width reads the same way (Yosys, ``ice40/brams_map.v``).
    """
    flat = sum(row << index * bits for index, row in enumerate(rows))
    digits = f"{flat:0{_ICE40_BITS}b}"[::-1]
    lines = []
    for first in range(0, _ICE40_BITS, _ICE40_LINE):
        line = "".join(
            digits[first + (bit & ~15) + _REVERSED[bit & 15]] for bit in range(_ICE40_LINE)
        )
        lines.append(f"{int(line[::-1], 2):064x}\n")
    return "".join(lines)


_REVERSED = [int(f"{number:04b}"[::-1], 2) for number in range(16)]


def _ecp5_lines(rows: Sequence[int]) -> str:
    """Contents of a DP16KD: halves of 18-bit rows, eight in a line."""
    halves = [half for row in rows for half in (row & 511, row >> 9)]
    return "".join(
        " ".join(f"{half:03x}" for half in halves[first : first + 8]) + "\n"
        for first in range(0, len(halves), 8)
    )


def _gowin_lines(rows: Sequence[int], bits: int) -> str:
    """Contents of a block RAM of Gowin's: its parameters, which are the rows."""
    return "".join(f"{row:0{bits}b}\n" for row in rows)


def _table_lines(rows: Sequence[int]) -> str:
    """Contents of a RAM16SDP4: a lookup table for each bit, the lowest first."""
    columns = (
        sum((row >> bit & 1) << index for index, row in enumerate(rows))
        for bit in range(_TABLE_BITS)
    )
    return "".join(f"{column:0{_TABLE_ROWS}b}\n" for column in columns)


def blocks_of(memories: Mapping[str, Memory], family: Family, netlist: bytes) -> list[Block]:
    """The block RAMs that synthesis made of the memories, without their places.

    Parameters
    ----------
    memories : mapping of str to Memory
    family : str
    netlist : bytes
        Yosys's, as JSON.
    """
    if family == "ecp5":
        return [Block(name, name, ECP5_DEPTH, 0, ECP5_WIDTH) for name in memories]
    if family == "gowin":
        return _gowin_blocks(memories, netlist)
    blocks = []
    for cell, found in json.loads(netlist)["modules"]["top"]["cells"].items():
        if found["type"] != "SB_RAM40_4K":
            continue
        # A memory's blocks have its name and numbers that count the columns they are.
        name, *numbers = cell.rsplit(".", 2)
        if name not in memories or numbers[0] != "0" or not numbers[1].isdecimal():
            raise RefusedError(f"the netlist has a block RAM {cell} that is no memory's")
        bits = 16 >> int(found["parameters"]["READ_MODE"], 2)
        blocks.append(Block(cell, name, _ICE40_BITS // bits, bits * int(numbers[1]), bits))
    return blocks


def _gowin_blocks(memories: Mapping[str, Memory], netlist: bytes) -> list[Block]:
    """Block RAMs, and the lookup tables of small memories."""
    blocks = []
    for cell, found in json.loads(netlist)["modules"]["top"]["cells"].items():
        if found["type"] in GOWIN_WIDTHS:
            if cell not in memories:
                raise RefusedError(f"the netlist has a block RAM {cell} that is no memory's")
            blocks.append(Block(cell, cell, GOWIN_DEPTH, 0, memories[cell].width))
        elif found["type"] == _TABLE:
            name, *numbers = cell.rsplit(".", 2)
            # What has no name of a memory is part of the logic, and stays as it is.
            if name in memories and numbers[0] == "0" and numbers[1].isdecimal():
                first = _TABLE_BITS * int(numbers[1])
                blocks.append(Block(cell, name, _TABLE_ROWS, first, _TABLE_BITS))
    lost = memories.keys() - {block.memory for block in blocks}
    if lost:
        raise RefusedError(f"the netlist has nothing of the memory {min(lost)}")
    return blocks


def _gowin_parameters(cells: Mapping[str, Any]) -> dict[str, list[tuple[str, str]]]:
    """Which parameters of which cells have the contents, by the memory's cell, in order."""
    found = {}
    for name, cell in cells.items():
        if "INIT_RAM_00" in cell["parameters"]:
            found[name] = [(name, f"INIT_RAM_{row:02X}") for row in range(GOWIN_DEPTH)]
        elif cell["type"] == _TABLE:
            # The packer looks at the tables.
            found[name] = [(f"{name}_LUT{bit}", "INIT") for bit in range(_TABLE_BITS)]
    return found


def _paragraphs(family: Family, routed: str) -> list[tuple[str, str]]:
    """Places and contents."""
    if family != "gowin":
        return _PARAGRAPHS[family].findall(routed)
    cells = json.loads(routed)["modules"]["top"]["cells"]
    return [
        (place, "".join(f"{cells[cell]['parameters'][name]}\n" for cell, name in parameters))
        for place, parameters in _gowin_parameters(cells).items()
    ]


def locate(
    blocks: Iterable[Block], memories: Mapping[str, Memory], family: Family, routed: str
) -> list[Block]:
    """Find the ink of each block in the routed design, and so its place.

    Raises
    ------
    RefusedError
        If a paragraph's contents are not the ink of just one block: the tools keep memories
        otherwise than this module knows.
    """
    places = {text: place for place, text in _paragraphs(family, routed)}
    found = []
    for block in blocks:
        ink = block.text(memories[block.memory].inked(block.memory), family)
        place = places.pop(ink, None)
        if place is None:
            raise RefusedError(
                f"bits {block.first_bit} and on of the memory {block.memory} are nowhere in the "
                "routed design; the versions of Yosys and nextpnr that weft is tested with are in "
                "pyproject.toml"
            )
        found.append(Block(**{**vars(block), "place": place}))
    if family == "gowin":
        places = {text: place for text, place in places.items() if text.count("\n") == GOWIN_DEPTH}
    if places:
        raise RefusedError(
            f"the routed design has block RAMs of no memory: {', '.join(sorted(places.values()))}"
        )
    return found


def fill(
    routed: str, blocks: Iterable[Block], memories: Mapping[str, Memory], family: Family
) -> str:
    """A routed design with other contents of its memories."""
    texts = {block.place: block.text(memories[block.memory], family) for block in blocks}
    if family == "gowin":
        return _fill_gowin(routed, texts)

    def paragraph(found: re.Match[str]) -> str:
        return found[0][: -len(found[2])] + texts[found[1]]

    return _PARAGRAPHS[family].sub(paragraph, routed)


def _fill_gowin(routed: str, texts: Mapping[str, str]) -> str:
    design = json.loads(routed)
    cells = design["modules"]["top"]["cells"]
    for place, parameters in _gowin_parameters(cells).items():
        if place not in texts:
            continue
        for (cell, name), value in zip(parameters, texts[place].split(), strict=True):
            cells[cell]["parameters"][name] = value
            if cell != place:  # a table: the memory says the same
                cells[place]["parameters"][f"INIT_{cell[-1]}"] = value
    return json.dumps(design, indent=1)
