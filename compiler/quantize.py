"""From a float graph and scales to the integer graph.

Weights, biases, clamps and tables become integers here; every rounding is to nearest
with ties away from zero, and every result saturates. Nodes between powers of two without
zero points are made here, and round by shifts; all others are made in `quantize_affine`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from weft.compiler import network as integer
from weft.compiler.fixed_point import fraction_bits, to_codes
from weft.compiler.float_graph import FloatGraph, FloatNode, Scale
from weft.compiler.multipliers import FactorError
from weft.compiler.quantize_affine import AffineMaker, by_shifts, code_limits
from weft.compiler.quantize_fuse import MOVES, FusedNode, fuse, memory_of, tensor_names
from weft.compiler.quantize_ports import make_ports, rename_outputs
from weft.compiler.quantize_scales import check_scales, complete, zero_point
from weft.compiler.quantize_tables import FUNCTIONS, make_table
from weft.compiler.quantize_weights import Method, WeightsError, quantize_weights
from weft.errors import Problem, UnsupportedError


def quantize(
    graph: FloatGraph,
    scales: Mapping[str, Scale] | None = None,
    *,
    method: Method = "minmax",
    per_channel: bool = False,
) -> integer.Network:
    """Make the integer graph of `graph`.

    Parameters
    ----------
    graph : FloatGraph
    scales : mapping of tensor name to Scale, optional
        From `calibrate`; by default ``graph.scales``, of a file that is quantized.
    method : ``"minmax"`` or ``"mse"``
        How to choose scales of weights that the file leaves open.
    per_channel : bool
        One such scale, and so one shift, per output channel instead of one per node.

    Raises
    ------
    UnsupportedError
        With every problem at once.
    """
    nodes = fuse(graph)
    known = complete(nodes, graph.scales if scales is None else scales)
    problems = [*check_scales(graph, nodes, known), *_check_softmax(graph, nodes)]
    if problems:
        raise UnsupportedError(graph.name, problems)
    network = integer.Network(graph.name)
    for name in tensor_names(graph, nodes):
        scale = known[name]
        network.tensors[name] = integer.Tensor(
            name, graph.tensors[name].shape, float(scale.scale.reshape(-1)[0]), zero_point(scale)
        )
    maker = _Maker(network, {fused.node.name for fused in nodes}, method, per_channel)
    for fused in nodes:
        try:
            network.nodes.extend(maker.make(fused))
        except WeightsError as error:
            problems.append(error.problem)
        except FactorError as error:
            name, op = fused.node.name, fused.node.op
            problems.append(Problem(name, op, str(error), "quantize the model again"))
    if problems:
        raise UnsupportedError(graph.name, problems)
    made = [*graph.inputs, *(node.output for node in network.nodes)]
    network.tensors = {name: network.tensors[name] for name in made}
    network.inputs, network.outputs = make_ports(graph)
    return rename_outputs(network)


def _check_softmax(graph: FloatGraph, nodes: list[FusedNode]) -> list[Problem]:
    outputs = {memory_of(graph, name) for name in graph.outputs}
    read = {name for fused in nodes for name in fused.node.inputs}
    return [
        Problem(
            fused.node.name,
            "Softmax",
            "it is not the last node before an output",
            "end the model there: softmax runs in the host",
        )
        for fused in nodes
        if fused.node.op == "Softmax"
        and (fused.node.output not in outputs or fused.node.output in read)
    ]


class _Maker:
    """Makes integer nodes, one method per operator of the float graph."""

    def __init__(
        self, network: integer.Network, names: set[str], method: Method, per_channel: bool
    ):
        self.tensors = network.tensors
        self.method: Method = method
        self.per_channel = per_channel
        self.affine = AffineMaker(network.tensors, names, method, per_channel)

    def make(self, fused: FusedNode) -> list[integer.Node]:
        """Make the integer nodes of a float node: one, and more where a scale changes on the way.

        Powers of two without zero points take the way of shifts, and so do nodes that compute
        nothing or anything: moves and tables.
        """
        if by_shifts(fused, self.tensors) or fused.node.op in ("Unary", "Softmax"):
            return [self._make(fused)]
        if self.affine.rescales(fused):
            return self._rescaled_move(fused)
        if fused.node.op in MOVES:
            return [self._make(fused)]
        return self.affine.make(fused)

    def _rescaled_move(self, fused: FusedNode) -> list[integer.Node]:
        """A move, and its values at another scale; a Pad is the larger afterwards."""
        node, limits = fused.node, code_limits(fused, self.tensors[fused.node.output])
        if node.op == "Pad":
            given = self.affine.between(f"{node.output}/unpadded", node.inputs[0], node.output)
            rescale = self.affine.rescale(f"{node.name}/rescale", node.inputs[0], given)
            return [rescale, self._make(FusedNode(replace(node, inputs=(given,))))]
        moved = self.affine.between(f"{node.output}/moved", node.output, node.inputs[0])
        return [
            self._make(FusedNode(replace(node, output=moved))),
            self.affine.rescale(f"{node.name}/rescale", moved, node.output, limits),
        ]

    def _make(self, fused: FusedNode) -> integer.Node:
        makers: dict[str, Callable[[FusedNode], integer.Node]] = {
            "Conv2D": self._weighted,
            "FullyConnected": self._weighted,
            "Clamp": self._table,
            "Unary": self._table,
            "MaxPool": self._max_pool,
            "AveragePool": self._average_pool,
            "Add": self._add,
            "Pad": self._pad,
            "Concat": self._concat,
            "Slice": self._slice,
            "Permute": self._permute,
            "Softmax": lambda fused: integer.Softmax(**_names(fused.node)),
        }
        return makers[fused.node.op](fused)

    def _fraction(self, name: str) -> int:
        fraction = fraction_bits(self.tensors[name].scale)
        assert fraction is not None  # checked before
        return fraction

    def _fractions(self, node: FloatNode) -> tuple[list[int], int]:
        return [self._fraction(name) for name in node.inputs], self._fraction(node.output)

    def _clamp(self, fused: FusedNode) -> dict[str, Any]:
        low, high = code_limits(fused, self.tensors[fused.node.output])
        return {"low": low, "high": high}

    def _requantize(self, fused: FusedNode, shift: np.ndarray) -> integer.Requantize:
        made = self.tensors[fused.node.output]
        return integer.Requantize(shift, zero_point=made.zero_point, **self._clamp(fused))

    def _weighted(self, fused: FusedNode) -> integer.Node:
        node = fused.node
        (given,), made = self._fractions(node)
        numbers = quantize_weights(
            node, given, made, self.method, self.per_channel,
            zero_point=self.tensors[node.inputs[0]].zero_point,
        )  # fmt: skip
        requantize = self._requantize(fused, numbers.shift)
        parts = {
            **_names(node),
            "weights": numbers.weights,
            "bias": numbers.bias,
            "requantize": requantize,
        }
        if node.op == "FullyConnected":
            return integer.FullyConnected(**parts)
        return integer.Conv2D(
            **parts,
            **_pairs(node, "stride", "dilation", "padding"),
            groups=int(node.attributes.get("groups", 1)),
        )

    def _max_pool(self, fused: FusedNode) -> integer.Node:
        return integer.MaxPool(
            **_names(fused.node),
            **_pairs(fused.node, "kernel", "stride", "dilation", "padding"),
            **self._clamp(fused),
        )

    def _average_pool(self, fused: FusedNode) -> integer.Node:
        (given,), made = self._fractions(fused.node)
        return integer.AveragePool(
            **_names(fused.node),
            **_pairs(fused.node, "kernel", "stride", "padding"),
            count_include_pad=bool(fused.node.attributes.get("count_include_pad", False)),
            left=made - given,
            **self._clamp(fused),
        )

    def _add(self, fused: FusedNode) -> integer.Node:
        (one, two), made = self._fractions(fused.node)
        common = max(one, two)
        first, second = fused.node.attributes.get("signs", (1, 1))
        return integer.Add(
            **_names(fused.node),
            left=(common - one, common - two),
            requantize=self._requantize(fused, np.array([common - made])),
            signs=(int(first), int(second)),
        )

    def _table(self, fused: FusedNode) -> integer.Node:
        node = fused.node
        function = "Clamp" if node.op == "Clamp" else str(node.attributes["function"])
        # ONNX holds attributes as float32; a default left out of the file counts as such.
        attributes = {
            key: None if value is None else float(np.float32(value))
            for key, value in node.attributes.items()
            if key != "function"
        }
        if function not in FUNCTIONS:
            raise WeightsError(
                Problem(node.name, function, "weft knows no such function", "replace it")
            )
        given, made = self.tensors[node.inputs[0]], self.tensors[node.output]
        table = make_table(
            function, attributes, given, made, even=not by_shifts(fused, self.tensors)
        )
        return integer.Table(**_names(node), table=table, function=function, attributes=attributes)

    def _pad(self, fused: FusedNode) -> integer.Node:
        node = fused.node
        vertical, horizontal, channels = (
            (int(before), int(after)) for before, after in node.attributes["pads"]
        )
        made = self.tensors[node.output]
        value = to_codes(float(node.attributes.get("value", 0)), made.scale, made.zero_point)
        return integer.Pad(**_names(node), pads=(vertical, horizontal, channels), value=int(value))

    def _concat(self, fused: FusedNode) -> integer.Node:
        given, made = self._fractions(fused.node)
        shift = tuple(fraction - made for fraction in given)
        return integer.Concat(
            **_names(fused.node), axis=int(fused.node.attributes["axis"]), shift=shift
        )

    def _permute(self, fused: FusedNode) -> integer.Node:
        order = np.asarray(fused.node.attributes["order"], np.int64)
        return integer.Permute(**_names(fused.node), order=order)

    def _slice(self, fused: FusedNode) -> integer.Node:
        return integer.Slice(**_names(fused.node), **_pairs(fused.node, "start", "stop", "step"))


def _names(node: FloatNode) -> dict[str, Any]:
    return {"name": node.name, "inputs": node.inputs, "output": node.output}


def _pairs(node: FloatNode, *keys: str) -> dict[str, Any]:
    """Attributes that are tuples of integers, where the node has them."""
    return {
        key: tuple(int(value) for value in node.attributes[key])
        for key in keys
        if key in node.attributes
    }
