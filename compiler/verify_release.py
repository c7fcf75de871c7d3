"""The verifier's part for the release of inputs: nothing may rely on a word that the host changes.

From the first instruction marked `release` on, the host may load the next inputs while the
program runs. Results are written some cycles after the last step of their instruction, so what
is written where inputs lie must have been for some cycles by then.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from weft.compiler.program import Program
from weft.compiler.release import still_storing
from weft.compiler.words import turns_of, words_read, words_written


def release_faults(program: Program) -> Iterator[str]:
    """What is wrong with a program that releases its inputs; its instructions make sense."""
    config, instructions = program.config, program.instructions
    marked = [index for index, ins in enumerate(instructions) if ins.release]
    if not marked:
        return
    first, inputs = marked[0], input_words(program)
    storing = still_storing(instructions, first, config)
    where = f"where inputs lie, which instruction {first} releases"
    for index, ins in enumerate(instructions):
        turns = turns_of(ins)
        if index > first:
            read = inputs & words_read(ins, turns, config, len(inputs))
            if read.any():
                yield f"instruction {index} reads activation word {read.argmax()}, {where}"
        written = inputs & words_written(ins, turns, config, len(inputs))
        if written.any() and (index > first or index in storing):
            yield f"instruction {index} writes activation word {written.argmax()}, {where}"
    for name in program.core_outputs:
        place = program.placements[name]
        if inputs[place.base : place.base + place.words].any():
            yield f"output {name} lies {where}"


def input_words(program: Program) -> np.ndarray:
    """Activation words in which inputs lie: bool array, as long as addresses count."""
    words = np.zeros(1 << (program.config.activation_depth - 1).bit_length(), bool)
    for name in program.core_inputs:
        place = program.placements[name]
        words[place.base : place.base + place.words] = True
    return words
