"""Tensors of a float graph that can be multiplied by a factor together, unseen from outside.

A function f with f(s x) = s f(x) hands a positive factor on, so tensors on both sides of it
take the same one. The convolutions and fully connected nodes that make such a group of tensors
take the factor into their weights and biases, those that read it its reciprocal.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from weft.compiler.calibrate_types import WEIGHTED
from weft.compiler.float_graph import FloatGraph, FloatNode
from weft.compiler.quantize_fuse import memory_of

#: Operators through which a factor passes, each channel by itself or one for all; a Clamp's
#: limits and a Pad's value take it too.
_BY_CHANNEL = ("Add", "AveragePool", "Clamp", "MaxPool", "Pad")
_AS_A_WHOLE = ("Concat", "Permute", "Slice")


@dataclass(eq=False)
class Group:
    """Tensors that take one factor, or one for each channel.

    Parameters
    ----------
    tensors : list of str
    by_channel : bool
        Whether every channel may have a factor of its own.
    makers, readers : list of FloatNode
        Weighted nodes whose output, or whose input, is in the group.
    """

    tensors: list[str]
    by_channel: bool = True
    makers: list[FloatNode] = field(default_factory=list)
    readers: list[FloatNode] = field(default_factory=list)


def free_groups(graph: FloatGraph) -> list[Group]:
    """Groups in the order of the graph; none with an input, an output or a given scale."""
    group = {name: Group([name]) for name, tensor in graph.tensors.items() if not tensor.memory}
    held = {*graph.inputs, *(memory_of(graph, name) for name in graph.outputs), *graph.scales}
    for node in graph.nodes:
        if passes_on(node):
            for name in node.inputs:
                _join(group, name, node.output)
            group[node.output].by_channel &= _is_by_channel(graph, node)
        elif node.op not in WEIGHTED or "weights" in node.scales:
            held.update((*node.inputs, node.output))
    for node in graph.nodes:
        if node.op in WEIGHTED:
            group[node.output].makers.append(node)
            group[node.inputs[0]].readers.append(node)
    found = {id(members): members for members in group.values()}.values()
    return [members for members in found if held.isdisjoint(members.tensors)]


def passes_on(node: FloatNode) -> bool:
    """Whether a positive factor before the node is the same factor behind it."""
    homogeneous = node.op == "Unary" and node.attributes["function"] == "LeakyRelu"
    return homogeneous or node.op in _BY_CHANNEL or node.op in _AS_A_WHOLE


def _is_by_channel(graph: FloatGraph, node: FloatNode) -> bool:
    """Whether channel i of what it reads is channel i of what it makes, whatever its factor."""
    if len({graph.tensors[name].shape[2] for name in (*node.inputs, node.output)}) > 1:
        return False  # an operand is repeated, or channels are added
    match node.op:
        case "Clamp":  # each channel has the same limits
            limits = (node.attributes.get("low"), node.attributes.get("high"))
            return all(limit in (None, 0) for limit in limits)
        case "Pad":
            return not node.attributes.get("value")
        case op:
            return op not in _AS_A_WHOLE


def _join(group: dict[str, Group], one: str, two: str) -> None:
    first, second = group[one], group[two]
    if first is second:
        return
    first.tensors += second.tensors
    first.by_channel &= second.by_channel
    group.update(dict.fromkeys(second.tensors, first))
