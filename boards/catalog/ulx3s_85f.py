"""ULX3S with the LFE5U-85F, by Radiona."""

from amaranth_boards.ulx3s import ULX3S_85F_Platform

from weft.boards.board import Board
from weft.boards.catalog.chips import ECP5_85F

BOARD = Board(
    name="ulx3s-85f",
    title="ULX3S 85F",
    platform=ULX3S_85F_Platform,
    device="LFE5U-85F-6BG381",
    **ECP5_85F,
    target_mhz=120,
    # With the first, nextpnr looks for the ways of the last 500 wires for more than ten minutes.
    seeds=(2, 3, 1),
    baud=3_000_000,
    leds=(0, 1),
    bitstream=".bit",
    flash_tool="openFPGALoader",
    flash_arguments=("-b", "ulx3s", "-f", "{file}"),
    sram_arguments=("-b", "ulx3s", "{file}"),
)
