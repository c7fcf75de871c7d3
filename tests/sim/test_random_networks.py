"""The generator: reproducible, within its bounds, and worth running."""

from collections import Counter

import numpy as np
import pytest
from random_networks import (
    MULTIPLIER_OPERATORS,
    OPERATORS,
    describe,
    random_inputs,
    random_network,
    single_operator,
)

from weft.compiler.network import (
    Add,
    AveragePool,
    Concat,
    Conv2D,
    FullyConnected,
    Mean,
    Mul,
    Node,
    Rescale,
    Softmax,
)
from weft.sim import golden


def networks(count=150, **options):
    return [random_network(np.random.default_rng(seed), **options) for seed in range(count)]


def kind(network, node: Node) -> str:
    if isinstance(node, Conv2D) and node.groups > 1:
        channels = network.tensors[node.inputs[0]].shape[2]
        return "DepthwiseConv2D" if node.groups == channels else "GroupedConv2D"
    return type(node).__name__


both_kinds = pytest.mark.parametrize(
    ("scales", "operators"), [("shift", OPERATORS), ("multiplier", MULTIPLIER_OPERATORS)]
)


@both_kinds
def test_a_seed_reproduces_network_and_inputs(scales, operators):
    for seed in range(10):
        first, second = (np.random.default_rng(seed) for _ in range(2))
        one, other = (random_network(rng, scales=scales) for rng in (first, second))
        assert describe(one) == describe(other)
        one_inputs, other_inputs = random_inputs(first, one, 3), random_inputs(second, other, 3)
        for name, codes in one_inputs.items():
            np.testing.assert_array_equal(codes, other_inputs[name])
        results = golden.run_network(one, one_inputs)
        for name, codes in golden.run_network(other, other_inputs).items():
            np.testing.assert_array_equal(codes, results[name])


@both_kinds
def test_every_operator_is_drawn(scales, operators):
    made = networks(scales=scales)
    drawn = Counter(kind(network, node) for network in made for node in network.nodes)
    assert set(drawn) == set(operators)
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


def test_features_of_multipliers_are_drawn():
    made = networks(400, scales="multiplier")
    nodes = [(network, node) for network in made for node in network.nodes]

    def of(*kinds):
        return [pair for pair in nodes if isinstance(pair[1], kinds)]

    def numbers(name):
        weighted = [node.requantize for _, node in of(Conv2D, FullyConnected)]
        return np.concatenate([np.atleast_1d(getattr(rq, name)) for rq in weighted])

    def shapes(network, node):
        return [network.tensors[name].shape for name in node.inputs]

    def repeats(network, node, form):
        target = network.tensors[node.output].shape
        small = {"scalar": (1, 1, 1), "channel": (1, 1, target[2]), "pixel": (*target[:2], 1)}[form]
        return small in shapes(network, node) and small != target

    pairs, shift = of(Add, Mul), numbers("shift")
    known = [(n, node) for n, node in pairs if set(node.inputs) & set(n.constants)]
    others = [pair for pair in pairs if pair not in known]
    conv = [node for _, node in of(Conv2D)]
    sums = [node for _, node in of(Add)]
    rescales = [node for _, node in of(Rescale)]
    roundings = {getattr(node.requantize, "rounding", None) for _, node in of(Conv2D, Add, Mean)}
    mixed = {
        node.requantize.rounding
        for network, node in of(FullyConnected)
        if "double" in {n.requantize.rounding for n in network.nodes if isinstance(n, Conv2D)}
    }
    features = {
        "roundings": roundings == {"double", "single"},
        "litert's roundings": mixed == {"double", "single"},
        "shift -31": (shift == -31).any(),
        "shift to the left": (shift > 1).any(),
        "multiplier 0": (numbers("multiplier") == 0).any(),
        "per channel": any(len(set(node.requantize.shift.tolist())) > 1 for node in conv),
        "one for all": any(len(n.requantize.shift) == 1 < len(n.weights) for n in conv),
        "bias near 2**30": any(np.abs(node.bias).max() > 2**29 for node in conv),
        "zero points of inputs": len({n.tensors[p.tensor].zero_point for n in made for p in n.inputs
                                      }) > 50,
        "zero points of outputs": len({node.requantize.zero_point for node in conv}) > 50,
        "exactly half": all((1 << 30, 0) in [(s.multiplier[0], s.shift[0]) for s in n.scalings]
                            for n in sums),
        "shifts of operands": len({int(s.shift[0]) for n in sums for s in n.scalings}) > 5,
        "no operand to the left": all(s.shift[0] <= 0 for n in sums for s in n.scalings),
        "differences": {n.signs for n in sums} == {(1, 1), (1, -1)},
        "mean axes": {n.axes for _, n in of(Mean)} == {(0,), (1,), (0, 1)},
        "rescale up": any(n.requantize.shift[0] > 1 for n in rescales),
        "beta": len({n.beta for _, n in of(Softmax)}) > 2,
        "average on raw codes": all(n.left == 0 for _, n in of(AveragePool)),
        "activations": all(n.activations for n in made),
    } | {
        f"{type_.__name__}: {name}": any(
            isinstance(node, type_) and repeats(n, node, form) for n, node in chosen
        )
        for type_ in (Add, Mul)
        for name, form, chosen in (
            ("constant scalar", "scalar", known), ("constant channels", "channel", known),
            ("scalar", "scalar", others), ("channels", "channel", others),
            ("pixels", "pixel", others),
        )
    }  # fmt: skip
    assert [name for name, found in features.items() if not found] == []


def quantized(factor):
    m, s = golden.quantize_multiplier(factor)
    return ([s], [m])


def numbers_of(scaling):
    return (scaling.shift.tolist(), scaling.multiplier.tolist())


def test_scales_agree_with_multipliers():
    for network in networks(scales="multiplier"):
        for node in network.nodes:
            *sources, target = [network.tensors[name] for name in (*node.inputs, node.output)]
            scales = [tensor.scale for tensor in sources]
            match type(node).__name__:
                case "Add":
                    twice = 2 * max(scales)
                    assert [numbers_of(s) for s in node.scalings] == [
                        quantized(scale / twice) for scale in scales
                    ]
                    expected = quantized(twice / (2.0**20 * target.scale))
                    assert numbers_of(node.requantize) == expected
                case "Mul":
                    expected = quantized(scales[0] * scales[1] / target.scale)
                    assert numbers_of(node.requantize) == expected
                case "Rescale":
                    assert numbers_of(node.requantize) == quantized(scales[0] / target.scale)
                case "Mean":
                    n = sources[0].size // target.size
                    ((s,), (m,)) = numbers_of(node.requantize)
                    assert np.isclose(m * 2.0 ** (s - 31), scales[0] / target.scale / n)
                case "MaxPool" | "AveragePool" | "Pad" | "Slice" | "Permute" | "Concat":
                    assert {(t.scale, t.zero_point) for t in sources} == {
                        (target.scale, target.zero_point)
                    }
            if hasattr(node, "requantize"):
                assert node.requantize.zero_point == target.zero_point


def exponents(network, node):
    return [int(np.log2(network.tensors[name].scale)) for name in (*node.inputs, node.output)]


def test_scales_agree_with_shifts():
    for network in networks():
        for node in network.nodes:
            e = exponents(network, node)
            match type(node).__name__:
                case "Add":
                    base = min(e[:2])
                    assert node.left == (e[0] - base, e[1] - base)
                    assert node.requantize.shift.tolist() == [e[2] - base]
                case "Concat":
                    assert node.shift == tuple(e[-1] - i for i in e[:-1])
                    assert min(node.shift) >= 0
                case "AveragePool":
                    assert e[1] == e[0] - node.left
                case "MaxPool" | "Pad" | "Slice" | "Permute":
                    assert e[1] == e[0]


@pytest.mark.parametrize("scales", ["shift", "multiplier"])
@pytest.mark.parametrize("bits", [20, 24, 32])
def test_bounds(bits, scales):
    for network in networks(60, size=3000, max_nodes=4, accumulator_bits=bits, scales=scales):
        macs = 0
        for node in network.nodes:
            if isinstance(node, Conv2D | FullyConnected):
                height, width, _ = network.tensors[node.output].shape
                macs += height * width * node.weights.size
                weights = np.abs(node.weights.astype(np.int64)).reshape(len(node.weights), -1)
                zero_point = network.tensors[node.inputs[0]].zero_point
                farthest = max(127 - zero_point, 128 + zero_point)
                worst = np.abs(node.bias.astype(np.int64)) + farthest * weights.sum(axis=1)
                assert worst.max() < 2 ** (bits - 1)
        assert macs <= 3000
        # A residual block's convolution, a Softmax's dense layer and what a concatenation
        # rescales come on top.
        assert len(network.nodes) <= 4 + 3


@both_kinds
def test_most_outputs_tell_something(scales, operators):
    dull = total = 0
    for seed, network in enumerate(networks(scales=scales)):
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


@pytest.mark.parametrize(
    ("scales", "operator"),
    [("shift", name) for name in OPERATORS] + [("multiplier", n) for n in MULTIPLIER_OPERATORS],
)
def test_single_operator(scales, operator):
    drawn = set()
    for seed in range(20):
        network = single_operator(np.random.default_rng(seed), operator, scales=scales)
        assert len(network.nodes) == (2 if operator == "Softmax" else 1)
        drawn.add(kind(network, network.nodes[-1]))
    assert operator in drawn


def test_description():
    lines = describe(single_operator(np.random.default_rng(1), "MaxPool")).splitlines()
    assert lines[0].startswith("network random: in0[")
    assert "= MaxPool(in0[" in lines[1]
    assert "kernel=(" in lines[1]
    assert lines[2] == "  -> t0"


def test_description_of_multipliers():
    network = single_operator(np.random.default_rng(3), "Add", scales="multiplier")
    text = describe(network)
    assert "scalings=[(shift=[" in text
    assert "in1[3, 11, 3]-17*2^-3.1" in text
