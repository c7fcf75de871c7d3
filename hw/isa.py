"""The instruction set: one instruction is one pass of the array over a tensor.

An instruction is a nest of seven loops. Each innermost step reads one activation
word and one tile of weights; after the last of a pixel's steps the column sums
are requantized and stored. Written as a program, with `@` the array's product::

    for tile in range(tiles):
        for oy in range(out_height):
            for ox in range(out_width):
                for digit in range(digits):
                    for ky in range(kernel_height):
                        for kx in range(kernel_width):
                            for block in range(blocks):
                                y, x = oy * stride_y + ky * step_y + origin_y, ...
                                inside = 0 <= y < height and 0 <= x < width
                                word = activation[source] if inside else fill
                                total = start_of_digit(total) + word @ weight[w]
                store(requantize(total + bias))

`source` starts at the field of that name and moves by ``source_<loop>`` whenever
that loop steps (the loops inside it having returned to their start), modulo the
memory's depth rounded up to a power of two; `target` likewise. At the start of every
digit but the first the total is shifted left by 7: weights wider than 8 bits are digits in
base 128.
With `peak` the total is the maximum of the sums instead. With `share` the source moves on
by a word only after ``config.tiles_per_word`` tiles, which use the parts of the same word.

With `window` the loops ``oy`` and ``ox`` run over the padded image itself, one step each, and
a step's activations meet those of the steps before it: with ``span = rows // config.window``
and `part` the `columns` lanes of the word that are the tile's channels::

    total = sum(part[y - line, x - tap] * w[line * span + tap]
                for line in range(config.window) for tap in range(span))

channel by channel. A result is stored only where `y` is `skip_y`, or any multiple of
``every_y + 1`` rows later, and likewise `x`.

Where the configuration has `interleave`, the image's rows enter in turns instead: the loop ``ky``
runs over ``config.interleave`` of them inside each pixel, ``oy`` over rows of results, and each
turn has weights of its own, the last of which meets the newest pixel::

    total = sum(part[ky][x - tap] * w[ky][span - 1 - tap]
                for ky in range(config.interleave) for tap in range(span))

There is no `skip_y` and no `every_y` then.

Where the configuration has `pairs`, `window` with `pair` takes words of two tensors in turns, and
every step has a result. The loop ``kx`` runs over the two, and nothing else inside ``ox``; tile t
has the parts `p` and `q`, 2 t and 2 t + 1 of the words. The later part waits for a step, so that in
step n, of which even ones read the first tensor::

    lines[n] = word[n][p] if n % 2 == 0 else word[n - 1][q]
    entry[n] = word[n][p] if n % 2 == 1 else word[n - 1][q]
    total[n] = sum(entry[n - tap] * w[tap] for tap in range(span))
             + sum(lines[n - 2 * line - tap] * w[line * span + tap]
                   for line in range(1, config.window) for tap in range(span))

So with weights at tap 3 of line 0, tap 2 of line 1 and tap 0 of line 2 a pixel's two results, those
of `p` and of `q`, come two turns of ``ox`` after its words: `skip_x` is 2, and what is read in the
last two turns has no results. `last_group` is 1 where both parts of the last tile are stored.

With `elementwise` the total carries two activations, ``total = x1 - 256 * x0``, and is replaced
before the bias is added (`weft.hw.elementwise`)::

    d0, d1 = x0 - zero_0, x1 - zero_1
    total = d0 * d1                                                  # MULTIPLY
    total = (d0 << 19) + scale(d1 << 20, factor, -factor_shift)      # ADD, or minus: SUBTRACT

The parameter memory has a bias, a shift and, where ``config.multiplier_bits`` says so, a
multiplier for every result channel; `single` chooses between two ways of rounding
(`weft.hw.requantize_multiplier`).

Where ``config.copies`` says so, the program memory may hold tiles of weights behind the last
instruction, ``config.tile_words`` each, and instructions copy them into the weight
memory while others compute (`weft.hw.copier`).

Where ``config.stream`` says so, the host may load words into the activation memory during a run,
from the moment on when the last step of the first instruction marked `release` has read its word
(`weft.hw.intake`). Then they change at any time: no instruction may read or write them after that.

Nothing here needs Amaranth: the compiler encodes, the interpreter decodes, and
the gateware unpacks by the same `layout`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import IntEnum
from functools import lru_cache

import numpy as np

from weft.hw.config import Config
from weft.hw.latency import LIMITS, longest_drain

#: Loops from the innermost to the outermost.
LOOPS = ("block", "kx", "ky", "digit", "ox", "oy", "tile")

#: Fields used from the array on, when the sequencer may already have the next instruction.
LATE = (
    "fill", "window", "pair", "parameter", "target", "target_ox", "target_oy", "target_group",
    "last_group", "zero_point", "low", "high", "peak", "table", "single", "elementwise",
    "zero_0", "zero_1", "factor", "factor_shift",
)  # fmt: skip

#: Fields that the gateware prepares something of before it begins; they are fetched first.
EARLY = (*(f"last_{loop}" for loop in LOOPS), "wait")

#: Width of the fields that say where a window yields a result.
_WINDOW_BITS = 5


class Elementwise(IntEnum):
    """What is made of two activations."""

    NONE = 0
    ADD = 1
    SUBTRACT = 2
    MULTIPLY = 3


#: Bits from the second activation of a pair to the first.
PAIR_SHIFT = 8

#: Turns of ``ox`` from the words of a pixel to its results, with `pair`.
PAIR_LEAD = 2

#: Base-2 logarithm of the base of the digits of a wide weight.
DIGIT_BITS = 7


@dataclass(frozen=True, kw_only=True)
class Instruction:
    """One pass. Counts are the number of turns less one, so that a field of n bits holds 2**n.

    Parameters
    ----------
    last_* : int
        Index of the last turn of each loop.
    source, source_* : int
        First activation word read; its change when that loop steps.
    origin_y, origin_x : int
        Coordinates of the first word read, negative in the padding.
    stride_y, stride_x, step_y, step_x : int
        Change of the coordinates when oy, ox, ky, kx step.
    height, width : int
        Coordinates from 0 to these, exclusive, are inside the image.
    fill : int
        Code in every lane of a word outside the image.
    weight, parameter : int
        First weight tile; first row of the parameter memory.
    hold_taps, hold_tiles : int
        1 where all (ky, kx), or all tiles, use the same weights: the address then goes back
        instead of on when these loops step.
    target, target_* : int
        First word written; its change when ox, oy step. Groups of one pixel go to consecutive
        lane groups, wrapping into the next word.
    target_group : int
        First lane group written in that word.
    last_group : int
        Index of the last column group stored in the last tile: of `groups_of_tile`.
    zero_point, low, high : int
        Added after the rounding shift; then clamped.
    peak : int
        1 for the maximum over the steps instead of the sum.
    share : int
        1 where ``config.tiles_per_word`` tiles in a row use the same word.
    window : int
        1 for the second activation path.
    pair : int
        1 where it takes words of two tensors in turns.
    skip_y, skip_x, every_y, every_x : int
        Rows and columns before the first result, and between two results.
    table : int
        0, or 1 + the index of a table applied after the clamp.
    single : int
        1 to round once where the requantizer multiplies, 0 to round twice.
    elementwise : int
        An `Elementwise`.
    zero_0, zero_1 : int
        Zero points of its operands.
    factor, factor_shift : int
        Scale of its second operand: ``factor / 2**config.multiplier_bits / 2**factor_shift``.
    wait : int
        Cycles from the last step of the instruction before to the start of this one at least:
        so many that what is read has been stored (`weft.compiler.waits`).
    copy_words, copy_source, copy_row : int
        When this instruction begins, so many words of the program memory from `copy_source` on
        start to go into the weight memory, tile by tile from row `copy_row` on, in the background.
    copied : int
        1 to begin only when no copy is under way.
    release : int
        1 where the program has read its inputs when this instruction has.
    end : int
        1 in a program's last instruction.
    """

    last_block: int = 0
    last_kx: int = 0
    last_ky: int = 0
    last_digit: int = 0
    last_ox: int = 0
    last_oy: int = 0
    last_tile: int = 0
    source: int = 0
    source_block: int = 0
    source_kx: int = 0
    source_ky: int = 0
    source_digit: int = 0
    source_ox: int = 0
    source_oy: int = 0
    source_tile: int = 0
    origin_y: int = 0
    origin_x: int = 0
    stride_y: int = 0
    stride_x: int = 0
    step_y: int = 0
    step_x: int = 0
    height: int = 1
    width: int = 1
    fill: int = 0
    weight: int = 0
    hold_taps: int = 0
    hold_tiles: int = 0
    parameter: int = 0
    target: int = 0
    target_ox: int = 0
    target_oy: int = 0
    target_group: int = 0
    last_group: int = 0
    zero_point: int = 0
    low: int = -128
    high: int = 127
    peak: int = 0
    share: int = 0
    window: int = 0
    pair: int = 0
    skip_y: int = 0
    skip_x: int = 0
    every_y: int = 0
    every_x: int = 0
    table: int = 0
    single: int = 0
    elementwise: int = 0
    zero_0: int = 0
    zero_1: int = 0
    factor: int = 0
    factor_shift: int = 0
    wait: int = 0
    copy_words: int = 0
    copy_source: int = 0
    copy_row: int = 0
    copied: int = 0
    release: int = 0
    end: int = 0


#: Names of all fields, in the order of the class.
FIELDS = tuple(field.name for field in fields(Instruction))


@dataclass(frozen=True)
class Field:
    """Where a field of `Instruction` lies: bits [offset, offset + width) of a 32-bit word."""

    name: str
    word: int
    offset: int
    width: int
    signed: bool


def bits(count: int) -> int:
    """Width of an index from 0 to ``count - 1``, at least 1."""
    return max(1, (count - 1).bit_length())


def widths(config: Config) -> dict[str, tuple[int, bool]]:
    """Width and signedness of every field for a configuration."""
    address = bits(config.activation_depth)
    # Kernels and padding may be larger than what a small memory holds.
    reach = max(address, 9)
    result: dict[str, tuple[int, bool]] = {}
    for loop in LOOPS:
        result[f"last_{loop}"] = (reach, False)
        result[f"source_{loop}"] = (address, False)
    result["last_digit"] = (2, False)
    result["last_tile"] = (bits(config.parameter_depth), False)
    for name in ("source", "target", "target_ox", "target_oy"):
        result[name] = (address, False)
    for name in ("origin_y", "origin_x"):
        result[name] = (reach + 1, True)
    for name in ("height", "width"):
        result[name] = (reach + 1, False)
    for name in ("stride_y", "stride_x", "step_y", "step_x"):
        result[name] = (8, False)
    for name in ("fill", "zero_point", "low", "high"):
        result[name] = (8, True)
    result["weight"] = (bits(config.weight_depth), False)
    result["parameter"] = (bits(config.parameter_depth), False)
    result["target_group"] = (bits(config.rows // config.lanes), False)
    result["last_group"] = (bits(config.groups), False)
    for name in ("hold_taps", "hold_tiles", "peak", "end"):
        result[name] = (1, False)
    if config.tiles_per_word > 1:
        result["share"] = (1, False)
    if config.window:
        result.update(_window_widths(config))
    result["table"] = (bits(config.tables + 1), False)
    result["wait"] = (bits(longest_drain(config) + 1), False)
    if config.copies:
        result["copy_words"] = result["copy_source"] = (bits(config.program_depth), False)
        result["copy_row"] = (bits(config.weight_depth), False)
        result["copied"] = (1, False)
    if config.stream:
        result["release"] = (1, False)
    result.update(_requantizer_widths(config))
    return result


def _window_widths(config: Config) -> dict[str, tuple[int, bool]]:
    """Of the fields for the second activation path."""
    result: dict[str, tuple[int, bool]] = {"window": (1, False)}
    if config.pairs:
        result["pair"] = (1, False)
    axes = "x" if config.interleave else "yx"
    for name in (f"{word}_{axis}" for word in ("skip", "every") for axis in axes):
        result[name] = (_WINDOW_BITS, False)
    return result


def _requantizer_widths(config: Config) -> dict[str, tuple[int, bool]]:
    """Of the fields for parts of the requantizer that a configuration may leave out."""
    result: dict[str, tuple[int, bool]] = {}
    if config.multiplier_bits:
        result["single"] = (1, False)
    if config.elementwise:
        result["elementwise"] = (2, False)
        # A negated operand has a negated zero point, up to 128.
        result["zero_0"] = result["zero_1"] = (9, True)
        if config.multiplier_bits:
            result["factor"] = (config.multiplier_bits, False)
            result["factor_shift"] = (5, False)
    return result


@lru_cache(maxsize=64)
def layout(config: Config) -> tuple[Field, ...]:
    """Places every field in 32-bit words, none across two: `EARLY` ones, then the widest first."""
    sizes = widths(config)
    used: list[int] = []
    result = []
    for name in sorted(
        (name for name in FIELDS if name in sizes),
        key=lambda name: (name not in EARLY, -sizes[name][0]),
    ):
        width, signed = sizes[name]
        fits = (i for i in range(len(used)) if used[i] + width <= 32)
        word = next(fits, len(used))
        if word == len(used):
            used.append(0)
        result.append(Field(name, word, used[word], width, signed))
        used[word] += width
    return tuple(result)


@lru_cache(maxsize=64)
def instruction_words(config: Config) -> int:
    """32-bit words that one instruction takes."""
    return 1 + max(field.word for field in layout(config))


@lru_cache(maxsize=64)
def fetch_cycles(config: Config) -> int:
    """Cycles from the first word of an instruction until it may begin, both included."""
    words = {field.name: field.word for field in layout(config)}
    limits = max(words[f"last_{loop}"] for loop in LOOPS) + LIMITS
    copy = words.get("copy_words", 0) + 1
    return 1 + max(*words.values(), limits, words["wait"] + 2, copy)


def encode(instruction: Instruction, config: Config) -> np.ndarray:
    """Packs an instruction: uint32 array of `instruction_words`.

    Raises
    ------
    ValueError
        If a value does not fit its field, or the configuration has no such field.
    """
    missing = set(FIELDS) - widths(config).keys()
    for name in sorted(missing):
        if getattr(instruction, name):
            raise ValueError(f"{name} must be 0 on this configuration")
    words = [0] * instruction_words(config)
    for field in layout(config):
        value = int(getattr(instruction, field.name))
        low = -(1 << (field.width - 1)) if field.signed else 0
        if not low <= value < low + (1 << field.width):
            raise ValueError(
                f"{field.name} must fit {field.width} {'signed ' * field.signed}bits, not {value!r}"
            )
        words[field.word] |= (value & ((1 << field.width) - 1)) << field.offset
    return np.array(words, np.uint32)


def decode(words: Sequence[int] | np.ndarray, config: Config) -> Instruction:
    """Unpacks what `encode` packed."""
    values = {}
    for field in layout(config):
        value = int(words[field.word]) >> field.offset & ((1 << field.width) - 1)
        if field.signed and value >> (field.width - 1):
            value -= 1 << field.width
        values[field.name] = value
    return Instruction(**values)


def tiles_read(instruction: Instruction) -> int:
    """Tiles of weights that an instruction reads, from its field `weight` on."""
    turns = 1 if instruction.hold_tiles else instruction.last_tile + 1
    if not instruction.hold_taps:
        turns *= (instruction.last_ky + 1) * (instruction.last_kx + 1)
    return turns * (instruction.last_digit + 1) * (instruction.last_block + 1)


def groups_of_tile(instruction: Instruction, config: Config) -> int:
    """Column groups of results that one tile of an instruction has for a pixel."""
    return 2 if instruction.pair else config.groups


def tiles_of_word(instruction: Instruction, config: Config) -> int:
    """Tiles that use the same activation word, where they share any."""
    return config.tiles_per_word // (2 if instruction.pair else 1)


def results(instruction: Instruction) -> tuple[int, int]:
    """Rows and columns of results that one tile of an instruction stores."""
    rows = (instruction.last_oy - instruction.skip_y) // (instruction.every_y + 1) + 1
    columns = (instruction.last_ox - instruction.skip_x) // (instruction.every_x + 1) + 1
    return rows, columns
