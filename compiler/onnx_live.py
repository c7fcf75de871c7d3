"""What of a graph its outputs depend on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import onnx

from weft.compiler.float_graph import FloatGraph

#: They look at shapes only, so they do not count as readers.
_SHAPE_ONLY = frozenset({"Shape", "Size"})


def live_nodes(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Nodes that an output needs, in the file's order; names inside subgraphs count.

    The scale of an input counts as needed, whether anything reads the input or not.
    """
    needed = {output.name for output in graph.output}
    inputs = {value.name for value in graph.input}
    live = []
    for node in reversed(graph.node):
        scales_input = node.op_type == "QuantizeLinear" and inputs.intersection(node.input[:1])
        if scales_input or needed.intersection(name for name in node.output if name):
            live.append(node)
            needed.update(node.input)
            needed.update(_captured(node))
    return live[::-1]


def _captured(node: onnx.NodeProto) -> Iterator[str]:
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            for inner in graph.node:
                yield from inner.input
                yield from _captured(inner)


def uses(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> Counter[str]:
    """How often live nodes and outputs read each name."""
    count = Counter(output.name for output in graph.output)
    for node in nodes:
        weight = 0 if node.op_type in _SHAPE_ONLY else 1
        for name in (*node.input, *_captured(node)):
            if name:
                count[name] += weight
    return count


def prune(graph: FloatGraph) -> None:
    """Drop nodes and tensors that no output needs; inputs of the network stay."""
    needed = {graph.tensors[name].memory or name for name in graph.outputs}
    kept = []
    for node in reversed(graph.nodes):
        if node.output in needed:
            kept.append(node)
            needed.update(node.inputs)
    graph.nodes = kept[::-1]
    needed.update(graph.inputs, graph.outputs)
    graph.tensors = {name: tensor for name, tensor in graph.tensors.items() if name in needed}
    graph.scales = {name: scale for name, scale in graph.scales.items() if name in graph.tensors}
