"""Where the multipliers and block RAMs of a large array go.

On an ECP5-85F a 16 x 8 array takes all multipliers and nearly all block RAMs. Each then has one
place left to go to, and nextpnr, which places a block for the wires of the moment, finds it far
from what the block feeds. So all of them are put where they belong, and nextpnr is left with what
it is good at, the lookup tables and flip-flops between them.

    line 0   row  3 │ row  4 │ row 7 │ row 8 │ row 11 │ row 12 ┊ 13    multipliers
                                                                       weights below them
    line 1   row  2 │ row  5 │ row 6 │ row 9 │ row 10 │ row 14 ┊ 13
                                                                       weights
    line 2   row  1 │ row  0 ┊    requantizers, elementwise    ┊ 15
             weights         ┊ activations ┊ parameters        ┊ weights
    line 3   lines of images ┊ activations ┊ program, tables
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator

from weft.hw.config import Config

#: Places by cell, for the names of a netlist's cells that want one.
Floorplan = Callable[[Config, Iterable[str]], dict[str, str]]

#: A line, a group of four in it, and which of the four.
Site = tuple[int, int, int]

#: Left edges of the 85F's groups of four multipliers above four block RAMs.
_GROUPS = (4, 13, 22, 31, 40, 49, 58, 69, 78, 87, 96, 105, 114)
#: Rows of the chip with multipliers, and those with block RAMs below them; the last has no more
#: multipliers above it.
_MULTIPLIER_LINES = (10, 34, 58)
_BLOCK_LINES = (22, 46, 70, 82)
_MULTIPLIERS = ((0, "MULT18_0"), (1, "MULT18_1"), (4, "MULT18_4"), (5, "MULT18_5"))
_BLOCKS = ((0, "EBR0"), (2, "EBR1"), (4, "EBR2"), (6, "EBR3"))

#: For each row of the array the two groups that it takes, as (line, group).
_WAY = (
    ((2, 2), (2, 3)), ((2, 0), (2, 1)), ((1, 0), (1, 1)), ((0, 0), (0, 1)),
    ((0, 2), (0, 3)), ((1, 2), (1, 3)), ((1, 4), (1, 5)), ((0, 4), (0, 5)),
    ((0, 6), (0, 7)), ((1, 6), (1, 7)), ((1, 8), (1, 9)), ((0, 8), (0, 9)),
    ((0, 10), (0, 11)), ((0, 12), (1, 12)), ((1, 10), (1, 11)), ((2, 12), (2, 11)),
)  # fmt: skip


def floorplan(config: Config, names: Iterable[str]) -> dict[str, str]:
    """Places by cell; empty where nextpnr needs no help.

    Parameters
    ----------
    config : Config
    names : iterable of str
        Of the netlist's cells: below the core, or from the top on where they are not in it. Others than multipliers and block RAMs may be among
        them: who is asked for a place is known by name.
    """
    # In one group of lanes: the cells' names say which group they are of.
    if (config.rows, config.columns, config.lanes) != (16, 8, 8):
        return {}
    places = dict(_array(config)) | dict(_requantizers(config))
    names = sorted(names, key=_by_number)
    for prefix, sites in _MEMORIES.items():
        blocks = (n for n in names if re.match(prefix, n) and re.search(r"\.block_\d+_\d+$", n))
        places |= zip(blocks, map(_block, sites), strict=False)
    return places


def _array(config: Config) -> Iterator[tuple[str, str]]:
    """Multipliers of each row, and its weights below them."""
    for row, groups in enumerate(_WAY):
        for column in range(config.columns):
            half, index = divmod(column, 4)
            site = *groups[half], index
            if row * config.columns + column < config.multipliers - config.table_multipliers:
                yield (
                    f"array.row_{row}_group_0.multipliers.product_{column}_mult",
                    _multiplier(site),
                )
            yield f"weight.bank_{row}_{4 * half}.block_0_{8 * index}", _block(site)


def _requantizers(config: Config) -> Iterator[tuple[str, str]]:
    """What stands behind the array, in the order in which sums pass it."""
    together = 2 if config.shared_elementwise else 1
    units = [f"elementwise.unit_{unit}" for unit in range(0, config.lanes, together)]
    cells = [f"{unit}.multiply.{part}" for unit in units for part in ("low", "high")]
    lanes = [f"requantize_{lane}" for lane in range(config.lanes)]
    cells += [f"{lane}.multiply.{part}" for lane in lanes for part in ("low", "high", "both")]
    # The last cells of the array leave their places, if they are of lookup tables.
    left = [(*group, index) for row in _WAY for group in row for index in range(4)]
    left = left[config.multipliers - config.table_multipliers :]
    sites = [*reversed(left), *reversed(_zone(2, range(4, 11)))]
    for cell, site in zip(cells, sites, strict=False):
        yield f"{cell}.product_mult", _multiplier(site)


def _zone(line: int, groups: Iterable[int]) -> list[Site]:
    return [(line, group, index) for group in groups for index in range(4)]


#: Sites of the other memories, by what the names of their blocks begin with.
_MEMORIES: dict[str, list[Site]] = {
    # Banks side by side, over both lines.
    r"activation\.": sorted(_zone(3, range(1, 8)) + _zone(2, range(4, 7)), key=lambda s: s[1:]),
    r"parameter\.": _zone(2, range(10, 6, -1)),
    r"program\.": _zone(3, [8]),
    r"tables\.": _zone(3, [10, 9]),
    r"array\.window": _zone(3, [0]),
    r"system\.recall\.": _zone(3, [11]),
}


def _multiplier(site: Site) -> str:
    line, group, index = site
    dx, kind = _MULTIPLIERS[index]
    return f"X{_GROUPS[group] + dx}/Y{_MULTIPLIER_LINES[line]}/{kind}"


def _block(site: Site) -> str:
    line, group, index = site
    dx, kind = _BLOCKS[index]
    return f"X{_GROUPS[group] + dx}/Y{_BLOCK_LINES[line]}/{kind}"


def _by_number(name: str) -> list[str | int]:
    """A key that sorts bank_4 before bank_12."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def constrain(netlist: bytes, config: Config, plan: Floorplan) -> tuple[bytes, int]:
    """A netlist of Yosys, as JSON, with places for some cells; and for how many.

    Memories of another depth are made of other blocks: what the netlist does not have is left out.
    """
    design = json.loads(netlist)
    # Where a submodule has a signal's name, Amaranth appends a number to it.
    cells = {
        re.sub(r"\$\d+", "", name).removeprefix("system.core."): cell
        for name, cell in design["modules"]["top"]["cells"].items()
    }
    places = {name: place for name, place in plan(config, cells).items() if name in cells}
    for name, place in places.items():
        cells[name]["attributes"]["BEL"] = place
    return json.dumps(design).encode(), len(places)
