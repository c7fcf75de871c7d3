"""Latencies of the core as plain data: sums of its parts' own.

The parts state their own latency where they are built; a test holds this table equal to
them, so that the compiler can count cycles without Amaranth.
"""

from __future__ import annotations

from weft.hw.config import Config

#: Registered block RAM.
BANK = 2


#: A wide product, a rounding shift, and what makes a code of the result.
MULTIPLY, ROUNDING_SHIFT, TO_CODE = 6, 3, 2


def pipeline(config: Config) -> dict[str, int]:
    """Cycles that data spend in each part, in the order in which they pass."""
    return {
        "read": BANK + 1,
        "array": config.rows - 1 + 3,
        "accumulate": 1,
        "collect": BANK + config.groups - 1,
        "elementwise": _elementwise(config) if config.elementwise else 0,
        "requantize": (4 + MULTIPLY if config.multiplier_bits else 1) + ROUNDING_SHIFT + TO_CODE,
        "table": BANK + 1 if config.tables else 0,
        "store": 1,
    }


def _elementwise(config: Config) -> int:
    """Operands, their product and its shift, the sum, the choice; and the other lane's turn."""
    return MULTIPLY + ROUNDING_SHIFT + 3 + config.shared_elementwise


def drain(config: Config) -> int:
    """Cycles from the issue of an instruction's last step until its result can be read."""
    return sum(pipeline(config).values()) + 1
