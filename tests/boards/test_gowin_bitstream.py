"""A bitstream read back: it has the netlist's multipliers, and the program in its block RAMs."""

import collections
import json
import re
from dataclasses import replace
from importlib import resources

import numpy as np
import pytest
from apycula import attrids, bslib, chipdb, gowin_unpack
from random_networks import random_network

from weft.boards.build import build
from weft.boards.patch import patch
from weft.boards.registry import BOARDS
from weft.compiler.compile import compile_network
from weft.hw.config import Config, Space
from weft.hw.memory import bank_bytes

#: As apycula names the FPGAs.
DEVICES = {"tang-nano-9k": "GW1N-9C", "tang-primer-20k": "GW2A-18C"}

CONFIG = Config(
    rows=4, columns=2, lanes=2, activation_depth=1024, weight_depth=1024, parameter_depth=64,
    program_depth=512, tables=0, accumulator_bits=24, multiplier_bits=8,
)  # fmt: skip

#: Rows of a block RAM's initial contents in a bitstream, and their width, which is that of three
#: tiles.
ROWS, WIDTH = 256, 3 * 60


def program(seed):
    """Some network's, with random numbers in all of the weight memory and the program memory."""
    rng = np.random.default_rng(seed)
    network = random_network(
        rng, size=400, max_nodes=1, max_side=4, operators=["Conv2D"], tables=0, accumulator_bits=24
    )
    made = compile_network(network, CONFIG)
    filled = {
        space: rng.integers(0, 256, (CONFIG.depth(space), CONFIG.row_bytes(space)), np.uint8)
        for space in (Space.WEIGHT, Space.PROGRAM)
    }
    return replace(made, images=made.images | filled)


class Bitstream:
    """A Gowin bitstream, through apycula's tables."""

    def __init__(self, device, path):
        with resources.as_file(resources.files("apycula") / f"{device}.msgpack.xz") as tables:
            self.tables = chipdb.load_chipdb(tables)
        bits = bslib.read_bitstream(path)[0]
        height = self.tables.height
        self.tiles = chipdb.tile_bitmap(self.tables, bits[:height])
        self.contents = bits[height:]
        self.places = self.tables.rev_logicinfo("BSRAM_INIT")

    def products(self):
        """How many operands of 9 bits the multiplier blocks take: two for a wide one."""
        count = 0
        for place, bits in self.tiles.items():
            tile = self.tables[place]
            if not any(name.startswith("DSP") for name in tile.bels):
                continue
            for half in ("DSP0", "DSP1"):
                fuses = self.tables.shortval[tile.ttyp].get(half)
                if fuses:
                    found = gowin_unpack.parse_attrvals(
                        bits, self.tables.rev_logicinfo("DSP"), fuses, attrids.dsp_attrids, "DSP"
                    )
                    count += sum(name.startswith("OR2CIB_EN") for name in found)
        return count

    def block(self, column, row, width):
        """The block RAM's rows of `width` bits, of nine or more."""
        y = ROWS * sorted(self.tables.simplio_rows).index(row)
        x = sum(self.tables[0, number].width for number in range(column))
        held = [line[x : x + WIDTH] for line in reversed(self.contents[y : y + ROWS])]
        quarters = {0x00: 0x00, 0x20: 0x40, 0x10: 0x80, 0x30: 0xC0}
        flat = 0
        for bit in range(18 * 1024):
            word, place = divmod(bit, 18)
            # Sixteen addresses a word; the ninth bit of a byte has that of the one before.
            address = 16 * word + place - (place >= 8) - (place >= 17)
            line = quarters[address & 0x30] + (address >> 6 & 0x3F)
            at = self.places[4 * place + (address >> 12)][0] - 1
            flat |= int(held[line][at]) << bit
        return [flat >> width * number & (1 << width) - 1 for number in range(18432 // width)]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    "name",
    [
        pytest.param("tang-nano-9k", marks=pytest.mark.slow),
        pytest.param("tang-primer-20k", marks=pytest.mark.long),
    ],
)
def test_what_is_in_a_bitstream(name, tmp_path):
    board, made, other = BOARDS[name], program(1), program(2)
    report = build(made, board, tmp_path, require_timing=False, seeds=[1])
    assert report.program_digest == made.digest
    bitstream = Bitstream(DEVICES[name], str(tmp_path / report.files["bitstream"]))
    netlist = cells_of(tmp_path)
    kinds = collections.Counter(cell["type"] for cell in netlist.values())
    assert (kinds["MULT9X9"], kinds["MULT18X18"]) == (8, 4)
    assert bitstream.products() == kinds["MULT9X9"] + 2 * kinds["MULT18X18"]

    assert_contents(bitstream, netlist, made)

    # Another program in the same bitstream is what its own build makes.
    file = report.files["bitstream"]
    report = patch(other, board, tmp_path / "patched", tmp_path)
    assert report.program_digest == other.digest
    patched = Bitstream(DEVICES[name], str(tmp_path / "patched" / file))
    assert_contents(patched, cells_of(tmp_path / "patched"), other)
    tables = {
        (int(where[2]), int(where[1]))
        for cell in netlist.values()
        if (where := re.match(r"X(\d+)Y(\d+)/RAM16", cell["attributes"].get("NEXTPNR_BEL", "")))
    }
    changed = {
        place
        for place, bits in bitstream.tiles.items()
        if not np.array_equal(np.array(bits), np.array(patched.tiles[place]))
    }
    # The tables that the program's digest is in.
    assert changed
    assert changed <= tables
    report = build(other, board, tmp_path / "fresh", require_timing=False, seeds=[1])
    assert report.cached["synthesize"]
    assert report.cached["place and route, seed 1"]
    assert (tmp_path / "fresh" / file).read_bytes() == (tmp_path / "patched" / file).read_bytes()


def cells_of(folder):
    return json.loads((folder / "top.pnr.json").read_text())["modules"]["top"]["cells"]


def assert_contents(bitstream, netlist, made):
    """Weights and instructions are where the netlist has their blocks."""
    seen = 0
    for path, cell in netlist.items():
        where = re.match(r"X(\d+)Y(\d+)/BSRAM", cell["attributes"].get("NEXTPNR_BEL", ""))
        if not where:
            continue
        weight = re.search(r"\.weight[^.]*\.bank_(\d+)_(\d+)\.", path)
        if weight:
            unit = bank_bytes(CONFIG)
            first = int(weight[1]) * CONFIG.columns + int(weight[2])
            image, width = made.images[Space.WEIGHT][:, first : first + unit], 18
        elif ".program." in path:
            image, width = made.images[Space.PROGRAM], 36
        else:
            continue
        seen += 1
        expected = [int.from_bytes(row.tobytes(), "little") for row in image]
        assert bitstream.block(int(where[1]), int(where[2]), width) == expected
    assert seen == 4 + 1
