"""Where the cells of a large array go."""

import json
import re
from dataclasses import replace

import pytest

from weft.boards.floorplan import constrain, floorplan
from weft.hw.config import Config

CONFIG = Config(rows=16, columns=8, lanes=8, weight_depth=2048, table_multipliers=4)
#: Multipliers behind the array, and blocks that other memories of such a core may be made of.
MULTIPLIERS = [
    *(f"elementwise.unit_{unit}.multiply.{part}.product_mult"
      for unit in range(0, 8, 2) for part in ("low", "high")),
    *(f"requantize_{lane}.multiply.{part}.product_mult"
      for lane in range(8) for part in ("low", "high", "both")),
]  # fmt: skip
MEMORIES = [
    *(f"activation.bank_{bank}.block_{first}_{bit}"
      for bank in (0, 4, 8, 12) for first, bits in ((0, range(0, 32, 4)), (4096, (0, 16)))
      for bit in bits),
    *(f"parameter.bank_{lane}.block_0_{bit}" for lane in range(8) for bit in (0, 35)),
    *(f"tables.bank_{lane}.block_0_0" for lane in range(8)),
    *(f"array.window_0.line_{line}.bank.block_0_{bit}" for line in (1, 2) for bit in (0, 32)),
    *(f"program.memory.block_0_{bit}" for bit in (0, 8, 16, 24)),
    "system.recall.bank.block_0_0",
]  # fmt: skip


def position(place):
    x, y = re.match(r"X(\d+)/Y(\d+)/", place).groups()
    return int(x), int(y)


def test_every_cell_has_a_place_of_its_own():
    places = floorplan(CONFIG, MULTIPLIERS + MEMORIES)
    assert len(places) == 128 - 4 + 128 + len(MULTIPLIERS) + len(MEMORIES)
    assert len(set(places.values())) == len(places)
    kinds = {
        kind: {name.split(".")[0] for name, place in places.items() if f"/{kind}" in place}
        for kind in ("MULT18_", "EBR")
    }
    lanes = {f"requantize_{lane}" for lane in range(8)}
    assert kinds == {
        "MULT18_": {"array", "elementwise"} | lanes,
        "EBR": {"array", "weight", "activation", "parameter", "tables", "program", "system"},
    }


def test_units_that_are_not_shared_take_the_places_of_more_cells():
    config = replace(CONFIG, window=3, pairs=1, table_multipliers=12)
    more = [f"elementwise.unit_{unit}.multiply.{part}.product_mult"
            for unit in range(1, 8, 2) for part in ("low", "high")]  # fmt: skip
    places = floorplan(config, MULTIPLIERS + more + MEMORIES)
    assert len(places) == (128 - 12 + 8 * 3 + 8 * 2) + 128 + len(MEMORIES)
    assert len(set(places.values())) == len(places)


def test_an_array_without_tables_keeps_its_places():
    whole = Config(rows=16, columns=8, lanes=8)
    places = floorplan(whole, MULTIPLIERS)
    assert len(places) == len(set(places.values())) == 128 + 128 + 28
    assert len(set(places) & set(MULTIPLIERS)) == 28


def test_weights_lie_beside_their_multipliers():
    places = floorplan(CONFIG, [])
    for row in range(16):
        for column in range(8):
            if row * 8 + column >= 124:
                continue
            x, y = position(places[f"array.row_{row}_group_0.multipliers.product_{column}_mult"])
            first, index = column // 4 * 4, column % 4
            to_x, to_y = position(places[f"weight.bank_{row}_{first}.block_0_{8 * index}"])
            assert abs(x - to_x) <= 2
            assert abs(y - to_y) == 12


def test_rows_follow_one_another():
    places = floorplan(CONFIG, [])
    last = None
    for row in range(16):
        here = position(places[f"weight.bank_{row}_0.block_0_0"])
        if last:
            assert abs(here[0] - last[0]) + abs(here[1] - last[1]) <= 45
        last = here


def test_a_bank_of_activations_lies_together():
    places = floorplan(CONFIG, MEMORIES)
    for bank in (0, 4, 8, 12):
        blocks = [place for name, place in places.items() if f"activation.bank_{bank}." in name]
        across = [position(place)[0] for place in blocks]
        assert max(across) - min(across) <= 25


@pytest.mark.parametrize("shape", [(8, 8, 8), (16, 16, 8), (16, 8, 4), (16, 8, 2)])
def test_other_arrays_are_left_to_nextpnr(shape):
    rows, columns, lanes = shape
    assert floorplan(Config(rows=rows, columns=columns, lanes=lanes), MEMORIES) == {}


def test_places_are_attributes_of_the_cells():
    def plan(config, names):
        assert config == CONFIG
        assert sorted(names) == ["array.a", "weight.b", "weight.c"]
        return {"array.a": "X1/Y2/A", "weight.b": "X3/Y4/B", "d": "X5"}

    names = ("system.core.array.a", "system.core.weight$12.b", "system.core.weight.c")
    cells = {name: {"attributes": {}} for name in names}
    netlist = json.dumps({"modules": {"top": {"cells": cells}}}).encode()
    placed, found = constrain(netlist, CONFIG, plan)
    assert found == 2
    attributes = [
        cell["attributes"] for cell in json.loads(placed)["modules"]["top"]["cells"].values()
    ]
    assert attributes == [{"BEL": "X1/Y2/A"}, {"BEL": "X3/Y4/B"}, {}]
