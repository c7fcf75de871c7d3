"""What bench/results says is what the compiler counts today."""

import json
import runpy
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench"
RECORDED = json.loads((BENCH / "results" / "cycles.json").read_text())


@pytest.fixture(scope="module")
def bench():
    return runpy.run_path(str(BENCH / "cycles.py"))


def test_cycles_are_as_recorded(bench):
    found = bench["measure"]()
    assert found["arrays"] == RECORDED["arrays"], "run python bench/cycles.py and say why"
    assert found["macs"] == RECORDED["macs"]


def test_markdown_says_the_same(bench):
    assert (BENCH / "results" / "cycles.md").read_text() == bench["markdown"](RECORDED)


def test_usage(bench, capsys):
    assert bench["main"](["--help"]) == 2
    assert "Usage" in capsys.readouterr().err
