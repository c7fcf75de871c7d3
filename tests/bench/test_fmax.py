"""The fit of the clock's model can be redone, and is what boards/ has."""

import json
import runpy
from dataclasses import asdict
from pathlib import Path

import pytest

from weft.boards.fmax_coefficients import BUILDS, COEFFICIENTS, MARGIN
from weft.boards.registry import BOARDS
from weft.hw.config import Config

BENCH = Path(__file__).parents[2] / "bench"
RECORDED = json.loads((BENCH / "results" / "fmax.json").read_text())["builds"]
KEYS = {"board", "device", "config", "fmax_mhz", "utilization", "tools", "gateware"}


@pytest.fixture(scope="module")
def bench():
    return runpy.run_path(str(BENCH / "fmax.py"))


def test_every_build_says_what_it_is():
    for entry in RECORDED:
        assert entry.keys() == KEYS
        assert entry["device"] == BOARDS[entry["board"]].device
        assert asdict(Config(**entry["config"])) == entry["config"]
        assert all(int(seed) > 0 and mhz > 1 for seed, mhz in entry["fmax_mhz"].items())
        assert entry["tools"]
    known = [(entry["board"], Config(**entry["config"])) for entry in RECORDED]
    assert len(set(known)) == len(known)


def test_blocks_of_builds_are_those_that_are_counted(bench):
    assert bench["miscounted"](RECORDED) == []
    name = "DP16KD" if "DP16KD" in RECORDED[-1]["utilization"] else "ICESTORM_RAM"
    wrong = {**RECORDED[-1], "utilization": {**RECORDED[-1]["utilization"], name: 1}}
    (message,) = bench["miscounted"]([wrong])
    assert message.endswith(" block RAMs, and the build has 1")


def test_coefficients_are_the_fit_s(bench):
    fits = bench["fit"](RECORDED)
    assert {kind: len(found.rows) for kind, found in fits.items()} == BUILDS
    assert {kind: found.margin for kind, found in fits.items()} == MARGIN
    for kind, found in fits.items():
        assert found.weights == pytest.approx(COEFFICIENTS[kind], rel=1e-3, abs=1e-3)
        assert found.margin >= max(abs(row[3]) for row in found.rows)


def test_the_files_that_are_written(bench, tmp_path, capsys):
    names = bench["main"].__globals__
    with pytest.MonkeyPatch.context() as patch:
        for name in ("COEFFICIENTS", "PAGE", "RECORD"):
            there = names[name]
            (tmp_path / there.name).write_bytes(there.read_bytes())
            patch.setitem(names, name, tmp_path / there.name)
        assert bench["main"](["--fit"]) == 0
    for path in (BENCH.parent / "boards" / "fmax_coefficients.py", BENCH / "results" / "fmax.json"):
        assert (tmp_path / path.name).read_text() == path.read_text()
    page = capsys.readouterr().out
    for kind, margin in MARGIN.items():
        assert f"## {kind}: within {margin:.0%}\n" in page
        assert f"## {kind}: within {margin:.0%}\n" in (BENCH / "results" / "fmax.md").read_text()


def test_builds_can_be_added(bench, tmp_path):
    """A new one joins the record; another of the same configuration takes its place."""
    board = BOARDS["icebreaker"]
    report = {
        "board": board.name, "config": asdict(Config(rows=2, columns=1)), "fmax_mhz": 40.5,
        "seed": 3, "utilization": {"ICESTORM_RAM": {"used": 9, "available": 30}}, "tools": {},
    }  # fmt: skip
    (tmp_path / "build.json").write_text(json.dumps(report))
    record = bench["added"](RECORDED, [tmp_path])
    assert record[1:] == RECORDED
    assert record[0].keys() == KEYS
    assert record[0]["fmax_mhz"] == {"3": 40.5}
    assert record[0]["utilization"] == {"ICESTORM_RAM": 9}
    (tmp_path / "build.json").write_text(json.dumps({**report, "fmax_mhz": 41.0}))
    again = bench["added"](record, [tmp_path])
    assert again[0]["fmax_mhz"] == {"3": 41.0}
    assert again[1:] == RECORDED


def test_a_build_that_does_not_fit_is_left_out(bench, capsys):
    measure = bench["measure"]

    def refuse(*_arguments, **_options):
        raise bench["RefusedError"]("the design does not fit")

    measure.__globals__["build"] = refuse
    assert measure([1]) == []
    assert capsys.readouterr().out.count("the design does not fit") == len(bench["CONFIGS"])


def test_usage(bench, capsys):
    for arguments in (["--help"], ["--seeds", "0"], ["--add"]):
        assert bench["main"](arguments) == 2
        assert "Usage" in capsys.readouterr().err
