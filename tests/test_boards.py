"""`weft boards`: the list, and the record of builds that it shows."""

import json

import pytest

from weft.boards import builds
from weft.boards.registry import BOARDS
from weft.cli import main


@pytest.fixture
def records(monkeypatch):
    board = BOARDS["icebreaker"]
    made = {
        name: builds.Recorded(config_digest=digest, fmax_mhz=48.25, seeds=3, tools={"yosys": "1"})
        for name, digest in (("icebreaker", board.config.digest), ("ulx3s-25f", "0" * 16))
    }
    monkeypatch.setattr(builds, "recorded_builds", lambda: made)
    return made


def test_list(records, capsys):
    assert main(["boards"]) == 0
    out = capsys.readouterr().out
    lines = [line.split() for line in out.splitlines()]
    named = {line[0]: line for line in lines if line and line[0] in BOARDS}
    assert list(named) == list(BOARDS)
    assert named["icebreaker"] == ["icebreaker", "iCE40UP5K-SG48", "16", "143", "4x4", "36",
                                   "48.2"]  # fmt: skip
    # A record of another configuration says nothing of this one.
    assert named["ulx3s-25f"][-1] == str(BOARDS["ulx3s-25f"].target_mhz)
    assert max(map(len, out.splitlines())) <= 80


def test_json(records, capsys):
    assert main(["boards", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["boards"]
    assert [entry["board"] for entry in found] == list(BOARDS)
    assert found[0]["toolchain"] == ["yosys", "nextpnr-ice40", "icepack"]
    assert found[0]["build"] == {
        "config_digest": BOARDS["icebreaker"].config.digest, "fmax_mhz": 48.25, "seeds": 3,
        "tools": {"yosys": "1"},
    }  # fmt: skip
    assert found[1]["build"] is None
