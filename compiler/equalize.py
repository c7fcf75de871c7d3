"""Cross-layer equalisation: factors that make a float graph's values fit 8-bit types better.

Two kinds of factors leave what the network computes as it is (see `free_groups`). Those of
channels make the weights' ranges alike before and behind a tensor, so that one scale does for
all channels: Nagel et al., "Data-Free Quantization through Weight Equalization and Bias
Correction" (2019, arXiv 1906.04721), section 4.1, here with all nodes around a tensor. Those of
whole tensors make activations and weights just fill a type whose scale is a power of two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from weft.compiler.calibrate_types import WEIGHTED
from weft.compiler.equalize_groups import Group, free_groups, passes_on
from weft.compiler.float_graph import FloatGraph, FloatNode
from weft.compiler.quantize_fuse import fuse, tensor_names

#: Times that all groups are gone through: each changes what its neighbours see.
_SWEEPS = 10

#: Times that whole tensors are.
_FILLS = 2

#: Factors of channels beyond which a channel counts as unused.
_FARTHEST = 2.0**10

#: Factors of whole tensors that are tried: a period of a power-of-two scale in 64 parts.
_STEPS = 2.0 ** (np.arange(64) / 64)

#: Codes that the largest value may reach: a little below 127.5, as rounding must not undo it.
_FULL = 127.4

#: Appended to the names of tensors whose values are no longer those of the file.
SUFFIX = "/equalized"


def equalize(
    graph: FloatGraph, largest: Mapping[str, np.ndarray], *, per_channel: bool
) -> tuple[FloatGraph, dict[str, str]]:
    """`graph` with other weights, and new names by old ones of the tensors with other values.

    Parameters
    ----------
    largest : mapping of tensor name to float array (C,)
        Largest absolute value of each channel on calibration samples, of the tensors that
        `tensor_names` has.
    per_channel : bool
        Whether each output channel's weights have a scale of their own. Then they need not be
        alike, and whole tensors alone take a factor.
    """
    groups = free_groups(graph)
    factors = {
        name: np.ones(graph.tensors[name].shape[2]) for group in groups for name in group.tensors
    }
    kept = set(tensor_names(graph, fuse(graph)))
    seen = [{name: largest[name] for name in group.tensors if name in kept} for group in groups]
    if not per_channel:
        for _ in range(_SWEEPS):
            for group, values in zip(groups, seen, strict=True):
                _equalize_channels(group, factors, values)
    for _ in range(_FILLS):
        for group, values in zip(groups, seen, strict=True):
            _fill(group, factors, values, per_channel)
    return _scaled(graph, factors)


def _equalize_channels(
    group: Group, factors: dict[str, np.ndarray], seen: Mapping[str, np.ndarray]
) -> None:
    """Give each channel the factor that makes its weights before and behind it alike."""
    if not (group.by_channel and group.makers and group.readers):
        return
    made = np.max([_ranges(_weights(node, factors)) for node in group.makers], axis=0)
    count = len(made)
    read = np.max([_seen(node, _weights(node, factors), count) for node in group.readers], axis=0)
    used = (made > 0) & (read > 0)
    change = np.ones_like(made)
    change[used] = np.sqrt(read[used] / made[used])
    # All channels share a type, so none may become larger than the largest one is.
    room = np.min([np.full(count, _FARTHEST), *map(_room, seen.values())], axis=0)
    for name in group.tensors:
        factors[name] = np.clip(factors[name] * change, 1 / _FARTHEST, room)


def _room(largest: np.ndarray) -> np.ndarray:
    """Factor by which each channel may grow up to the largest one."""
    return np.divide(largest.max(), largest, out=np.full(largest.shape, np.inf), where=largest > 0)


def _fill(
    group: Group,
    factors: dict[str, np.ndarray],
    seen: Mapping[str, np.ndarray],
    per_channel: bool,
) -> None:
    """Give a group the factor with the finest steps, compared with the values."""
    cost = np.zeros_like(_STEPS)
    for name, largest in seen.items():
        cost += _steps(np.max(largest * factors[name], keepdims=True), _STEPS)
    for nodes, change in ((group.makers, _STEPS), (group.readers, 1 / _STEPS)):
        for node in nodes:
            ranges = _ranges(_weights(node, factors))
            cost += _steps(ranges if per_channel else ranges.max(keepdims=True), change)
    best = _STEPS[int(cost.argmin())]
    for name in group.tensors:
        factors[name] = factors[name] * best


def _steps(largest: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Mean power of two of the steps that values up to `largest` need, for each factor."""
    used = largest[largest > 0]
    if not used.size:
        return np.zeros_like(factors)
    powers = np.ceil(np.log2(used[:, None] * factors / _FULL))
    return powers.mean(axis=0) - np.log2(factors)


def _ranges(weights: np.ndarray) -> np.ndarray:
    """Largest absolute weight of each output."""
    return np.abs(weights.reshape(len(weights), -1)).max(axis=1)


def _seen(node: FloatNode, weights: np.ndarray, count: int) -> np.ndarray:
    """Largest absolute weight that each of `count` input channels meets."""
    channels = _channels(node, weights, count)
    result = np.zeros(count)
    np.maximum.at(result, np.broadcast_to(channels, weights.shape), np.abs(weights))
    return result


def _channels(node: FloatNode, weights: np.ndarray, count: int) -> np.ndarray:
    """Input channel of every weight, of a shape that repeats to that of `weights`."""
    if node.op == "FullyConnected":
        return np.arange(weights.shape[1])[None] % count
    depth, groups = weights.shape[3], int(node.attributes.get("groups", 1))
    first = np.arange(len(weights)) // (len(weights) // groups) * depth
    return first[:, None, None, None] + np.arange(depth)


def _weights(node: FloatNode, factors: Mapping[str, np.ndarray]) -> np.ndarray:
    """A node's weights between tensors that have taken their factors."""
    weights = node.constants["weights"]
    if node.output in factors:
        weights = weights * factors[node.output].reshape(-1, *(1,) * (weights.ndim - 1))
    if node.inputs[0] in factors:
        factor = factors[node.inputs[0]]
        weights = weights / factor[_channels(node, weights, len(factor))]
    return weights


def _scaled(
    graph: FloatGraph, factors: Mapping[str, np.ndarray]
) -> tuple[FloatGraph, dict[str, str]]:
    names: dict[str, str] = {}
    for name, factor in factors.items():
        if (factor != 1).any():
            names[name] = _unique(f"{name}{SUFFIX}", graph)
    tensors = {
        names.get(name, name): replace(tensor, name=names.get(name, name))
        for name, tensor in graph.tensors.items()
    }
    nodes = [_changed(node, factors, names) for node in graph.nodes]
    return replace(graph, tensors=tensors, nodes=nodes), names


def _unique(name: str, graph: FloatGraph) -> str:
    while name in graph.tensors:
        name += "_"
    return name


def _changed(
    node: FloatNode, factors: Mapping[str, np.ndarray], names: Mapping[str, str]
) -> FloatNode:
    constants, attributes = dict(node.constants), dict(node.attributes)
    if node.op in WEIGHTED:
        constants["weights"] = _weights(node, factors)
        constants["bias"] = node.constants["bias"] * factors.get(node.output, 1.0)
    elif node.output in factors and passes_on(node):
        # Where one of these is not zero, all channels have one factor.
        for key in ("low", "high", "value"):
            if attributes.get(key) is not None and node.op in ("Clamp", "Pad"):
                attributes[key] = float(attributes[key]) * float(factors[node.output][0])
    return replace(
        node,
        inputs=tuple(names.get(name, name) for name in node.inputs),
        output=names.get(node.output, node.output),
        constants=constants,
        attributes=attributes,
    )
