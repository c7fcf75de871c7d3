"""The FPGAs of the boards, each with the configurations that make the most of it.

A board's file takes all of its FPGA: ``Board(name=..., **chips.UP5K)``.
"""

from __future__ import annotations

from typing import NotRequired, TypedDict

from weft.boards.board import Family
from weft.boards.floorplan import Floorplan, floorplan
from weft.hw.config import Config


class Chip(TypedDict):
    """Those fields of a `weft.boards.board.Board` that its FPGA decides."""

    family: Family
    multipliers: int
    ram_bytes: int
    luts: int
    block_rams: int
    config: Config
    large: NotRequired[Config]
    synth_options: NotRequired[str]
    floorplan: NotRequired[Floorplan]


UP5K = Chip(
    family="ice40",
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
)

#: Also sold as the LFE5U-12F: nextpnr and Project Trellis use all of it under either name.
ECP5_25F = Chip(
    family="ecp5",
    multipliers=28,
    ram_bytes=56 * 2048,
    luts=24_288,
    block_rams=56,
    config=Config(
        rows=16,
        columns=4,
        lanes=4,
        activation_depth=1024,
        weight_depth=512,
        parameter_depth=512,
        program_depth=512,
        tables=1,
        window=3,
        multiplier_bits=31,
        elementwise=1,
        # 64 of the array, 12 of the requantizer, 4 of the elementwise units: 52 too many.
        table_multipliers=52,
        stream=1,
    ),
)

ECP5_45F = Chip(
    family="ecp5",
    multipliers=72,
    ram_bytes=108 * 2048,
    luts=43_848,
    block_rams=108,
    config=Config(
        rows=16,
        columns=4,
        lanes=4,
        activation_depth=3072,
        weight_depth=1536,
        parameter_depth=512,
        program_depth=512,
        tables=1,
        window=3,
        multiplier_bits=31,
        elementwise=1,
        # As above, and 8 too many.
        table_multipliers=8,
        stream=1,
    ),
)

ECP5_85F = Chip(
    family="ecp5",
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
        pairs=1,
        # 128 of the array, 24 of the requantizer, 16 of the elementwise units: 12 too many.
        table_multipliers=12,
        stream=1,
        copies=1,
    ),
    floorplan=floorplan,
)

GW1NR_9 = Chip(
    family="gowin",
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
)

GW2A_18 = Chip(
    family="gowin",
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
    synth_options="-family gw2a",
)
