"""Completes and checks the scales of a network's tensors before any integer is made."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np

from weft.compiler.fixed_point import fraction_bits
from weft.compiler.float_graph import FloatGraph, FloatNode, Scale
from weft.compiler.quantize_fuse import MOVES, FusedNode, equal_scales
from weft.compiler.quantize_weights import MAX_SHIFT
from weft.errors import Problem

_SOFTMAX = (1 / 256, -128)

#: Who makes a tensor, for messages: (node name, operator).
Maker = tuple[str, str]


def zero_point(scale: Scale) -> int:
    """Zero point of a tensor."""
    return int(scale.zero_point.reshape(-1)[0])


def complete(nodes: list[FusedNode], scales: Mapping[str, Scale]) -> dict[str, Scale]:
    """`scales`, and those that follow from them across moves and softmax."""
    result = dict(scales)
    for fused in nodes:
        node = fused.node
        if node.op in MOVES and node.inputs[0] in result:
            result.setdefault(node.output, result[node.inputs[0]])
        if node.op == "Softmax":
            result.setdefault(node.output, Scale(np.array(_SOFTMAX[0]), np.array(_SOFTMAX[1])))
    for fused in reversed(nodes):
        node = fused.node
        if node.op in MOVES and node.output in result:
            result.setdefault(node.inputs[0], result[node.output])
    return result


def check_scales(
    graph: FloatGraph, nodes: list[FusedNode], scales: Mapping[str, Scale]
) -> Iterator[Problem]:
    """Everything about the scales that stands in the way."""
    makers: dict[str, Maker] = {name: (name, "input") for name in graph.inputs}
    makers.update({fused.node.output: (fused.node.name, fused.node.op) for fused in nodes})
    softmax = {fused.node.output for fused in nodes if fused.node.op == "Softmax"}
    for name, maker in makers.items():
        if name not in scales:
            yield Problem(
                *maker,
                f"tensor {name!r} has no scale",
                "calibrate the model, or quantize this tensor in the file as well",
            )
        else:
            yield from _check_tensor(name, maker, scales[name], name in softmax)
    for fused in nodes:
        if all(name in scales for name in (*fused.node.inputs, fused.node.output)):
            yield from _check_move(fused.node, scales)


def _check_tensor(name: str, maker: Maker, scale: Scale, softmax: bool) -> Iterator[Problem]:
    if scale.scale.size != 1:
        yield Problem(*maker, f"tensor {name!r} has a scale per channel", "quantize it per tensor")
        return
    value, zero = float(scale.scale.reshape(-1)[0]), zero_point(scale)
    if softmax:
        if (value, zero) != _SOFTMAX:
            yield Problem(
                *maker,
                f"its output has scale {value:g} and zero point {zero}",
                "leave it float, or use scale 1/256 and int8 zero point -128",
            )
        return
    if not math.isfinite(value) or value <= 0 or not -128 <= zero <= 127:
        yield Problem(
            *maker,
            f"tensor {name!r} has scale {value:g} and int8 zero point {zero}",
            "quantize the model again",
        )


def _check_move(node: FloatNode, scales: Mapping[str, Scale]) -> Iterator[Problem]:
    """What shifts cannot do; where one scale is no power of two, there are multipliers."""
    around = [scales[name] for name in (*node.inputs, node.output)]
    if any(zero_point(scale) or _fraction(scale) is None for scale in around):
        return
    if node.op in MOVES and not equal_scales(scales[node.inputs[0]], scales[node.output]):
        yield Problem(
            node.name,
            node.op,
            "its output has another scale than its input",
            "give both the same scale: it only moves codes",
        )
    *known, result = (fraction for scale in around if (fraction := _fraction(scale)) is not None)
    if node.op == "Concat" and result > min(known):
        yield Problem(
            node.name,
            node.op,
            "its output's scale is finer than that of an input",
            "give its output the coarsest of its inputs' scales",
        )
    if node.op == "Add" and not (
        max(known) - min(known) <= 16 and 0 <= max(known) - result <= MAX_SHIFT
    ):
        yield Problem(
            node.name,
            node.op,
            f"scales 2**{-known[0]} and 2**{-known[1]} with output 2**{-result} cannot be aligned",
            "give its output a scale no finer than its finest input's, and its inputs scales "
            "within a factor of 65536",
        )


def _fraction(scale: Scale) -> int | None:
    return fraction_bits(float(scale.scale.reshape(-1)[0]))
