"""Types that the user fixes by a tensor's name.

A tensor is an activation by its own name, or a node's weights as "NODE.weights". Fixed
types become scales of the float graph, as if the file had given them: calibration keeps
them, and chooses all others such that the nodes can compute with them.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from weft.compiler.fixed_point import FixedType, largest_fraction, parse_type, power_of_two
from weft.compiler.float_graph import FloatGraph, FloatNode
from weft.compiler.quantize_fuse import MOVES, FusedNode, fuse, memory_of, tensor_names
from weft.errors import InputError

WEIGHTS = ".weights"
BIAS = ".bias"

#: Nodes that have weights and a bias.
WEIGHTED = ("Conv2D", "FullyConnected")


def parse_types(texts: Iterable[str]) -> dict[str, FixedType]:
    """Types by tensor name from "NAME=TYPE".

    Raises
    ------
    InputError
        Where one is written otherwise, or a name has two types.
    """
    result: dict[str, FixedType] = {}
    for text in texts:
        name, equals, kind = text.rpartition("=")
        if not equals or not name:
            raise InputError(f"{text!r} fixes no type; write NAME=TYPE, as in relu1=Q4.3")
        fixed = parse_type(kind)
        if result.setdefault(name, fixed) != fixed:
            raise InputError(
                f"tensor {name!r} is given two types, {result[name].q} and {fixed.q}; keep one"
            )
    return result


def fix_types(graph: FloatGraph, types: Mapping[str, FixedType]) -> FloatGraph:
    """`graph` with scales where the user fixed a type.

    Raises
    ------
    InputError
        With every name that no tensor has, or whose type cannot be chosen, and why.
    """
    nodes = fuse(graph)
    kept = set(tensor_names(graph, nodes))
    weights = {
        f"{fused.node.name}{WEIGHTS}": fused.node for fused in nodes if fused.node.op in WEIGHTED
    }
    problems, scales, own = [], dict(graph.scales), {}
    for name, fixed in types.items():
        tensor = memory_of(graph, name) if name in graph.tensors else name
        if name in weights:
            own[name.removesuffix(WEIGHTS)] = fixed
            problems += _too_fine(name, fixed, weights[name].constants["weights"])
        elif reason := _refusal(graph, nodes, name, tensor, kept):
            problems.append(reason)
        elif tensor in scales and scales[tensor] != power_of_two(fixed.fraction):
            problems.append(f"tensor {name!r} has a scale already; leave its type out")
        else:
            scales[tensor] = power_of_two(fixed.fraction)
    unknown = [name for name in types if not _is_known(graph, nodes, name, weights)]
    problems += [_unknown(name, [*kept, *weights]) for name in unknown]
    if not problems:
        problems = _conflicts(nodes, scales)
    if problems:
        lines = "\n".join(f"  {problem}" for problem in problems)
        raise InputError(f"types cannot be fixed as asked:\n{lines}")
    return replace(graph, scales=scales, nodes=[_with_weights(node, own) for node in graph.nodes])


def _with_weights(node: FloatNode, types: Mapping[str, FixedType]) -> FloatNode:
    if node.op not in WEIGHTED or node.name not in types:
        return node
    scale = power_of_two(types[node.name].fraction)
    return replace(node, scales={**node.scales, "weights": scale})


def _is_known(graph: FloatGraph, nodes: list[FusedNode], name: str, weights: Iterable[str]) -> bool:
    biases = {f"{fused.node.name}{BIAS}" for fused in nodes if fused.node.op in WEIGHTED}
    return name in graph.tensors or name in weights or name in biases


def _refusal(
    graph: FloatGraph, nodes: list[FusedNode], name: str, tensor: str, kept: set[str]
) -> str:
    """Why the type of a tensor cannot be fixed; empty where it can, or there is none."""
    if name not in graph.tensors:
        node = name.removesuffix(BIAS)
        if name.endswith(BIAS) and any(fused.node.name == node for fused in nodes):
            return (
                f"{name!r} follows from other types: it has 32 bits and the scale of the products; "
                f"fix {node + WEIGHTS!r} or the node's input"
            )
        return ""
    if any(fused.node.op == "Softmax" and fused.node.output == tensor for fused in nodes):
        return f"tensor {name!r} comes from Softmax, whose scale is always 1/256; leave it out"
    if tensor in kept:
        return ""
    return (
        f"tensor {name!r} will not exist, because its node is computed together with the next; "
        f"fix {_instead(graph, tensor, kept)!r}"
    )


def _instead(graph: FloatGraph, tensor: str, kept: set[str]) -> str:
    """The tensor that stands for one that is folded away."""
    while tensor not in kept:
        maker = next((node for node in graph.nodes if node.output == tensor), None)
        reader = next(node for node in graph.nodes if tensor in node.inputs)
        # A Pad is folded into the convolution behind it, everything else into a clamp.
        tensor = maker.inputs[0] if maker and maker.op == "Pad" else reader.output
    return tensor


def _too_fine(name: str, fixed: FixedType, weights: np.ndarray) -> list[str]:
    finest = FixedType(largest_fraction(float(weights.min()), float(weights.max())))
    if fixed.fraction <= finest.fraction:
        return []
    return [f"{fixed.q} does not hold all of {name!r}; {finest.q} is the finest type that does"]


def _unknown(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, 3) or sorted(known)[:3]
    return f"there is no tensor {name!r}; near it are {', '.join(repr(n) for n in near)}"


def _conflicts(nodes: list[FusedNode], scales: Mapping) -> list[str]:
    """Fixed types that differ across nodes which only move values."""
    leader: dict[str, str] = {}  # first tensor of each chain of moves
    fixed: dict[str, str] = {}  # by leader, the tensor that was fixed
    problems = []
    for fused in nodes:
        name = fused.node.output
        move = fused.node.op in MOVES
        first = fused.node.inputs[0]
        leader[name] = leader.get(first, first) if move else name
    for name in scales:
        first = leader.get(name, name)
        other = fixed.setdefault(first, name)
        if float(scales[other].scale) != float(scales[name].scale):
            problems.append(
                f"tensors {other!r} and {name!r} have one type, because between them values are "
                "only moved; give both the same, or fix one"
            )
    return problems
