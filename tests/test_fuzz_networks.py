"""The search in networks: its cases differ, a planted error is found and saved."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from fuzz import networks
from fuzz.case_file import load_case
from fuzz.choices import Choices
from fuzz.configurations import configuration
from fuzz.network_cases import DivergedError
from fuzz.networks import SPARE, replay, search
from hypothesis import Phase

from weft.sim import interpreter

#: What a few hundred cases reach at the least.
REACHED = {
    "operator Add", "operator Concat", "operator Conv2D", "operator DepthwiseConv2D",
    "operator MaxPool", "operator Table", "part copies", "part interleave", "part multiplier_bits",
    "part pairs", "part single_port", "part stream", "part window", "rounding double",
    "rounding shift", "rounding single", "several outputs", "the second path computes",
    "unsigned codes",
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_short_search_reaches_everything_and_finds_nothing(tmp_path):
    record = search("program", tmp_path, minutes=None, count=300, seed=11)
    assert record["failures"] == []
    assert 300 <= record["cases"] <= 300 + SPARE
    assert record["configurations"] > 50
    assert set(record["reached"]) >= REACHED


def test_a_very_short_search(tmp_path):
    record = search("program", tmp_path, minutes=None, count=30, seed=12)
    assert record["failures"] == []
    assert 30 <= record["cases"] <= 30 + SPARE


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_short_search_at_verilog_level(tmp_path):
    record = search("verilog", tmp_path, minutes=None, count=6, seed=1)
    assert record["failures"] == []
    assert 6 <= record["cases"] <= 6 + SPARE


def planted(case, stalls=0):
    """As the interpreter, but for a maximum: the first code of its result is one off."""
    (one,) = case
    result = interpreter.run(one.program, one.inputs)
    if any(type(node).__name__ == "MaxPool" for node in one.network.nodes):
        name = next(iter(result.outputs))
        codes = result.outputs[name].copy()
        codes.flat[0] ^= 1
        result = replace(result, outputs={**result.outputs, name: codes})
    return [result]


def test_a_planted_error_is_found_and_saved(tmp_path, monkeypatch):
    monkeypatch.setitem(networks.RUNNERS, "program", planted)
    monkeypatch.setattr(networks, "MOST_FAILURES", 1)
    monkeypatch.setattr(networks, "PHASES", (Phase.generate,))  # making it small takes minutes
    record = search("program", tmp_path, minutes=1, count=100, seed=3)
    assert record["failures"]
    path = tmp_path / record["failures"][0]
    case, level, _ = load_case(path)
    assert level == "program"
    assert "MaxPool" in {type(node).__name__ for node in case.network.nodes}
    text = json.loads(path.read_text())["why"]
    assert "program differs first in tensor" in text[0]
    assert any("= MaxPool(" in line for line in text)
    with pytest.raises(DivergedError):
        replay(path)
    monkeypatch.undo()
    replay(path)


def test_choices_of_a_seed_are_the_same_and_configurations_valid():
    for seed in range(200):
        one, two = Choices.of_seed(seed), Choices.of_seed(seed)
        assert configuration(one) == configuration(two)
        assert one.drawn == two.drawn


def test_the_plainest_choices():
    """All at their first: an array is a pattern, and nothing unlikely happens."""
    choices = Choices(lambda low, _: low)
    assert choices.random() > 0.99
    assert choices.integers(-128, 128, (2, 3), np.int8).tolist() == [[-2, -1, 0], [1, 2, -2]]
    assert choices.choice([5, 6]) == 5
    assert configuration(choices).rows == 1
