"""Tang Nano 9K, by Sipeed."""

from amaranth_boards.tang_nano_9k import TangNano9kPlatform

from weft.boards.board import Board
from weft.hw.config import Config

BOARD = Board(
    name="tang-nano-9k",
    title="Tang Nano 9K",
    platform=TangNano9kPlatform,
    family="gowin",
    device="GW1NR-LV9QN88PC6/I5",
    multipliers=40,
    ram_bytes=26 * 2048,
    luts=8_640,
    block_rams=26,
    config=Config(
        rows=8,
        columns=4,
        lanes=4,
        accumulator_bits=27,
        activation_depth=2048,
        weight_depth=512,
        parameter_depth=256,
        program_depth=512,
        tables=2,
    ),
    # Half the multipliers, all memory: part of the weights stays in the program memory, copied as
    # it is needed. MLPerf Tiny's kws, with power-of-two scales, has room.
    large=Config(
        rows=4,
        columns=4,
        lanes=2,
        activation_depth=4096,
        weight_depth=1024,
        parameter_depth=512,
        program_depth=2304,
        tables=0,
        window=1,
        interleave=3,
        copies=1,
    ),
    target_mhz=54,
    leds=(0, 1),
    bitstream=".fs",
    flash_tool="openFPGALoader",
    flash_arguments=("-b", "tangnano9k", "-f", "{file}"),
    sram_arguments=("-b", "tangnano9k", "{file}"),
)
