"""ULX3S with the LFE5U-12F, by Radiona."""

from dataclasses import replace

from amaranth_boards.ulx3s import ULX3S_12F_Platform

from weft.boards.catalog.chips import ECP5_25F
from weft.boards.catalog.ulx3s_85f import BOARD as ULX3S_85F

BOARD = replace(
    ULX3S_85F,
    name="ulx3s-12f",
    title="ULX3S 12F",
    platform=ULX3S_12F_Platform,
    device="LFE5U-12F-6BG381",
    **ECP5_25F,
    target_mhz=150,
    seeds=(1, 2, 3),
)
