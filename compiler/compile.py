"""From an integer graph to a program: lower, allocate, schedule, and say all that does not fit."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from weft.compiler.allocate import allocate, lifetimes
from weft.compiler.copies import NoPlan, plan_copies
from weft.compiler.cycles import instruction_cycles
from weft.compiler.images import images
from weft.compiler.lower import Lowering
from weft.compiler.narrow import narrow_multipliers
from weft.compiler.network import Add, Mul, Network, Node
from weft.compiler.passes import Pass
from weft.compiler.program import Placement, Program
from weft.compiler.release import still_storing
from weft.compiler.schedule import MAX_DIGITS, Schedule
from weft.compiler.verify_program import verify
from weft.compiler.waits import with_waits
from weft.errors import Problem, UnsupportedError
from weft.hw.config import MULTIPLIER_BITS, Config, Space
from weft.hw.isa import Instruction, encode, instruction_words

#: Depths for finding out what a network needs; addresses of 20 bits still fit an instruction.
_UNBOUNDED = 1 << 20


@dataclass(frozen=True)
class Needs:
    """What of a configuration a network takes, beside the array's shape.

    Parameters
    ----------
    rows : dict of Space to int
        Rows of each memory.
    tables, accumulator_bits : int
        As in a configuration.
    """

    rows: dict[Space, int]
    tables: int
    accumulator_bits: int


def compile_network(network: Network, config: Config) -> Program:
    """Makes a network run on a configuration.

    Raises
    ------
    UnsupportedError
        With every node that cannot be computed and every memory that is too small.

    Notes
    -----
    A configuration with a narrower multiplier than the network's computes the network that
    `narrow_multipliers` makes of it; that one is the program's.
    """
    plan = _narrowed(network, config)
    network = plan.network
    problems = plan.problems + plan.misfits()
    if problems:
        raise UnsupportedError(network.name, problems)
    program = Program(config, network, images(plan.schedule), plan.placements, layers(plan))
    verify(program)
    return program


def fits(network: Network, config: Config) -> bool:
    """Whether `compile_network` would make a program, which takes longer."""
    # The parts are quick to see, where all that is in the way would take long to work out.
    if with_parts(network, config) != config:
        return False
    plan = _narrowed(network, config)
    return not (plan.problems or plan.misfits())


def _narrowed(network: Network, config: Config) -> _Plan:
    return _Plan(narrow_multipliers(network, config.multiplier_bits or MULTIPLIER_BITS), config)


def problems_of(network: Network) -> list[Problem]:
    """What no configuration could mend."""
    return _Plan(network, _unbounded(Config(rows=8, columns=8))).problems


def with_parts(network: Network, config: Config) -> Config:
    """`config` with the optional parts of a requantizer that a network needs."""
    scalings = [
        scaling
        for node in network.nodes
        for scaling in (getattr(node, "requantize", None), *(getattr(node, "scalings", None) or ()))
        if scaling is not None
    ]
    multiplies = any(scaling.rounding != "shift" for scaling in scalings)
    pairs = any(
        (isinstance(node, Add) and node.scalings is not None)
        or (isinstance(node, Mul) and not network.constants.keys() & set(node.inputs))
        for node in network.nodes
    )
    return replace(
        config,
        multiplier_bits=config.multiplier_bits or (MULTIPLIER_BITS if multiplies else 0),
        elementwise=config.elementwise or int(pairs),
    )


def fit(network: Network, config: Config) -> Config:
    """`config` with the memory depths and parts that a network needs.

    A multiplier that `config` has stays as wide as it is.

    Raises
    ------
    UnsupportedError
        If no depths would do.
    """
    config = with_parts(network, config)
    plan = _Plan(network, _unbounded(config))
    if plan.problems:
        raise UnsupportedError(network.name, plan.problems)
    needs = plan.needs()
    fitted = replace(
        config,
        accumulator_bits=needs.accumulator_bits,
        activation_depth=needs.rows[Space.ACTIVATION],
        weight_depth=needs.rows[Space.WEIGHT],
        parameter_depth=needs.rows[Space.PARAMETER],
        tables=needs.tables,
    )
    instructions = len(plan.schedule.instructions)
    fitted = replace(fitted, program_depth=instructions * instruction_words(fitted))
    # Loop counters are as wide as activation addresses: a kernel or a padded image that is
    # larger than all tensors together needs more.
    while fitted.activation_depth < _UNBOUNDED:
        schedule = _Plan(network, fitted).schedule
        if all(_encodes(instruction, fitted) for instruction in schedule.instructions):
            break
        fitted = replace(fitted, activation_depth=2 * fitted.activation_depth)
        fitted = replace(fitted, program_depth=instructions * instruction_words(fitted))
    return fitted


def _encodes(instruction: Instruction, config: Config) -> bool:
    try:
        encode(instruction, config)
    except ValueError:
        return False
    return True


def _unbounded(config: Config) -> Config:
    return replace(
        config,
        accumulator_bits=32,
        activation_depth=_UNBOUNDED,
        weight_depth=_UNBOUNDED,
        parameter_depth=_UNBOUNDED,
        program_depth=_UNBOUNDED,
        tables=256,
    )


class _Plan:
    """A network lowered, placed and scheduled, whether it fits or not.

    Attributes
    ----------
    given : Config
        What it should fit.
    config : Config
        The same with all parts that the network needs.
    release_pass : int or None
        The last pass before the next inputs may come; None where they wait for the outputs.
    """

    def __init__(self, network: Network, config: Config):
        self.given = config
        self.config = config = with_parts(network, config)
        self.network = network
        lowering = Lowering(network, config)
        self.problems = list(lowering.problems)
        self.passes: list[Pass] = lowering.passes
        self.schedule = Schedule(config)
        self.release_pass: int | None = None
        self.placements: dict[str, Placement] = {}
        if self.problems:
            return
        if not self.passes:
            self.problems.append(
                Problem(network.name, "Network", "it computes nothing on the array",
                        "give it at least one layer")
            )  # fmt: skip
            return
        bare = Program(config, network, {}, {})
        self.placements = self._place(lowering, bare)
        for name, fold in lowering.folds.items():
            fill = network.tensors[name].zero_point
            self.placements[name] = replace(self.placements[name], fold=fold, fill=fill)
        self.pass_of: list[int] = []  # of each instruction
        for number, step in enumerate(self.passes):
            before = len(self.schedule.instructions)
            self.schedule.add(step, self.placements)
            for instruction in self.schedule.instructions[before:]:
                self.pass_of.append(number)
                self._check(step, instruction)
        self.no_copies: NoPlan | None = None
        if config.copies and len(self.schedule.weights) > config.weight_depth:
            self._copy_weights()
        else:
            self.schedule.instructions = with_waits(self.schedule.instructions, config)
        if self.release_pass is not None:
            self._release(self.release_pass, bare.core_inputs)
        # The instructions of a pass often have the same problem.
        self.problems = list(dict.fromkeys(self.problems))

    def _place(self, lowering: Lowering, program: Program) -> dict[str, Placement]:
        """Places tensors, and decides after which pass nothing but the next inputs lies in theirs.

        The sooner that is, the more words it takes: the first pass is taken that there is room for.
        """
        inputs, outputs = program.core_inputs, program.core_outputs
        spans = lifetimes(self.passes, inputs, outputs)
        end = len(self.passes)

        def placed(release: int) -> dict[str, Placement]:
            again = dict.fromkeys(inputs, (release + 1, end))
            return allocate(lowering.tensors, spans, rows=self.config.rows, again=again)

        def fits(found: dict[str, Placement]) -> bool:
            return activation_words(found) <= self.config.activation_depth

        self.release_pass = None
        if self.config.stream and not set(inputs) & set(outputs):
            early = max(0, *(spans[name][1] for name in inputs))
            if fits(found := placed(early)):
                self.release_pass = early
                return found
            late = end - 1
            if late > early and fits(found := placed(late)):
                while late - early > 1:
                    middle = (early + late) // 2
                    if fits(trial := placed(middle)):
                        late, found = middle, trial
                    else:
                        early = middle
                self.release_pass = late
                return found
        return allocate(lowering.tensors, spans, rows=self.config.rows)

    def _copy_weights(self) -> None:
        plan = plan_copies(self.schedule.instructions, self.config)
        if isinstance(plan, NoPlan):
            self.no_copies = plan
        else:
            self.schedule.follow(plan)
            self.pass_of = [self.pass_of[index] for index, _ in plan.origins]

    def _release(self, number: int, inputs: Iterable[str]) -> None:
        """Marks the last instruction of a pass, or one that ends when all results are stored."""
        places = [self.placements[name] for name in inputs]
        inside = [
            any(_overlap(self.placements[self.passes[at].target], place) for place in places)
            for at in self.pass_of
        ]
        instructions = self.schedule.instructions
        last = bisect_right(self.pass_of, number) - 1
        while last < len(instructions) and any(
            inside[at] for at in still_storing(instructions, last, self.config)
        ):
            last += 1
        if last < len(instructions):
            instructions[last] = replace(instructions[last], release=1)

    def _check(self, step: Pass, instruction) -> None:
        """Limits of the instruction set that no memory depth changes."""
        if instruction.last_digit >= MAX_DIGITS:
            self.problems.append(
                Problem(step.name, "pass", "its weights are wider than 28 bits",
                        "bring the scales of its inputs closer together")
            )  # fmt: skip
            return
        try:
            encode(instruction, _unbounded(self.config))
        except ValueError as error:
            self.problems.append(
                Problem(step.name, "pass", f"an instruction cannot express it: {error}",
                        "use a smaller stride, dilation or image")
            )  # fmt: skip
        if step.accumulator_bits > 32:
            self.problems.append(
                Problem(step.name, "pass", f"its sums need {step.accumulator_bits} bits, over 32",
                        "use smaller weights, or a finer scale for its input")
            )  # fmt: skip

    def needs(self) -> Needs:
        """Sizes for this array."""
        return Needs(
            rows={
                Space.ACTIVATION: activation_words(self.placements),
                Space.WEIGHT: self.schedule.weight_rows,
                Space.PARAMETER: len(self.schedule.parameters),
                Space.PROGRAM: self.schedule.program_words,
            },
            tables=len(self.schedule.tables),
            accumulator_bits=max(16, *(step.accumulator_bits for step in self.passes)),
        )

    def misfits(self) -> list[Problem]:
        """What this configuration is too small for."""
        if self.problems:
            return []
        needs, config = self.needs(), self.given
        result = list(self._missing_parts())
        for space, rows in needs.rows.items():
            if rows > config.depth(space):
                size = config.row_bytes(space)
                result.append(
                    Problem(
                        space.name.lower(), "memory",
                        f"it has {config.depth(space) * size:,} bytes and the network needs "
                        f"{rows * size:,}, {(rows - config.depth(space)) * size:,} more"
                        + (self._why_no_copies() if space == Space.WEIGHT else ""),
                        "use a larger board or a smaller network",
                    )
                )  # fmt: skip
        if needs.tables > config.tables:
            result.append(
                Problem("table", "memory",
                        f"it has {config.tables} tables and the network needs {needs.tables}",
                        "use fewer different activation functions and scales")
            )  # fmt: skip
        wide = [p for p in self.passes if p.accumulator_bits > config.accumulator_bits]
        for step in {p.name: p for p in wide}.values():
            result.append(
                Problem(step.name, "pass",
                        f"its sums need {step.accumulator_bits} bits and the accumulators have "
                        f"{config.accumulator_bits}",
                        "use a configuration with wider accumulators")
            )  # fmt: skip
        for name, instruction in zip(self.schedule.names, self.schedule.instructions, strict=True):
            if not result and not _encodes(instruction, config):
                result.append(
                    Problem(name, "pass", "its loops are longer than this configuration counts",
                            "use a configuration with more activation memory")
                )  # fmt: skip
        return result

    def _why_no_copies(self) -> str:
        """What stands in the way of copying weights while others are used."""
        if self.no_copies is None:
            return ""
        words = self.no_copies.program_words
        least = "at least " if self.no_copies.at_least else ""
        if words is None:
            return "; copying them in turns does not help, as too many are needed at once"
        return (
            f"; copied in turns from the program memory they need {least}{4 * words:,} bytes of "
            f"that, and it has {4 * self.given.program_depth:,}"
        )

    def _missing_parts(self) -> Iterator[Problem]:
        if self.config.multiplier_bits and not self.given.multiplier_bits:
            count = sum(step.multiplier is not None for step in self.passes)
            yield Problem(
                "requantizer", "hardware",
                f"it only shifts, and the network has {count} layers whose scales are not powers "
                "of two",
                "use a board or an array whose requantizer multiplies",
            )  # fmt: skip
        if self.config.elementwise and not self.given.elementwise:
            count = sum(step.pair is not None for step in self.passes)
            yield Problem(
                "elementwise", "hardware",
                f"the configuration leaves it out, and the network combines two activations in "
                f"{count} layers",
                "use a board or an array with an elementwise unit",
            )  # fmt: skip


def _overlap(one: Placement, other: Placement) -> bool:
    return one.base < other.base + other.words and other.base < one.base + one.words


def activation_words(placements: Mapping[str, Placement]) -> int:
    """Words of activation memory that tensors take."""
    return max(place.base + place.words for place in placements.values())


def layers(plan: _Plan) -> list[dict]:
    """Per node, in order: what it takes of time and memory. Plain data for reports."""
    config, schedule = plan.config, plan.schedule
    cycles = instruction_cycles(schedule.instructions, config)
    nodes = {node.name: node for node in plan.network.nodes}
    result: dict[str, dict] = {}
    for index, name in enumerate(schedule.names):
        layer = result.setdefault(
            name,
            {"name": name, "op": type(nodes[name]).__name__,
             "macs": node_macs(plan.network, nodes[name]), "instructions": 0, "cycles": 0,
             "weight_bytes": 0, "bias_bytes": 0, "requantize_bytes": 0},
        )  # fmt: skip
        layer["instructions"] += 1
        layer["cycles"] += cycles[index]
        layer["weight_bytes"] += schedule.new_tiles[index] * config.multipliers
        channels = (schedule.instructions[index].last_tile + 1) * config.columns
        layer["bias_bytes"] += 4 * channels
        layer["requantize_bytes"] += 4 * channels * (config.parameter_words - 1)
    for name, layer in result.items():
        place = plan.placements[nodes[name].output]
        layer["output_bytes"] = place.words * config.rows
    return list(result.values())


def node_macs(network: Network, node: Node) -> int:
    """Multiply-accumulates of a convolution or matrix product, 0 for anything else."""
    weights = getattr(node, "weights", None)
    if weights is None:
        return 0
    height, width, _ = network.tensors[node.output].shape
    return height * width * int(np.prod(weights.shape))


def macs(network: Network) -> int:
    """Multiply-accumulates of one inference: convolutions and matrix products only."""
    return sum(node_macs(network, node) for node in network.nodes)
