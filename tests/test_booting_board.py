"""The iCEBreaker's large configuration on a simulated board: its program out of flash memory."""

import numpy as np
import pytest

from weft.boards.driver import Driver
from weft.boards.flash_image import PAGE, flash_image
from weft.boards.registry import BOARDS
from weft.compiler.compile import compile_network
from weft.sim import golden
from weft.simulated_board import FlashMemory, SimulatedBoard

BOARD = BOARDS["icebreaker"]


@pytest.fixture(scope="module")
def program(digits_network):
    return compile_network(digits_network, BOARD.large)


def device(board):
    return Driver(board.port, timeout=60, limit=600)


def assert_runs(opened, program, samples):
    result = opened.run(program, samples)
    np.testing.assert_equal(result.outputs, golden.run(program, samples).outputs)
    assert result.cycles == [sum(layer["cycles"] for layer in program.layers)] * 3


@pytest.mark.slow
def test_a_network_out_of_flash_memory(program, digits_samples):
    """The core, the link and the loader of the bitstream; the memory speaks SPI."""
    image = flash_image(program)
    with SimulatedBoard(BOARD.large, boot=FlashMemory(image, BOARD.program_offset)) as board:
        for _ in range(2):
            with device(board) as opened:
                assert opened.identify().program_digest == program.digest
                assert not opened.load(program)
                assert_runs(opened, program, digits_samples)
            # The core forgets all of it, and so it is fetched again.
            board.reset()


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["erased", "bit", "cut"])
def test_no_program_in_flash_memory(program, digits_samples, damage):
    image = bytearray(flash_image(program))
    if damage == "bit":
        image[len(image) // 2 // PAGE * PAGE + 17] ^= 4
    image = {"erased": b"", "bit": bytes(image), "cut": bytes(image[:-PAGE])}[damage]
    with (
        SimulatedBoard(BOARD.large, boot=FlashMemory(image, BOARD.program_offset)) as board,
        device(board) as opened,
    ):
        assert opened.identify().program_digest is None
        assert opened.load(program)
        assert_runs(opened, program, digits_samples)
