"""Where the cells of a large array go."""

import json
import re

import pytest

from weft.boards.floorplan import constrain, floorplan
from weft.boards.registry import BOARDS
from weft.hw.config import Config

CONFIG = Config(rows=16, columns=8, lanes=8, weight_depth=2048, table_multipliers=4)


def position(place):
    x, y = re.match(r"X(\d+)/Y(\d+)/", place).groups()
    return int(x), int(y)


def test_every_cell_has_a_place_of_its_own():
    places = floorplan(CONFIG)
    assert len(places) == (128 - 4) + 128
    assert len(set(places.values())) == len(places)
    kinds = {
        kind: {name.split(".")[0] for name, place in places.items() if f"/{kind}" in place}
        for kind in ("MULT18_", "EBR")
    }
    assert kinds == {"MULT18_": {"array"}, "EBR": {"weight"}}


def test_weights_lie_beside_their_multipliers():
    places = floorplan(CONFIG)
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
    places = floorplan(CONFIG)
    last = None
    for row in range(16):
        here = position(places[f"weight.bank_{row}_0.block_0_0"])
        if last:
            assert abs(here[0] - last[0]) + abs(here[1] - last[1]) <= 45
        last = here


@pytest.mark.parametrize("shape", [(8, 8, 8), (16, 16, 8), (16, 8, 4), (16, 8, 2)])
def test_other_arrays_are_left_to_nextpnr(shape):
    rows, columns, lanes = shape
    assert floorplan(Config(rows=rows, columns=columns, lanes=lanes)) == {}


def test_the_board_s_array_has_places():
    """That the netlist has these cells, tests/bench/test_boards.py says, once it is synthesised."""
    board = BOARDS["ulx3s-85f"]
    assert len(board.floorplan(board.config)) == 252


def test_places_are_attributes_of_the_cells():
    names = ("system.core.array.a", "system.core.weight$12.b", "system.core.weight.c")
    cells = {name: {"attributes": {}} for name in names}
    netlist = json.dumps({"modules": {"top": {"cells": cells}}}).encode()
    placed, found = constrain(netlist, {"array.a": "X1/Y2/A", "weight.b": "X3/Y4/B", "d": "X5"})
    assert found == 2
    attributes = [
        cell["attributes"] for cell in json.loads(placed)["modules"]["top"]["cells"].values()
    ]
    assert attributes == [{"BEL": "X1/Y2/A"}, {"BEL": "X3/Y4/B"}, {}]
