"""Inferences that end early, on a board: what each layer takes, and what it makes.

The instruction that ends a layer is marked as the end of the program, in the board's memory, and
an inference run: the core's own count of cycles and the layer's output are then there to be read.
A layer's cycles do not hang on data, nor on what comes behind it, so the differences from one
layer to the next are those in a whole inference. It needs no gateware beside the link's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from weft.boards.driver import Driver
from weft.compiler.program import LOAD_WORD, Program
from weft.hw.config import Space
from weft.hw.isa import Instruction, encode, instruction_words
from weft.hw.latency import settle

#: What a request to the link and its answer take at the very least, in cycles: 26 bytes of 10
#: bits of 4 cycles.
_REQUEST_CYCLES = 1040

#: Called with layers done, and all.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class LayerRun:
    """A layer as it was on the board.

    Parameters
    ----------
    name : str
        Of the node.
    tensor : str
        Its output.
    cycles : int
        From the last step of the layer before to its own last step; of the last layer, until its
        results are stored. That is how the compiler counts.
    codes : int8 array, shape (H, W, C), or None
        The output, where inputs were given.
    """

    name: str
    tensor: str
    cycles: int
    codes: np.ndarray | None


def run_layers(
    driver: Driver,
    program: Program,
    inputs: Mapping[str, np.ndarray] | None = None,
    *,
    progress: Progress | None = None,
) -> list[LayerRun]:
    """Run a program once for each layer, to the layer's end; it is there again afterwards.

    Parameters
    ----------
    driver : Driver
        Of a board that has the program.
    program : Program
    inputs : mapping of tensor name to int8 array, shape (H, W, C), or None
        One sample, to see what each layer makes of it. Without it nothing is read.

    Raises
    ------
    InputError
        If the program does not say which instructions are whose.
    RefusedError
        If the board does not answer, or its core is stuck.
    """
    outputs = {node.name: node.output for node in program.network.nodes}
    instructions = program.instructions
    ends = [own[-1] for own in program.instructions_of_layers()]
    words = None if inputs is None else program.input_words(inputs)
    result: list[LayerRun] = []
    before = 0
    for number, (layer, end) in enumerate(zip(program.layers, ends, strict=True)):
        if words is not None:
            driver.write(words)
        last = number == len(ends) - 1
        with _ending(driver, program, instructions, end):
            driver.start()
            total = driver.await_idle()
            _await_copies(driver, instructions)
            tensor = outputs[layer["name"]]
            codes = None
            if words is not None:
                read = driver.read(program.output_addresses([tensor]))
                codes = program.decode(read, [tensor])[tensor]
        # Its results have been stored: the next layer need not wait for all of that.
        elementwise = bool(instructions[end].elementwise)
        ended = total if last else total - settle(program.config, elementwise=elementwise) - 1
        result.append(LayerRun(layer["name"], tensor, ended - before, codes))
        before = ended
        if progress:
            progress(number + 1, len(ends))
    driver.name_program(program)
    return result


@contextmanager
def _ending(
    driver: Driver, program: Program, instructions: Sequence[Instruction], end: int
) -> Iterator[None]:
    """The program in the board ends with an instruction.

    The board then says that it has no program: whoever comes after a host that died here loads it.
    """
    instruction = instructions[end]
    if instruction.end:
        yield
        return
    driver.write(_words(program, end, replace(instruction, end=1)))
    yield
    driver.write(_words(program, end, instruction))


def _words(program: Program, index: int, instruction: Instruction) -> np.ndarray:
    count = instruction_words(program.config)
    words = np.zeros(count, LOAD_WORD)
    words["space"] = Space.PROGRAM
    words["address"] = index * count + np.arange(count)
    words["data"] = encode(instruction, program.config)
    return words


def _await_copies(driver: Driver, instructions: Sequence[Instruction]) -> None:
    """Give a copy of weights that nobody waits for any more the time to end."""
    longest = max(instruction.copy_words for instruction in instructions)
    for _ in range(-(-longest // _REQUEST_CYCLES)):
        driver.status()
