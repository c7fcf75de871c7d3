"""Pages are sound, need nothing else, and are the same every time."""

import os
import re
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from report_reader import Elements, text
from report_samples import large, quantized, small, validation

from weft.errors import InputError
from weft.report.page import check_place, notebook_html, page_html, write_report
from weft.validation.result import Score

TOP = Path(__file__).parents[2]

RESULTS = {
    "small": small,
    "large": large,
    "multiplier": lambda: large(multiplier=True),
    "empty": lambda: quantized([]),
    "validation": validation,
}
RESULTS["bare validation"] = lambda: replace(
    validation(tolerance=None, hurts_most=None, choices=(), hardware=None, exceeded=()),
    layers=(), warnings=(), unmatched=(), score=Score("mse", "", "float", 0.0, 0.125, 0.125),
    sqnr_db=float("inf"),
)  # fmt: skip


@pytest.mark.parametrize("result", RESULTS)
def test_it_is_one_sound_page(result):
    page = page_html(RESULTS[result]())
    found = Elements(page.removeprefix("<!doctype html>"))
    assert len(set(found.ids)) == len(found.ids)
    assert {link.removeprefix("#") for link in found.links} <= set(found.ids)
    assert found.sources == ["data:,"]
    assert not re.search(r"https?:|url\(|@import|<script|None|undefined|\bnan\b", page)


@pytest.mark.parametrize("result", RESULTS)
def test_a_part_of_a_notebook(result):
    """The same contents and styles; other identities, and no elements of a page."""
    page, part = page_html(RESULTS[result]()), notebook_html(RESULTS[result]())
    found = Elements(part)
    assert not re.search(r"<(html|head|body|title>[^<]*</title>\s*<style|main|meta)\b", part)
    assert all(name.startswith("weft-") for name in found.ids)
    assert text(part) == text(page)


def test_the_same_result_gives_the_same_bytes():
    """In other processes, with other hashes."""
    command = (
        "import sys; sys.path.insert(0, 'tests'); import report_samples as r; "
        "from weft.report.page import page_html as p; "
        "sys.stdout.write(p(r.small()) + p(r.validation()))"
    )
    made = [
        subprocess.run(
            [sys.executable, "-c", command], cwd=TOP, check=True, capture_output=True, text=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    ]  # fmt: skip
    assert made[0] == made[1] == page_html(small()) + page_html(validation())


def test_its_parts_ship():
    """A file that no pattern names would be missing from the wheel without a word."""
    settings = tomllib.loads((TOP / "pyproject.toml").read_text())["tool"]["setuptools"]
    folder = TOP / "weft" / "report"
    shipped = {
        path for name in settings["package-data"]["weft.report"] for path in folder.glob(name)
    }
    assert shipped == {path for path in folder.glob("*.*") if path.suffix != ".py"}


def test_where_a_report_cannot_go(tmp_path):
    with pytest.raises(InputError, match=r"is a folder; give a file with --report, as .*r\.html"):
        check_place(tmp_path)
    with pytest.raises(InputError, match=r"there is no folder .*/no for the report; make it, or"):
        check_place(tmp_path / "no" / "r.html")
    check_place(tmp_path / "r.html")
    with pytest.raises(InputError, match=r"cannot be written .*; give another path with --report"):
        write_report(small(), tmp_path)


def test_what_is_written(tmp_path):
    write_report(small(), tmp_path / "r.html")
    assert (tmp_path / "r.html").read_bytes().decode() == page_html(small())
