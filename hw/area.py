"""What a core takes of an FPGA, from its configuration alone.

Multipliers and block RAMs are counted: they follow from the array, the requantizer and the
memories. Lookup tables are modelled as a sum over parts, each its size in bits times a
coefficient that was fitted to what Yosys makes of many configurations (``bench/area.py``).
The core alone is meant, without a board's link.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from weft.hw.area_coefficients import COEFFICIENTS, MARGIN
from weft.hw.array import sum_bits
from weft.hw.bank import powers_of_two
from weft.hw.config import Config
from weft.hw.isa import bits as bits_of
from weft.hw.memory import bank_bytes
from weft.hw.primitives import gowin_memory
from weft.hw.primitives.ecp5_memory import block_width
from weft.hw.primitives.gowin import NARROW_IN_MACRO, TABLE_ROWS, WIDE_IN_MACRO
from weft.hw.primitives.ice40 import SPRAM_DEPTH, SPRAM_WIDTH
from weft.hw.primitives.product import OPERAND
from weft.hw.requantize_multiplier import SHIFT_BITS

__all__ = [
    "MARGIN",
    "Area",
    "Family",
    "count_block_rams",
    "count_multipliers",
    "estimate_area",
    "features",
]

Family = Literal["ecp5", "ice40", "gowin"]

#: Shapes of one block RAM of the iCE40, (width, depth).
_ICE40_RAMS = ((16, 256), (8, 512), (4, 1024), (2, 2048))

#: Bits of the elementwise unit's factors, the second one at least.
_ELEMENTWISE_BITS = (9, 10)


@dataclass(frozen=True)
class Area:
    """Cells of an FPGA.

    Parameters
    ----------
    lut4 : int
        Lookup tables of four inputs; a carry cell of the ECP5 counts as the two that it takes, one
        of Gowin's as the one.
    multipliers : int
        MULT18X18D of the ECP5; SB_MAC16 of the iCE40, each two of the array's multipliers; MULT9X9
        of Gowin's, of which a macro with one or two MULT18X18 takes four.
    block_rams : int
        DP16KD of 16 kbit; SB_RAM40_4K of 4 kbit; Gowin's BSRAM of 18 kbit.
    spram : int
        Large single-port RAMs of the iCE40, for a configuration whose memories have one port.
    """

    lut4: int
    multipliers: int
    block_rams: int
    spram: int = 0


def estimate_area(config: Config, family: Family) -> Area:
    """Cells of the core of `config`.

    Multipliers and block RAMs are exact; lookup tables are within ``MARGIN[family]``, a share,
    of every configuration that was synthesised, left out of the fit.
    """
    weights = COEFFICIENTS[family]
    lut4 = sum(weights[name] * size for name, size in features(config).items())
    return Area(
        round(lut4),
        count_multipliers(config, family),
        count_block_rams(config, family),
        count_spram(config, family),
    )


def features(config: Config) -> dict[str, float]:
    """Sizes of the core's parts, mostly in bits: what lookup tables are counted by."""
    lanes, cells, bits = config.lanes, config.rows * config.columns, config.multiplier_bits
    units, banks = _elementwise_units(config), _banks(config)
    return {
        "core": 1,
        "sequencer": bits_of(config.activation_depth) + bits_of(config.weight_depth),
        "words": 8 * config.rows,
        "banks": sum(len(powers_of_two(depth)) for _, depth in banks),
        "parts": sum(width * (len(powers_of_two(depth)) - 1) for width, depth in banks),
        "array": cells * sum_bits(config.rows),
        "table_multipliers": config.table_multipliers,
        "window": 8 * config.columns * _window_rows(config),
        "accumulators": config.columns * config.accumulator_bits,
        "shifts": 0 if bits else lanes * config.value_bits,
        "multipliers": lanes * config.value_bits if bits else 0,
        "multiplier_bits": lanes * bits,
        "products": lanes * (_scaling_blocks(config) - 1) if bits else 0,
        "elementwise": units,
        "elementwise_bits": units * bits,
        "elementwise_lanes": lanes * config.elementwise,
        "tables": 8 * lanes if config.tables else 0,
        "interleave": 8 * config.columns if config.interleave else 0,
        "copies": config.copies,
        "single_port": config.single_port * 8 * config.rows,
    }


def _window_rows(config: Config) -> int:
    """Rows with a multiplexer for the second activation path."""
    if not config.window:
        return 0
    return config.span * config.window


def _banks(config: Config) -> list[tuple[int, int]]:
    """Width and depth of every bank of the core."""
    unit, bits = bank_bytes(config), config.multiplier_bits
    # Bias, multiplier and shift, as `ParameterMemory` has them.
    parameters = config.value_bits + (bits + 1 + SHIFT_BITS if bits else SHIFT_BITS - 1)
    banks = [] if config.single_port else _large_banks(config)
    banks += [(8 * unit, config.weight_depth)] * (config.multipliers // unit)
    banks += [(parameters, config.parameter_depth)] * config.lanes
    if config.tables:
        banks += [(8, 256 * config.tables)] * config.lanes
    if config.window:
        banks += [(8 * config.lanes, config.line_depth)] * ((config.window - 1) * config.groups)
    if config.interleave:
        # For rows whose activations come further behind than those of one turn.
        steps = config.interleave * (config.span - 1)
        banks += [(8 * config.lanes, 1 << steps.bit_length())] * (
            max(config.span - 2, 0) * config.groups
        )
    return banks


def _large_banks(config: Config) -> list[tuple[int, int]]:
    """Of the memories that may have a single port."""
    if config.single_port:
        return [(32, config.program_depth), (8 * config.rows, config.activation_depth)]
    unit = bank_bytes(config)
    banks = [(8 * unit, config.activation_depth)] * (config.rows // unit)
    return [(32, config.program_depth), *banks]


def count_spram(config: Config, family: Family) -> int:
    """Large single-port RAMs, exactly."""
    if family != "ice40" or not config.single_port:
        return 0
    return sum(
        math.ceil(width / SPRAM_WIDTH) * math.ceil(depth / SPRAM_DEPTH)
        for width, depth in _large_banks(config)
    )


def count_block_rams(config: Config, family: Family) -> int:
    """Block RAMs, exactly: a bank's parts are each made of blocks of one shape."""
    banks = _banks(config)
    if config.single_port and family != "ice40":
        banks += _large_banks(config)
    return sum(
        _count_blocks(width, size, family)
        for width, depth in banks
        for size in powers_of_two(depth)
    )


def _count_blocks(width: int, depth: int, family: Family) -> int:
    if family == "ecp5":
        return math.ceil(width / block_width(depth))
    if family == "gowin":
        return 0 if depth <= TABLE_ROWS else math.ceil(width / gowin_memory.block_width(depth))
    # Synthesis takes the shape that needs the fewest.
    return min(math.ceil(width / w) * math.ceil(depth / d) for w, d in _ICE40_RAMS)


def count_multipliers(config: Config, family: Family) -> int:
    """Multiplier blocks, exactly.

    On the iCE40 the array alone has some: synthesis makes the others of lookup tables.
    """
    array = config.multipliers - config.table_multipliers
    if family == "ice40":
        # A block is two neighbours in one row of one group.
        last = array % config.lanes
        return array // config.lanes * math.ceil(config.lanes / 2) + math.ceil(last / 2)
    units = _elementwise_units(config)
    wide = config.lanes * _scaling_blocks(config) + units * _elementwise_blocks(config)
    if family == "gowin":
        return array + NARROW_IN_MACRO * math.ceil(wide / WIDE_IN_MACRO)
    return array + wide


def _elementwise_units(config: Config) -> int:
    if not config.elementwise:
        return 0
    return config.lanes // 2 if config.shared_elementwise else config.lanes


def _scaling_blocks(config: Config) -> int:
    """Blocks of a requantizer's multiplier."""
    bits = config.multiplier_bits
    return _blocks(config.value_bits, bits + 2) if bits else 0


def _elementwise_blocks(config: Config) -> int:
    first, second = _ELEMENTWISE_BITS
    return _blocks(first, max(config.multiplier_bits + 1, second))


def _blocks(*widths: int) -> int:
    """Blocks of one product: three of two wide factors, as `weft.hw.multiply` has it."""
    return (1, 2, 3)[sum(width > OPERAND for width in widths)]
