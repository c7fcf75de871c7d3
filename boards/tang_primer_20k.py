"""Tang Primer 20K on its Dock, by Sipeed."""

from amaranth_boards.tang_primer_20k import TangPrimer20kDockPlatform

from weft.boards.board import Board
from weft.hw.config import Config

BOARD = Board(
    name="tang-primer-20k",
    title="Tang Primer 20K",
    platform=TangPrimer20kDockPlatform,
    family="gowin",
    device="GW2A-LV18PG256C8/I7",
    multipliers=96,
    ram_bytes=46 * 2048,
    luts=20_736,
    block_rams=46,
    config=Config(
        rows=8,
        columns=4,
        lanes=4,
        activation_depth=2048,
        weight_depth=1024,
        parameter_depth=512,
        program_depth=1024,
        tables=1,
        window=1,
        interleave=3,
        multiplier_bits=31,
        elementwise=1,
    ),
    target_mhz=36,
    leds=(0, 1),
    bitstream=".fs",
    flash_tool="openFPGALoader",
    flash_arguments=("-b", "tangprimer20k", "-f", "{file}"),
    sram_arguments=("-b", "tangprimer20k", "{file}"),
    synth_options="-family gw2a",
)
