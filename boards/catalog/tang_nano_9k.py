"""Tang Nano 9K, by Sipeed."""

from amaranth_boards.tang_nano_9k import TangNano9kPlatform

from weft.boards.board import Board
from weft.boards.catalog.chips import GW1NR_9

BOARD = Board(
    name="tang-nano-9k",
    title="Tang Nano 9K",
    platform=TangNano9kPlatform,
    device="GW1NR-LV9QN88PC6/I5",
    **GW1NR_9,
    target_mhz=54,
    leds=(0, 1),
    bitstream=".fs",
    flash_tool="openFPGALoader",
    flash_arguments=("-b", "tangnano9k", "-f", "{file}"),
    sram_arguments=("-b", "tangnano9k", "{file}"),
)
