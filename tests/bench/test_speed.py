"""What bench/results says of weft's own speed, and the marks."""

import json
import runpy
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench"


@pytest.fixture(scope="module")
def recorded():
    path = BENCH / "results" / "speed.json"
    assert path.exists(), "run python bench/speed.py"
    return json.loads(path.read_text())


@pytest.fixture(scope="module")
def bench():
    return runpy.run_path(str(BENCH / "speed.py"))


def test_the_marks_were_reached(bench, recorded):
    assert bench["missed"](recorded) == []


def test_a_missed_mark_is_named(bench):
    slow = {
        "compile": {"ic": {"first": 10.5, "again": 1.0}, "kws": {"first": 9.0, "again": 1.0}},
        "simulate": {"one_inference": 61.0, "each_further": 7.5},
    }
    assert bench["missed"](slow) == [
        "compiling ic takes 10.5 s, over 10",
        "one inference takes 61.0 s, over 60",
        "an inference takes 7.5 s: under 10 a minute",
    ]


def test_markdown_says_the_same(bench, recorded):
    assert (BENCH / "results" / "speed.md").read_text() == bench["markdown"](recorded)


def test_processor_time_counts_child_processes():
    from subprocess import run  # noqa: PLC0415
    from sys import executable  # noqa: PLC0415

    timed = runpy.run_path(str(BENCH / "processor.py"))["timed"]
    work = "n = 0\nfor i in range(3_000_000): n += i\nprint(n)"
    done, seconds = timed(lambda: run([executable, "-c", work], capture_output=True, check=True))
    assert done.stdout.strip() == b"4499998500000"
    assert seconds > 0.02


def test_usage(bench, capsys, tmp_path):
    assert bench["main"](["--help"]) == 2
    assert "Usage" in capsys.readouterr().err
    assert bench["main"](["--models", str(tmp_path)]) == 2
    assert "is not there; give --models DIR" in capsys.readouterr().err
