"""From float graphs made by hand to integer graphs: constants, shifts, clamps, refusals."""

import numpy as np
import pytest

from weft.compiler import network as integer
from weft.compiler.calibrate import choose_scales
from weft.compiler.collect_range import RangeCollector
from weft.compiler.fixed_point import power_of_two
from weft.compiler.float_graph import FloatGraph, FloatNode, FloatTensor, Scale
from weft.compiler.quantize import quantize
from weft.compiler.quantize_tables import FUNCTIONS, make_table
from weft.errors import UnsupportedError
from weft.sim import golden

SHAPE = (4, 4, 2)


def graph(*nodes, inputs=("x",), outputs=None, shapes=None, scales=None):
    """A float graph whose tensors are (4, 4, 2) unless `shapes` says otherwise."""
    result = FloatGraph("g", nodes=list(nodes), inputs=list(inputs))
    for name in (*inputs, *(node.output for node in nodes)):
        shape = (shapes or {}).get(name, SHAPE)
        result.tensors[name] = FloatTensor(name, shape, (1, *shape))
    result.outputs = list(outputs or [nodes[-1].output])
    result.scales = scales or {}
    return result


def fractions(**values):
    return {name: power_of_two(value) for name, value in values.items()}


def conv(source, output, weights=None, bias=None, scales=None, **attributes):
    weights = np.full((2, 1, 1, 2), 0.5) if weights is None else np.asarray(weights, float)
    bias = np.zeros(len(weights)) if bias is None else np.asarray(bias, float)
    return FloatNode(
        "Conv2D", output, (source,), output, attributes, {"weights": weights, "bias": bias},
        scales or {},
    )  # fmt: skip


def clamp(source, output, low=0.0, high=None):
    return FloatNode("Clamp", output, (source,), output, {"low": low, "high": high})


def node(op, sources, output, **attributes):
    return FloatNode(op, output, tuple(sources), output, attributes)


def ranges(**values):
    result = {}
    for name, (low, high) in values.items():
        result[name] = RangeCollector()
        result[name].update(np.array([low, high]))
    return result


def chosen(model, collectors):
    scales = choose_scales(model, collectors)
    return {name: int(-np.log2(float(scale.scale))) for name, scale in scales.items()}


# Weights and biases -------------------------------------------------------------------


def test_weights_bias_and_shift():
    weights = np.array([[0.9, -0.3], [0.11, 0.0]]).reshape(2, 1, 1, 2)
    network = quantize(graph(conv("x", "y", weights, [1.0, -0.30])), fractions(x=4, y=3))
    (made,) = network.nodes
    assert made.weights.reshape(2, 2).tolist() == [[115, -38], [14, 0]]  # 7 fraction bits
    assert made.bias.tolist() == [2048, -614]  # 11 fraction bits
    assert made.requantize.shift.tolist() == [8, 8]
    assert (made.weights.dtype, made.bias.dtype, made.requantize.shift.dtype) == (
        np.int8, np.int32, np.int32,
    )  # fmt: skip


def test_ties_of_weights_and_biases_go_away_from_zero():
    weights = np.array([[100, 2.5], [-2.5, 0.5]]).reshape(2, 1, 1, 2)
    network = quantize(graph(conv("x", "y", weights, [0.5, -1.5])), fractions(x=0, y=0))
    assert network.nodes[0].weights.reshape(-1).tolist() == [100, 3, -3, 1]
    assert network.nodes[0].bias.tolist() == [1, -2]


def test_a_shift_per_channel():
    weights = np.array([[0.9, -0.3], [0.11, 0.0]]).reshape(2, 1, 1, 2)
    model = graph(conv("x", "y", weights))
    (made,) = quantize(model, fractions(x=4, y=3), per_channel=True).nodes
    assert made.requantize.shift.tolist() == [8, 11]
    assert made.weights.reshape(2, 2).tolist() == [[115, -38], [113, 0]]


def test_channels_of_zeros_do_not_widen_the_accumulator():
    weights = np.array([[0.9, -0.3], [0.0, 0.0]]).reshape(2, 1, 1, 2)
    model = graph(conv("x", "y", weights, [0, 1.5]))
    (made,) = quantize(model, fractions(x=4, y=3), per_channel=True).nodes
    assert made.requantize.shift.tolist() == [8, 16]
    assert made.bias.tolist() == [0, round(1.5 * 2**19)]


def test_mean_square_error_clips_an_outlying_weight():
    weights = np.concatenate([np.random.default_rng(0).normal(0, 0.1, 999), [1.0]])
    model = graph(conv("x", "y", weights.reshape(1, 20, 25, 2), padding=(19, 24, 0, 0)),
                  shapes={"y": (4, 4, 1)})  # fmt: skip
    shifts = [
        int(quantize(model, fractions(x=4, y=3), method=method).nodes[0].requantize.shift[0])
        for method in ("minmax", "mse")
    ]
    assert shifts == [7, 8]


def test_weights_get_coarser_where_a_bias_would_not_fit():
    model = graph(conv("x", "y", np.full((2, 1, 1, 2), 1e-4), [0, 1e6]))
    (made,) = quantize(model, fractions(x=8, y=-3)).nodes
    assert made.requantize.shift.tolist() == [14, 14]
    assert made.bias.tolist() == [0, 2_048_000_000]


@pytest.mark.parametrize(("beyond", "codes"), [(0, [64, 64]), (1, [32, 32])])
def test_weights_get_coarser_where_the_lowest_codes_would_not_fit(beyond, codes):
    """Two weights of 64 times -128, and a bias that leaves just so much of 32 bits."""
    bias = 2**31 - 1 - 128 * 128 + beyond
    model = graph(conv("x", "y", np.ones((1, 1, 1, 2)), [bias / 64]))
    (made,) = quantize(model, fractions(x=0, y=-8)).nodes
    assert made.weights.reshape(-1).tolist() == codes


# Clamps, padding and ports ------------------------------------------------------------


def test_clamps_are_folded_and_intersect():
    model = graph(conv("x", "a"), clamp("a", "b"), clamp("b", "y", None, 6.0))
    network = quantize(model, fractions(x=4, y=3))
    (made,) = network.nodes
    assert (made.output, made.requantize.low, made.requantize.high) == ("y", 0, 48)
    assert list(network.tensors) == ["x", "y"]


@pytest.mark.parametrize("outputs", [["y", "a"], ["y", "b"]])
def test_a_clamp_of_a_tensor_with_other_uses_is_a_table(outputs):
    nodes = [conv("x", "a"), clamp("a", "y", 0.0, 1.0), conv("a", "b")]
    network = quantize(graph(*nodes, outputs=outputs), fractions(x=4, a=3, y=5, b=3))
    made = network.nodes[1]
    assert (type(made), made.function) == (integer.Table, "Clamp")
    assert made.table[[0, 127, 128, 129, 136, 255]].tolist() == [0, 0, 0, 4, 32, 32]


def test_zero_padding_joins_the_convolution():
    pad = node("Pad", ["x"], "p", pads=((1, 0), (2, 3), (0, 0)), value=0.0)
    model = graph(pad, conv("p", "y", padding=(0, 1, 0, 0)),
                  shapes={"p": (5, 9, 2), "y": (5, 10, 2)})  # fmt: skip
    network = quantize(model, fractions(x=4, y=3))
    (made,) = network.nodes
    assert (made.inputs, made.padding) == (("x",), (1, 3, 0, 3))


@pytest.mark.parametrize(("value", "channels"), [(0.5, (0, 0)), (0.0, (0, 1))])
def test_other_padding_stays(value, channels):
    pad = node("Pad", ["x"], "p", pads=((1, 0), (0, 0), channels), value=value)
    shapes = {"p": (5, 4, 2 + channels[1]), "y": (5, 4, 2)}
    weights = np.ones((2, 1, 1, shapes["p"][2]))
    network = quantize(graph(pad, conv("p", "y", weights), shapes=shapes), fractions(x=4, p=4, y=3))
    assert [type(made) for made in network.nodes] == [integer.Pad, integer.Conv2D]
    assert network.nodes[0].value == round(value * 16)


def test_ports_have_the_file_s_shape_and_order():
    model = graph(conv("x", "y"))
    order = np.arange(32).reshape(SHAPE).transpose(2, 0, 1).reshape(-1)
    model.tensors["x"] = FloatTensor("x", SHAPE, (1, 2, 4, 4), order)
    model.tensors["flat"] = FloatTensor("flat", SHAPE, (1, 32), np.arange(32), memory="y")
    model.outputs = ["flat"]
    network = quantize(model, fractions(x=4, y=3))
    (given,), (made,) = network.inputs, network.outputs
    assert (given.name, given.tensor, given.shape, given.dtype) == ("x", "x", (2, 4, 4), "float32")
    np.testing.assert_array_equal(given.order, order)
    assert (made.name, made.tensor, made.shape, made.order) == ("flat", "flat", (32,), None)
    assert network.nodes[0].output == "flat"  # a name that nothing shows gives way


# Other nodes --------------------------------------------------------------------------


def test_add_aligns_its_operands():
    model = graph(node("Add", ["x", "z"], "y", signs=(1, -1)), inputs=("x", "z"))
    (made,) = quantize(model, fractions(x=6, z=4, y=3)).nodes
    assert (made.left, made.signs) == ((0, 2), (1, -1))
    assert made.requantize.shift.tolist() == [3]


def test_average_pool_rescales_its_sum():
    model = graph(node("AveragePool", ["x"], "y", kernel=(4, 4), stride=(4, 4)),
                  shapes={"y": (1, 1, 2)})  # fmt: skip
    for output, left in ((6, 2), (4, 0), (3, -1)):
        (made,) = quantize(model, fractions(x=4, y=output)).nodes
        assert (made.kernel, made.left) == ((4, 4), left)


def test_concat_shifts_the_finer_inputs():
    model = graph(node("Concat", ["x", "z"], "y", axis=2), inputs=("x", "z"),
                  shapes={"y": (4, 4, 4)})  # fmt: skip
    (made,) = quantize(model, fractions(x=6, z=4, y=3)).nodes
    assert (made.axis, made.shift) == (2, (3, 1))


def test_softmax_has_tflite_s_scale():
    model = graph(node("Softmax", ["x"], "y"), shapes={"x": (1, 1, 5), "y": (1, 1, 5)})
    network = quantize(model, fractions(x=4))
    assert network.tensors["y"] == integer.Tensor("y", (1, 1, 5), 1 / 256, -128)


REAL = {
    "Sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "Tanh": np.tanh,
    "LeakyRelu": lambda x: np.where(x < 0, 0.25 * x, x),
    "HardSigmoid": lambda x: np.clip(0.25 * x + 0.5, 0, 1),
    "HardSwish": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
    "Clamp": lambda x: np.clip(x, -1, 2),
}


def tensor(scale, zero_point=0):
    return integer.Tensor("t", SHAPE, scale, zero_point)


@pytest.mark.parametrize("function", sorted(FUNCTIONS))
def test_tables_are_the_functions_rounded(function):
    attributes = {"alpha": 0.25, "beta": 0.5, "low": -1.0, "high": 2.0}
    for points in ((0, 0), (-128, 5), (40, 127)):
        given, made = tensor(2**-4, points[0]), tensor(2**-5, points[1])
        table = make_table(function, attributes, given, made)
        real = REAL[function]((np.arange(-128, 128) - points[0]) / 16) * 32 + points[1]
        assert np.abs(table - np.clip(real, -128, 127)).max() <= 0.5 + 1e-9


@pytest.mark.parametrize("scale", [2.0**24, 2.0**-24])
def test_tables_of_extreme_scales(scale):
    for function in FUNCTIONS:
        assert make_table(function, {}, tensor(scale), tensor(2.0**-7)).shape == (256,)


# What calibration allows --------------------------------------------------------------


def test_moves_share_the_union_of_ranges():
    model = graph(
        node("Pad", ["x"], "p", pads=((0, 0), (0, 0), (0, 0)), value=-3.0),
        node("MaxPool", ["p"], "m", kernel=(1, 1)),
        node("Slice", ["m"], "s", start=(0, 0, 0), stop=SHAPE, step=(1, 1, 1)),
        node("Permute", ["s"], "y", order=np.arange(32)),
    )
    assert chosen(model, ranges(x=(0, 1))) == {"x": 5, "p": 5, "m": 5, "s": 5, "y": 5}


def test_outputs_are_no_finer_than_nodes_can_compute():
    model = graph(
        node("Concat", ["x", "z"], "c", axis=0),
        node("Add", ["x", "z"], "a"),
        node("AveragePool", ["x"], "p", kernel=(4, 4)),
        conv("x", "y", np.full((2, 1, 1, 2), 100.0)),
        inputs=("x", "z"),
    )
    small = (-1e-6, 1e-6)
    found = chosen(model, ranges(x=(0, 1), z=(0, 30), c=small, a=small, p=small, y=small))
    assert found == {"x": 6, "z": 2, "c": 2, "a": 6, "p": 21, "y": 6}


def test_operands_of_an_add_stay_near_each_other():
    model = graph(node("Add", ["x", "z"], "y"), inputs=("x", "z"))
    found = chosen(model, ranges(x=(0, 100), z=(0, 1e-6), y=(0, 100)))
    assert found == {"x": 0, "z": 15, "y": 0}


def test_bounded_functions_use_seven_fraction_bits():
    model = graph(node("Unary", ["x"], "y", function="Sigmoid"))
    assert chosen(model, ranges(x=(-9, 9), y=(0, 0.9999))) == {"x": 3, "y": 7}


@pytest.mark.parametrize("seed", range(4))
def test_calibrated_random_graphs_compute_the_float_result(seed):
    rng = np.random.default_rng(seed)
    weights, bias = rng.normal(0, 0.4, (3, 3, 3, 2)), rng.normal(0, 0.4, 3)
    model = graph(
        conv("x", "a", weights, bias, padding=(1, 1, 1, 1)), clamp("a", "y"),
        shapes={"a": (4, 4, 3), "y": (4, 4, 3)},
    )  # fmt: skip
    x = rng.normal(0, 1, (8, *SHAPE))
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    real = bias + sum(
        padded[:, i : i + 4, j : j + 4] @ weights[:, i, j].T for i in range(3) for j in range(3)
    )
    real = np.maximum(real, 0)
    scales = choose_scales(model, ranges(x=(x.min(), x.max()), y=(0, real.max())))
    network = quantize(model, scales)
    codes = np.clip(np.round(x / network.tensors["x"].scale), -128, 127).astype(np.int8)
    made = golden.run_network(network, {"x": codes})["y"] * network.tensors["y"].scale
    assert np.abs(made - real).max() < 4 * network.tensors["y"].scale + 0.05


# Refusals -----------------------------------------------------------------------------


def test_everything_wrong_with_scales_is_named_at_once():
    odd = Scale(np.array(0.1), np.array(300))
    rows = Scale(np.array([0.25, 0.5]), np.array([3, 3]))
    model = graph(conv("x", "a"), conv("a", "b"), conv("b", "y"), scales={"x": odd, "a": rows})
    with pytest.raises(UnsupportedError) as caught:
        quantize(model)
    assert [str(problem) for problem in caught.value.problems] == [
        "input 'x': tensor 'x' has scale 0.1 and int8 zero point 300; quantize the model again",
        "Conv2D 'a': tensor 'a' has a scale per channel; quantize it per tensor",
        "Conv2D 'b': tensor 'b' has no scale; calibrate the model, or quantize this tensor in "
        "the file as well",
        "Conv2D 'y': tensor 'y' has no scale; calibrate the model, or quantize this tensor in "
        "the file as well",
    ]


@pytest.mark.parametrize(
    ("model", "scales", "message"),
    [
        (graph(conv("x", "y")), fractions(x=4, y=20),
         "Conv2D 'y': its output's scale is finer than that of its products; give its output a"),
        (graph(conv("x", "y", bias=[0, 1e30])), fractions(x=4, y=4),
         "Conv2D 'y': the bias of channel 1 does not fit 32 bits; reduce that bias"),
        (graph(node("MaxPool", ["x"], "y", kernel=(1, 1))), fractions(x=4, y=3),
         "MaxPool 'y': its output has another scale than its input; give both the same scale"),
        (graph(node("Concat", ["x", "x"], "y", axis=0)), fractions(x=4, y=5),
         "Concat 'y': its output's scale is finer than that of an input; give its output the"),
        (graph(node("Add", ["x", "x"], "y")), fractions(x=4, y=5),
         r"Add 'y': scales 2\*\*-4 and 2\*\*-4 with output 2\*\*-5 cannot be aligned"),
        (graph(node("Softmax", ["x"], "s"), conv("s", "y")), fractions(x=4, y=5),
         "Softmax 's': it is not the last node before an output; end the model there"),
    ],
)  # fmt: skip
def test_what_no_shift_can_do_is_refused(model, scales, message):
    with pytest.raises(UnsupportedError, match=message):
        quantize(model, scales)
