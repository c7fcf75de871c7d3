"""Integer nodes between tensors of any scale and zero point: multipliers instead of shifts.

Rounding is "single": the nearest code to the exact result, as ONNX Runtime's float arithmetic
has it but for ties and float32's own errors (`docs/arithmetic.md`).
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from weft.compiler import network as integer
from weft.compiler.calibrate_limits import MAX_LEFT
from weft.compiler.fixed_point import fraction_bits, to_codes
from weft.compiler.float_graph import FloatNode
from weft.compiler.multipliers import requantize, scaling, sum_factors
from weft.compiler.network import Rounding
from weft.compiler.quantize_affine_weights import affine_weights, factors, product_scales
from weft.compiler.quantize_fuse import MOVES, FusedNode
from weft.compiler.quantize_weights import MAX_SHIFT, Method, WeightsError
from weft.errors import Problem

ROUNDING: Rounding = "single"

#: Left shift of a scaled sum's operands, as in TFLite.
_LEFT_SHIFT = 20

#: Nodes that add products or operands, each less its zero point.
SUMS = ("Conv2D", "FullyConnected", "Add")

Tensors = dict[str, integer.Tensor]


def by_shifts(fused: FusedNode, tensors: Tensors) -> bool:
    """Whether every scale around a node is a power of two, and its zero points are 0 or allowed.

    Sums take zero points off before they shift, so these have no need of a multiplier as long
    as some shift leads to the output. Other nodes work on the codes as they are.
    """
    node = fused.node
    around = [tensors[name] for name in (*node.inputs, node.output)]
    fractions = [fraction_bits(tensor.scale) for tensor in around]
    known = [fraction for fraction in fractions if fraction is not None]
    if len(known) < len(fractions):
        return False
    pointed = any(tensor.zero_point for tensor in around)
    if pointed and node.op not in SUMS:
        return False
    weights = node.scales.get("weights")
    if weights is None:
        reach = max(known[:-1]) - known[-1]
        return not pointed or node.op != "Add" or _aligns(known[:-1], reach)
    powers = [fraction_bits(float(scale)) for scale in weights.scale.reshape(-1)]
    shifts = [known[0] + power - known[-1] for power in powers if power is not None]
    if weights.zero_point.any() or len(shifts) < len(powers):
        return False
    return not pointed or 0 <= min(shifts) <= max(shifts) <= MAX_SHIFT


def _aligns(fractions: list[int], reach: int) -> bool:
    """Whether operands can be shifted to the finer of their scales, and their sum back."""
    return max(fractions) - min(fractions) <= MAX_LEFT and 0 <= reach <= MAX_SHIFT


def code_limits(fused: FusedNode, tensor: integer.Tensor) -> tuple[int, int]:
    """Codes of a node's real limits; rounding is monotonic, so clamping codes is exact."""
    low, high = (
        edge if math.isinf(limit) else int(to_codes(limit, tensor.scale, tensor.zero_point))
        for limit, edge in ((fused.low, -128), (fused.high, 127))
    )
    return low, high


def same_codes(one: integer.Tensor, two: integer.Tensor) -> bool:
    """Whether equal codes of both tensors mean the same."""
    return (one.scale, one.zero_point) == (two.scale, two.zero_point)


class AffineMaker:
    """Makes integer nodes of those float nodes whose scales are not powers of two.

    Parameters
    ----------
    tensors : dict of name to Tensor
        Of the network that is made; tensors that a node needs in between are added to it.
    taken : set of str
        Names of nodes; those of nodes in between are added to it.
    method, per_channel
        How to choose scales of weights that the file leaves open.
    """

    def __init__(self, tensors: Tensors, taken: set[str], method: Method, per_channel: bool):
        self.tensors = tensors
        self.taken = taken
        self.method: Method = method
        self.per_channel = per_channel

    def rescales(self, fused: FusedNode) -> bool:
        """Whether a node that moves codes changes their scale as well."""
        given, made = self.tensors[fused.node.inputs[0]], self.tensors[fused.node.output]
        return fused.node.op in MOVES and not same_codes(given, made)

    def make(self, fused: FusedNode) -> list[integer.Node]:
        """Integer nodes of a float node that computes: everything but moves and tables.

        Raises
        ------
        FactorError
            If no integers can stand for its scales.
        WeightsError
            If its weights cannot be codes.
        """
        makers = {
            "Conv2D": self._weighted,
            "FullyConnected": self._weighted,
            "Clamp": self._clamp,
            "AveragePool": self._average_pool,
            "Add": self._add,
            "Concat": self._concat,
        }
        return makers[fused.node.op](fused)

    def rescale(
        self, name: str, source: str, target: str, limits: tuple[int, int] = (-128, 127)
    ) -> integer.Rescale:
        """The same values at another scale."""
        given, made = self.tensors[source], self.tensors[target]
        quotient = factors(np.array([given.scale], np.float32), made.scale)
        numbers = requantize(quotient, ROUNDING, made.zero_point, limits)
        return integer.Rescale(self._unique(name, self.taken), (source,), target, numbers)

    def between(self, name: str, like: str, codes_of: str) -> str:
        """Name of a new tensor of one tensor's shape and another one's codes."""
        codes = self.tensors[codes_of]
        name = self._unique(name, self.tensors)
        self.tensors[name] = replace(codes, name=name, shape=self.tensors[like].shape)
        return name

    @staticmethod
    def _unique(name: str, taken: set[str] | Tensors) -> str:
        count, candidate = 1, name
        while candidate in taken:
            count += 1
            candidate = f"{name}/{count}"
        if isinstance(taken, set):
            taken.add(candidate)
        return candidate

    def _requantize(self, fused: FusedNode, quotients: np.ndarray) -> integer.Requantize:
        made = self.tensors[fused.node.output]
        return requantize(quotients, ROUNDING, made.zero_point, code_limits(fused, made))

    def _weighted(self, fused: FusedNode) -> list[integer.Node]:
        node = fused.node
        given, made = self.tensors[node.inputs[0]], self.tensors[node.output]
        numbers = affine_weights(node, given, made, self.method, self.per_channel)
        parts: dict[str, Any] = {
            "weights": numbers.weights,
            "bias": numbers.bias,
            "requantize": self._requantize(fused, numbers.factors),
        }
        if node.op == "FullyConnected":
            return [integer.FullyConnected(node.name, node.inputs, node.output, **parts)]
        window = _window(node, "stride", "dilation", "padding")
        groups = int(node.attributes.get("groups", 1))
        return [
            integer.Conv2D(node.name, node.inputs, node.output, **parts, **window, groups=groups)
        ]

    def _clamp(self, fused: FusedNode) -> list[integer.Node]:
        node, made = fused.node, self.tensors[fused.node.output]
        limits = code_limits(FusedNode(node).clamped(node), made)
        self.taken.discard(node.name)
        return [self.rescale(node.name, node.inputs[0], node.output, limits)]

    def _add(self, fused: FusedNode) -> list[integer.Node]:
        node = fused.node
        one, two = (self.tensors[name].scale for name in node.inputs)
        *operands, total = sum_factors(one, two, self.tensors[node.output].scale)
        first, second = (scaling(factor, ROUNDING) for factor in operands)
        signs = node.attributes.get("signs", (1, 1))
        return [
            integer.Add(
                node.name,
                node.inputs,
                node.output,
                left=(_LEFT_SHIFT, _LEFT_SHIFT),
                requantize=self._requantize(fused, np.array([total])),
                signs=(int(signs[0]), int(signs[1])),
                scalings=(first, second),
            )
        ]

    def _concat(self, fused: FusedNode) -> list[integer.Node]:
        node = fused.node
        made: list[integer.Node] = []
        sources = []
        for index, name in enumerate(node.inputs):
            source = name
            if not same_codes(self.tensors[name], self.tensors[node.output]):
                source = self.between(f"{node.output}/part_{index}", name, node.output)
                made.append(self.rescale(f"{node.name}/part_{index}", name, source))
            sources.append(source)
        axis = int(node.attributes["axis"])
        shift = (0,) * len(sources)
        made.append(integer.Concat(node.name, tuple(sources), node.output, axis=axis, shift=shift))
        return made

    # Averages ---------------------------------------------------------------------------

    def _average_pool(self, fused: FusedNode) -> list[integer.Node]:
        """At one scale a division; otherwise a sum whose factor divides as well."""
        node = fused.node
        given, made = self.tensors[node.inputs[0]], self.tensors[node.output]
        window = _window(node, "kernel", "stride", "padding")
        counts = bool(node.attributes.get("count_include_pad", False))
        if same_codes(given, made):
            return [self._division(fused, node.output, window, counts, code_limits(fused, made))]
        padded = any(window.get("padding", (0, 0, 0, 0)))
        if padded and not counts:
            return self._divided_and_rescaled(fused, window)
        height, width = window["kernel"]
        products = product_scales(given.scale, np.array([1 / (height * width)]))
        numbers = self._requantize(fused, factors(products, made.scale))
        if (height, width) == given.shape[:2] and not padded:
            return [integer.Mean(node.name, node.inputs, node.output, (0, 1), numbers)]
        channels = given.shape[2]
        return [
            integer.Conv2D(
                node.name,
                node.inputs,
                node.output,
                weights=np.ones((channels, height, width, 1), np.int8),
                bias=np.zeros(channels, np.int32),
                requantize=numbers,
                stride=window.get("stride", (1, 1)),
                padding=window.get("padding", (0, 0, 0, 0)),
                groups=channels,
            )
        ]

    def _division(
        self,
        fused: FusedNode,
        output: str,
        window: dict[str, Any],
        counts: bool,
        limits: tuple[int, int],
    ) -> integer.AveragePool:
        node = fused.node
        return integer.AveragePool(
            node.name,
            node.inputs,
            output,
            **window,
            count_include_pad=counts,
            low=limits[0],
            high=limits[1],
        )

    def _divided_and_rescaled(self, fused: FusedNode, window: dict[str, Any]) -> list[integer.Node]:
        """Windows of several sizes: divided first, which rounds once more."""
        node = fused.node
        given, made = self.tensors[node.inputs[0]], self.tensors[node.output]
        if given.scale >= 2 * made.scale:  # the first rounding would show
            problem = Problem(
                node.name,
                node.op,
                "it leaves padding out of its means, and its input's scale is more than "
                "twice its output's",
                "give both the same scale, or pad without excluding (count_include_pad=1)",
            )
            raise WeightsError(problem)
        mean = self.between(f"{node.output}/mean", node.output, node.inputs[0])
        return [
            self._division(fused, mean, window, False, (-128, 127)),
            self.rescale(f"{node.name}/rescale", mean, node.output, code_limits(fused, made)),
        ]


def _window(node: FloatNode, *keys: str) -> dict[str, Any]:
    """Attributes that are tuples of integers, where the node has them."""
    return {
        key: tuple(int(value) for value in node.attributes[key])
        for key in keys
        if key in node.attributes
    }
