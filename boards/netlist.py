"""The netlists of a finished build, for simulation: after synthesis, and after place and route.

What the tools wrote is taken as it is, but for the contents of block RAMs, which are ink there
(`weft.boards.contents`). They come from the bitstream, read back: each block of the netlist gets
what the bitstream has at its place.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from weft.boards.board import Board, Family
from weft.boards.build_report import netlist_files
from weft.boards.memory_map import MemoryMap
from weft.boards.tools import find_tool, run_tool
from weft.errors import InputError, RefusedError

Level = Literal["netlist", "routed"]
LEVELS: tuple[Level, ...] = ("netlist", "routed")

#: The parameter of a block RAM's model that names a file with its contents.
_CONTENTS = {"SB_RAM40_4K": "INIT_FILE", "ICESTORM_RAM": "INIT_FILE", "DP16KD": "CONTENTS"}
#: Kinds of the block RAMs above that have another name where their clocks fall.
_FALLING = ("SB_RAM40_4KNR", "SB_RAM40_4KNW", "SB_RAM40_4KNRNW")

#: Blocks of an ECP5 whose pins may be constant by configuration.
_HARD = ("DP16KD", "MULT18X18D")

Design = dict[str, Any]


@dataclass(frozen=True)
class Netlist:
    """A netlist without contents of its block RAMs.

    Parameters
    ----------
    design : dict
        As Yosys reads JSON: the module ``top`` alone, and of it ports and cells.
    files : mapping of str to str
        By the cell of each block RAM: the file in which its model looks for its contents.
    """

    design: Design
    files: Mapping[str, str]

    @property
    def cells(self) -> dict[str, Any]:
        """The cells by their names."""
        return self.design["modules"]["top"]["cells"]

    @property
    def kinds(self) -> list[str]:
        """What kinds of cells there are."""
        return sorted({cell["type"] for cell in self.cells.values()})

    @property
    def text(self) -> str:
        """The netlist as JSON."""
        return json.dumps(self.design)


def read_netlist(folder: Path, board: Board, level: Level) -> Netlist:
    """The netlist of a finished build.

    Parameters
    ----------
    folder : Path
    board : Board
    level : str
        ``"netlist"`` after synthesis, ``"routed"`` after place and route.

    Raises
    ------
    InputError
        If it is not there or cannot be read.
    RefusedError
        If simulation knows nothing of the block RAMs of the board's family.
    """
    path = folder / netlist_files(board.family)[level]
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["modules"]["top"]
        cells = {
            name: cell for name, cell in found["cells"].items() if not cell["type"].startswith("$")
        }
        # A cell's pin is an inout whatever it does, and only another one can be connected to it.
        ports = {name: port | {"direction": "inout"} for name, port in found["ports"].items()}
    except FileNotFoundError:
        raise InputError(
            f"{folder} holds no {path.name}, the netlist of level {level}; build it with: "
            f"weft build {folder}"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise InputError(
            f"{path} is no netlist; build it again with: weft build {folder}"
        ) from None
    files: dict[str, str] = {}
    slim = {}
    for name, cell in cells.items():
        parameters = dict(cell["parameters"])
        if cell["type"] in _FALLING:
            raise RefusedError(f"{path} has a block RAM {cell['type']}, which weft never makes")
        if cell["type"] in _CONTENTS:
            files[name] = f"block_{len(files)}.hex"
            parameters = {key: value for key, value in parameters.items() if key[:4] != "INIT"}
            parameters[_CONTENTS[cell["type"]]] = files[name]
        # A port without a net has the value that its model gives it.
        slim[name] = {
            "type": cell["type"],
            "parameters": parameters,
            "port_directions": cell["port_directions"],
            "connections": {port: bits for port, bits in cell["connections"].items() if bits},
        }
    if level == "routed" and board.family == "ice40":
        _add_clock_wires(slim, cells, path)
    if level == "routed" and board.family == "ecp5":
        for name, cell in slim.items():
            _settle_pins(name, cell)
            if cell["type"] == "TRELLIS_COMB":
                # The upper half of a slice has a multiplexer of the other kind.
                upper = cells[name]["attributes"]["NEXTPNR_BEL"].endswith(".K1")
                cell["parameters"]["IS_Z1"] = str(int(upper))
    top = {"ports": ports, "cells": slim, "netnames": {}}
    return Netlist({"modules": {"top": top}}, files)


def _settle_pins(name: str, cell: dict[str, Any]) -> None:
    """Connect those pins of an ECP5's hard block that are constant to what they are.

    Of each pin of a block there is a parameter: ``"0"``, ``"1"``, ``"INV"``, or the pin's own name.
    A pin that nothing is connected to is 1 before that (Project Trellis).
    """
    if cell["type"] not in _HARD:
        return
    parameters, connections = cell["parameters"], cell["connections"]
    for parameter in [key for key in parameters if key.endswith("MUX")]:
        pin, value = parameter.removesuffix("MUX"), parameters.pop(parameter).strip()
        if pin not in connections:
            connections[pin] = ["0" if value in ("0", "INV") else "1"]
        elif value != pin:
            raise RefusedError(
                f"the pin {pin} of {cell['type']} {name} is connected and has {parameter} {value}, "
                "which is not modelled"
            )


def _add_clock_wires(cells: dict[str, Any], found: Mapping[str, Any], path: Path) -> None:
    """Connect an iCE40's PLL: its wires from the pad and to its clock buffer are no nets.

    They lead nowhere else, so nextpnr says by places alone that they are used.
    """
    (pll,) = (name for name, cell in cells.items() if cell["type"] == "ICESTORM_PLL")
    buffers = [name for name, cell in found.items() if "FOR_PAD_IN" in cell["attributes"]]
    pad = found[pll]["attributes"].get("BEL_PAD_INPUT")
    if pad is not None:
        pins = [n for n, cell in found.items() if cell["attributes"].get("NEXTPNR_BEL") == pad]
        if len(pins) != 1:
            raise RefusedError(
                f"{path} has no pin at {pad}, from which the PLL {pll} has its clock"
            )
        cells[pll]["connections"]["REFERENCECLK"] = cells[pins[0]]["connections"]["PACKAGE_PIN"]
    if len(buffers) != 1:
        raise RefusedError(f"{path} has {len(buffers)} clock buffers at its PLL instead of one")
    nets = (net for cell in cells.values() for bits in cell["connections"].values() for net in bits)
    free = 1 + max(net for net in nets if isinstance(net, int))
    cells[pll]["connections"]["PLLOUT_A_GLOBAL"] = [free]
    cells[buffers[0]]["connections"]["USER_SIGNAL_TO_GLOBAL_BUFFER"] = [free]


def write_verilog(netlist: Netlist) -> str:
    """The netlist as Yosys writes it in Verilog.

    Raises
    ------
    RefusedError
        If Yosys is missing or fails.
    """
    yosys = find_tool("yosys")
    with tempfile.TemporaryDirectory(prefix="weft-netlist-") as scratch:
        place = Path(scratch)
        (place / "netlist.json").write_text(netlist.text, encoding="utf-8")
        script = "read_json netlist.json; write_verilog -noattr netlist.v"
        run_tool([yosys, "-q", "-p", script], directory=place, log=place / "yosys.log")
        return (place / "netlist.v").read_text(encoding="utf-8")


def contents(
    netlist: Netlist, folder: Path, board: Board, level: Level, blocks: Mapping[str, str]
) -> dict[str, str]:
    """What the bitstream has in the netlist's block RAMs: a text for each of the files.

    Parameters
    ----------
    netlist : Netlist
    folder : Path
        Of the build.
    board : Board
    level : str
        At the level routed the netlist says itself where its blocks are; at the level netlist,
        memories.json does.
    blocks : mapping of str to str
        Contents by place, as the bitstream has them (`weft.boards.unpack`).

    Raises
    ------
    RefusedError
        If a block has no contents.
    """
    if level == "routed":
        places = routed_places(folder, board)
    else:
        places = {block.cell: block.place for block in MemoryMap.load(folder).blocks}
    rows = _ROWS[board.family]
    found = {}
    for cell, file in netlist.files.items():
        place = places.get(cell)
        if place is None or place not in blocks:
            raise RefusedError(
                f"the bitstream has no contents of the block RAM {cell}; build it again with: "
                f"weft build {folder}"
            )
        found[file] = "".join(f"{row:x}\n" for row in rows(blocks[place]))
    return found


def routed_places(folder: Path, board: Board) -> dict[str, str]:
    """Where the block RAMs of a routed netlist are, as the bitstream calls the places."""
    path = folder / netlist_files(board.family)["routed"]
    cells = json.loads(path.read_text(encoding="utf-8"))["modules"]["top"]["cells"]
    return {
        name: _place(board.family, cell)
        for name, cell in cells.items()
        if cell["type"] in _CONTENTS
    }


def _place(family: Family, cell: Mapping[str, Any]) -> str:
    if family == "ecp5":
        return str(int(cell["attributes"]["WID"], 2))
    x, y, _ = cell["attributes"]["NEXTPNR_BEL"].split("/")
    return f"{x.removeprefix('X')} {y.removeprefix('Y')}"


def _ice40_rows(text: str) -> list[int]:
    """Of an iCE40's block RAM: 256 rows of 16 bits, the first lowest in each line."""
    lines = [int(line, 16) for line in text.split()]
    return [line >> 16 * row & 0xFFFF for line in lines for row in range(16)]


def _ecp5_rows(text: str) -> list[int]:
    """Of an ECP5's block RAM: 1,024 rows of 18 bits, in halves."""
    halves = [int(half, 16) for half in text.split()]
    return [low | high << 9 for low, high in zip(halves[::2], halves[1::2], strict=True)]


_ROWS: dict[Family, Callable[[str], list[int]]] = {"ice40": _ice40_rows, "ecp5": _ecp5_rows}
