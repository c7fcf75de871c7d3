"""Weights that exceed the weight memory: which of them are copied into it during a run, and when.

Most tiles have a row of their own for good. The others share *regions* of rows: one load of
tiles after the other comes into a region from the program memory, while instructions compute
that need others. Where that pays, an instruction is cut between its tiles of results, so that
only a part of its weights comes and goes.

Many ways to cut and share are tried with a rough account of time; the best of them are counted
exactly (`weft.compiler.cycles`), and the fastest is taken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from weft.compiler.cycles import instruction_cycles, issue_cycles
from weft.compiler.pieces import granularity, piece
from weft.compiler.waits import with_waits
from weft.hw.config import Config
from weft.hw.isa import Instruction, instruction_words, tiles_read

#: Regions that are tried at most, and into how many parts the excess is cut.
_REGIONS = 4
_PARTS = 40

#: How many of the plans that look best are counted exactly.
_EXACT = 8


@dataclass(frozen=True)
class CopyPlan:
    """Instructions that copy, and where each tile of weights lies.

    Parameters
    ----------
    instructions : list of Instruction
        With their waits and copies.
    origins : list of (int, int)
        For each, the index of the instruction it is a piece of, and its first tile of results.
    permanent : list of int
        Old addresses of the tiles in the weight memory, row by row.
    copied : list of int
        Old addresses of the tiles in the program memory, behind the instructions.
    """

    instructions: list[Instruction]
    origins: list[tuple[int, int]]
    permanent: list[int]
    copied: list[int]


@dataclass(frozen=True)
class NoPlan:
    """Why there is none.

    Parameters
    ----------
    program_words : int or None
        32-bit words that the program memory would have to have; None where no program memory
        is large enough, because too many weights are needed at once.
    at_least : bool
        It would have to have more, which was not worked out.
    """

    program_words: int | None
    at_least: bool = False


@dataclass(frozen=True)
class _Atom:
    """The smallest part of an instruction that is worth a piece.

    `rows` are those of tiles that nothing else uses, 0 where others do.
    """

    instruction: int
    first: int
    count: int
    rows: int
    cycles: int


@dataclass(frozen=True)
class _Load:
    """Atoms [first, end) whose tiles come together, and when the array waits for nothing else."""

    first: int
    end: int
    rows: int
    free: float


def plan_copies(instructions: Sequence[Instruction], config: Config) -> CopyPlan | NoPlan:
    """The fastest plan found for instructions whose weights exceed ``config.weight_depth``.

    Parameters
    ----------
    instructions : sequence of Instruction
        As if the weight memory had room for all.
    config : Config
        With `copies`.
    """
    planner = _Planner(instructions, config)
    # Every plan has all instructions, and copies what the weight memory has no room for.
    bound = len(instructions) * instruction_words(config)
    bound += (planner.own - planner.room) * config.tile_words
    if bound > config.program_depth:
        return NoPlan(bound, at_least=True)
    found = sorted(planner.candidates(), key=lambda candidate: candidate[0])
    plans, least = [], None
    for _, loads, regions, rows in found:
        plan = planner.build(loads, regions, rows)
        words = len(plan.instructions) * instruction_words(config)
        words += len(plan.copied) * config.tile_words
        least = words if least is None else min(least, words)
        if words <= config.program_depth:
            plans.append(replace(plan, instructions=with_waits(plan.instructions, config)))
        if len(plans) == _EXACT:
            break
    if not plans:
        return NoPlan(least)
    return min(plans, key=lambda plan: sum(instruction_cycles(plan.instructions, config)))


class _Planner:
    def __init__(self, instructions: Sequence[Instruction], config: Config):
        self.instructions = instructions
        self.config = config
        users = Counter(instruction.weight for instruction in instructions)
        self.shared = {
            instruction.weight: tiles_read(instruction)
            for instruction in instructions
            if users[instruction.weight] > 1
        }
        #: About what a further instruction costs.
        self.overhead = instruction_words(config) + 8
        self.atoms = list(self._atoms())
        self.own = sum(atom.rows for atom in self.atoms)
        #: Rows that are left for tiles of one instruction.
        self.room = config.weight_depth - sum(self.shared.values())

    def _atoms(self) -> Iterator[_Atom]:
        for index, instruction in enumerate(self.instructions):
            tiles = instruction.last_tile + 1
            step = granularity(instruction, self.config)
            cycles = issue_cycles(instruction, self.config)
            read = 0 if instruction.weight in self.shared else tiles_read(instruction)
            for first in range(0, tiles, step):
                count = min(step, tiles - first)
                start = self.overhead if first == 0 else 0
                yield _Atom(index, first, count, read * count // tiles,
                            start + cycles * count // tiles)  # fmt: skip

    def candidates(self) -> Iterator[tuple[float, list[_Load], int, int]]:
        """Rough cost, loads, and number and rows of the regions they share."""
        excess = self.own - self.room
        largest = max(atom.rows for atom in self.atoms)
        seen = set()
        for regions in range(1, _REGIONS + 1):
            most = self.room // regions
            sizes = {
                -(-excess // part) + more
                for part in range(1, _PARTS)
                for more in (0, largest // 2, largest - 1)
            }
            sizes |= {most, most - largest, largest}
            for rows in sorted(size for size in sizes if 0 < size <= most):
                for patient in (False, True):
                    found = self._loads(regions, rows, patient)
                    if found is not None and (key := (regions, *found[1])) not in seen:
                        seen.add(key)
                        yield *found, regions, rows

    def _loads(self, regions: int, rows: int, patient: bool) -> tuple[float, list[_Load]] | None:
        """Loads, each as soon as its region is free, its tiles used as soon as they are there.

        A `patient` choice takes a later place where it cuts fewer instructions.
        """
        room = self.room - regions * rows
        needed = self.own - room
        at, now, cost, copier = 0, 0.0, 0.0, 0.0
        loads: list[_Load] = []
        taken = 0
        while taken < needed:
            before = loads[-regions].free if len(loads) >= regions else 0.0
            begin = max(copier, before)
            best = None
            later, passed = now, 0
            for first in range(at, len(self.atoms)):
                # An instruction in between starts the copy.
                if first > at or (loads and regions > 1):
                    end, size = self._gather(first, min(rows, needed - taken))
                    ready = begin + size * self.config.tile_words
                    price = max(0.0, ready - later)
                    price += self.overhead * (self._cuts(first) + self._cuts(end))
                    if size and (best is None or price < best[0]):
                        best = price, first, end, size, ready, later, passed
                    if size and ready <= later and not patient:
                        break
                atom = self.atoms[first]
                passed += atom.rows
                later += atom.cycles
                if passed > room:
                    break
            if best is None:
                return None
            price, first, end, size, copier, later, passed = best
            cost += price
            room -= passed
            taken += size
            now = max(later, copier) + sum(atom.cycles for atom in self.atoms[first:end])
            loads.append(_Load(first, end, size, now))
            at = end
        return cost, loads

    def _gather(self, first: int, rows: int) -> tuple[int, int]:
        """How many atoms from one on fit so many rows: the end, and the rows they take."""
        end, size = first, 0
        while end < len(self.atoms) and 0 < self.atoms[end].rows <= rows - size:
            size += self.atoms[end].rows
            end += 1
        return end, size

    def _cuts(self, atom: int) -> bool:
        return atom < len(self.atoms) and self.atoms[atom].first > 0

    def build(self, loads: Sequence[_Load], regions: int, rows: int) -> CopyPlan:
        """The instructions of a choice of loads, without waits."""
        load_of = {at: number for number, load in enumerate(loads)
                   for at in range(load.first, load.end)}  # fmt: skip
        pieces = self._pieces(load_of)
        permanent: list[int] = []
        place: dict[int, int] = {}  # rows of shared tiles
        copied: list[int] = []
        found: list[Instruction] = []
        for _, _, instruction, number in pieces:
            tiles = range(instruction.weight, instruction.weight + tiles_read(instruction))
            if number is not None:
                found.append(instruction)
                copied.extend(tiles)
                continue
            row = place.get(instruction.weight, len(permanent))
            if row == len(permanent):
                permanent.extend(tiles)
            if instruction.weight in self.shared:
                place[instruction.weight] = row
            found.append(replace(instruction, weight=row))
        base = [len(permanent) + number % regions * rows for number in range(len(loads))]
        following = list(base)
        for at, (_, _, _, number) in enumerate(pieces):
            if number is not None:
                found[at] = replace(found[at], weight=following[number])
                following[number] += tiles_read(found[at])
        self._start_copies(found, [number for *_, number in pieces], loads, regions, base)
        return CopyPlan(found, [(index, first) for index, first, *_ in pieces], permanent, copied)

    def _pieces(self, load_of: dict[int, int]) -> list[tuple[int, int, Instruction, int | None]]:
        """Instruction, its first tile, the piece, and the load it waits for."""
        spans: list[tuple[int, int, int, int | None]] = []
        for at, atom in enumerate(self.atoms):
            number = load_of.get(at)
            if spans and (spans[-1][0], spans[-1][3]) == (atom.instruction, number):
                index, first, count, _ = spans[-1]
                spans[-1] = index, first, count + atom.count, number
            else:
                spans.append((atom.instruction, atom.first, atom.count, number))
        return [
            (index, first, piece(self.instructions[index], first, count, self.config), number)
            for index, first, count, number in spans
        ]

    def _start_copies(
        self,
        found: list[Instruction],
        numbers: list[int | None],
        loads: Sequence[_Load],
        regions: int,
        base: list[int],
    ) -> None:
        """Marks the instructions that start copies and those that wait for them."""
        config = self.config
        source = len(found) * instruction_words(config)
        begins, now = [], 0
        for instruction in found:
            begins.append(now + self.overhead)
            now += self.overhead + issue_cycles(instruction, config)
        started, copier = -1, 0
        for number, load in enumerate(loads):
            use = numbers.index(number)
            free = 0
            if number >= regions:
                free = len(numbers) - numbers[::-1].index(number - regions)
            # As soon as the region is free, and if possible when the copier is.
            choice = range(max(free, started + 1), use)
            started = next((at for at in choice if begins[at] >= copier), choice[-1])
            words = load.rows * config.tile_words
            copier = max(copier, begins[started]) + words
            found[started] = replace(
                found[started],
                copy_words=words,
                copy_source=source,
                copy_row=base[number],
                copied=int(number > 0 or found[started].copied),
            )
            found[use] = replace(found[use], copied=1)
            source += words
