"""Tang Primer 20K on its Dock, by Sipeed."""

from amaranth_boards.tang_primer_20k import TangPrimer20kDockPlatform

from weft.boards.board import Board
from weft.boards.catalog.chips import GW2A_18

BOARD = Board(
    name="tang-primer-20k",
    title="Tang Primer 20K",
    platform=TangPrimer20kDockPlatform,
    device="GW2A-LV18PG256C8/I7",
    **GW2A_18,
    target_mhz=81,
    leds=(0, 1),
    bitstream=".fs",
    flash_tool="openFPGALoader",
    flash_arguments=("-b", "tangprimer20k", "-f", "{file}"),
    sram_arguments=("-b", "tangprimer20k", "{file}"),
)
