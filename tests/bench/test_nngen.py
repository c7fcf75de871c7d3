"""What bench/results says of NNgen and weft; weft's own part is what it takes today."""

import json
import runpy
from pathlib import Path

import pytest

from weft.compiler.compile import compile_network, fit

BENCH = Path(__file__).parents[2] / "bench"


@pytest.fixture(scope="module")
def recorded():
    return json.loads((BENCH / "results" / "nngen.json").read_text())


@pytest.fixture(scope="module")
def bench():
    return runpy.run_path(str(BENCH / "nngen.py"))


@pytest.mark.parametrize("name", ["conv", "dense"])
def test_cycles_are_as_recorded(name, bench, recorded):
    graph = bench["network"](bench["LAYERS"][name])
    config = fit(graph, bench["CONFIGS"][name])
    layer = recorded["layers"][name]
    assert bench["macs"](graph) == layer["macs"]
    cycles = sum(layer["cycles"] for layer in compile_network(graph, config).layers)
    again = "run python bench/nngen.py --only weft and say why"
    assert cycles == layer["weft"]["cycles"], again
    assert config.multipliers == layer["weft"]["multipliers"], again
    # Of what cannot be measured here the ratios at least are those of the figures.
    for run in (layer["weft"], layer["nngen"]):
        assert bench["figures"](run, layer["macs"]) == run
    assert layer["nngen"]["cycles"] == min(run["cycles"] for run in layer["nngen_tried"])


def test_weft_wins_every_mark(bench, recorded):
    assert bench["missed"](recorded) == []


def test_a_missed_mark_is_named(bench):
    won = {"cycles_per_mac_and_multiplier": 1.1, "lut4_per_mac": 90.0}
    lost = {"cycles_per_mac_and_multiplier": 1.1, "lut4_per_mac": 90.5}
    assert bench["missed"]({"layers": {"conv": {"weft": lost, "nngen": won}}}) == [
        "conv: cycles_per_mac_and_multiplier is 1.1 with weft and 1.1 with NNgen",
        "conv: lut4_per_mac is 90.5 with weft and 90.0 with NNgen",
    ]


def test_nngen_is_given_as_many_multipliers_in_every_setting(bench):
    for name, settings in bench["SETTINGS"].items():
        counts = {bench["multipliers"](bench["LAYERS"][name], one) for one in settings}
        assert len(counts) == 1
        assert bench["CONFIGS"][name].multipliers <= counts.pop()


def test_markdown_says_the_same(bench, recorded):
    assert (BENCH / "results" / "nngen.md").read_text() == bench["markdown"](recorded)


def test_an_environment_without_nngen(bench, capsys, tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    with pytest.raises(SystemExit) as stop:
        bench["main"](["--python", str(python), "--output", str(tmp_path)])
    assert stop.value.code == 2
    assert f"{python} has no NNgen: {python} -m pip install nngen" in capsys.readouterr().err


def refused(bench, capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        bench["main"]([str(argument) for argument in arguments])
    assert stop.value.code == 2
    return " ".join(capsys.readouterr().err.split())


def test_only_weft_needs_nngen_s_part(bench, recorded, capsys, tmp_path):
    arguments = ["--only", "weft", "--output", tmp_path]
    path = tmp_path / "nngen.json"
    nothing = f"{path} has nothing of NNgen; measure it: python bench/nngen.py --python PYTHON"
    assert nothing in refused(bench, capsys, *arguments)
    path.write_text("[]")
    assert nothing in refused(bench, capsys, *arguments)
    tools = recorded["tools"] | {"nngen": recorded["tools"]["nngen"] | {"yosys": "Yosys 0.1"}}
    path.write_text(json.dumps(recorded | {"tools": tools}))
    message = refused(bench, capsys, *arguments)
    assert f"{path} has NNgen's cells of Yosys 0.1 and this is Yosys" in message


def test_one_of_two_ways(bench, capsys, tmp_path):
    for arguments in ((), ("--only", "weft", "--python", tmp_path)):
        assert "give either --python PYTHON or --only weft" in refused(bench, capsys, *arguments)
