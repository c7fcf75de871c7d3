"""ULX3S with the LFE5U-45F, by Radiona."""

from dataclasses import replace

from amaranth_boards.ulx3s import ULX3S_45F_Platform

from weft.boards.catalog.chips import ECP5_45F
from weft.boards.catalog.ulx3s_85f import BOARD as ULX3S_85F

BOARD = replace(
    ULX3S_85F,
    name="ulx3s-45f",
    title="ULX3S 45F",
    platform=ULX3S_45F_Platform,
    device="LFE5U-45F-6BG381",
    **ECP5_45F,
    target_mhz=120,
    seeds=(1, 2, 3),
)
