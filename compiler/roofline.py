"""What holds each layer of a program up: for every resource, the cycles it needs at the least.

All of them work at the same time, so a layer takes at least as long as the busiest one; that one
is its *bound*. The figures come from the compiled instructions, and from the useful
multiplications of the layer they belong to.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from weft.compiler.cycles import instruction_cycles, issue_cycles
from weft.compiler.program import Program
from weft.hw.config import Config
from weft.hw.isa import LOOPS, Instruction, groups_of_tile, results


@dataclass(frozen=True, kw_only=True)
class Ideal:
    """Cycles that each resource needs, had it nothing to wait for.

    Parameters
    ----------
    array : int
        Useful multiplications by the array's multipliers; not counted are those of steps that
        were left out because all their weights are zero.
    elementwise : int
        Pairs of activations by the elementwise units.
    requantizer : int
        Results by the requantize lanes, a group of columns a cycle.
    reads : int
        Steps: one activation word and one tile of weights a cycle. Above `array` it says that
        words or tiles are partly empty.
    start : int
        Cycles without a step: fetching instructions, waiting for results that are read or for
        weights that are copied, and stalls of an activation memory with a single port, which
        stores a result instead of reading.
    """

    array: int
    elementwise: int
    requantizer: int
    reads: int
    start: int

    @property
    def bound(self) -> str:
        """The resource that needs most; of equal ones the first, as a full array is no waste."""
        cycles = asdict(self)
        return max(cycles, key=cycles.__getitem__)


@dataclass(frozen=True, kw_only=True)
class LayerTime:
    """What a layer takes, and why.

    Parameters
    ----------
    name, op : str
        Of the node.
    macs : int
        Useful multiplications.
    cycles : int
        By the compiler's model, which is exact.
    utilization : float
        ``macs / (multipliers * cycles)``; above 1 where steps were left out.
    ideal : Ideal
    """

    name: str
    op: str
    macs: int
    cycles: int
    utilization: float
    ideal: Ideal

    @property
    def bound(self) -> str:
        """See `Ideal`."""
        return self.ideal.bound

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``json.dumps``."""
        return {**asdict(self), "bound": self.bound}


def layer_times(program: Program) -> list[LayerTime]:
    """Every layer of a program, in order.

    Raises
    ------
    InputError
        If the program does not say which instructions belong to which layer.
    """
    config, instructions = program.config, program.instructions
    taken = instruction_cycles(instructions, config)
    result = []
    for layer, own in zip(program.layers, program.instructions_of_layers(), strict=True):
        mine = [instructions[index] for index in own]
        cycles = sum(taken[index] for index in own)
        start = cycles - sum(issue_cycles(instruction, config) for instruction in mine)
        result.append(
            LayerTime(
                name=layer["name"],
                op=layer["op"],
                macs=layer["macs"],
                cycles=cycles,
                utilization=layer["macs"] / (config.multipliers * cycles),
                ideal=ideal(mine, config, macs=layer["macs"], start=start),
            )
        )
    return result


def ideal(instructions: Sequence[Instruction], config: Config, *, macs: int, start: int) -> Ideal:
    """What the instructions of a layer ask of each resource."""
    lanes = [_lane_turns(instruction, config) for instruction in instructions]
    pairs = sum(
        turns for turns, instruction in zip(lanes, instructions, strict=True)
        if instruction.elementwise
    )  # fmt: skip
    reads = sum(_steps(instruction) for instruction in instructions)
    return Ideal(
        array=min(math.ceil(macs / config.multipliers), reads),
        elementwise=pairs * (2 if config.shared_elementwise else 1),
        requantizer=sum(lanes),
        reads=reads,
        start=start,
    )


def _steps(instruction: Instruction) -> int:
    return math.prod(getattr(instruction, f"last_{loop}") + 1 for loop in LOOPS)


def _lane_turns(instruction: Instruction, config: Config) -> int:
    """Cycles in which the lanes take a group of columns."""
    rows, columns = results(instruction)
    groups = groups_of_tile(instruction, config)
    return rows * columns * (instruction.last_tile * groups + instruction.last_group + 1)
