"""ECPIX-5 with the LFE5UM5G-85F, by LambdaConcept."""

from amaranth_boards.ecpix5 import ECPIX585Platform

from weft.boards.board import Board
from weft.boards.catalog.chips import ECP5_85F

BOARD = Board(
    name="ecpix5-85f",
    title="ECPIX-5 85F",
    platform=ECPIX585Platform,
    device="LFE5UM5G-85F-8BG554",
    **ECP5_85F,
    target_mhz=120,
    seeds=(2, 3, 1),
    baud=3_000_000,
    leds=("g", "b"),
    bitstream=".bit",
    flash_tool="openFPGALoader",
    flash_arguments=("-b", "ecpix5", "-f", "{file}"),
    sram_arguments=("-b", "ecpix5", "{file}"),
)
