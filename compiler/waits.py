"""When an instruction may start: as soon as what it reads has been stored.

The pipeline is feed-forward, and what enters it first leaves it first. So an instruction may
start while results of the one before are still on their way, unless one of its first steps
reads a word that they are about to write; and not before the late fields of the instruction
before may be replaced (`weft.hw.decoder`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise, product

from weft.hw.config import Config
from weft.hw.isa import LOOPS, Instruction, bits, groups_of_tile, tiles_of_word
from weft.hw.latency import drain, last_tile_read, until_sums

#: From `begin` to the first step.
_FIRST_STEP = 1


def with_waits(instructions: Sequence[Instruction], config: Config) -> list[Instruction]:
    """The same instructions with the shortest waits that are safe."""
    result = list(instructions[:1])
    for before, instruction in pairwise(instructions):
        result.append(replace(instruction, wait=least_wait(before, instruction, config)))
    return result


def least_wait(before: Instruction, instruction: Instruction, config: Config) -> int:
    """Cycles from the last step of `before` to the start of `instruction` at least."""
    settle = drain(config, elementwise=bool(before.elementwise))
    # Late fields change so long after the start; then no result may be on its way. Those
    # of the array itself change with the start; then no sum may be in it.
    least = max(settle - until_sums(config), until_sums(config))
    if instruction.copy_words:
        # What is copied may take the place of the last tile.
        least = max(least, last_tile_read(config))
    written = dict(_last_writes(before, config, settle))
    for word, step in _first_reads(instruction, config, settle):
        if word in written:
            least = max(least, settle - written[word] - step - _FIRST_STEP)
    return least


def _last_writes(ins: Instruction, config: Config, cycles: int) -> Iterator[tuple[int, int]]:
    """Words that the last results go to, and at least how long before the last step.

    The earliest first, so that of two times of a word the later one is kept.
    """
    steps = (ins.last_block + 1) * (ins.last_kx + 1) * (ins.last_ky + 1) * (ins.last_digit + 1)
    width = groups_of_tile(ins, config) * config.lanes
    found = []
    turns = (range(count, -1, -1) for count in (ins.last_tile, ins.last_oy, ins.last_ox))
    for ago, (tile, oy, ox) in enumerate(product(*turns)):
        if ago * steps > cycles:
            break
        row, inside_row = divmod(oy - ins.skip_y, ins.every_y + 1)
        column, inside_column = divmod(ox - ins.skip_x, ins.every_x + 1)
        if row < 0 or column < 0 or inside_row or inside_column:
            continue
        pixel = ins.target + row * ins.target_oy + column * ins.target_ox
        lanes = ins.target_group * config.lanes + tile * width
        count = (ins.last_group + 1) * config.lanes if tile == ins.last_tile else width
        for word in range(lanes // config.rows, (lanes + count - 1) // config.rows + 1):
            found.append(((pixel + word) % _wrap(config), ago * steps))
    yield from reversed(found)


def _first_reads(ins: Instruction, config: Config, cycles: int) -> Iterator[tuple[int, int]]:
    """Words that the first steps read inside the image, and which step it is at least."""
    strides, gone = {}, 0
    for loop in LOOPS:
        strides[loop] = getattr(ins, f"source_{loop}") + gone
        gone += getattr(ins, f"last_{loop}") * strides[loop]
    loops = tuple(reversed(LOOPS))
    turns = (range(getattr(ins, f"last_{loop}") + 1) for loop in loops)
    for step, index in enumerate(product(*turns)):
        if step > cycles:
            return
        at = dict(zip(loops, index, strict=True))
        y = ins.origin_y + at["oy"] * ins.stride_y + at["ky"] * ins.step_y
        x = ins.origin_x + at["ox"] * ins.stride_x + at["kx"] * ins.step_x
        if 0 <= y < ins.height and 0 <= x < ins.width:
            moved = at["tile"] // tiles_of_word(ins, config) if ins.share else 0
            way = sum(at[loop] * strides[loop] for loop in loops)
            yield (ins.source + way + moved) % _wrap(config), step


def _wrap(config: Config) -> int:
    return 1 << bits(config.activation_depth)
