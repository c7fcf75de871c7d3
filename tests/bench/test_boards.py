"""What bench/results says of the boards is what weft compiles and Yosys makes today."""

import json
import runpy
from dataclasses import asdict
from pathlib import Path

import pytest
from published import folder

from weft.boards.builds import recorded_builds
from weft.boards.registry import BOARDS

BENCH = Path(__file__).parents[2] / "bench"
RECORDED = json.loads((BENCH / "results" / "boards.json").read_text())
AGAIN = "run python bench/boards.py and say why"

#: Share by which cells may differ.
CLOSE = 0.02


@pytest.fixture(scope="module")
def bench():
    return runpy.run_path(str(BENCH / "boards.py"))


#: One board for each FPGA: others with the same one are configured alike.
DISTINCT = list({board.configs: name for name, board in reversed(BOARDS.items())}.values())[::-1]


@pytest.fixture(scope="module")
def found(bench):
    return bench["Models"](folder("ic").parent)


def test_every_board_is_recorded():
    assert list(RECORDED["boards"]) == list(BOARDS), AGAIN
    for name, record in RECORDED["boards"].items():
        configs = [part["config"] for part in record["configs"].values()]
        assert configs == [asdict(config) for config in BOARDS[name].configs], AGAIN


def test_boards_with_the_same_fpga_take_the_same_cycles():
    counts = {}
    for name, record in RECORDED["boards"].items():
        rows = {model: row.get("cycles") for model, row in record["models"].items()}
        assert counts.setdefault(BOARDS[name].configs, rows) == rows, AGAIN


@pytest.mark.parametrize("name", DISTINCT)
def test_cycles_are_as_recorded(name, bench, found):
    compared = ("configuration", "cycles", "utilization", "reasons")
    recorded = {
        model: {key: row[key] for key in compared if key in row}
        for model, row in RECORDED["boards"][name]["models"].items()
    }
    assert bench["cycles"](found, BOARDS[name]) == recorded, AGAIN


@pytest.mark.slow
@pytest.mark.parametrize("name", ["icebreaker", "ulx3s-25f", "ulx3s-85f"])
def test_cells_are_as_recorded(name, bench):
    board = BOARDS[name]
    hardware = bench["Hardware"](board, board.config, f"test-{name}")
    recorded = RECORDED["boards"][name]["configs"]["config"]
    hardware.elaborate()
    made = hardware.synthesize()
    for count in ("lut4", "multipliers", "block_rams", "spram"):
        assert made[count] == pytest.approx(recorded["synthesis"][count], rel=CLOSE), AGAIN
    assert_places(BOARDS[name], hardware.folder / "top.json")


def assert_places(board, netlist):
    """Where a board has a plan for its array, every multiplier and every block RAM has a place."""
    planned = board.floorplan and board.floorplan(board.config, [])
    cells = json.loads(netlist.read_text())["modules"]["top"]["cells"].values()
    blocks = [cell for cell in cells if cell["type"] in ("MULT18X18D", "DP16KD")]
    placed = [cell["attributes"]["BEL"] for cell in blocks if "BEL" in cell["attributes"]]
    assert len(set(placed)) == (len(blocks) if planned else 0)


def test_a_model_that_does_not_fit_says_why(bench):
    page = runpy.run_path(str(BENCH / "boards_page.py"))
    record = {
        "board": "b",
        "scales": "published",
        "models": {"ad": {"reasons": ["weight: it has 1 byte"]}, "vww": {"reasons": list("abcde")},
                   "ic": {"configuration": "large", "cycles": 2_000_000, "utilization": 0.5}},
        "configs": {"large": {"route": {
            "1": {"fmax_mhz": 40.0, "seconds": 1.0}, "2": {"fmax_mhz": 50.0, "seconds": None},
            "3": {"reason": "the design does not fit"}}}},
    }  # fmt: skip
    text = page["markdown"]({"boards": {"b": record}, "tools": {}})
    assert "| b | ad | does not fit: weight: it has 1 byte |  |  |" in text
    assert "| b | vww | does not fit: a; b; c; and 2 more |  |  |" in text
    assert "| b | ic | 2,000,000 | 50.0% | 40.000 ms |" in text
    assert "| b, large | place and route, seed 1 | 1.0 |" in text
    assert "| b, large | place and route, seed 2 | - |" in text


def test_markdown_says_the_same():
    page = runpy.run_path(str(BENCH / "boards_page.py"))
    assert (BENCH / "results" / "boards.md").read_text() == page["markdown"](RECORDED)


def test_seeds_are_kept_for_the_same_netlist_alone(bench):
    def record(cells, *seeds):
        route = {seed: {"fmax_mhz": 40.0} for seed in seeds}
        made = {"synthesis": {"cells": {"LUT4": cells}}, "tools": {"yosys": "1"}, "route": route}
        return {"configs": {"config": made}}

    for cells, kept in ((2, ["1", "2", "10"]), (3, ["2"])):
        now = record(cells, "2")
        bench["keep_routes"](now, record(2, "1", "10"))
        assert list(now["configs"]["config"]["route"]) == kept


def test_what_the_list_of_boards_shows_is_the_record(bench):
    assert {name: asdict(build) for name, build in recorded_builds().items()} == bench["builds"](
        RECORDED
    ), AGAIN


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config", "{}"], "--config wants one --board, and an --output of its own"),
        (["--seeds", "1,x"], "write seeds as 1,2,3, not '1,x'"),
        (["--models", "nowhere"], "is not there; give --models DIR"),
        (["--board", "icebreaker", "--output", "build/o", "--config", '{"rows": 0}'], "--config: "),
    ],
)
def test_usage(bench, arguments, message, capsys):
    if "--models" not in arguments:
        folder("ic")
    with pytest.raises(SystemExit) as stop:
        bench["main"](arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err
