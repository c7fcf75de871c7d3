"""The table in docs/tflite.md is what the bench measured, and the bench still measures."""

import json
import runpy
from pathlib import Path

import numpy as np
import published
import pytest

TOP = Path(__file__).parents[2]
RECORDED = json.loads((TOP / "bench" / "results" / "float_tflite.json").read_text())["models"]


@pytest.fixture(scope="module")
def bench():
    return runpy.run_path(str(TOP / "bench" / "float_tflite.py"))


def test_the_page_shows_the_table(bench):
    assert bench["markdown"](RECORDED) in (TOP / "docs" / "tflite.md").read_text()


def test_classes_stay(bench):
    for row in RECORDED.values():
        assert not any(row[way]["top1"] for way in bench["WAYS"])


def test_it_measures(bench):
    published.folder("kws")
    found = bench["measure"](published.MODELS, ("kws",))
    assert list(found) == ["kws, dynamic range", "kws, INT8 taken back"]
    for row in found.values():
        assert row["inputs"] == 7
        for way in bench["WAYS"]:
            assert row[way]["decibels"] > 15
            assert row[way]["top1"] == 0


def test_decibels(bench):
    real = np.array([[3.0, 4.0], [0.0, 0.0]])
    made = np.array([[3.0, 4.0], [0.0, 0.5]])
    assert bench["compare"](real, made, True) == {"decibels": 20.0, "top1": 1}
    assert bench["compare"](real, made, False) == {"decibels": 20.0, "top1": None}


def test_usage(bench, capsys, tmp_path):
    assert bench["main"](["--help"]) == 2
    assert "Usage" in capsys.readouterr().err
    assert bench["main"](["--models", str(tmp_path)]) == 2
    assert "is not there; give --models DIR" in capsys.readouterr().err
