"""What bench/results and docs/roundings.md say is what weft computes today."""

import json
import runpy
from pathlib import Path

import numpy as np
import published
import pytest

TOP = Path(__file__).parents[2]
RECORDED = json.loads((TOP / "bench" / "results" / "roundings.json").read_text())

#: Whose numbers need no LiteRT here.
OURS = ("weft", "weft litert", "weft single", "TFLite Micro")


@pytest.fixture(scope="module")
def bench():
    return runpy.run_path(str(TOP / "bench" / "roundings.py"))


def ours(kinds):
    """The pairs among `OURS`."""
    return {
        kind: {pair: part for pair, part in found["pairs"].items() if is_ours(pair)}
        for kind, found in kinds.items()
    }


def is_ours(pair):
    return set(pair.split(" / ")) <= set(OURS)


def test_figures_are_as_recorded(bench):
    published.folder("ic")
    found = bench["measure"](published.MODELS, live=False)
    assert found["litert"] == {"live": False}
    for name, kinds in found["models"].items():
        recorded = {kind: RECORDED["models"][name][kind] for kind in kinds}
        assert ours(kinds) == ours(recorded), "run python bench/roundings.py and say why"
        # The arrays are what LiteRT gave when the record was made.
        if RECORDED["litert"]["equal to the arrays"]:
            assert kinds == recorded


def test_more_inputs_are_as_recorded(bench):
    file = published.model_file("kws")
    inputs = bench["more_inputs"]("kws", published.arrays("kws", "tests.npz")["inputs"].shape[1:])
    found = {"more": bench["summary"](bench["weft_outputs"](file, inputs), True)}
    assert ours(found) == ours({"more": RECORDED["models"]["kws"]["more"]})


def test_weft_is_equal_to_both_references():
    for kinds in RECORDED["models"].values():
        for kind, found in kinds.items():
            pairs = found["pairs"]
            assert pairs["weft litert / LiteRT reference"]["codes"] == 0
            assert kind == "more" or pairs["weft / TFLite Micro"]["codes"] == 0


def test_the_page_shows_the_same(bench):
    page = (TOP / "docs" / "roundings.md").read_text()
    for table in bench["markdown"](RECORDED).split("\n\n"):
        assert table.strip() in page
    tools = RECORDED["tools"]
    assert f"LiteRT {tools['ai-edge-litert']} on {tools['machine']}" in page


def test_the_worked_example():
    """The page's table: m = 2**30, s = -1."""
    sums = np.array([4, 5, 6, -5, -6, -7])
    first = (sums * 2**30 + 2**30) >> 31
    double = np.sign(first) * ((np.abs(first) + 1) >> 1)
    single = (sums * 2**30 + 2**31) >> 32
    rows = [
        line.split("|")[1:-1]
        for line in (TOP / "docs" / "roundings.md").read_text().splitlines()
        if line.startswith("| ") and "→" in line
    ]
    assert [int(row[0]) for row in rows] == sums.tolist()
    assert [int(row[2].split("→")[1]) for row in rows] == first.tolist()
    assert [int(row[3].split("**")[1]) for row in rows] == double.tolist()
    assert [int(row[4].split("**")[1]) for row in rows] == single.tolist()


def test_usage(bench, capsys, tmp_path):
    assert bench["main"](["--help"]) == 2
    assert "Usage" in capsys.readouterr().err
    assert bench["main"](["--models", str(tmp_path)]) == 2
    assert "is not there; give --models DIR" in capsys.readouterr().err
