"""ULX3S with the LFE5U-85F, by Radiona."""

from amaranth_boards.ulx3s import ULX3S_85F_Platform

from weft.boards.board import Board
from weft.hw.config import Config

BOARD = Board(
    name="ulx3s-85f",
    title="ULX3S 85F",
    platform=ULX3S_85F_Platform,
    family="ecp5",
    device="LFE5U-85F-6BG381",
    multipliers=156,
    ram_bytes=208 * 2048,
    luts=83_640,
    block_rams=208,
    config=Config(
        rows=8,
        columns=8,
        lanes=4,
        activation_depth=7168,
        weight_depth=4096,
        parameter_depth=1024,
        program_depth=1536,
        tables=4,
        multiplier_bits=31,
        elementwise=1,
    ),
    target_mhz=60,
    leds=(0, 1),
    bitstream=".bit",
    flash_tool="openFPGALoader",
    flash_arguments=("-b", "ulx3s", "-f", "{file}"),
    sram_arguments=("-b", "ulx3s", "{file}"),
)
