"""``weft demo``, as a newcomer runs it."""

import json

import pytest

from weft.cli import main

#: By board: cycles of an image at the most, utilization at the least. A network of 16 channels
#: cannot keep 64 or 128 multipliers busy.
BOUNDS = {
    "icebreaker": (6_600, 0.6),
    "tang-nano-9k": (3_600, 0.8),
    "ulx3s-25f": (2_600, 0.5),
    "ulx3s-85f": (1_750, 0.4),
}
#: Their place and route takes five to fifteen minutes.
LONG = ("tang-nano-9k", "ulx3s-25f", "ulx3s-85f")


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    "board",
    [
        pytest.param(board, marks=pytest.mark.long if board in LONG else pytest.mark.slow)
        for board in BOUNDS
    ],
)
def test_demo(tmp_path, capsys, board):
    assert main(["demo", "--board", board, "-o", str(tmp_path / "demo"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["images"] >= 100
    assert found["float_accuracy"] >= 0.97
    assert found["int8_accuracy"] >= found["float_accuracy"] - 0.005
    cycles, utilization = BOUNDS[board]
    assert found["cycles_per_image"] <= cycles
    assert found["utilization"] > utilization
    assert found["build"]["timing_met"]
    bitstream = tmp_path / "demo" / found["build"]["files"]["bitstream"]
    assert bitstream.stat().st_size > 50_000
