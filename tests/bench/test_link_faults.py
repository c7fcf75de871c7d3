"""Faults on the simulated board's line, a few of those of bench/link_faults.py."""

import json
import runpy
from collections import Counter
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench"


@pytest.fixture(scope="module")
def faults():
    return runpy.run_path(str(BENCH / "link_faults.py"))


@pytest.mark.parametrize("seed", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_no_fault_passes_for_an_answer(faults, seed):
    record = faults["inject"](500, seed)
    assert faults["holds"](record), record
    assert record["came_of_runs"]["right"] > 0


def test_the_record_is_of_100_000_frames(faults):
    record = json.loads(faults["RESULT"].read_text())
    assert record["frames"] >= 100_000
    assert faults["holds"](record)
    assert record["noise_per_million_bytes"] == faults["NOISE"]
    kinds = {
        "nothing more", "reset before a run", "reset between samples", "reset in an inference",
        "frame cut off", "host killed", "second host", "host without locks",
    }  # fmt: skip
    assert record["runs_with"].keys() == kinds
    assert record["came_of_runs"]["a second host was refused"] > 0
    known = {"right", "a second host was refused"}
    told = Counter(record["came_of_runs"]).keys() - known
    said = ("the board on PORT", "the core on PORT", "PORT", "no good answer")
    assert all(text.startswith(said) for text in told)
