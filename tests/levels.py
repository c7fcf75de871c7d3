"""Arrays, and random networks that fit them, for the comparison of all levels.

Every array has one configuration, whose memories hold all its networks: a program is data,
so one simulation, built once, runs them all. A `Pair` is a network on an array; its number
is its seed.
"""

import itertools
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from random_networks import (
    MULTIPLIER_OPERATORS,
    OPERATORS,
    describe,
    random_inputs,
    random_network,
    single_operator,
)

from weft.compiler.compile import compile_network
from weft.compiler.network import Conv2D, Network, Node
from weft.compiler.program import Program
from weft.errors import UnsupportedError
from weft.hw.config import Config
from weft.sim import golden
from weft.sim.engine import RunResult, compare
from weft.sim.jobs import Job


def array(rows, columns, **sizes) -> Config:
    """Memories of an odd size, where nothing else is said: a power of two hides mistakes."""
    depths = {"activation_depth": 1500, "weight_depth": 2100, "parameter_depth": 600,
              "program_depth": 1100}  # fmt: skip
    return Config(rows=rows, columns=columns, **(depths | sizes))


#: What TFLite's networks need of a requantizer.
TFLITE = {"multiplier_bits": 31, "elementwise": 1}

ARRAYS = {
    "1x1": array(1, 1),
    "1x4": array(1, 4, tables=0),
    "2x7": array(2, 7, accumulator_bits=24),
    "3x5": array(3, 5, tables=3),
    "4x4": array(4, 4),
    "5x3": array(5, 3),
    "6x1, window 2": array(6, 1, window=2, line_depth=20),
    "4x4, 3 in turns": array(4, 4, lanes=2, window=1, interleave=3),
    "6x2, 4 in turns": array(6, 2, lanes=1, window=1, interleave=4),
    "8x4, 2 lanes": array(8, 4, lanes=2, accumulator_bits=22),
    "8x8": array(8, 8, activation_depth=1024, weight_depth=512, tables=2),
    "9x9, window 3": array(9, 9, lanes=3, window=3),
    "12x4, window 3": array(12, 4, lanes=2, window=3, line_depth=33),
    "16x8, window 4": array(16, 8, lanes=4, window=4),
    "16x16, window 5": array(16, 16, window=5, activation_depth=600, weight_depth=300),
    "1x2, multiplier": array(1, 2, **TFLITE),
    "4x4, multiplier": array(4, 4, **TFLITE),
    "5x3, multiplier": array(5, 3, **TFLITE, tables=3),
    "8x8, multiplier of 20 bits": array(8, 8, lanes=2, **(TFLITE | {"multiplier_bits": 20})),
    "16x8, multiplier, window 3": array(16, 8, lanes=4, window=3, **TFLITE),
}

#: Load words, cycles and reads of one pair at the most: what Amaranth's simulator does in
#: a few seconds is less the larger the array.
COST = {name: 800 + 13_000 // (config.multipliers + 8) for name, config in ARRAYS.items()}
#: From and to what a large network takes, which only Verilator runs.
LARGE_COST = (5_000, 60_000)
#: The second sample shows that the first leaves no traces.
SAMPLES = 2
#: Networks of several operators, and after them such with windows where the array has them.
SEVERAL, WINDOWS = 3, 3


def operators_of(name: str) -> tuple[str, ...]:
    """Operators that an array's networks are drawn from."""
    return tuple(MULTIPLIER_OPERATORS if ARRAYS[name].multiplier_bits else OPERATORS)


def seeds_of(name: str) -> range:
    """A network of each operator, then those of several."""
    return range(len(operators_of(name)) + SEVERAL + WINDOWS)


@dataclass(frozen=True)
class Pair:
    """A network on an array, and two samples of its inputs.

    Parameters
    ----------
    name : str
        Of the array.
    seed : int
        One of `seeds_of`; with `large` any.
    large : bool
        A network of several operators that takes `LARGE_COST`.
    """

    name: str
    seed: int
    large: bool = False

    @cached_property
    def drawn(self) -> tuple[Program, dict[str, np.ndarray]]:
        """The first network that will do of all that the seed gives, small ones in the end."""
        config = ARRAYS[self.name]
        rng = np.random.default_rng([self.seed, self.large, *self.name.encode()])
        least, most = LARGE_COST if self.large else (0, COST[self.name])
        for turn in itertools.count():
            network = self._network(rng, config, max(200, int(4 * most * 0.9 ** (turn % 30))))
            try:
                program = compile_network(network, config)
            except UnsupportedError:
                continue
            inputs = random_inputs(rng, network, SAMPLES)
            if self._will_do(program) and least <= _cost(program, inputs) <= most:
                return program, inputs
        raise AssertionError("itertools.count does not end")

    def _network(self, rng: np.random.Generator, config: Config, size: int) -> Network:
        bits = config.accumulator_bits
        scales = "multiplier" if config.multiplier_bits else "shift"
        if self._operator is not None:
            return single_operator(
                rng, self._operator, size=size, accumulator_bits=bits, scales=scales
            )
        choice = [name for name in operators_of(self.name) if config.tables or name != "Table"]
        if self._has_windows:
            choice = ["DepthwiseConv2D", "AveragePool", "Add", "Concat"]
        return random_network(
            rng, operators=choice, size=size, accumulator_bits=bits, tables=config.tables,
            max_nodes=8 if self.large else 4, max_side=16 if self.large else 8, scales=scales,
        )  # fmt: skip

    @property
    def _operator(self) -> str | None:
        """The only one, if one is asked for and the array can do it."""
        choice = operators_of(self.name)
        if self.large or self.seed >= len(choice):
            return None
        operator = choice[self.seed]
        return None if operator == "Table" and not ARRAYS[self.name].tables else operator

    @property
    def _has_windows(self) -> bool:
        first = seeds_of(self.name).stop - WINDOWS
        return not self.large and self.seed >= first and ARRAYS[self.name].window > 0

    def _will_do(self, program: Program) -> bool:
        if self._has_windows:
            return windows(program) > 0
        return self._operator is None or self._operator in operators(program.network)

    @property
    def program(self) -> Program:
        return self.drawn[0]

    @property
    def inputs(self) -> dict[str, np.ndarray]:
        return self.drawn[1]

    @cached_property
    def expected(self) -> RunResult:
        """What the golden model says."""
        return golden.run(self.program, self.inputs)

    @property
    def cycles(self) -> int:
        """What the compiler says an inference takes."""
        return sum(layer["cycles"] for layer in self.program.layers)

    def differences(self, level: str, result: RunResult) -> list[str]:
        """What another level computed otherwise: nothing, or all to know to see it again."""
        found = compare(
            self.expected.outputs, result.outputs, level=level, names=self.program.core_outputs
        )
        texts = [] if found is None else [str(found)]
        if result.cycles is not None and result.cycles != SAMPLES * [self.cycles]:
            texts.append(f"{level} takes {result.cycles} cycles, the compiler says {self.cycles}")
        return [f"{text}\n{self}" for text in texts]

    def __str__(self) -> str:
        size = "large " * self.large
        return (
            f"array {self.name!r}, {size}seed {self.seed}, {self.program.config}\n"
            f"{describe(self.program.network)}"
        )


def _cost(program: Program, inputs: dict[str, np.ndarray]) -> int:
    """Cycles of loading, and of one sample."""
    job = Job(program, inputs)
    cycles = sum(layer["cycles"] for layer in program.layers)
    return len(job.load) + len(job.input[0]) + cycles + len(job.addresses)


@cache
def pair(name: str, seed: int, large: bool = False) -> Pair:
    """The pair, drawn once in a process."""
    return Pair(name, seed, large)


def operators(network: Network) -> list[str]:
    """A network's operators, as `OPERATORS` names them."""
    return [_operator(network, node) for node in network.nodes]


def _operator(network: Network, node: Node) -> str:
    if isinstance(node, Conv2D) and node.groups > 1:
        channels = network.tensors[node.inputs[0]].shape[2]
        return "DepthwiseConv2D" if node.groups == channels else "GroupedConv2D"
    return type(node).__name__


def windows(program: Program) -> int:
    """How many instructions use the second activation path."""
    return sum(instruction.window for instruction in program.instructions)
