"""OrangeCrab r0.2 with the LFE5U-85F, by Good Stuff Department."""

from dataclasses import replace

from amaranth_boards.orangecrab_r0_2 import OrangeCrabR0_2_85FPlatform

from weft.boards.catalog.chips import ECP5_85F
from weft.boards.catalog.orangecrab_25f import BOARD as ORANGECRAB_25F
from weft.boards.catalog.orangecrab_25f import UART


class _Platform(OrangeCrabR0_2_85FPlatform):
    resources = (*OrangeCrabR0_2_85FPlatform.resources, UART)


BOARD = replace(
    ORANGECRAB_25F,
    name="orangecrab-85f",
    title="OrangeCrab r0.2 85F",
    platform=_Platform,
    device="LFE5U-85F-8MG285",
    **ECP5_85F,
    target_mhz=160,
    seeds=(2, 3, 1),
)
