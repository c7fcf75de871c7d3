"""Every board has a guide, which says what its file of data says."""

import re
from pathlib import Path

import numpy as np
import pytest

from weft.boards.frames import FRAME_WORDS
from weft.boards.protocol import CRC_BYTES, HEAD_BYTES, HEADER_BYTES
from weft.boards.registry import BOARDS
from weft.compiler.compile import compile_network

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
    for part in ("Wiring", "Flashing", "First inference", "What to expect", "Trouble"):
        assert f"**{part}.**" in text
    assert name in text
    board = BOARDS[name]
    assert board.flash_tool in text
    assert ("--sram" in text) == bool(board.sram_arguments)


#: Seconds that an exchange waits for the USB adapter.
ADAPTER = 1e-3


def images_per_second(network, board):
    """With the core alone, and with the line: input and output, START and one STATUS."""
    program = compile_network(network, board.config)
    cycles = sum(layer["cycles"] for layer in program.layers)
    sample = {name: np.zeros(network.tensors[name].shape, np.int8) for name in program.core_inputs}
    words = len(program.input_words(sample)), len(program.output_addresses())
    exchanges = 2 + sum(-(-count // FRAME_WORDS) for count in words)
    frames = exchanges * (1 + HEADER_BYTES + CRC_BYTES + HEAD_BYTES + CRC_BYTES)
    core = cycles / board.target_mhz / 1e6
    line = 10 * (4 * sum(words) + frames) / board.baud + ADAPTER * exchanges
    return 1 / core, 1 / (core + line)


PER_SECOND = {
    name: (alone, line)
    for names, alone, line in re.findall(
        r"^\| (`[^|]+) \| ([\d,]+) \| ([\d,]+) \|$", INDEX, re.MULTILINE
    )
    for name in re.findall(r"`([\w-]+)`", names)
}


@pytest.mark.parametrize("name", BOARDS)
def test_images_per_second(name, digits_network):
    told = [float(number.replace(",", "")) for number in PER_SECOND[name]]
    assert told == pytest.approx(images_per_second(digits_network, BOARDS[name]), rel=0.1)
    text = " ".join((GUIDES / GUIDE[name]).read_text().split())
    alone, line = PER_SECOND[name]
    assert f"about {line} images per second" in text
    assert alone in text
