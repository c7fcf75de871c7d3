"""The fit of the area model can be redone, and is what hw/ has."""

import json
import runpy
from pathlib import Path

import pytest

from weft.hw.area_coefficients import COEFFICIENTS, MARGIN

BENCH = Path(__file__).parents[2] / "bench"
RECORDED = json.loads((BENCH / "results" / "area.json").read_text())


@pytest.fixture(scope="module")
def bench():
    return runpy.run_path(str(BENCH / "area.py"))


def test_the_record_has_every_configuration(bench):
    found = [(core["family"], core["config"]) for core in RECORDED["cores"]]
    wanted = [
        (family, bench["asdict"](config))
        for family, configs in bench["CONFIGS"].items()
        for config in configs
    ]
    assert found == wanted, "run python bench/area.py"


def test_coefficients_are_the_fit_s(bench, capsys):
    coefficients, margins = bench["fit"](RECORDED)
    for family, weights in coefficients.items():
        assert weights == pytest.approx(COEFFICIENTS[family], rel=1e-3, abs=1e-3)
    assert margins == MARGIN
    assert "with this core left out" in capsys.readouterr().out


def test_the_file_that_is_written(bench, tmp_path):
    bench["write_coefficients"].__globals__["COEFFICIENTS"] = tmp_path / "c.py"
    bench["write_coefficients"](COEFFICIENTS, MARGIN)
    written = runpy.run_path(str(tmp_path / "c.py"))
    assert (written["COEFFICIENTS"], written["MARGIN"]) == (COEFFICIENTS, MARGIN)
    there = BENCH.parent / "hw" / "area_coefficients.py"
    assert (tmp_path / "c.py").read_text() == there.read_text()


@pytest.mark.slow
def test_synthesis_of_a_small_core(bench):
    """A core smaller than any of the record: blocks as counted."""
    config = bench["_with"](bench["_SMALL"], 3, 3, 3, tables=0)
    cells = bench["synthesize"](config, "ecp5")
    made = bench["area_of_cells"](cells)
    counted = [bench[name](config, "ecp5") for name in ("count_multipliers", "count_block_rams")]
    assert [made.multipliers, made.block_rams] == counted


def test_usage(bench, capsys):
    assert bench["main"](["--help"]) == 2
    assert "Usage" in capsys.readouterr().err
