"""What docs/arithmetic.md says of ONNX Runtime is what the bench counts."""

import json
import runpy
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
RECORDED = json.loads((TOP / "bench" / "results" / "onnx_runtime.json").read_text())["networks"]
PAGE = " ".join((TOP / "docs" / "arithmetic.md").read_text().split())


@pytest.fixture(scope="module")
def bench():
    return runpy.run_path(str(TOP / "bench" / "onnx_runtime.py"))


def test_one_rounding_is_nearer(bench):
    """Not the figures themselves: other versions of ONNX Runtime may differ in a tie."""
    found = bench["measure"](1)
    single, double = (bench["total"](found, kind) for kind in ("single", "double"))
    assert single["outputs"] == double["outputs"] == 719 * 200
    assert single["largest"] <= 1
    assert 100 * single["codes"] < double["codes"]


def test_the_page_says_the_same(bench):
    single, double = (bench["total"](RECORDED, kind) for kind in ("single", "double"))
    assert (
        f"counts on {single['outputs']:,} outputs of 25 networks that `quantize_static` wrote "
        f"(uint8, per channel): with `single` {single['codes']} differ, by one code; with `double` "
        f"{double['codes']:,}, by up to {double['largest']}."
    ) in PAGE
    assert single["largest"] == 1


def test_usage(bench, capsys):
    assert bench["main"](["--help"]) == 2
    assert "Usage" in capsys.readouterr().err
