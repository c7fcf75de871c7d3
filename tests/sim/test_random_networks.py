"""The generator: reproducible, within its bounds, and worth running."""

from collections import Counter

import numpy as np
import pytest
from random_networks import OPERATORS, describe, random_inputs, random_network, single_operator

from weft.compiler.network import AveragePool, Concat, Conv2D, FullyConnected, Node
from weft.sim import golden


def networks(count=150, **options):
    return [random_network(np.random.default_rng(seed), **options) for seed in range(count)]


def kind(network, node: Node) -> str:
    if isinstance(node, Conv2D) and node.groups > 1:
        channels = network.tensors[node.inputs[0]].shape[2]
        return "DepthwiseConv2D" if node.groups == channels else "GroupedConv2D"
    return type(node).__name__


def test_a_seed_reproduces_network_and_inputs():
    for seed in range(10):
        first, second = (np.random.default_rng(seed) for _ in range(2))
        one, other = random_network(first), random_network(second)
        assert describe(one) == describe(other)
        one_inputs, other_inputs = random_inputs(first, one, 3), random_inputs(second, other, 3)
        for name, codes in one_inputs.items():
            np.testing.assert_array_equal(codes, other_inputs[name])
        results = golden.run_network(one, one_inputs)
        for name, codes in golden.run_network(other, other_inputs).items():
            np.testing.assert_array_equal(codes, results[name])


def test_every_operator_is_drawn():
    drawn = Counter(kind(network, node) for network in networks() for node in network.nodes)
    assert set(drawn) == set(OPERATORS)
    assert min(drawn.values()) >= 10


def test_features_are_drawn():
    made = networks()
    nodes = [node for network in made for node in network.nodes]
    convolutions = [node for node in nodes if isinstance(node, Conv2D)]
    pools = [node for node in nodes if isinstance(node, AveragePool)]
    uses = [Counter(name for n in network.nodes for name in set(n.inputs)) for network in made]
    features = {
        "a tensor used twice": any(max(count.values()) > 1 for count in uses),
        "several outputs": any(len(network.outputs) > 2 for network in made),
        "several inputs": any(len(network.inputs) > 1 for network in made),
        "stride": any(max(node.stride) == 3 for node in convolutions),
        "dilation": any(max(node.dilation) == 3 for node in convolutions),
        "asymmetric padding": any(len(set(node.padding)) == 4 for node in convolutions),
        "1 x k": any(node.weights.shape[1] == 1 < node.weights.shape[2] for node in convolutions),
        "k x 1": any(node.weights.shape[2] == 1 < node.weights.shape[1] for node in convolutions),
        "weight -128": any((node.weights == -128).any() for node in convolutions),
        "large bias": any(np.abs(node.bias).max() > 2**20 for node in convolutions),
        "per channel": any(len(set(node.requantize.shift.tolist())) > 1 for node in convolutions),
        "multiplier of channels": any(1 < n.groups < len(n.weights) for n in convolutions),
        "pool left": any(node.left > 0 for node in pools),
        "pool right": any(node.left < 0 for node in pools),
        "padding counted": any(n.count_include_pad and max(n.padding) for n in pools),
        "padding not counted": any(not n.count_include_pad and max(n.padding) for n in pools),
        "concat axes": {n.axis for n in nodes if isinstance(n, Concat)} == {0, 1, 2},
        "concat shift": any(max(n.shift) > 0 for n in nodes if isinstance(n, Concat)),
    }
    assert [name for name, found in features.items() if not found] == []


def exponents(network, node):
    return [int(np.log2(network.tensors[name].scale)) for name in (*node.inputs, node.output)]


def test_scales_agree_with_shifts():
    for network in networks():
        for node in network.nodes:
            e = exponents(network, node)
            match type(node).__name__:
                case "Add":
                    base = min(e[:2])
                    assert (node.left, node.shift) == ((e[0] - base, e[1] - base), e[2] - base)
                case "Concat":
                    assert node.shift == tuple(e[-1] - i for i in e[:-1])
                    assert min(node.shift) >= 0
                case "AveragePool":
                    assert e[1] == e[0] - node.left
                case "MaxPool" | "Pad" | "Slice" | "Permute":
                    assert e[1] == e[0]


@pytest.mark.parametrize("bits", [20, 24, 32])
def test_bounds(bits):
    for network in networks(60, size=3000, max_nodes=4, accumulator_bits=bits):
        macs = 0
        for node in network.nodes:
            if isinstance(node, Conv2D | FullyConnected):
                height, width, _ = network.tensors[node.output].shape
                macs += height * width * node.weights.size
                weights = np.abs(node.weights.astype(np.int64)).reshape(len(node.weights), -1)
                worst = np.abs(node.bias.astype(np.int64)) + 128 * weights.sum(axis=1)
                assert worst.max() < 2 ** (bits - 1)
        assert macs <= 3000
        # A residual block's convolution and a Softmax's dense layer come on top.
        assert len(network.nodes) <= 4 + 3


def test_most_outputs_tell_something():
    dull = total = 0
    for seed, network in enumerate(networks()):
        inputs = random_inputs(np.random.default_rng(seed), network, 4)
        values = golden.run_network(network, inputs)
        for port in network.outputs:
            codes = values[port.tensor]
            total += 1
            dull += codes.min() == codes.max() or np.isin(codes, (-128, 127)).mean() > 0.9
    assert dull < 0.05 * total


def test_chosen_operators_only():
    for network in networks(30, operators=("MaxPool", "Add")):
        assert {type(node).__name__ for node in network.nodes} <= {"MaxPool", "Add"}
    with pytest.raises(ValueError, match=r"unknown operators \['Gru'\], choose from"):
        random_network(np.random.default_rng(0), operators=("Gru",))


@pytest.mark.parametrize("operator", OPERATORS)
def test_single_operator(operator):
    drawn = set()
    for seed in range(20):
        network = single_operator(np.random.default_rng(seed), operator)
        assert len(network.nodes) == (2 if operator == "Softmax" else 1)
        drawn.add(kind(network, network.nodes[-1]))
    assert operator in drawn


def test_description():
    lines = describe(single_operator(np.random.default_rng(1), "MaxPool")).splitlines()
    assert lines[0].startswith("network random: in0[")
    assert "= MaxPool(in0[" in lines[1]
    assert "kernel=(" in lines[1]
    assert lines[2] == "  -> t0"
