"""``weft demo``, as a newcomer runs it."""

import json

import pytest

from weft.cli import main


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("board", ["icebreaker", "ulx3s-85f"])
def test_demo(tmp_path, capsys, board):
    assert main(["demo", "--board", board, "-o", str(tmp_path / "demo"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["images"] >= 100
    assert found["float_accuracy"] >= 0.97
    assert found["int8_accuracy"] >= found["float_accuracy"] - 0.005
    assert found["utilization"] > 0.4
    assert found["build"]["timing_met"]
    bitstream = tmp_path / "demo" / found["build"]["files"]["bitstream"]
    assert bitstream.stat().st_size > 50_000
