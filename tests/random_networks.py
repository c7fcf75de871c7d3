"""Random integer graphs from every operator, for equality tests between engines.

With ``scales="shift"`` scales are powers of two and zero points 0 (a Softmax's output
excepted); with ``scales="multiplier"`` they are as in TFLite's models. They are consistent:
whoever derives shifts or multipliers from the tensors' scales finds the nodes' own. A network
depends on the generator's state alone, so a seed reproduces it; `describe` prints it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Literal

import numpy as np
from numpy.random import Generator
from random_builder import CHANNELS, Builder
from random_multipliers import MultiplierBuilder

from weft.compiler.network import Network, Scaling

#: What can be asked for; the three convolutions are all `Conv2D`.
OPERATORS = (
    "Conv2D", "GroupedConv2D", "DepthwiseConv2D", "FullyConnected", "AveragePool", "MaxPool",
    "Add", "Table", "Pad", "Concat", "Slice", "Permute", "Softmax",
)  # fmt: skip

#: The same with multipliers.
MULTIPLIER_OPERATORS = (*OPERATORS, "Mul", "Mean", "Rescale")

Scales = Literal["shift", "multiplier"]
_BUILDERS: dict[str, type[Builder]] = {"shift": Builder, "multiplier": MultiplierBuilder}
_OPERATORS = {"shift": OPERATORS, "multiplier": MULTIPLIER_OPERATORS}


def random_network(
    rng: Generator,
    *,
    max_nodes: int = 8,
    size: int = 30_000,
    operators: Sequence[str] | None = None,
    max_side: int = 12,
    accumulator_bits: int = 32,
    tables: int = 1,
    scales: Scales = "shift",
    inputs: int = 2,
    unsigned: float = 0.0,
    mixed: float = 0.0,
) -> Network:
    """Draw a network of 1 to `max_nodes` nodes (and sometimes a Softmax behind them).

    Parameters
    ----------
    rng : numpy Generator
    max_nodes : int
    size : int
        Bound on the multiplications of convolutions and dense layers, plus the elements
        that all other nodes read.
    operators : sequence of str
        The choice; all by default, which are `OPERATORS` or `MULTIPLIER_OPERATORS`.
    max_side : int
        Largest height and width of an input image; 1-D-like inputs are up to twice as long.
    accumulator_bits : int
        No accumulator needs more, whatever the input.
    tables : int
        Largest number of different tables.
    scales : str
        "shift" or "multiplier".
    inputs : int
        Seldom so many, mostly one.
    unsigned : float
        How often a tensor of a "shift" network has the zero point -128.
    mixed : float
        How often a layer of a "multiplier" network only shifts.
    """
    known = _OPERATORS[scales]
    operators = known if operators is None else operators
    unknown = sorted(set(operators) - set(known))
    if unknown:
        raise ValueError(f"unknown operators {unknown}, choose from {known}")
    builder = _BUILDERS[scales](
        rng,
        size=size,
        operators=set(operators),
        accumulator_bits=accumulator_bits,
        tables=tables,
        unsigned=unsigned,
        mixed=mixed,
    )
    for _ in range(1 + (inputs - 1) * (rng.random() < 0.15)):
        builder.add_input(_input_shape(rng, max_side))
    names = [name for name in operators if name != "Softmax"]
    nodes = int(rng.integers(1, max_nodes + 1))
    for _ in range(30 * nodes):
        if len(builder.network.nodes) >= nodes or not names:
            break
        builder.draw(str(rng.choice(names)))
    if "Softmax" in operators and (not names or rng.random() < 0.2):
        builder.softmax()
    return builder.finish()


def single_operator(
    rng: Generator,
    operator: str,
    *,
    size: int = 30_000,
    accumulator_bits: int = 32,
    scales: Scales = "shift",
) -> Network:
    """Draw a network of one node (Softmax: of one behind a FullyConnected)."""
    while True:
        builder = _BUILDERS[scales](
            rng,
            size=size,
            operators={operator},
            accumulator_bits=accumulator_bits,
            grow=True,
        )
        builder.add_input(_input_shape(rng, 12))
        if builder.draw(operator) is not None:
            return builder.finish()


def random_inputs(rng: Generator, network: Network, n: int) -> dict[str, np.ndarray]:
    """Draw `n` samples: uniform codes mostly, every fourth of extremes or of small codes."""
    inputs = {}
    for port in network.inputs:
        shape = network.tensors[port.tensor].shape
        codes = rng.integers(-128, 128, (n, *shape), dtype=np.int8)
        codes[2::4] = rng.choice(np.array([-128, 0, 127], np.int8), codes[2::4].shape)
        codes[3::4] >>= rng.integers(1, 7)
        inputs[port.tensor] = codes
    return inputs


def describe(network: Network) -> str:
    """Say what a network is, one line for each node, for failure messages."""

    def value(x: Any) -> str:
        if isinstance(x, np.ndarray):
            if x.size <= 6:
                return str(x.tolist())
            return f"{x.dtype}{x.shape} in [{x.min()}, {x.max()}]"
        if isinstance(x, Scaling):
            return f"({attributes(x, ())})"
        if isinstance(x, tuple) and any(isinstance(part, Scaling) for part in x):
            return f"[{', '.join(value(part) for part in x)}]"
        return repr(x)

    def attributes(x: Any, hidden: Sequence[str]) -> str:
        # Only what differs from the default is worth reading.
        return ", ".join(
            f"{f.name}={value(getattr(x, f.name))}"
            for f in fields(x)
            if f.name not in hidden
            and (isinstance(getattr(x, f.name), np.ndarray) or getattr(x, f.name) != f.default)
        )

    def tensor(name: str) -> str:
        t = network.tensors[name]
        constant = "const " * (name in network.constants)
        point = f"{t.zero_point:+d}" if t.zero_point else ""
        return f"{constant}{name}{list(t.shape)}{point}*2^{np.log2(t.scale):g}"

    lines = [f"network {network.name}: " + ", ".join(tensor(p.tensor) for p in network.inputs)]
    for node in network.nodes:
        sources = ", ".join(tensor(name) for name in node.inputs)
        rest = attributes(node, ("name", "inputs", "output"))
        lines.append(f"  {tensor(node.output)} = {type(node).__name__}({sources}; {rest})")
    lines.append("  -> " + ", ".join(port.tensor for port in network.outputs))
    return "\n".join(lines)


def _input_shape(rng: Generator, max_side: int) -> tuple[int, int, int]:
    side = lambda limit: int(rng.integers(1, limit + 1))  # noqa: E731
    channels = int(rng.choice(CHANNELS))
    kind = rng.random()
    if kind < 0.1:
        return (1, 1, int(rng.integers(1, 65)))
    if kind < 0.2:
        return (1, side(2 * max_side), channels)
    if kind < 0.3:
        return (side(2 * max_side), 1, channels)
    return (side(max_side), side(max_side), channels)
