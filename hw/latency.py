"""Latencies of the core as plain data: sums of its parts' own.

The parts state their own latency where they are built; a test holds this table equal to
them, so that the compiler can count cycles without Amaranth.
"""

from __future__ import annotations

from weft.hw.config import Config

#: From the issue of a step to its addresses; and what the loop counters take beforehand for
#: what hangs on their limits.
SEQUENCE, LIMITS = 3, 6

#: Registered block RAM.
BANK = 2

#: Bytes of activations whose block RAMs are near each other and near what they feed.
NEAR_BYTES = 8192

#: From the reading of a word that is copied until it has been written, which is before any
#: instruction that begins then can read it.
COPY = BANK + 1

#: From the issue of the last step that reads an input until the host may load the next one.
RELEASE = SEQUENCE

#: A wide product, a rounding shift, and what makes a code of the result.
MULTIPLY, ROUNDING_SHIFT, TO_CODE = 6, 3, 2


def pipeline(config: Config) -> dict[str, int]:
    """Cycles that data spend in each part, in the order in which they pass."""
    far = far_activations(config)
    return {
        "sequence": SEQUENCE,
        "read": far + BANK + far + 1,
        "array": config.rows - 1 + 3,
        "accumulate": 1,
        "collect": BANK + config.groups - 1,
        "elementwise": _elementwise(config) if config.elementwise else 0,
        "requantize": (2 + MULTIPLY if config.multiplier_bits else 1) + ROUNDING_SHIFT + TO_CODE,
        "table": BANK + 1 if config.tables else 0,
        # Where there is a single port, what goes into a word is put together first.
        "store": 1 + (1 if config.single_port else 0) + far,
    }


def far_activations(config: Config) -> int:
    """Registers on the way to the blocks of the activation memory, and as many on the way back.

    Many block RAMs lie far apart: an address needs a register near each bank, a word one near
    where it was read.
    """
    far = config.rows * config.activation_depth > NEAR_BYTES
    return 1 if far and not config.single_port else 0


def activation_read(config: Config) -> int:
    """Cycles from an address of the activation memory to its word."""
    return far_activations(config) + BANK + far_activations(config)


def _elementwise(config: Config) -> int:
    """Operands, their product and its shift with a register, the sum; the other lane's turn."""
    return 1 + MULTIPLY + ROUNDING_SHIFT + 1 + 1 + config.shared_elementwise


def until_sums(config: Config) -> int:
    """Cycles from the addresses of a step until its sums leave the array."""
    parts = pipeline(config)
    return parts["read"] + parts["array"]


def drain(config: Config, *, elementwise: bool) -> int:
    """Cycles from the issue of an instruction's last step until a step may be issued that reads it.

    Only what the elementwise units change goes through them. From issue to the memory's blocks
    both steps take the same time.
    """
    return settle(config, elementwise=elementwise) - SEQUENCE - far_activations(config) + 1


def settle(config: Config, *, elementwise: bool) -> int:
    """Cycles from the issue of an instruction's last step until its result is being stored."""
    parts = pipeline(config)
    return sum(parts.values()) - (0 if elementwise else parts["elementwise"])


def first_store(config: Config, *, elementwise: bool) -> int:
    """Cycles from the issue of a pixel's last step until its first group is written."""
    return settle(config, elementwise=elementwise) - config.groups + 1


def last_tile_read(config: Config) -> int:
    """Cycles from the issue of an instruction's last step until all of its tile has been read."""
    return SEQUENCE + pipeline(config)["read"] + config.rows - 1 + config.groups - 1


def longest_drain(config: Config) -> int:
    """`drain` of any instruction."""
    return drain(config, elementwise=bool(config.elementwise))
