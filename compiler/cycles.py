"""How long a program takes: exact, as every latency of the gateware is a constant.

The formulas follow `weft.hw.decoder`, `weft.hw.sequencer` and `weft.hw.copier`; a test holds them
equal to the simulated gateware.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from weft.hw.config import Config
from weft.hw.isa import LOOPS, Instruction, fetch_cycles, instruction_words, results
from weft.hw.latency import COPY, SEQUENCE, first_store, settle

#: Cycles from asking for a word of an instruction until it is among the fields, and one until
#: the first step is issued.
_BEGIN = 3 + 1


def issue_cycles(instruction: Instruction, config: Config) -> int:
    """Cycles from an instruction's first step to its last, both included.

    One a step, unless two results would come closer together than `config.groups`. What a step
    waits for stores, where the activation memory has a single port, is not counted here.
    """
    turns = {loop: getattr(instruction, f"last_{loop}") + 1 for loop in LOOPS}
    steps = turns["block"] * turns["kx"] * turns["ky"] * turns["digit"]
    rows, columns = results(instruction)
    # Steps from the end of one row of results to the first result of the next row, and of
    # the next tile; a row ends with its last result.
    lead = (instruction.skip_x + 1) * steps
    next_row = instruction.every_y * turns["ox"] * steps + lead
    next_tile = instruction.skip_y * turns["ox"] * steps + lead
    in_row = (columns - 1) * max((instruction.every_x + 1) * steps, config.groups)
    tile = rows * in_row + (rows - 1) * max(next_row, config.groups)
    return next_tile + tile + (turns["tile"] - 1) * (max(next_tile, config.groups) + tile)


def instruction_cycles(instructions: Sequence[Instruction], config: Config) -> list[int]:
    """Cycles per instruction, what it waits and the last drain included.

    Their sum is the core's `cycles`.
    """
    words, fetch = instruction_words(config), fetch_cycles(config)
    copy = _Copy()
    stores: deque[int] = deque()
    result = []
    now = 0  # the cycle in which the instruction's first word is asked for
    for index, instruction in enumerate(instructions):
        begin = now + fetch + _BEGIN - 2
        if index:  # the first one waits for nothing
            begin = max(begin, now + instruction.wait)
        copy.fetch(now, words)
        if instruction.copied:
            begin = max(begin, copy.done + 1)
        copy.start(begin, instruction.copy_words)
        if config.single_port:
            following = _last_step(instruction, config, begin + 1, stores) + 1
        else:
            following = begin + 1 + issue_cycles(instruction, config)
        result.append(following - now)
        now = following
    if result:
        result[-1] += settle(config, elementwise=bool(instructions[-1].elementwise)) + 1
    return result


def _last_step(instruction: Instruction, config: Config, first: int, stores: deque[int]) -> int:
    """The cycle of an instruction's last step, where the activation memory has a single port.

    `first` is that of the first step, if nothing holds it; `stores` are the cycles in which no
    step may be issued, as its word would be read when a result is written: in order, and those
    of this instruction are appended.
    """
    later = first_store(config, elementwise=bool(instruction.elementwise)) - SEQUENCE
    now, result = first, first - config.groups
    for tile, gap in _gaps(instruction):
        before, result = result, now + gap - 1
        while stores and stores[0] < result:
            result += stores.popleft() >= now
        result = max(result, before + config.groups)
        while stores and stores[0] <= result:
            result += stores.popleft() == result
        stores.extend(result + later + group for group in _writes(instruction, config, tile))
        now = result + 1
    return result


def _writes(instruction: Instruction, config: Config, tile: int) -> list[int]:
    """Groups of a pixel with which a word of it is complete."""
    groups = instruction.last_group + 1 if tile == instruction.last_tile else config.groups
    first = instruction.target_group + tile * config.groups
    in_word = config.rows // config.lanes
    return [
        group
        for group in range(groups)
        if group == groups - 1 or (first + group + 1) % in_word == 0
    ]


def _gaps(instruction: Instruction) -> Iterator[tuple[int, int]]:
    """The tile of every result in order, and its steps from the one before."""
    turns = {loop: getattr(instruction, f"last_{loop}") + 1 for loop in LOOPS}
    steps = turns["block"] * turns["kx"] * turns["ky"] * turns["digit"]
    rows, columns = results(instruction)
    lead = (instruction.skip_x + 1) * steps
    line = [lead, *[(instruction.every_x + 1) * steps] * (columns - 1)]
    for tile in range(turns["tile"]):
        for row in range(rows):
            above = instruction.every_y if row else instruction.skip_y
            yield tile, above * turns["ox"] * steps + lead
            yield from ((tile, gap) for gap in line[1:])


class _Copy:
    """A copy under way: a word in every cycle in which nothing is fetched."""

    def __init__(self) -> None:
        self._next = self._left = 0
        #: The first cycle in which it is not busy any more, where nothing more is fetched.
        self.done = 0

    def start(self, begin: int, words: int) -> None:
        """Start with an instruction that begins in this cycle."""
        if words:
            self._next, self._left = begin + 1, words
            self.done = begin + words + COPY

    def fetch(self, first: int, words: int) -> None:
        """The decoder reads in so many cycles from this one on."""
        before = max(first - self._next, 0)
        if self._left > before:
            self._left -= before
            self._next = first + words
            self.done = first + words + self._left + COPY - 1
        else:
            self._left = 0
