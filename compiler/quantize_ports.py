"""Ports of the integer graph: how the file sees the network's inputs and outputs."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from weft.compiler.float_graph import FloatGraph
from weft.compiler.network import Network, Port
from weft.compiler.orders import in_order
from weft.compiler.quantize_fuse import memory_of


def make_ports(graph: FloatGraph) -> tuple[list[Port], list[Port]]:
    """Make the ports of all inputs and outputs of the file, in its order."""
    return (
        [make_port(graph, name) for name in graph.inputs],
        [make_port(graph, name) for name in graph.outputs],
    )


def rename_outputs(network: Network) -> Network:
    """Give a tensor that only an output's name makes visible that name.

    A file may show a tensor through a reshape, or quantize it on its way to the output;
    the tensor then has a name of its own that says nothing. Names of inputs and outputs
    stay as they are.
    """
    settled = {port.tensor for port in network.inputs}
    settled |= {port.name for port in network.outputs if port.name == port.tensor}
    names: dict[str, str] = {}
    for port in network.outputs:
        if port.tensor not in settled and port.name not in network.tensors:
            names.setdefault(port.tensor, port.name)
    network.tensors = {
        names.get(name, name): replace(tensor, name=names.get(name, name))
        for name, tensor in network.tensors.items()
    }
    network.nodes = [
        replace(
            node,
            inputs=tuple(names.get(name, name) for name in node.inputs),
            output=names.get(node.output, node.output),
        )
        for node in network.nodes
    ]
    network.outputs = [
        replace(port, tensor=names.get(port.tensor, port.tensor)) for port in network.outputs
    ]
    return network


def make_port(graph: FloatGraph, name: str) -> Port:
    """How the file sees a tensor of the graph."""
    tensor = graph.tensors[name]
    shape = tuple(int(size) for size in tensor.file_shape[1:])
    order = tensor.order
    if order is not None and in_order(order):
        order = None
    dtype: Literal["float32", "int8"] = "int8" if name in graph.codes else "float32"
    return Port(name, memory_of(graph, name), shape, dtype, order)
