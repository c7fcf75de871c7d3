"""iCEBreaker, by 1BitSquared."""

from amaranth_boards.icebreaker import ICEBreakerPlatform

from weft.boards.board import Board
from weft.boards.catalog.chips import UP5K

BOARD = Board(
    name="icebreaker",
    title="iCEBreaker",
    platform=ICEBreakerPlatform,
    device="iCE40UP5K-SG48",
    **UP5K,
    target_mhz=36,
    baud=3_000_000,
    leds=(0, 1),
    bitstream=".bin",
    flash_tool="iceprog",
    flash_arguments=("{file}",),
    sram_arguments=("-S", "{file}"),
    spi_flash="spi_flash_1x",
    program_arguments=("-o", "{offset}", "{file}"),
)
