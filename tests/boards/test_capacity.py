"""Whether a core has room in an FPGA."""

from dataclasses import replace

import pytest

from weft.boards.capacity import misfits
from weft.boards.registry import BOARDS
from weft.hw.area import MARGIN, estimate_area
from weft.hw.config import Config


@pytest.mark.parametrize("name", BOARDS)
def test_a_board_s_own_configurations_have_room(name):
    for config in BOARDS[name].configs:
        assert misfits(config, BOARDS[name]) == []


def test_all_that_is_too_much_is_named():
    board = BOARDS["icebreaker"]
    config = Config(rows=16, columns=16, weight_depth=1024)
    area = estimate_area(config, "ice40")
    assert [str(problem) for problem in misfits(config, board)] == [
        f"device {what!r}: the core takes {taken} and the iCEBreaker has {available}; "
        "use a smaller array, fewer lanes or a larger board"
        for what, taken, available in (
            ("multiplier blocks", 128, 8),
            ("block RAMs", f"{area.block_rams:,}, the program's record 1,", 30),
            ("lookup tables", f"about {area.lut4:,} (within {MARGIN['ice40']:.0%})", "5,280"),
        )
    ]


def test_an_estimate_s_error_is_the_core_s_favour():
    config = BOARDS["icebreaker"].config
    luts = estimate_area(config, "ice40").lut4
    for share, count in ((0.95, 0), (0.85, 1)):
        board = replace(BOARDS["icebreaker"], luts=round(share * luts))
        assert len(misfits(config, board)) == count


def test_blocks():
    names = ("icebreaker", "ulx3s-25f", "ulx3s-85f", "tang-nano-9k", "tang-primer-20k")
    assert [BOARDS[name].multiplier_blocks for name in names] == [8, 28, 156, 40, 96]
