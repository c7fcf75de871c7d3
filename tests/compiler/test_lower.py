"""Lowering: the passes, evaluated as `Pass` defines them, compute what golden computes."""

from dataclasses import replace

import numpy as np
import pytest
from random_networks import OPERATORS, describe, random_inputs, single_operator

from weft.compiler.fold import Fold
from weft.compiler.lower import Lowering
from weft.compiler.network import (
    Add,
    AveragePool,
    Concat,
    Conv2D,
    FullyConnected,
    MaxPool,
    Network,
    Pad,
    Permute,
    Port,
    Requantize,
    Slice,
    Softmax,
    Table,
    Tensor,
)
from weft.compiler.passes import Pass
from weft.hw.config import Config
from weft.sim import golden


def make(nodes, shapes, **zero_points) -> Network:
    """A network: inputs are the tensors that no node makes, outputs those that none takes."""
    network = Network("net", nodes=list(nodes))
    for name, shape in shapes.items():
        network.tensors[name] = Tensor(name, shape, 1.0, zero_points.get(name, 0))
    made = {node.output for node in nodes}
    used = {name for node in nodes for name in node.inputs}
    network.inputs = [Port(n, n, s, "int8") for n, s in shapes.items() if n not in made]
    network.outputs = [Port(n, n, s, "int8") for n, s in shapes.items() if n in made - used]
    return network


def coordinates(step: Pass, width: int):
    """Source row and column of every result's window: arrays of shape `count`."""
    oy, ox = np.indices(step.count)
    if step.pixel_steps is None:
        return step.origin[0] + oy * step.stride[0], step.origin[1] + ox * step.stride[1]
    pixel = step.origin[0] * width + step.origin[1]
    return np.divmod(pixel + oy * step.pixel_steps[0] + ox * step.pixel_steps[1], width)


def folded(codes: np.ndarray, fold: Fold, fill: int) -> np.ndarray:
    """Blocks of pixels as channels of one pixel, element by element as `Fold` says it."""
    n, height, width, channels = codes.shape
    rows, columns, deep = fold.shape((height, width, channels))
    result = np.full((n, rows, columns, deep), fill, np.int8)
    for y, x, i, j in np.ndindex(rows, columns, *fold.size):
        from_y, from_x = (
            block * step - before + inner
            for block, step, before, inner in zip(
                (y, x), fold.step, fold.before, (i, j), strict=True
            )
        )
        if 0 <= from_y < height and 0 <= from_x < width:
            first = (i * fold.size[1] + j) * channels
            result[:, y, x, first : first + channels] = codes[:, from_y, from_x]
    return result


def evaluate(step: Pass, memory: dict[str, np.ndarray]) -> None:
    """Compute one pass on tensors (N, H, W, C)."""
    sources = [memory[name].astype(np.int64) for name in step.sources]
    kernel = step.dense(slice(None), slice(None))
    kh, kw, _, channels = kernel.shape
    _, height, width, _ = sources[0].shape
    y0, x0 = coordinates(step, width)
    total = None
    for ky in range(kh):
        for kx in range(kw):
            source = sources[kx if len(sources) == 2 else 0]
            y = y0 + ky * step.dilation[0]
            x = x0 + (0 if len(sources) == 2 else kx * step.dilation[1])
            inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
            codes = source[:, np.where(inside, y, 0), np.where(inside, x, 0)]
            codes = np.where(inside[None, :, :, None], codes, step.fill)
            weights = kernel[ky, kx]
            if step.peak:
                # The entries that are 1; each result channel has exactly one.
                part = codes[..., weights.argmax(axis=0)]
                total = part if total is None else np.maximum(total, part)
            else:
                part = codes @ weights
                total = part if total is None else total + part
    total = total + step.bias
    assert step.shift.min(initial=0) >= 0
    assert step.shift.max(initial=0) <= 31
    codes = golden.divide_power(total, step.shift) + step.zero_point
    codes = np.clip(codes, step.low, step.high).astype(np.int8)
    if step.table is not None:
        codes = step.table[codes.astype(np.int64) + 128]
    top, left = step.target_origin
    memory[step.target][
        :,
        top : top + step.target_step[0] * step.count[0] : step.target_step[0],
        left : left + step.target_step[1] * step.count[1] : step.target_step[1],
        step.first_channel : step.first_channel + channels,
    ] = codes


def lowered(network: Network, lanes: int) -> Lowering:
    lowering = Lowering(network, Config(rows=lanes, columns=lanes))
    assert lowering.problems == []
    return lowering


def run(network: Network, inputs, lanes: int = 4) -> dict[str, np.ndarray]:
    lowering = lowered(network, lanes)
    count = len(next(iter(inputs.values())))
    noise = np.random.default_rng(0)
    memory = {
        name: noise.integers(-128, 128, (count, *tensor.shape), dtype=np.int8)
        for name, tensor in lowering.tensors.items()
    }
    for name, codes in inputs.items():
        fold = lowering.folds.get(name)
        fill = network.tensors[name].zero_point
        memory[name] = codes.copy() if fold is None else folded(codes, fold, fill)
    for step in lowering.passes:
        evaluate(step, memory)
    return memory


def assert_golden(network: Network, lanes: int = 4, seed: int = 0) -> None:
    inputs = random_inputs(np.random.default_rng(seed), network, 4)
    expected = golden.run_network(network, inputs)
    actual = run(network, inputs, lanes)
    made = {node.output: node for node in network.nodes}
    for name in expected:
        if name in made and not isinstance(made[name], Softmax):
            np.testing.assert_array_equal(actual[name], expected[name], describe(network))


@pytest.mark.parametrize("kernel", [(3, 3), (2, 5), (10, 4), (1, 1)])
@pytest.mark.parametrize("stride", [(1, 1), (2, 2), (1, 2), (3, 2)])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("seed", range(2))
def test_strided_convolution_of_an_input(kernel, stride, channels, seed):
    """Folded or not, with padding anywhere and images that no block fits evenly."""
    rng = np.random.default_rng([seed, *kernel, *stride, channels])
    padding = tuple(int(rng.integers(0, size)) for size in (*kernel, *kernel))
    image = [size + int(rng.integers(0, 9)) for size in kernel]
    results = [
        (image[i] + padding[i] + padding[i + 2] - kernel[i]) // stride[i] + 1 for i in (0, 1)
    ]
    weights = rng.integers(-128, 128, (6, *kernel, channels)).astype(np.int8)
    node = Conv2D(
        "c", ("a",), "b", weights, BIAS, Requantize(np.full(6, 9)), stride, padding=padding
    )
    network = make([node], {"a": (*image, channels), "b": (*results, 6)}, a=int(rng.integers(9)))
    assert_golden(network, lanes=16, seed=seed)


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("seed", range(0, 40, 20))
def test_operator(operator, seed):
    for number in range(seed, seed + 20):
        network = single_operator(np.random.default_rng(number), operator, size=4000)
        assert_golden(network, lanes=(1, 3, 4, 8)[number % 4], seed=number)


WEIGHTS = np.random.default_rng(3).integers(-128, 128, (6, 3, 2, 4), np.int8)
BIAS = np.arange(-300, 300, 100, np.int32)


def convolution(shift=9, **options) -> Conv2D:
    requantize = Requantize(np.full(6, shift, np.int32), zero_point=options.pop("zero", 0))
    return Conv2D("c", ("a",), "b", WEIGHTS, BIAS, requantize, **options)


@pytest.mark.parametrize("zero_point", [-128, -5, 127])
def test_zero_points(zero_point):
    node = convolution(padding=(1, 2, 2, 1), zero=7)
    network = make([node], {"a": (5, 4, 4), "b": (6, 6, 6)}, a=zero_point, b=7)
    assert_golden(network)


def test_zero_point_of_a_dense_layer():
    weights = WEIGHTS.reshape(6, 24)
    node = FullyConnected("f", ("a",), "b", weights, BIAS, Requantize(np.full(6, 8), zero_point=-3))
    assert_golden(make([node], {"a": (3, 2, 4), "b": (1, 1, 6)}, a=11, b=-3))


def test_zero_point_in_padding_that_counts():
    node = AveragePool("p", ("a",), "b", (3, 3), (1, 1), (1, 1, 1, 1), count_include_pad=True)
    assert_golden(make([node], {"a": (4, 4, 5), "b": (4, 4, 5)}, a=-70, b=-70))


def test_left_shift_becomes_a_factor():
    shapes = {"a": (3, 2, 4), "b": (1, 1, 6)}
    (left,) = lowered(make([convolution(shift=-3)], shapes), 4).passes
    (plain,) = lowered(make([convolution(shift=0)], shapes), 4).passes
    np.testing.assert_array_equal(left.kernel, plain.kernel * 8)
    np.testing.assert_array_equal(left.bias, plain.bias * 8)
    np.testing.assert_array_equal(left.shift, 0)


@pytest.mark.parametrize("shift", [(-2, 0), (3, 1), (40, 0)])
@pytest.mark.parametrize("lanes", [1, 2, 4])
def test_concat_shifts(shift, lanes):
    node = Concat("c", ("a", "d"), "b", 2, shift)
    assert_golden(make([node], {"a": (2, 2, 2), "d": (2, 2, 4), "b": (2, 2, 6)}), lanes)


def test_concat_of_one_tensor_twice():
    node = Concat("c", ("a", "a"), "b", 2, (0, 1))
    assert_golden(make([node], {"a": (2, 2, 3), "b": (2, 2, 6)}))


def test_temporary_does_not_replace_a_tensor():
    shapes = {"a": (2, 2, 3), "b/1": (2, 2, 3), "d": (2, 2, 5), "b": (2, 2, 8), "f": (2, 2, 3)}
    nodes = [
        MaxPool("m", ("a",), "b/1", (1, 1)),
        Concat("c", ("b/1", "d"), "b", 2, (0, 0)),
        Add("e", ("b/1", "b/1"), "f", (0, 0), Requantize(np.array([0]))),
    ]
    network = make(nodes, shapes)
    network.outputs.append(Port("b/1", "b/1", shapes["b/1"], "int8"))
    assert_golden(network)


def test_aligned_concat_takes_one_pass_for_each_input():
    shapes = {"a": (2, 2, 8), "d": (2, 2, 3), "b": (2, 2, 11)}
    network = make([Concat("c", ("a", "d"), "b", 2, (0, 0))], shapes)
    assert [step.first_channel for step in lowered(network, 4).passes] == [0, 8]
    assert len(lowered(network, 16).passes) == 3


def test_transpose_is_one_pass():
    order = np.arange(24).reshape(2, 3, 4).transpose(1, 0, 2).reshape(-1)
    network = make([Permute("p", ("a",), "b", order)], {"a": (2, 3, 4), "b": (3, 2, 4)})
    assert len(lowered(network, 4).passes) == 1
    assert_golden(network)


def test_average_pool_takes_a_pass_for_each_rectangle():
    node = AveragePool("p", ("a",), "b", (3, 3), (1, 1), (1, 1, 1, 1))
    network = make([node], {"a": (5, 5, 2), "b": (5, 5, 2)})
    assert len(lowered(network, 4).passes) == 9
    counted = make([replace(node, count_include_pad=True)], {"a": (5, 5, 2), "b": (5, 5, 2)})
    assert len(lowered(counted, 4).passes) == 1


def test_subtraction_of_the_lowest_code():
    node = Add("s", ("a", "d"), "b", (1, 0), Requantize(np.array([1])), signs=(1, -1))
    network = make([node], {"a": (1, 2, 1), "d": (1, 2, 1), "b": (1, 2, 1)})
    low, high = np.full((1, 1, 2, 1), -128, np.int8), np.full((1, 1, 2, 1), 127, np.int8)
    for a, d in ((low, high), (high, low), (low, low)):
        inputs = {"a": a, "d": d}
        expected = golden.run_network(network, inputs)["b"]
        np.testing.assert_array_equal(run(network, inputs)["b"], expected)


def test_pad_and_slice_and_table():
    table = np.random.default_rng(1).integers(-128, 128, 256).astype(np.int8)
    nodes = [
        Pad("p", ("a",), "b", ((1, 2), (0, 3), (2, 1)), -77),
        Slice("s", ("b",), "c", (1, 0, 1), (6, 5, 8), (2, 3, 4)),
        Table("t", ("c",), "d", table),
    ]
    assert_golden(make(nodes, {"a": (3, 2, 5), "b": (6, 5, 8), "c": (3, 2, 2), "d": (3, 2, 2)}))


@pytest.mark.parametrize("operator", OPERATORS)
def test_accumulators_are_wide_enough_and_no_wider(operator):
    for seed in range(8):
        network = single_operator(np.random.default_rng(seed), operator, size=2000)
        for step in lowered(network, 4).passes:
            # The inputs that drive each result channel furthest up and down.
            sums = []
            for sign in (1, -1):
                kernel = step.dense(slice(None), slice(None))
                up = np.where(kernel * sign > 0, 127, np.where(kernel == 0, 0, -128))
                sums.append((up * kernel).sum(axis=(0, 1, 2)) + step.bias)
            highest, lowest = max(int(sums[0].max()), 0), min(int(sums[1].min()), 0)
            fits = lambda n: -(1 << n - 1) <= lowest and highest < 1 << n - 1  # noqa: E731, B023
            assert fits(step.accumulator_bits)
            assert step.accumulator_bits == 1 or not fits(step.accumulator_bits - 1)


# What cannot be lowered ------------------------------------------------------------------


def problem(network: Network) -> str:
    (found,) = Lowering(network, Config(rows=4, columns=4)).problems
    return str(found)


def test_softmax_in_the_middle():
    nodes = [
        Softmax("s", ("a",), "b"),
        MaxPool("m", ("b",), "c", (1, 1)),
    ]
    network = make(nodes, {"a": (1, 1, 4), "b": (1, 1, 4), "c": (1, 1, 4)}, b=-128, c=-128)
    assert problem(network) == (
        "Softmax 's': it stands in the middle of the network, and only the last one runs, in the "
        "host; cut the model behind it, or replace it by Sigmoid"
    )


def test_softmax_at_the_end_is_no_pass():
    network = make([Softmax("s", ("a",), "b")], {"a": (1, 1, 4), "b": (1, 1, 4)}, b=-128)
    assert lowered(network, 4).passes == []


@pytest.mark.parametrize("rounding", ["double", "single"])
def test_multipliers(rounding):
    ones = np.ones(6, np.int32)
    node = replace(convolution(), requantize=Requantize(-ones, ones << 30, rounding=rounding))
    assert problem(make([node], {"a": (3, 2, 4), "b": (1, 1, 6)})) == (
        "Conv2D 'c': its scales are not powers of two, and this configuration's requantizer "
        "only shifts; use a configuration whose requantizer multiplies"
    )


FAR = "it shifts by 32, and the requantizer by 31 at the most; give its output a finer scale"


def test_shift_too_far():
    network = make([convolution(shift=32)], {"a": (3, 2, 4), "b": (1, 1, 6)})
    assert problem(network) == f"Conv2D 'c': {FAR}"
    sum_of_two = Add("s", ("a", "a"), "b", (0, 0), Requantize(np.array([32])))
    assert problem(make([sum_of_two], {"a": (1, 1, 4), "b": (1, 1, 4)})) == f"Add 's': {FAR}"


WHOLLY_IN_PADDING = "a window lies in the padding altogether; use smaller padding"


@pytest.mark.parametrize("padding", [(2, 0, 0, 0), (0, 2, 0, 0), (0, 0, 2, 0), (0, 0, 0, 2)])
@pytest.mark.parametrize("cls", [MaxPool, AveragePool])
def test_window_in_the_padding(cls, padding):
    node = cls("p", ("a",), "b", (2, 2), padding=padding)
    shape = (2 + padding[0] + padding[2], 2 + padding[1] + padding[3], 4)
    network = make([node], {"a": (3, 3, 4), "b": shape})
    assert problem(network) == f"{cls.__name__} 'p': {WHOLLY_IN_PADDING}"


def test_dilated_window_around_the_image():
    node = MaxPool("p", ("a",), "b", (2, 1), dilation=(4, 1), padding=(2, 0, 2, 0))
    network = make([node], {"a": (2, 3, 4), "b": (2, 3, 4)})
    assert problem(network) == f"MaxPool 'p': {WHOLLY_IN_PADDING}"


def test_counted_padding_may_fill_a_window():
    node = AveragePool("p", ("a",), "b", (2, 2), (1, 1), (2, 0, 0, 0), count_include_pad=True)
    assert_golden(make([node], {"a": (3, 3, 4), "b": (4, 2, 4)}))


def test_window_too_large():
    node = AveragePool("p", ("a",), "b", (100, 100))
    assert problem(make([node], {"a": (100, 100, 1), "b": (1, 1, 1)})) == (
        "AveragePool 'p': its window of 10000 elements is too large to average exactly; "
        "pool in two steps"
    )


def test_all_problems_at_once():
    nodes = [
        convolution(shift=40),
        Softmax("s", ("b",), "d"),
        MaxPool("m", ("d",), "e", (2, 2), padding=(2, 2, 0, 0)),
    ]
    shapes = {"a": (3, 2, 4), "b": (1, 1, 6), "d": (1, 1, 6), "e": (2, 2, 6)}
    problems = Lowering(make(nodes, shapes), Config(rows=4, columns=4)).problems
    assert [(p.op, p.node) for p in problems] == [
        ("Conv2D", "c"), ("Softmax", "s"), ("MaxPool", "m"),
    ]  # fmt: skip
