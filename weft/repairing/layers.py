"""Repairs of a network's layers, one after another, each on what the repaired ones give it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from weft.compiler.calibrate_types import WEIGHTED
from weft.compiler.calibration_report import channel_scales
from weft.compiler.network import Conv2D, FullyConnected, Network, Node
from weft.compiler.patches import groups_of, patches, rows_of
from weft.compiler.quantize_affine_weights import LARGEST_CODE
from weft.compiler.quantize_fuse import fuse
from weft.compiler.round_weights import LARGEST, round_weights
from weft.repairing.samples import HeldSamples
from weft.sim import golden

Weighted = Conv2D | FullyConnected

#: From a node and the codes of the tensors before it to the repaired node.
Change = Callable[[Weighted, Mapping[str, np.ndarray]], Weighted]


def round_layers(network: Network, held: HeldSamples) -> Network:
    """Round weights such that each layer's products, on codes as they come, are nearest."""
    constants = _constants(held, "weights")

    def change(node: Weighted, values: Mapping[str, np.ndarray]) -> Weighted:
        rows = rows_of(node)
        if node.name not in constants or rows.shape[2] > LARGEST:
            return node
        moments = np.zeros((rows.shape[0], rows.shape[2], rows.shape[2]))
        for seen in patches(node, _centred(network, node, values)):
            moments += np.swapaxes(seen, 1, 2) @ seen
        scales = channel_scales(network, node).reshape(rows.shape[:2])
        shifts = node.requantize.multiplier is None
        limits = (-LARGEST_CODE - shifts, LARGEST_CODE)
        real = constants[node.name].reshape(rows.shape)
        codes = round_weights(real, scales, moments, held.count, limits)
        changed = replace(node, weights=codes.reshape(node.weights.shape))
        return _where_it_fits(network, node, changed)

    return _walk(network, held, change)


def correct_biases(network: Network, held: HeldSamples) -> Network:
    """Take what each layer's output is off on average, per channel, from its bias.

    The empirical correction of Nagel et al. (2019), section 4.2, before the activation. The
    expected outputs need the expected inputs alone, because a layer is linear in them. What
    differs from sample to sample is chance, so a correction is as much smaller than the mean
    error as the mean's own variance is a part of its square (positive-part James-Stein).
    """
    weights, biases = _constants(held, "weights"), _constants(held, "bias")
    means = _float_means(network, held)

    def change(node: Weighted, values: Mapping[str, np.ndarray]) -> Weighted:
        if node.name not in weights or node.name not in means:
            return node
        rows = rows_of(node)
        real = weights[node.name].reshape(rows.shape)
        step = channel_scales(network, node) * network.tensors[node.inputs[0]].scale
        wanted = (_products(real, means[node.name]) + biases[node.name]) / step
        found = _products(rows, _means(node, _centred(network, node, values))) + node.bias
        bias = node.bias + np.rint(_certain(wanted - found))
        if np.abs(bias).max(initial=0) > 2**31 - 1:
            return node
        return _where_it_fits(network, node, replace(node, bias=bias.astype(np.int32)))

    return _walk(network, held, change)


def _products(rows: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Expected outputs (samples, channels) of expected inputs (samples, groups, elements)."""
    return np.einsum("goe,nge->ngo", rows.astype(np.float64), means).reshape(len(means), -1)


def _certain(errors: np.ndarray) -> np.ndarray:
    """Mean of errors (samples, channels) over samples, less what may be chance; 0 for one."""
    mean = errors.mean(axis=0)
    if len(errors) < 2:
        return np.zeros_like(mean)
    variance = errors.var(axis=0, ddof=1) / len(errors)
    square = np.square(mean)
    return mean * np.divide(
        np.maximum(square - variance, 0), square, out=np.zeros_like(mean), where=square > 0
    )


def _walk(network: Network, held: HeldSamples, change: Change) -> Network:
    """The network with every weighted node changed, in order, on codes of the new ones before."""
    values = held.codes(network)
    last = {name: i for i, node in enumerate(network.nodes) for name in node.inputs}
    nodes: list[Node] = []
    for i, given in enumerate(network.nodes):
        node = change(given, values) if isinstance(given, Conv2D | FullyConnected) else given
        values[node.output] = golden.run_node(network, node, values)
        for name in {name for name in node.inputs if last[name] == i}:
            del values[name]
        nodes.append(node)
    return replace(network, nodes=nodes)


def _constants(held: HeldSamples, key: str) -> dict[str, np.ndarray]:
    """Real weights or biases by node, of those that the integer graph takes them from."""
    nodes = (fused.node for fused in fuse(held.graph) if fused.node.op in WEIGHTED)
    return {node.name: node.constants[key] for node in nodes}


def _centred(network: Network, node: Weighted, values: Mapping[str, np.ndarray]) -> np.ndarray:
    """A node's input, codes less their zero point; float32 holds them and is quick."""
    name = node.inputs[0]
    return values[name].astype(np.float32) - np.float32(network.tensors[name].zero_point)


def _means(node: Weighted, values: np.ndarray) -> np.ndarray:
    """Mean of what an output sees over its positions: (samples, groups, elements)."""
    return np.stack([_mean(node, sample[None]) for sample in values])


def _mean(node: Weighted, sample: np.ndarray) -> np.ndarray:
    total, count = np.zeros((groups_of(node), rows_of(node).shape[2])), 0
    for seen in patches(node, sample):
        total += seen.sum(axis=1, dtype=np.float64)
        count += seen.shape[1]
    return total / count


def _float_means(network: Network, held: HeldSamples) -> dict[str, np.ndarray]:
    """The `_means` of every weighted node in the float model."""
    names = held.names(network)
    nodes = [
        node
        for node in network.nodes
        if isinstance(node, Conv2D | FullyConnected) and node.inputs[0] in names
    ]
    found: dict[str, list[np.ndarray]] = {node.name: [] for node in nodes}
    for _, floats in held.parts({node.inputs[0]: names[node.inputs[0]] for node in nodes}):
        for node in nodes:
            found[node.name].append(_means(node, floats[node.inputs[0]]))
    return {name: np.concatenate(parts) for name, parts in found.items()}


def _where_it_fits(network: Network, old: Weighted, new: Weighted) -> Weighted:
    """`new`, but with the old weights and bias of channels whose sums could leave 32 bits."""
    zero = network.tensors[old.inputs[0]].zero_point
    codes = np.abs(new.weights.reshape(len(new.bias), -1).astype(np.int64)).sum(axis=1)
    reach = np.abs(new.bias.astype(np.int64)) + max(128 + zero, 127 - zero) * codes
    kept = reach > 2**31 - 1
    if not kept.any():
        return new
    weights, bias = new.weights.copy(), new.bias.copy()
    weights[kept], bias[kept] = old.weights[kept], old.bias[kept]
    return replace(new, weights=weights, bias=bias)
