"""Every board has a guide, which says what its file of data says."""

import re
from pathlib import Path

import pytest

from weft.boards.registry import BOARDS

GUIDES = Path(__file__).parents[2] / "docs" / "boards"
INDEX = (GUIDES / "README.md").read_text()
ROWS = re.findall(r"^\| (`[^|]+) \| \[[^]]+\]\(([\w.-]+)\) \|$", INDEX, re.MULTILINE)
GUIDE = {name: file for names, file in ROWS for name in re.findall(r"`([\w-]+)`", names)}


def test_the_index_has_every_board():
    assert list(GUIDE) == list(BOARDS)
    assert {path.name for path in GUIDES.glob("*.md")} == {"README.md", *GUIDE.values()}


@pytest.mark.parametrize("name", BOARDS)
def test_a_guide_has_its_parts(name):
    text = (GUIDES / GUIDE[name]).read_text()
    for part in ("Wiring", "Flashing", "First inference", "Trouble"):
        assert f"**{part}.**" in text
    assert name in text
    board = BOARDS[name]
    assert board.flash_tool in text
    assert ("--sram" in text) == bool(board.sram_arguments)
