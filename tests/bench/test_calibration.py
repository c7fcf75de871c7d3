"""Calibration in bounded memory, and in time that grows with the samples alone."""

import runpy
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench"


@pytest.fixture(scope="module")
def bench():
    return runpy.run_path(str(BENCH / "calibration.py"))


@pytest.mark.parametrize("many", [10_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_time_and_memory_of_many_samples(bench, many):
    ratios = []
    for _ in range(3):  # seconds of a busy machine say little: the best of three counts
        _, large, ratio = bench["compare"](1_000, many)
        assert large["samples"] == many
        assert large["megabytes"] < bench["MEGABYTES"]
        ratios.append(ratio)
        if ratio <= bench["SLOWER"] * many / 1_000:
            return
    pytest.fail(f"{many:,} samples take {ratios} times as long as 1,000")
