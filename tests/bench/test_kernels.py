"""What docs/tflite.md says of random kernels is what the bench counts."""

import json
import runpy
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
RECORDED = json.loads((TOP / "bench" / "results" / "kernels.json").read_text())
PAGE = " ".join((TOP / "docs" / "tflite.md").read_text().split())


@pytest.fixture(scope="module")
def bench():
    return runpy.run_path(str(TOP / "bench" / "kernels.py"))


def test_figures_are_as_recorded(bench):
    assert bench["leaky_relus"]() == RECORDED["LEAKY_RELU"], "run python bench/kernels.py"
    assert bench["products"]() == RECORDED["MUL"], "run python bench/kernels.py"


@pytest.mark.parametrize("name", ["logistic", "tanh"])
def test_curves_are_at_most_one_code_apart(bench, name):
    row = bench["curves"](bench[name], (-8, 2), 200)
    assert row["entries"] == 200 * 256
    assert row["largest"] <= 1
    assert row["codes"] < 20


def test_the_page_says_the_same():
    leaky, mul = RECORDED["LEAKY_RELU"], RECORDED["MUL"]
    small, large = (RECORDED[f"LOGISTIC, scales {side} 1/4"] for side in ("up to", "from"))
    tanh = [RECORDED[f"TANH, scales {side} 1/4"]["codes"] for side in ("up to", "from")]
    for sentence in (
        f"of {leaky['models']:,} random LEAKY_RELU models in {leaky['other multipliers']:,}, "
        f"of which {leaky['other codes']} has another code",
        f"other multipliers in {mul['other multipliers']} of {mul['models']} random models, "
        f"another code in {mul['other codes']} ",
        f"up to 1/4 in {small['codes']} of {small['entries']:,} random entries, from there to 4 "
        f"in {large['codes']}, by one; TANH: in none of as many",
    ):
        assert sentence in PAGE
    assert tanh == [0, 0]
    assert small["entries"] == large["entries"]
    assert small["largest"] == large["largest"] == 1


def test_usage(bench, capsys):
    assert bench["main"](["--help"]) == 2
    assert "Usage" in capsys.readouterr().err
