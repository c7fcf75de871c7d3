"""iCEBreaker, by 1BitSquared."""

from amaranth_boards.icebreaker import ICEBreakerPlatform

from weft.boards.board import Board
from weft.hw.config import Config

BOARD = Board(
    name="icebreaker",
    title="iCEBreaker",
    platform=ICEBreakerPlatform,
    family="ice40",
    device="iCE40UP5K-SG48",
    multipliers=16,
    ram_bytes=30 * 512 + 4 * 32768,
    luts=5_280,
    block_rams=30,
    config=Config(
        rows=4,
        columns=4,
        lanes=2,
        accumulator_bits=27,
        activation_depth=1024,
        weight_depth=256,
        parameter_depth=128,
        program_depth=256,
        tables=2,
    ),
    # Program and activations in the large memories, weights copied into block RAMs as they are
    # needed.
    large=Config(
        rows=4,
        columns=4,
        lanes=2,
        accumulator_bits=32,
        activation_depth=4096,
        weight_depth=512,
        parameter_depth=512,
        program_depth=16384,
        tables=2,
        window=1,
        interleave=3,
        copies=1,
        single_port=1,
    ),
    target_mhz=27,
    leds=(0, 1),
    bitstream=".bin",
    flash_tool="iceprog",
    flash_arguments=("{file}",),
    sram_arguments=("-S", "{file}"),
    spi_flash="spi_flash_1x",
    program_arguments=("-o", "{offset}", "{file}"),
)
