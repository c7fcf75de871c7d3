"""Where the cells of a large array go: nextpnr alone places blocks far from what they feed.

On an ECP5-85F a 16 x 8 array takes nearly all multipliers and block RAMs. The array's are put
where they belong, each row of the array beside the next and its weights beside its multipliers;
nextpnr places everything else around them.
"""

from __future__ import annotations

import json
import re

from weft.hw.config import Config

#: Left edges of the 85F's groups of four multipliers above four block RAMs.
_GROUPS = (4, 13, 22, 31, 40, 49, 58, 69, 78, 87, 96, 105, 114)
#: Rows of the chip with multipliers, and those with block RAMs below them.
_LINES = ((10, 22), (34, 46), (58, 70))
_MULTIPLIERS = ((0, "MULT18_0"), (1, "MULT18_1"), (4, "MULT18_4"), (5, "MULT18_5"))
_BLOCKS = ((0, "EBR0"), (2, "EBR1"), (4, "EBR2"), (6, "EBR3"))

#: Line and pair of groups for each row: from the activation memory up, over and down again.
_WAY = (
    (2, 0), (2, 1), (1, 2), (1, 1), (1, 0),
    (0, 0), (0, 1), (0, 2), (0, 3), (0, 4), (0, 5),
    (1, 5), (1, 4), (1, 3), (2, 3), (2, 4),
)  # fmt: skip


def floorplan(config: Config) -> dict[str, str]:
    """Places by cell; empty where nextpnr needs no help."""
    # In one group of lanes: the cells' names say which group they are of.
    if (config.rows, config.columns, config.lanes) != (16, 8, 8):
        return {}
    places = {}
    for row, (line, pair) in enumerate(_WAY):
        y_multiplier, y_block = _LINES[line]
        for column in range(config.columns):
            group, index = divmod(column, 4)
            left = _GROUPS[2 * pair + group]
            if row * config.columns + column < config.multipliers - config.table_multipliers:
                dx, kind = _MULTIPLIERS[index]
                cell = f"array.row_{row}_group_0.multipliers.product_{column}_mult"
                places[cell] = f"X{left + dx}/Y{y_multiplier}/{kind}"
            dx, kind = _BLOCKS[index]
            cell = f"weight.bank_{row}_{4 * group}.block_0_{8 * index}"
            places[cell] = f"X{left + dx}/Y{y_block}/{kind}"
    return places


def constrain(netlist: bytes, places: dict[str, str]) -> tuple[bytes, int]:
    """A netlist of Yosys, as JSON, with places for some cells; and for how many.

    Memories of another depth are made of other blocks: what the netlist does not have is left out.
    """
    design = json.loads(netlist)
    found = 0
    for name, cell in design["modules"]["top"]["cells"].items():
        # Where a submodule has a signal's name, Amaranth appends a number to it.
        plain = re.sub(r"\$\d+", "", name).removeprefix("system.core.")
        if plain in places:
            cell["attributes"]["BEL"] = places[plain]
            found += 1
    return json.dumps(design).encode(), found
