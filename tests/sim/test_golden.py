"""Golden against loops over Python integers, worked values and ONNX Runtime."""

import ast
import inspect
import itertools
import math
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx_session import onnx_session
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
    MaxPool,
    Mean,
    Mul,
    Network,
    Permute,
    Port,
    Requantize,
    Rescale,
    Scaling,
    Softmax,
    Tensor,
)
from weft.sim import golden


def test_golden_imports_numpy_alone():
    imported = set()
    for node in ast.walk(ast.parse(inspect.getsource(golden))):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0
            imported.add(node.module)
    assert imported - {"__future__", "collections.abc", "dataclasses", "typing"} == {"numpy"}


# The reference: one element at a time, Python's unbounded integers -------------------


def nearest(q):
    """Round to the nearest integer, ties away from zero."""
    return math.floor(abs(q) + Fraction(1, 2)) * (1 if q >= 0 else -1)


def srdhm(x, m):
    return math.floor(Fraction(x * m, 2**31) + Fraction(1, 2))  # ties upward


def ref_scale(acc, scaling, channel):
    channel %= len(scaling.shift)  # one for all, or one for each
    shift = int(scaling.shift[channel])
    if scaling.rounding == "shift":
        return nearest(Fraction(acc, 2**shift))
    multiplier = int(scaling.multiplier[channel])
    if scaling.rounding == "double":
        left = max(-(2**31), min(2**31 - 1, acc << max(shift, 0)))
        return nearest(Fraction(srdhm(left, multiplier), 2 ** max(-shift, 0)))
    product = Fraction(acc * multiplier, 2**31) * Fraction(2) ** shift
    return math.floor(product + Fraction(1, 2))


def ref_requantize(acc, rq, channel):
    return min(max(ref_scale(acc, rq, channel) + rq.zero_point, rq.low), rq.high)


def taps(node, kernel, dilation, at, shape):
    """Positions of a window's elements: (ky, kx, iy, ix), the last two None in the padding."""
    (y, x, _), (kh, kw) = at, kernel
    for ky, kx in itertools.product(range(kh), range(kw)):
        iy = y * node.stride[0] + ky * dilation[0] - node.padding[0]
        ix = x * node.stride[1] + kx * dilation[1] - node.padding[1]
        inside = 0 <= iy < shape[0] and 0 <= ix < shape[1]
        yield (ky, kx, iy, ix) if inside else (ky, kx, None, None)


def ref_conv2d(node, x, zero_point, at):
    o = at[2]
    depth = node.weights.shape[3]
    first = o // (len(node.weights) // node.groups) * depth
    acc = int(node.bias[o])
    for ky, kx, iy, ix in taps(node, node.weights.shape[1:3], node.dilation, at, x.shape):
        if iy is not None:
            for i in range(depth):
                w = int(node.weights[o, ky, kx, i])
                acc += (int(x[iy, ix, first + i]) - zero_point) * w
    return ref_requantize(acc, node.requantize, o)


def ref_fully_connected(node, x, zero_point, at):
    products = zip(x.reshape(-1).tolist(), node.weights[at[2]].tolist(), strict=True)
    acc = int(node.bias[at[2]]) + sum((code - zero_point) * w for code, w in products)
    return ref_requantize(acc, node.requantize, at[2])


def ref_average_pool(node, x, zero_point, at):
    codes = []
    for _, _, iy, ix in taps(node, node.kernel, (1, 1), at, x.shape):
        if iy is not None:
            codes.append(int(x[iy, ix, at[2]]))
        elif node.count_include_pad:
            codes.append(zero_point)
    mean = nearest(Fraction(sum(codes), len(codes)) * Fraction(2) ** node.left)
    return min(max(mean, node.low), node.high)


def ref_max_pool(node, x, zero_point, at):
    found = [
        int(x[iy, ix, at[2]])
        for _, _, iy, ix in taps(node, node.kernel, node.dilation, at, x.shape)
        if iy is not None
    ]
    return min(max(*found, node.low), node.high)


def centred(xs, tensors, at):
    """Each operand's code at a position, less its zero point; sides of 1 repeat."""
    for x, tensor in zip(xs, tensors[:-1], strict=True):
        there = tuple(i if side > 1 else 0 for i, side in zip(at, x.shape, strict=True))
        yield int(x[there]) - tensor.zero_point


def ref_add(node, xs, tensors, at):
    acc = 0
    for i, x in enumerate(centred(xs, tensors, at)):
        part = x * 2 ** node.left[i]
        if node.scalings is not None:
            part = ref_scale(part, node.scalings[i], at[2])
        acc += node.signs[i] * part
    return ref_requantize(acc, node.requantize, at[2])


def ref_mul(node, xs, tensors, at):
    one, two = centred(xs, tensors, at)
    return ref_requantize(one * two, node.requantize, at[2])


def ref_mean(node, x, zero_point, at):
    acc = 0
    for y, column in itertools.product(range(x.shape[0]), range(x.shape[1])):
        if (0 in node.axes or y == at[0]) and (1 in node.axes or column == at[1]):
            acc += int(x[y, column, at[2]]) - zero_point
    return ref_requantize(acc, node.requantize, at[2])


def ref_pad(node, x, at):
    inner = tuple(i - before for i, (before, _) in zip(at, node.pads, strict=True))
    inside = all(0 <= i < side for i, side in zip(inner, x.shape, strict=True))
    return int(x[inner]) if inside else node.value


def ref_concat(node, xs, at):
    i = at[node.axis]
    for x, shift in zip(xs, node.shift, strict=True):
        if i < x.shape[node.axis]:
            there = (*at[: node.axis], i, *at[node.axis + 1 :])
            code = nearest(Fraction(int(x[there])) / Fraction(2) ** shift)
            return min(max(code, -128), 127)
        i -= x.shape[node.axis]
    raise AssertionError("beyond the last input")


def ref_element(node, xs, tensors, at):
    kind, x, zero_point = type(node).__name__, xs[0], tensors[0].zero_point
    height, width, channels = tensors[-1].shape
    flat = (at[0] * width + at[1]) * channels + at[2]
    assert at[0] < height
    return {
        "Conv2D": lambda: ref_conv2d(node, x, zero_point, at),
        "FullyConnected": lambda: ref_fully_connected(node, x, zero_point, at),
        "AveragePool": lambda: ref_average_pool(node, x, zero_point, at),
        "MaxPool": lambda: ref_max_pool(node, x, zero_point, at),
        "Add": lambda: ref_add(node, xs, tensors, at),
        "Mul": lambda: ref_mul(node, xs, tensors, at),
        "Mean": lambda: ref_mean(node, x, zero_point, at),
        "Rescale": lambda: ref_requantize(int(x[at]) - zero_point, node.requantize, at[2]),
        "Table": lambda: int(node.table[int(x[at]) + 128]),
        "Pad": lambda: ref_pad(node, x, at),
        "Concat": lambda: ref_concat(node, xs, at),
        "Slice": lambda: int(
            x[tuple(a + i * s for a, i, s in zip(node.start, at, node.step, strict=True))]
        ),
        "Permute": lambda: int(x.reshape(-1)[node.order[flat]]),
    }[kind]()


def ref_node(network, node, values):
    """A node's output by the reference, for all samples."""
    tensors = [network.tensors[name] for name in (*node.inputs, node.output)]
    samples = len(values[node.inputs[0]])
    result = np.zeros((samples, *tensors[-1].shape), np.int8)
    for n, *at in np.ndindex(*result.shape):
        xs = [values[name][n] for name in node.inputs]
        result[(n, *at)] = ref_element(node, xs, tensors, tuple(at))
    return result


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("operator", [name for name in OPERATORS if name != "Softmax"])
def test_operator_equals_loops(operator, seed):
    rng = np.random.default_rng(seed)
    network = single_operator(rng, operator, size=4000)
    inputs = random_inputs(rng, network, 4)
    values = golden.run_network(network, inputs, keep=True)
    node = network.nodes[0]
    np.testing.assert_array_equal(
        values[node.output], ref_node(network, node, values), describe(network)
    )


def with_zero_points(rng, network, rounding):
    """The same weighted node with zero points and TFLite's multipliers."""
    node = network.nodes[0]
    outputs = len(node.weights)
    node.requantize.shift[:] = -node.requantize.shift + rng.integers(-1, 3, outputs)
    multiplier = rng.integers(2**30, 2**31, outputs).astype(np.int32)
    requantize = Requantize(
        node.requantize.shift, multiplier, rounding,
        zero_point=int(rng.integers(-128, 128)), low=-120, high=119,
    )  # fmt: skip
    object.__setattr__(node, "requantize", requantize)
    name = node.inputs[0]
    old = network.tensors[name]
    network.tensors[name] = Tensor(name, old.shape, old.scale, int(rng.integers(-128, 128)))
    return network


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("rounding", ["double", "single"])
@pytest.mark.parametrize("operator", ["Conv2D", "DepthwiseConv2D", "FullyConnected"])
def test_multipliers_and_zero_points_equal_loops(operator, rounding, seed):
    rng = np.random.default_rng([seed, 1])
    network = with_zero_points(rng, single_operator(rng, operator, size=4000), rounding)
    values = golden.run_network(network, random_inputs(rng, network, 2), keep=True)
    node = network.nodes[0]
    np.testing.assert_array_equal(
        values[node.output], ref_node(network, node, values), describe(network)
    )


def random_scaling(rng, rounding, channels, near, **clamps):
    """A Scaling or, with clamps, a Requantize by factors around ``2**near``."""
    shift = np.clip(near + rng.integers(-1, 2, channels), 0 if rounding == "shift" else -31, 30)
    multiplier = None
    if rounding == "shift":
        shift = np.clip(-near + rng.integers(-1, 2, channels), 0, 31)
    else:
        multiplier = rng.integers(2**30, 2**31, channels).astype(np.int32)
    if clamps:
        return Requantize(shift.astype(np.int32), multiplier, rounding, **clamps)
    return Scaling(shift.astype(np.int32), multiplier, rounding)


def random_requantize(rng, rounding, channels, near):
    low, high = sorted(int(code) for code in rng.choice([-128, -100, -30, 20, 90, 127], 2, False))
    channels = channels if rng.random() < 0.5 else 1
    return random_scaling(rng, rounding, channels, near, low=low, high=high,
                          zero_point=int(rng.integers(-128, 128)))  # fmt: skip


def operands(rng, shape, repeated):
    """A network without nodes: x of `shape`, and z of `shape` or of one that is repeated."""
    height, width, channels = shape
    other = {"": shape, "scalar": (1, 1, 1), "channels": (1, 1, channels),
             "pixels": (height, width, 1)}[repeated]  # fmt: skip
    network = Network("two")
    for name, side in (("x", shape), ("z", other)):
        network.tensors[name] = Tensor(name, side, 1.0, int(rng.integers(-128, 128)))
        network.inputs.append(Port(name, name, side, "int8"))
    network.tensors["y"] = Tensor("y", shape, 1.0)
    network.outputs.append(Port("y", "y", shape, "int8"))
    return network


def assert_loops(rng, network):
    values = golden.run_network(network, random_inputs(rng, network, 3), keep=True)
    for name, constant in network.constants.items():
        assert name not in values
        values[name] = np.stack([constant] * 3)
    for node in network.nodes:
        expected = ref_node(network, node, values)
        np.testing.assert_array_equal(values[node.output], expected, describe(network))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("repeated", ["", "scalar", "channels", "pixels"])
@pytest.mark.parametrize("rounding", ["shift", "double", "single"])
@pytest.mark.parametrize("kind", ["Add", "scaled Add", "Mul"])
def test_operands_equal_loops(kind, rounding, repeated, seed):
    rng = np.random.default_rng([seed, 4])
    shape = tuple(int(side) for side in rng.integers(1, 6, 3))
    network = operands(rng, shape, repeated)
    names = ("x", "z") if rng.random() < 0.5 else ("z", "x")
    signs = ((1, 1), (1, -1))[seed // 2]
    if kind == "Mul":
        node = Mul("n", names, "y", random_requantize(rng, rounding, shape[2], -7))
    elif kind == "Add":
        left = tuple(int(i) for i in rng.integers(0, 8, 2))
        requantize = random_requantize(rng, rounding, shape[2], -max(left))
        node = Add("n", names, "y", left, requantize, signs)
    else:
        left = (20, 20) if rounding != "shift" else (10, 8)
        scalings = tuple(random_scaling(rng, rounding, 1, -1) for _ in names)
        requantize = random_requantize(rng, rounding, shape[2], -max(left))
        node = Add("n", names, "y", left, requantize, signs, scalings)
    network.nodes.append(node)
    if seed % 2:  # the second operand is known beforehand
        network.inputs.pop()
        shape = network.tensors["z"].shape
        network.constants["z"] = rng.integers(-128, 128, shape).astype(np.int8)
    assert_loops(rng, network)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("axes", [None, (0,), (1,), (0, 1)])
@pytest.mark.parametrize("rounding", ["shift", "double", "single"])
def test_mean_and_rescale_equal_loops(rounding, axes, seed):
    rng = np.random.default_rng([seed, 5])
    shape = tuple(int(side) for side in rng.integers(1, 7, 3))
    made = shape if axes is None else tuple(1 if i in axes else s for i, s in enumerate(shape))
    size = np.prod(shape) // np.prod(made)
    requantize = random_requantize(rng, rounding, shape[2], -int(np.log2(size)))
    node = Rescale("n", ("x",), "y", requantize)
    if axes is not None:
        node = Mean("n", ("x",), "y", axes, requantize)
    assert_loops(rng, one_node(node, shape, made, int(rng.integers(-128, 128))))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("operator", [name for name in MULTIPLIER_OPERATORS if name != "Softmax"])
def test_operator_with_multipliers_equals_loops(operator, seed):
    rng = np.random.default_rng([seed, 6])
    assert_loops(rng, single_operator(rng, operator, size=3000, scales="multiplier"))


@pytest.mark.parametrize("seed", range(30))
def test_network_with_multipliers_equals_loops(seed):
    rng = np.random.default_rng([seed, 7])
    operators = [name for name in MULTIPLIER_OPERATORS if name != "Softmax"]
    assert_loops(rng, random_network(rng, size=3000, operators=operators, scales="multiplier"))


@pytest.mark.parametrize("include", [False, True])
def test_average_pool_pads_with_zero_point(include):
    node = AveragePool("p", ("x",), "y", (2, 2), padding=(1, 1, 0, 0), count_include_pad=include)
    network = one_node(node, (2, 2, 1), (2, 2, 1), zero_point=-20)
    x = np.array([[10, 20], [31, 41]], np.int8).reshape(1, 2, 2, 1)
    got = golden.run_network(network, {"x": x})["y"].reshape(-1).tolist()
    # included: (10 - 60)/4 = -12.5, (30 - 40)/4 = -2.5, (41 - 40)/4 = 0.25, 102/4 = 25.5
    assert got == ([-13, -3, 0, 26] if include else [10, 15, 21, 26])


# Worked values -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("acc", "shift", "code"),
    [
        (5, 1, 3), (-5, 1, -3), (4, 1, 2), (1, 1, 1), (-1, 1, -1), (1, 2, 0), (2, 2, 1),
        (-2, 2, -1), (6, 2, 2), (-6, 2, -2), (7, 0, 7), (300, 0, 127), (-300, 0, -128),
        (255, 1, 127), (-257, 1, -128), (2**31 - 1, 31, 1), (-(2**31), 31, -1), (2**30, 31, 1),
        (2**30 - 1, 31, 0), (-(2**30), 31, -1), (1 - 2**30, 31, 0),
    ],
)  # fmt: skip
def test_shift_rounds_ties_away(acc, shift, code):
    rq = Requantize(np.array([shift], np.int32))
    assert golden.requantize(np.array([[acc]], np.int64), rq).item() == code


@pytest.mark.parametrize(
    ("value", "stored"), [(2.1, 2.125), (16.25, 15.875), (0.03125, 0.0), (-16.25, -16.0)]
)
def test_three_fraction_bits(value, stored):
    # The accumulator holds the value with 8 fraction bits; the code keeps 3. 0.03125 is a
    # quarter of a step and underflows.
    acc = np.array([[round(value * 256)]], np.int64)
    code = golden.requantize(acc, Requantize(np.array([5], np.int32))).item()
    assert code / 8 == stored


@pytest.mark.parametrize(
    ("acc", "factor", "double", "single"),
    [
        (3, 0.5, 2, 2),  # 1.5
        (-3, 0.5, -1, -1),  # -1.5: the product's tie goes upward
        (1, 0.5, 1, 1),
        (-1, 0.5, 0, 0),
        (5, 0.25, 2, 1),  # 1.25: 5 / 2 is rounded to 3 first, and 3 / 2 to 2
        (-5, 0.25, -1, -1),
        (-6, 0.25, -2, -1),  # -1.5: the shift's tie goes away from zero, one rounding's upward
        (3, 0.3, 1, 1),  # 0.9
        (7, 0.3, 2, 2),  # 2.1
        (3, 0.1666, 1, 0),  # 0.4998: 3 * 0.6664 is rounded to 2 first, and 2 / 4 to 1
        (100, 1.5, 127, 127),  # a shift to the left, saturated
        (-100, 1.5, -128, -128),
        (2**31 - 1, 2.0**20, 127, 127),
        (-(2**31), 2.0**20, -128, -128),
        (2**31 - 1, 2.0**-34, 0, 0),  # below 2**-32 TFLite gives up: m = 0
        (-(2**31), 2.0**-32, -1, 0),  # s = -31, the last shift
        (0, 0.7, 0, 0),
    ],
)
def test_double_and_single_rounding(acc, factor, double, single):
    m, s = golden.quantize_multiplier(factor)
    for rounding, code in (("double", double), ("single", single)):
        rq = Requantize(np.array([s]), np.array([m]), rounding=rounding)
        assert golden.requantize(np.array([[acc]], np.int64), rq).item() == code, rounding


@pytest.mark.parametrize(
    ("factor", "m", "s"),
    [
        (1.0, 2**30, 1), (0.5, 2**30, 0), (0.75, 3 << 29, 0), (2.0**-32, 2**30, -31),
        (2.0**-33, 0, 0), (1 - 2.0**-40, 2**30, 1), (3.0, 3 << 29, 2),
    ],
)  # fmt: skip
def test_quantize_multiplier(factor, m, s):
    assert golden.quantize_multiplier(factor) == (m, s)


def test_shift_below_minus_31_multiplies_by_zero():
    rq = Requantize(np.array([-32]), np.array([2**31 - 1]), "double", zero_point=7)
    assert golden.requantize(np.array([[-(2**31)]]), rq).item() == 7


@pytest.mark.parametrize("seed", range(3))
def test_roundings_equal_python_integers(seed):
    rng = np.random.default_rng(seed)
    acc = rng.integers(-(2**31), 2**31, 400) >> rng.integers(0, 31, 400)
    for rounding, lowest in (("shift", 0), ("double", -31), ("single", -31)):
        shift = rng.integers(lowest, 31, 400)
        m = None if rounding == "shift" else rng.integers(2**30, 2**31, 400)
        rq = Requantize(shift, m, rounding, zero_point=3, low=-100, high=101)
        expected = [ref_requantize(int(a), rq, c) for c, a in enumerate(acc)]
        assert golden.requantize(acc, rq).tolist() == expected


def test_average_of_every_sum():
    for n in (2, 3, 5, 9, 64, 125):
        sums = np.arange(-128 * n, 127 * n + 1)
        truncated = np.trunc((sums + np.where(sums > 0, n // 2, -(n // 2))) / n)  # TFLite's form
        np.testing.assert_array_equal(golden.divide(sums, n), truncated)


def test_average_left():
    for left, code in ((0, 3), (1, 5), (2, 10), (-1, 1), (-2, 1)):  # 2.5 * 2**left
        network = one_node(AveragePool("p", ("x",), "y", (1, 2), left=left), (1, 2, 1), (1, 1, 1))
        x = np.array([2, 3], np.int8).reshape(1, 1, 2, 1)
        assert golden.run_network(network, {"x": x})["y"].item() == code


def test_add_aligns_then_rounds_once():
    node = Add("a", ("x", "x"), "y", (3, 0), Requantize(np.array([4])), (1, -1))
    network = one_node(node, (1, 1, 4), (1, 1, 4))
    x = np.array([8, -8, 127, 1], np.int8).reshape(1, 1, 1, 4)  # 7x / 16
    assert golden.run_network(network, {"x": x})["y"].reshape(-1).tolist() == [4, -4, 56, 0]


def tflite_add(one, two, out, signs=(1, 1)):
    """TFLite's ADD of two channels, from real scales."""
    twice = 2 * max(one, two)
    scalings = []
    for scale in (one, two):
        m, s = golden.quantize_multiplier(scale / twice)
        scalings.append(Scaling(np.array([s]), np.array([m]), "double"))
    m, s = golden.quantize_multiplier(twice / (2**20 * out))
    requantize = Requantize(np.array([s]), np.array([m]), "double")
    return Add("a", ("x", "z"), "y", (20, 20), requantize, signs, tuple(scalings))


def test_add_of_different_scales():
    # 0.5 a + 0.3 b over 0.4, and the difference: (5 + 3) / 4 = 20, 12.5, -1.25, 0.75
    network = operands(np.random.default_rng(0), (1, 1, 4), "")
    for name in "xz":
        network.tensors[name] = Tensor(name, (1, 1, 4), 1.0)
    inputs = {"x": [10, 10, -1, 0], "z": [10, 0, 0, 1]}
    codes = {name: np.array([[[x]]], np.int8) for name, x in inputs.items()}
    for signs, expected in (((1, 1), [20, 13, -1, 1]), ((1, -1), [5, 13, -1, -1])):
        network.nodes = [tflite_add(0.5, 0.3, 0.4, signs)]
        assert golden.run_network(network, codes)["y"].reshape(-1).tolist() == expected


def test_mul_mean_and_rescale():
    half = Requantize(np.array([0]), np.array([2**30]), "double", zero_point=-1)
    x = np.array([[3, -4], [10, 20]], np.int8).reshape(1, 2, 2, 1)
    found = {}
    for node, shape in (
        (Mul("n", ("x", "x"), "y", half), (2, 2, 1)),  # (1, 36, 64, 324) / 2 - 1
        (Mean("n", ("x",), "y", (0, 1), half), (1, 1, 1)),  # (29 - 8) / 2 - 1
        (Mean("n", ("x",), "y", (0,), half), (1, 2, 1)),  # (13 - 4, 16 - 4) / 2 - 1
        (Rescale("n", ("x",), "y", half), (2, 2, 1)),  # (1, -6, 8, 18) / 2 - 1
    ):
        network = one_node(node, (2, 2, 1), shape, zero_point=2)
        codes = golden.run_network(network, {"x": x})["y"].reshape(-1).tolist()
        found[type(node).__name__, shape] = codes
    assert list(found.values()) == [[0, 17, 31, 127], [10], [4, 5], [0, -4, 3, 8]]


def test_concat_saturates():
    network = one_node(Concat("c", ("x", "x"), "y", 2, (1, -1)), (1, 1, 2), (1, 1, 4))
    x = np.array([100, -3], np.int8).reshape(1, 1, 1, 2)
    assert golden.run_network(network, {"x": x})["y"].reshape(-1).tolist() == [50, -2, 127, -6]


# Softmax -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scale", "codes", "expected"),
    [
        # What LiteRT 2.3.0's reference kernel answers.
        (0.25, [0, 1, 2, 3], [-86, -74, -58, -38]),
        (0.0625, [-128, -100, 0, 60, 127], [-128, -128, -128, -124, 124]),
        (0.0625, [5, 5, 5], [-43, -43, -43]),
        (1.0, [127, 120, -128], [127, -128, -128]),
        (float(np.float32(0.1)), [10, -7, 33, 40, 28, 0], [-121, -127, -60, 9, -87, -125]),
    ],
)
def test_softmax_published_kernel(scale, codes, expected):
    assert golden.softmax(np.array([codes], np.int8), scale)[0].tolist() == expected


def test_softmax_of_every_pixel_with_beta():
    tensors = {name: Tensor(name, (2, 1, 3), 0.25) for name in "xy"}
    node = Softmax("s", ("x",), "y", beta=0.4)
    network = Network("n", tensors, [node], [Port("x", "x", ())], [Port("y", "y", ())])
    x = np.array([[3, 4, 5], [-100, 20, 21]], np.int8).reshape(1, 2, 1, 3)
    result = golden.run_network(network, {"x": x})["y"]
    for row in range(2):
        expected = golden.softmax(x[0, row], 0.1)
        np.testing.assert_array_equal(result[0, row], expected)


@pytest.mark.parametrize("seed", range(20))
def test_softmax_within_a_code_of_float(seed):
    rng = np.random.default_rng(seed)
    scale = float(np.exp(rng.uniform(-9, 2)))
    codes = rng.integers(-128, 128, (20, 1, 1, int(rng.integers(1, 300))), dtype=np.int8)
    e = np.exp(scale * (codes.astype(float) - codes.max(axis=-1, keepdims=True)))
    exact = np.clip(np.round(256 * e / e.sum(axis=-1, keepdims=True)) - 128, -128, 127)
    assert np.abs(golden.softmax(codes, scale) - exact).max() <= 1


@pytest.mark.parametrize("scale", [2.0**-28, 2.0**-20, 2.0**-7, 0.1, 1.0, 8.0, 2.0**10])
def test_exponentials_are_near(scale):
    exact = np.exp(-scale * np.arange(256))
    table = golden.exponentials(scale)
    assert table[0] == 2**31 - 1
    assert np.abs(table / 2**31 - exact).max() < 1e-6


def test_reciprocals_are_near():
    a = np.linspace(0, 2**31 - 1, 1001).astype(np.int64)
    exact = 2.0**31 / (1 + a / 2.0**31)
    assert np.abs(golden._one_over_one_plus(a) - exact).max() <= 16  # two Newton steps: 25,000


# Against ONNX Runtime ----------------------------------------------------------------


def onnx_run(nodes, inputs, constants, output_type):
    types = {np.dtype(np.uint8): TensorProto.UINT8, np.dtype(np.int8): TensorProto.INT8}
    values = [
        helper.make_tensor_value_info(name, types[x.dtype], x.shape) for name, x in inputs.items()
    ]
    made = helper.make_graph(
        nodes, "g", values, [helper.make_tensor_value_info("y", output_type, None)],
        [onnx.numpy_helper.from_array(np.asarray(x), name) for name, x in constants.items()],
    )  # fmt: skip
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return onnx_session(model.SerializeToString()).run(None, inputs)[0]


def onnx_window(node, kernel):
    return {
        "kernel_shape": list(kernel), "strides": list(node.stride),
        "dilations": list(node.dilation), "pads": list(node.padding),
    }  # fmt: skip


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("operator", ["Conv2D", "GroupedConv2D", "DepthwiseConv2D"])
def test_accumulators_equal_conv_integer(operator, seed):
    rng = np.random.default_rng([seed, 2])
    network = single_operator(rng, operator)
    node, x = network.nodes[0], random_inputs(rng, network, 3)["in0"]
    zero_point = int(rng.integers(-128, 128))
    made = helper.make_node(
        "ConvInteger", ["x", "w", "z"], ["y"], group=node.groups,
        **onnx_window(node, node.weights.shape[1:3]),
    )  # fmt: skip
    unsigned = (x.astype(np.int16) + 128).astype(np.uint8).transpose(0, 3, 1, 2)
    constants = {"w": node.weights.transpose(0, 3, 1, 2), "z": np.uint8(zero_point + 128)}
    theirs = onnx_run([made], {"x": unsigned}, constants, TensorProto.INT32)
    ours = golden.accumulate(node, x, zero_point) - node.bias
    np.testing.assert_array_equal(ours, theirs.transpose(0, 2, 3, 1), describe(network))


@pytest.mark.parametrize("seed", range(6))
def test_max_pool_equals_onnx(seed):
    rng = np.random.default_rng([seed, 3])
    network = single_operator(rng, "MaxPool")
    node, inputs = network.nodes[0], random_inputs(rng, network, 3)
    made = helper.make_node("MaxPool", ["x"], ["y"], **onnx_window(node, node.kernel))
    x = {"x": np.ascontiguousarray(inputs["in0"].transpose(0, 3, 1, 2))}
    theirs = onnx_run([made], x, {}, TensorProto.INT8).transpose(0, 2, 3, 1)
    ours = golden.run_network(network, inputs)["t0"]
    np.testing.assert_array_equal(ours, theirs.clip(node.low, node.high), describe(network))


def test_onnx_rounds_ties_to_even_and_golden_away():
    acc = np.arange(-40, 41)
    scaled = helper.make_node("QuantizeLinear", ["f", "s", "z"], ["y"])
    cast = helper.make_node("Cast", ["x"], ["f"], to=TensorProto.FLOAT)
    constants = {"s": np.float32(4), "z": np.int8(0)}
    theirs = onnx_run([cast, scaled], {"x": acc.astype(np.int8)}, constants, TensorProto.INT8)
    ours = golden.requantize(acc[:, None], Requantize(np.array([2], np.int32)))[:, 0]
    tie = acc % 4 == 2
    np.testing.assert_array_equal(ours[~tie], theirs[~tie])
    assert theirs[tie].tolist() == np.round(acc[tie] / 4).tolist()
    assert ours[tie].tolist() == [nearest(Fraction(int(a), 4)) for a in acc[tie]]


# The network around the operators ----------------------------------------------------


def one_node(node, shape, out_shape, zero_point=0):
    return Network(
        "one",
        {"x": Tensor("x", shape, 1.0, zero_point), "y": Tensor("y", out_shape, 1.0)},
        [node],
        [Port("x", "x", shape, "int8")],
        [Port("y", "y", out_shape, "int8")],
    )


def dense(name, features, value=1, bias=0):
    rq = Requantize(np.zeros(1, np.int32))
    weights = np.full((1, features), value, np.int8)
    return FullyConnected(name, ("x",), "y", weights, np.array([bias], np.int32), rq)


def softmax_network():
    rq = Requantize(np.zeros(3, np.int32))
    weights = np.eye(3, dtype=np.int8)
    tensors = {name: Tensor(name, (1, 1, 3), 0.125) for name in "xhs"}
    nodes = [
        FullyConnected("h", ("x",), "h", weights, np.zeros(3, np.int32), rq),
        Softmax("s", ("h",), "s"),
    ]
    return Network(
        "soft", tensors, nodes, [Port("x", "x", (3,), "int8")], [Port("s", "s", (3,), "int8")]
    )


def test_results_are_in_execution_order():
    network, x = softmax_network(), np.array([1, 2, 3], np.int8).reshape(1, 1, 1, 3)
    assert list(golden.run_network(network, {"x": x})) == ["h", "s"]
    result = golden.run(SimpleNamespace(network=network), {"x": x})
    assert list(result.outputs) == ["h", "s"]
    assert result.tensors is not None
    assert list(result.tensors) == ["x", "h", "s"]
    assert result.cycles is None


def test_samples_are_independent(monkeypatch):
    rng = np.random.default_rng(5)
    network = single_operator(rng, "Conv2D")
    inputs = random_inputs(rng, network, 5)
    together = golden.run_network(network, inputs)["t0"]
    monkeypatch.setattr(golden, "ELEMENTS", 1)  # one sample and one row at a time
    np.testing.assert_array_equal(golden.run_network(network, inputs)["t0"], together)
    alone = golden.run_network(network, {"in0": inputs["in0"][3:4]})["t0"]
    np.testing.assert_array_equal(alone, together[3:4])


@pytest.mark.parametrize("features", [400, 600])  # float32 below 512 features, float64 above
def test_largest_sums_are_exact(features):
    x = np.full((2, 1, 1, features), -128, np.int8)
    x[1, 0, 0, -1] = -127
    acc = golden.accumulate(dense("d", features, -127, 1), x, 127)
    assert acc.reshape(-1).tolist() == [255 * 127 * features + 1, 255 * 127 * features - 126]


def test_accumulator_beyond_int32_is_refused():
    node = dense("head", 2, value=127, bias=2**31 - 1)
    network = one_node(node, (1, 1, 2), (1, 1, 1))
    x = np.array([[-1, 1], [1, 1]], np.int8).reshape(2, 1, 1, 2)
    assert golden.run_network(network, {"x": x[:1]})["y"].item() == 127
    message = r"^'head': accumulator 2147483901 at \(0, 0, 0\) does not fit int32$"
    with pytest.raises(OverflowError, match=message):
        golden.run_network(network, {"x": x})


@pytest.mark.parametrize(("bias", "last"), [(2**31 - 2, 1), (-(2**31) + 1, -1)])
def test_accumulators_reach_the_ends_of_int32(bias, last):
    network = one_node(dense("head", 2, value=1, bias=bias), (1, 1, 2), (1, 1, 1))
    x = np.array([[0, last], [last, last]], np.int8).reshape(2, 1, 1, 2)
    assert golden.run_network(network, {"x": x[:1]})["y"].item() == (127 if last > 0 else -128)
    with pytest.raises(OverflowError, match=f"accumulator {bias + 2 * last} at"):
        golden.run_network(network, {"x": x})


def test_softmax_of_too_many_is_refused():
    with pytest.raises(OverflowError, match="sum of exponentials does not fit int32"):
        golden.softmax(np.zeros((1, 1, 1, 4096), np.int8), 1.0)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, r"input 'x' is missing"),
        (
            {"x": np.zeros((1, 1, 1, 3))},
            r"input 'x' must be int8 of shape \(N, 1, 1, 3\), not float64 of \(1, 1, 1, 3\)",
        ),
        ({"x": np.zeros((1, 1, 3), np.int8)}, r"not int8 of \(1, 1, 3\)"),
    ],
)
def test_unfit_inputs(inputs, message):
    with pytest.raises(ValueError, match=message):
        golden.run_network(softmax_network(), inputs)


def test_samples_must_agree():
    node = Add("a", ("x", "z"), "y", (0, 0), Requantize(np.array([0])))
    network = one_node(node, (1, 1, 1), (1, 1, 1))
    network.tensors["z"] = Tensor("z", (1, 1, 1), 1.0)
    network.inputs.append(Port("z", "z", (1,), "int8"))
    inputs = {"x": np.zeros((2, 1, 1, 1), np.int8), "z": np.zeros((3, 1, 1, 1), np.int8)}
    with pytest.raises(ValueError, match="the same number of samples"):
        golden.run_network(network, inputs)


def conv(**changes):
    settings = {"weights": np.ones((2, 3, 3, 2), np.int8), "bias": np.zeros(2, np.int32),
                "requantize": Requantize(np.zeros(2, np.int32))} | changes  # fmt: skip
    return Conv2D("c", ("x",), "y", **settings)


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (conv(), r"'c': computes shape \(2, 2, 2\), but tensor 'y' has \(4, 4, 2\)"),
        (conv(groups=2), r"'c': weights \(2, 3, 3, 2\) in 2 groups do not fit 2 channels"),
        (conv(dilation=(2, 2)), r"'c': a window of \(5, 5\) exceeds the padded image"),
        (
            conv(padding=(1, 1, 1, 1), requantize=Requantize(np.array([32, 0]))),
            "takes shifts from 0 to 31 and no multiplier",
        ),
        (
            conv(padding=(1, 1, 1, 1), requantize=Requantize(np.zeros(2), rounding="double")),
            "'double' takes a multiplier and shifts up to 30",
        ),
        (
            conv(padding=(1, 1, 1, 1), requantize=Requantize(np.zeros(2, int), low=5, high=4)),
            r"the clamp \[5, 4\] is not an int8 range",
        ),
        (dense("f", 31), r"'f': weights \(1, 31\) do not fit the input \(4, 4, 2\)"),
        (
            MaxPool("m", ("x",), "y", (1, 1), padding=(1, 0, 0, 0)),
            "'m': a window lies entirely in the padding",
        ),
        (
            AveragePool("m", ("x",), "y", (1, 1), padding=(1, 0, 0, 0)),
            "'m': a window lies entirely in the padding",
        ),
        (AveragePool("m", ("x",), "y", (1, 1), left=32), "left must be from -31 to 31, not 32"),
        (
            conv(padding=(1, 1, 1, 1), requantize=Requantize(np.zeros(3, np.int32))),
            r"'c': requantize constants of shape \(3,\) do not fit 2 channels",
        ),
        (
            Add("a", ("x", "x"), "y", (32, 0), Requantize(np.array([0]))),
            r"'a': left must be from 0 to 31, not \(32, 0\)",
        ),
        (Permute("p", ("x",), "y", np.arange(3)), r"'p': an order of 3 does not fill \(4, 4, 2\)"),
        (
            type("Gru", (), {"name": "g", "inputs": ("x",), "output": "y"})(),
            "'g': golden knows no operator Gru",
        ),
    ],
)
def test_a_node_that_disagrees_is_named(node, message):
    network = one_node(node, (4, 4, 2), (4, 4, 2))
    with pytest.raises(ValueError, match=message):
        golden.run_network(network, {"x": np.zeros((1, 4, 4, 2), np.int8)})


def test_an_operand_that_cannot_be_repeated_is_named():
    network = operands(np.random.default_rng(0), (2, 3, 4), "")
    network.tensors["z"] = Tensor("z", (1, 1, 2), 1.0)
    network.constants["z"] = np.zeros((1, 1, 2), np.int8)
    network.nodes.append(Mul("m", ("x", "z"), "y", Requantize(np.array([0]))))
    network.inputs.pop()
    x = np.zeros((1, 2, 3, 4), np.int8)
    message = r"'m': operand 'z' of shape \(1, 1, 2\) cannot be repeated to \(2, 3, 4\)"
    with pytest.raises(ValueError, match=message):
        golden.run_network(network, {"x": x})
    network.constants["z"] = np.zeros((1, 1, 2))
    message = r"constant 'z' must be int8 of shape \(1, 1, 2\), not float64 of \(1, 1, 2\)"
    with pytest.raises(ValueError, match=message):
        golden.run_network(network, {"x": x})


def test_an_operand_beyond_int32_is_refused():
    node = tflite_add(0.5, 0.3, 0.4)
    object.__setattr__(node, "left", (24, 20))
    network = operands(np.random.default_rng(0), (1, 1, 1), "")
    network.tensors["x"] = Tensor("x", (1, 1, 1), 1.0, 127)
    network.nodes.append(node)
    inputs = {name: np.full((1, 1, 1, 1), -128, np.int8) for name in "xz"}
    with pytest.raises(OverflowError, match=r"^'a': accumulator -4278190080 at \(0, 0, 0\)"):
        golden.run_network(network, inputs)
