"""Folds clamps into the nodes before them, and zero padding into the convolutions after it.

Both the calibration and the quantizer work on the folded graph, so that a tensor that
will not exist gets no scale, and a clamped tensor is calibrated after its clamp.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace

from weft.compiler.float_graph import FloatGraph, FloatNode, Scale

#: Nodes that clamp their own output.
CLAMPING = ("Conv2D", "FullyConnected", "Add", "AveragePool", "MaxPool")

#: Nodes that hand codes on as they are: input and output share a scale.
MOVES = ("MaxPool", "Pad", "Slice", "Permute")


@dataclass(frozen=True, eq=False)
class FusedNode:
    """A float node whose output is clamped to the real values [low, high]."""

    node: FloatNode
    low: float = -math.inf
    high: float = math.inf

    def clamped(self, clamp: FloatNode) -> FusedNode:
        """Put one more clamp behind this node, under the clamp's output name."""
        below, above = clamp_limits(clamp)
        return FusedNode(
            replace(
                self.node,
                output=clamp.output,
                sources=(*self.node.sources, clamp.name, *clamp.sources),
            ),
            min(max(self.low, below), above),
            min(max(self.high, below), above),
        )


def clamp_limits(clamp: FloatNode) -> tuple[float, float]:
    """Limits of a Clamp, infinite where it has none."""
    low, high = clamp.attributes.get("low"), clamp.attributes.get("high")
    return (
        -math.inf if low is None else float(low),
        math.inf if high is None else float(high),
    )


def fuse(graph: FloatGraph) -> list[FusedNode]:
    """Fold the nodes of `graph`, in order."""
    uses = Counter(name for node in graph.nodes for name in node.inputs)
    uses.update(memory_of(graph, name) for name in graph.outputs)
    result: dict[str, FusedNode] = {}  # by output
    for node in graph.nodes:
        before = result.get(node.inputs[0])
        if before and uses[before.node.output] == 1:
            if _clamp_folds(graph, before, node):
                result[node.output] = before.clamped(node)
                del result[before.node.output]
                continue
            if _pad_folds(graph, before, node):
                del result[before.node.output]
                node = _padded(before.node, node)  # noqa: PLW2901 - the folded node replaces it
        result[node.output] = FusedNode(node)
    return list(result.values())


def memory_of(graph: FloatGraph, name: str) -> str:
    """Name of the tensor that holds the elements of an output of the file."""
    return graph.tensors[name].memory or name


def tensor_names(graph: FloatGraph, nodes: list[FusedNode]) -> list[str]:
    """Names of the tensors that remain: the graph's inputs, then what the nodes make."""
    return [*graph.inputs, *(fused.node.output for fused in nodes)]


def _clamp_folds(graph: FloatGraph, before: FusedNode, node: FloatNode) -> bool:
    if node.op != "Clamp" or before.node.op not in CLAMPING:
        return False
    return _same_scale(graph, before.node.output, node.output)


def _pad_folds(graph: FloatGraph, before: FusedNode, node: FloatNode) -> bool:
    pad = before.node
    if pad.op != "Pad" or node.op != "Conv2D" or pad.attributes.get("value", 0) != 0:
        return False
    vertical, horizontal, channels = pad.attributes["pads"]
    if tuple(channels) != (0, 0) or min(*vertical, *horizontal) < 0:
        return False
    return _same_scale(graph, pad.inputs[0], pad.output)


def _same_scale(graph: FloatGraph, first: str, second: str) -> bool:
    """Whether codes of both tensors mean the same, or the file leaves one of them open."""
    one, two = graph.scales.get(first), graph.scales.get(second)
    return one is None or two is None or equal_scales(one, two)


def equal_scales(one: Scale, two: Scale) -> bool:
    """Whether two quantizations of tensors are the same."""
    return bool(
        one.scale.size == two.scale.size
        and (one.scale == two.scale).all()
        and (one.zero_point == two.zero_point).all()
    )


def _padded(pad: FloatNode, conv: FloatNode) -> FloatNode:
    (top, bottom), (left, right), _ = pad.attributes["pads"]
    own = conv.attributes.get("padding", (0, 0, 0, 0))
    padding = (own[0] + top, own[1] + left, own[2] + bottom, own[3] + right)
    return replace(
        conv,
        inputs=(pad.inputs[0], *conv.inputs[1:]),
        attributes={**conv.attributes, "padding": padding},
        sources=(pad.name, *pad.sources, *conv.sources),
    )
