"""The verifier: rejects a program that would read or write where it must not, or never end.

It looks at the encoded images alone, as the gateware does, so that it also judges a
program that did not come from this compiler.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from weft.compiler.program import Placement, Program
from weft.compiler.verify_release import release_faults
from weft.compiler.verify_weights import WeightRows
from weft.compiler.waits import least_wait
from weft.compiler.words import turns_of, words_read, words_written
from weft.errors import InputError
from weft.hw.config import Config, Space
from weft.hw.isa import PAIR_LEAD, Instruction, groups_of_tile, instruction_words, widths

#: Steps of one instruction. At 50 MHz so many take 20 seconds; a network of 500 million MACs
#: takes half as many even on a single multiplier.
_MOST_STEPS = 1 << 30

#: Coordinates along one axis of the image that an instruction visits, each time counted.
_MOST_COORDINATES = 1 << 22


def verify(program: Program) -> None:
    """Checks every instruction.

    Raises
    ------
    InputError
        With everything that is wrong, each with the number of the instruction.
    """
    # What follows on from an instruction that makes no sense is not looked at.
    faults = list(_faults(program)) or list(release_faults(program))
    if faults:
        raise InputError("the program is not valid: " + "; ".join(faults))


def _faults(program: Program) -> Iterator[str]:
    config = program.config
    for space, image in program.images.items():
        if image.ndim != 2 or image.shape[1] != config.row_bytes(space):
            yield f"the {space.name.lower()} image has rows of {image.shape[1:]} bytes"
            return
        if len(image) > config.depth(space):
            yield (f"the {space.name.lower()} image has {len(image)} rows and the memory "
                   f"{config.depth(space)}")  # fmt: skip
    words = program.images.get(Space.PROGRAM)
    size = instruction_words(config)
    if words is None or len(words) < size or (len(words) % size and not config.copies):
        yield f"the program image holds no instructions of {size} words"
        return
    instructions = program.instructions
    size *= len(instructions)
    if not instructions[-1].end or (not config.copies and len(words) > size):
        yield "exactly the last instruction must be marked as the end"

    if not program.core_inputs or not program.core_outputs:
        yield "the network has no inputs or no outputs"
        return
    misplaced = list(_misplaced(program))
    if misplaced:
        yield f"tensors {', '.join(misplaced)} do not lie in the activation memory"
        return
    written = np.zeros(1 << (config.activation_depth - 1).bit_length(), bool)
    for name in program.core_inputs:
        place = program.placements[name]
        written[place.base : place.base + place.words] = True
    weights = WeightRows(program, size)
    for index, instruction in enumerate(instructions):
        for fault in (
            *weights.begin(instruction),
            *_instruction_faults(program, instruction, written, weights),
        ):
            yield f"instruction {index} {fault}"
    yield from weights.end()
    yield from _wait_faults(instructions, config)
    for name in program.core_outputs:
        place = program.placements[name]
        if not written[place.base : place.base + place.words].all():
            yield f"output {name} is not written"


def _wait_faults(instructions: list[Instruction], config: Config) -> Iterator[str]:
    for index, (before, instruction) in enumerate(pairwise(instructions), start=1):
        least = least_wait(before, instruction, config)
        if instruction.wait < least:
            yield f"instruction {index} waits {instruction.wait} cycles, and must wait {least}"


def _misplaced(program: Program) -> Iterator[str]:
    for name in dict.fromkeys((*program.core_inputs, *program.core_outputs)):
        place = program.placements.get(name)
        if place is None:
            yield name
            continue
        if (
            place != _expected(program, name, place)
            or not 0 <= place.base <= program.config.activation_depth - place.words
        ):
            yield name


def _expected(program: Program, name: str, place: Placement) -> Placement:
    """A placement as it must be for its tensor, at the same address."""
    tensor = program.network.tensors[name]
    fold = place.fold if name in program.core_inputs else None
    shape = tensor.shape if fold is None else fold.shape(tensor.shape)
    blocks = -(-shape[2] // program.config.rows)
    return Placement(place.base, *shape, blocks, fold, 0 if fold is None else tensor.zero_point)


def _instruction_faults(
    program: Program, ins: Instruction, written: np.ndarray, weights: WeightRows
) -> Iterator[str]:
    config = program.config
    turns = turns_of(ins)
    yield from weights.read(ins)
    yield from _memory_faults(program, ins, turns)
    yield from _field_faults(config, ins, turns)
    yield from _coordinate_faults(config, ins, turns)
    if math.prod(turns.values()) > _MOST_STEPS:
        yield f"takes {math.prod(turns.values())} steps, over {_MOST_STEPS}"
        return
    for axis in "yx":
        if (visits := turns[f"o{axis}"] * turns[f"k{axis}"]) > _MOST_COORDINATES:
            yield f"visits {visits} coordinates along {axis}, over {_MOST_COORDINATES}"
            return
    if ins.skip_y > ins.last_oy or ins.skip_x > ins.last_ox:
        yield "has no results"
        return
    reads = np.flatnonzero(words_read(ins, turns, config, len(written)))
    if (reads >= config.activation_depth).any():
        yield f"reads activation word {reads.max()} of {config.activation_depth}"
    elif not written[reads].all():
        yield f"reads activation word {reads[~written[reads]][0]} before it is written"
    writes = np.flatnonzero(words_written(ins, turns, config, len(written)))
    if (writes >= config.activation_depth).any():
        yield f"writes activation word {writes.max()} of {config.activation_depth}"
    written[writes] = True


def _memory_faults(program: Program, ins: Instruction, turns: dict[str, int]) -> Iterator[str]:
    config = program.config
    sizes = {space: len(program.images.get(space, ())) for space in Space}
    parameters = ins.parameter + turns["tile"] * groups_of_tile(ins, config)
    if parameters > sizes[Space.PARAMETER]:
        yield f"reads parameter row {parameters - 1} of {sizes[Space.PARAMETER]}"
    else:
        rows = program.images[Space.PARAMETER][ins.parameter : parameters]
        yield from _parameter_faults(config, np.ascontiguousarray(rows).view("<i4"))
    if 256 * ins.table > sizes[Space.TABLE]:
        yield f"uses table {ins.table - 1} of {sizes[Space.TABLE] // 256}"


def _parameter_faults(config: Config, rows: np.ndarray) -> Iterator[str]:
    words = config.parameter_words
    shifts = rows[:, words - 1 :: words]
    low, high = (-31, 30) if config.multiplier_bits else (0, 31)
    if shifts.min() < low or shifts.max() > high:
        yield f"shifts by {shifts.min()} to {shifts.max()}, and the requantizer by {low} to {high}"
    if config.multiplier_bits:
        multipliers = rows[:, 1::words].astype(np.uint32)
        if multipliers.max() > 1 << config.multiplier_bits:
            yield f"multiplies by {multipliers.max()}, over 2**{config.multiplier_bits}"
        least = 1 << max(config.multiplier_bits - 3, 0)
        if ((shifts > 0) & (multipliers > 0) & (multipliers < least)).any():
            yield f"shifts left what it multiplies by less than {least}"


def _field_faults(config: Config, ins: Instruction, turns: dict[str, int]) -> Iterator[str]:
    if ins.low > ins.high:
        yield f"clamps to an empty range, {ins.low} to {ins.high}"
    if ins.peak and turns["digit"] > 1:
        yield "takes a maximum over digits"
    steps = turns["block"] * turns["kx"] * turns["ky"] * turns["digit"]
    if ins.elementwise and config.shared_elementwise and steps < 2:
        yield "combines two activations in one step"
    if ins.pair:
        yield from _pair_faults(ins, turns)
    elif ins.window:
        expected = config.interleave or 1
        if turns["ky"] != expected or turns["block"] * turns["kx"] * turns["digit"] > 1 or ins.peak:
            what = f"other than {expected} steps" if config.interleave else "more than one step"
            yield f"uses the second path with {what} a pixel"
        if not config.interleave and not 3 <= turns["ox"] <= config.line_depth:
            yield f"uses the second path with lines of {turns['ox']} pixels"
    elif ins.skip_y or ins.skip_x or ins.every_y or ins.every_x:
        yield "leaves out results on the first path"
    if ins.last_group >= groups_of_tile(ins, config):
        yield f"stores column group {ins.last_group} of {config.groups}"
    if ins.target_group >= config.rows // config.lanes:
        yield f"writes lane group {ins.target_group} of {config.rows // config.lanes}"


def _pair_faults(ins: Instruction, turns: dict[str, int]) -> Iterator[str]:
    if not ins.window:
        yield "takes words in turns on the first path"
    if turns["kx"] != 2 or turns["block"] * turns["ky"] * turns["digit"] > 1 or ins.peak:
        yield "takes words in turns with other than two steps a pixel"
    if ins.skip_x < PAIR_LEAD:
        yield "has results of words that come later"


def _coordinate_faults(config: Config, ins: Instruction, turns: dict[str, int]) -> Iterator[str]:
    """The gateware's coordinates are unsigned and wrap: none may come back into the image."""
    wrap = 1 << widths(config)["height"][0]
    for axis, limit in (("y", ins.height), ("x", ins.width)):
        stride, step = getattr(ins, f"stride_{axis}"), getattr(ins, f"step_{axis}")
        first = getattr(ins, f"origin_{axis}")
        last = first + (turns[f"o{axis}"] - 1) * stride + (turns[f"k{axis}"] - 1) * step
        if last >= wrap or first < limit - wrap:
            yield f"reaches {axis} from {first} to {last}, too far for {wrap} coordinates"
