"""A case of the search in networks: a network, a configuration and samples, drawn by hypothesis."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import cached_property

import numpy as np
from hypothesis import reject
from hypothesis import strategies as st
from random_networks import (
    MULTIPLIER_OPERATORS,
    OPERATORS,
    describe,
    random_inputs,
    random_network,
)

from fuzz.choices import Choices
from fuzz.configurations import configuration
from weft.compiler.compile import compile_network, fit
from weft.compiler.network import Network
from weft.compiler.program import Program
from weft.errors import UnsupportedError
from weft.hw.config import Config
from weft.sim import golden
from weft.sim.engine import RunResult, compare

#: The second sample shows that the first leaves no traces.
SAMPLES = 2

#: Operators that use the second activation path, the elementwise unit and its pairs.
_FAVOURED = ("DepthwiseConv2D", "AveragePool", "Add", "Mul", "Mean", "Concat")

_PLAIN = Config(rows=1, columns=1)


class DivergedError(AssertionError):
    """Two levels differ; the text says where, and what the case is."""


@dataclass(frozen=True, eq=False)
class Case:
    """A network on a configuration, and samples of its inputs.

    Parameters
    ----------
    network : Network
    config : Config
    inputs : dict of tensor name to int8 array, shape (N, H, W, C)
    key : int
        Differs for different cases, if they are drawn.
    """

    network: Network
    config: Config
    inputs: dict[str, np.ndarray]
    key: int = 0

    @cached_property
    def program(self) -> Program:
        return compile_network(self.network, self.config)

    @cached_property
    def expected(self) -> RunResult:
        """What the golden model says."""
        return golden.run(self.program, self.inputs)

    @property
    def cycles(self) -> list[int]:
        """What the compiler says that each sample takes."""
        return SAMPLES * [sum(layer["cycles"] for layer in self.program.layers)]

    def check(self, level: str, result: RunResult) -> None:
        """See that another level computed the same, in as many cycles as the compiler says.

        Raises
        ------
        DivergedError
        """
        found = compare(
            self.expected.outputs, result.outputs, level=level, names=self.program.core_outputs
        )
        if found is not None:
            raise DivergedError(f"{found}\n{self}")
        if result.cycles is not None and list(result.cycles) != self.cycles:
            raise DivergedError(
                f"{level} takes {result.cycles} cycles, the compiler says {self.cycles}\n{self}"
            )

    def __str__(self) -> str:
        sizes, plain = asdict(self.config), asdict(_PLAIN)
        kept = [f"{k}={v}" for k, v in sizes.items() if v != plain[k] or k in ("rows", "columns")]
        return f"Config({', '.join(kept)})\n{describe(self.network)}"


def draw_network(choices: Choices, config: Config) -> Network:
    """Draw a network that a configuration may well have room for."""
    kind = choices.number(0, 2) if config.multiplier_bits else 0
    scales = "multiplier" if kind else "shift"
    operators = [
        name
        for name in (MULTIPLIER_OPERATORS if kind else OPERATORS)
        if config.tables or name != "Table"
    ]
    if choices.number(0, 2) > (1 if config.window == 0 else choices.number(0, 1)):
        operators = [name for name in operators if name in _FAVOURED]
    return random_network(
        choices,  # type: ignore[arg-type]  a generator as far as it is asked
        operators=operators,
        size=choices.choice([3_000, 500, 8_000]),
        max_nodes=choices.choice([5, 2, 10]),
        max_side=choices.choice([6, 3, 12]),
        accumulator_bits=config.accumulator_bits,
        tables=config.tables,
        scales=scales,  # type: ignore[arg-type]
        inputs=choices.choice([2, 3]),
        unsigned=choices.choice([0.0, 0.0, 0.4]) if not kind else 0.0,
        mixed=choices.choice([0.0, 0.3]) if kind == 2 else 0.0,
    )


@st.composite
def cases(draw: st.DrawFn, config: Config | None = None) -> Case:
    """Draw a case that compiles; with `config` for that configuration."""
    choices = Choices.of_hypothesis(draw)
    given = config or configuration(choices)
    network = draw_network(choices, given)
    if not network.nodes:
        reject()
    inputs = random_inputs(choices, network, SAMPLES)  # type: ignore[arg-type]
    exact = False
    if config is None:
        given, exact = _depths(choices, network, given)
    case = Case(network, given, inputs, hash((given, *choices.drawn)))
    try:
        assert case.program
    except UnsupportedError as error:
        if exact:
            raise DivergedError(f"what `fit` makes does not fit: {error}\n{case}") from error
        reject()
    return case


def _depths(choices: Choices, network: Network, config: Config) -> tuple[Config, bool]:
    """Leave the memories as they are, or fit them to the network, or let weights be copied.

    The second value says whether they are what `fit` makes.
    """
    kind = choices.number(0, 3)
    if kind == 0:
        return config, False
    try:
        fitted = fit(network, config)
    except UnsupportedError:
        reject()
    if config.copies and kind == 1:
        depth = choices.number(1, max(1, fitted.weight_depth - 1))
        return replace(fitted, weight_depth=depth, program_depth=1 << 16), False
    if config.stream and kind == 2:  # room for the next input beside what is computed
        more = choices.number(1, fitted.activation_depth)
        words = 2 * fitted.program_depth  # longer addresses may need another word
        return replace(
            fitted, activation_depth=fitted.activation_depth + more, program_depth=words
        ), False
    return fitted, True
