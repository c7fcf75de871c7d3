"""The area model: blocks by count, lookup tables by size."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from weft.boards.catalog import icebreaker
from weft.hw.area import (
    MARGIN,
    Area,
    count_block_rams,
    count_multipliers,
    estimate_area,
    features,
)
from weft.hw.area_coefficients import COEFFICIENTS
from weft.hw.config import Config

SMALL = Config(rows=4, columns=4, activation_depth=1024, weight_depth=256, parameter_depth=128,
               program_depth=256)  # fmt: skip


@pytest.mark.parametrize(
    ("change", "ecp5", "ice40"),
    [
        ({}, 16, 8),
        ({"lanes": 1}, 16, 16),
        ({"rows": 9, "columns": 3, "lanes": 3}, 27, 18),
        ({"lanes": 2, "multiplier_bits": 16}, 16 + 2 * 2, 8),
        ({"lanes": 2, "multiplier_bits": 17}, 16 + 2 * 3, 8),
        ({"lanes": 2, "elementwise": 1}, 16 + 2, 8),
        ({"elementwise": 1}, 16 + 2, 8),  # two lanes share one
        ({"rows": 16, "elementwise": 1, "window": 3, "pairs": 1}, 64 + 4, 32),
        ({"multiplier_bits": 31, "elementwise": 1}, 16 + 4 * 3 + 2 * 2, 8),
        ({"table_multipliers": 3}, 13, 7),
        ({"table_multipliers": 16}, 0, 0),
    ],
    ids=str,
)
def test_multipliers(change, ecp5, ice40):
    config = replace(SMALL, **{"lanes": 4, **change})
    assert count_multipliers(config, "ecp5") == ecp5
    assert count_multipliers(config, "ice40") == ice40


@pytest.mark.parametrize(
    ("change", "ecp5", "ice40"),
    [
        # program 32 x 256; activations 4 bytes x 1024; weights 4 rows of 4 bytes x 256;
        # parameters of 4 lanes, 37 x 128; tables of 4 lanes, 8 x 256
        ({}, 1 + 2 + 4 + 4 * 2 + 4, 2 + 8 + 4 * 2 + 4 * 3 + 4),
        ({"tables": 0}, 1 + 2 + 4 + 4 * 2, 2 + 8 + 4 * 2 + 4 * 3),
        ({"activation_depth": 2048}, 1 + 4 + 4 + 4 * 2 + 4, 2 + 16 + 4 * 2 + 4 * 3 + 4),
        # a part of 1024 and one of 512
        ({"activation_depth": 1536}, 1 + 3 + 4 + 4 * 2 + 4, 2 + 12 + 4 * 2 + 4 * 3 + 4),
    ],
    ids=str,
)
def test_block_rams(change, ecp5, ice40):
    config = replace(SMALL, **change)
    assert count_block_rams(config, "ecp5") == ecp5
    assert count_block_rams(config, "ice40") == ice40


@pytest.mark.parametrize(
    ("change", "multipliers", "block_rams"),
    [
        # As for the other families above; 37 bits of parameters take two blocks.
        ({}, 16, 1 + 2 + 4 + 4 * 2 + 4),
        ({"lanes": 2}, 16, 1 + 2 + 8 + 2 * 2 + 2),
        ({"accumulator_bits": 31}, 16, 1 + 2 + 4 + 4 + 4),
        # Three of the wide multipliers in two macros.
        ({"lanes": 1, "multiplier_bits": 31, "tables": 0}, 16 + 8, 1 + 4 + 16 + 2),
        ({"multiplier_bits": 31, "elementwise": 1}, 16 + 4 * 8, 1 + 2 + 4 + 4 * 2 + 4),
        # A few rows lie in lookup tables.
        ({"weight_depth": 16}, 16, 1 + 2 + 4 * 2 + 4),
    ],
    ids=str,
)
def test_gowin_s_blocks(change, multipliers, block_rams):
    config = replace(SMALL, **change)
    area = estimate_area(config, "gowin")
    assert (area.multipliers, area.block_rams, area.spram) == (multipliers, block_rams, 0)


def test_every_part_has_a_coefficient():
    for family, weights in COEFFICIENTS.items():
        assert list(weights) == list(features(SMALL))
        assert min(weights.values()) >= 0
        assert 0 < MARGIN[family] < 0.15


@pytest.mark.parametrize("family", ["ecp5", "ice40", "gowin"])
def test_a_larger_array_takes_more(family):
    area = estimate_area(SMALL, family)
    for change in ({"rows": 8}, {"multiplier_bits": 16}, {"elementwise": 1},
                   {"accumulator_bits": 20, "rows": 16, "lanes": 4, "window": 4}):  # fmt: skip
        more = estimate_area(replace(SMALL, **change), family)
        assert more.lut4 > area.lut4
    assert area.spram == 0


def test_an_area_is_plain_data():
    area = estimate_area(SMALL, "ecp5")
    assert area == Area(area.lut4, 16, 19)
    assert isinstance(area.lut4, int)


RECORD = json.loads((Path(__file__).parents[2] / "bench/results/area.json").read_text())
#: Lookup tables in each cell that has some, multipliers and block RAMs, as Yosys calls them.
LUTS = {"LUT4": 1, "CCU2C": 2, "TRELLIS_DPR16X4": 4, "SB_LUT4": 1, "LUT1": 1, "LUT2": 1, "LUT3": 1,
        "ALU": 1, "RAM16SDP4": 4}  # fmt: skip
BLOCKS = ("MULT18X18D", "SB_MAC16", "MULT9X9"), ("DP16KD", "SB_RAM40_4K", "SDPB", "SDPX9B")


@pytest.mark.parametrize("number", range(len(RECORD["cores"])))
def test_what_yosys_made(number):
    """Blocks are exact, and lookup tables within the margin, on every core of the record."""
    core = RECORD["cores"][number]
    area = estimate_area(Config(**core["config"]), core["family"])
    cells = core["cells"]
    made = [sum(cells.get(name, 0) for name in names) for names in BLOCKS]
    # Two of Gowin's wide multipliers have the place of four narrow ones.
    made[0] += 4 * -(-cells.get("MULT18X18", 0) // 2)
    luts = sum(LUTS.get(name, 0) * count for name, count in cells.items())
    assert [area.multipliers, area.block_rams] == made
    assert area.lut4 == pytest.approx(luts, rel=MARGIN[core["family"]])


def test_memories_with_one_port():
    """The iCEBreaker's second configuration, as place and route counts it."""
    config = icebreaker.BOARD.large
    area = estimate_area(config, "ice40")
    assert (area.block_rams, area.spram) == (30, 4)
    other = replace(config, single_port=0)
    assert count_block_rams(config, "ecp5") == count_block_rams(other, "ecp5")
    assert estimate_area(other, "ice40").spram == 0
