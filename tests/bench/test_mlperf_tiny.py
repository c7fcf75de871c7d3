"""What bench/results says of MLPerf Tiny's networks is what the compiler counts today."""

import json
import runpy
from pathlib import Path

import pytest
from published import MODELS, folder

BENCH = Path(__file__).parents[2] / "bench"
RECORDED = json.loads((BENCH / "results" / "mlperf_tiny.json").read_text())


@pytest.fixture(scope="module")
def bench():
    return runpy.run_path(str(BENCH / "mlperf_tiny.py"))


def test_cycles_are_as_recorded(bench):
    folder("ic")
    found = bench["measure"](MODELS)
    assert found["runs"] == RECORDED["runs"], "run python bench/mlperf_tiny.py and say why"
    assert found["macs"] == RECORDED["macs"]


def test_markdown_says_the_same(bench):
    assert (BENCH / "results" / "mlperf_tiny.md").read_text() == bench["markdown"](RECORDED)


def test_usage(bench, capsys, tmp_path):
    for wrong in (["--help"], ["--simulate", "--models"]):
        assert bench["main"](wrong) == 2
        assert "Usage" in capsys.readouterr().err
    for more in ([], ["--simulate"]):
        assert bench["main"](["--models", str(tmp_path), *more]) == 2
        missing = tmp_path / "ic" / "pretrainedResnet_quant.tflite"
        assert capsys.readouterr().err == f"{missing} is not there; give --models DIR\n"
