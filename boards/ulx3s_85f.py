"""ULX3S with the LFE5U-85F, by Radiona."""

from amaranth_boards.ulx3s import ULX3S_85F_Platform

from weft.boards.board import Board
from weft.boards.floorplan import floorplan
from weft.hw.config import Config

BOARD = Board(
    name="ulx3s-85f",
    title="ULX3S 85F",
    platform=ULX3S_85F_Platform,
    family="ecp5",
    device="LFE5U-85F-6BG381",
    multipliers=156,
    ram_bytes=208 * 2048,
    luts=83_640,
    block_rams=208,
    config=Config(
        rows=16,
        columns=8,
        lanes=8,
        activation_depth=5120,
        weight_depth=2048,
        parameter_depth=512,
        program_depth=2048,
        tables=1,
        window=3,
        multiplier_bits=31,
        elementwise=1,
        # 128 of the array, 24 of the requantizer, 8 of the elementwise units: 4 too many.
        table_multipliers=4,
        copies=1,
    ),
    target_mhz=50,
    leds=(0, 1),
    bitstream=".bit",
    flash_tool="openFPGALoader",
    flash_arguments=("-b", "ulx3s", "-f", "{file}"),
    sram_arguments=("-b", "ulx3s", "{file}"),
    # Nearly all multipliers and block RAMs are taken: the other placer and router of nextpnr find
    # no way.
    place_options=("--placer", "static", "--router", "router2"),
    floorplan=floorplan,
)
