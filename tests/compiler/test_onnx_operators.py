"""What the reader makes of every operator computes what ONNX Runtime computes."""

import numpy as np
import pytest
from onnx_evaluate import compare, ops
from onnx_models import OPSETS, Model


def random_image(model, batch=1):
    h, w = (int(n) for n in model.random.integers(4, 9, 2))
    c = int(model.random.choice([1, 2, 3, 4, 5]))
    return model.input([batch, c, h, w]), (c, h, w)


def window_attributes(random, kernel, *, auto_pads=True, dilations=True):
    """Attributes of a random window with pads smaller than the kernel."""
    rank = len(kernel)
    attributes = {}
    if random.random() < 0.7:
        attributes["strides"] = random.integers(1, 4, rank).tolist()
    if dilations and random.random() < 0.3:
        attributes["dilations"] = random.integers(1, 3, rank).tolist()
    choice = random.random()
    if auto_pads and choice < 0.4:
        names = ["SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET"]
        attributes["auto_pad"] = str(random.choice(names))
        attributes.pop("dilations", None)  # ONNX Runtime does not take both
    elif choice < 0.8:
        attributes["pads"] = [int(random.integers(0, k)) for k in (*kernel, *kernel)]
    return attributes


@pytest.mark.parametrize("seed", range(40))
def test_conv(tmp_path, seed):
    model = Model(OPSETS[seed % len(OPSETS)], seed)
    x, (c, h, w) = random_image(model)
    random = model.random
    groups = int(random.choice([g for g in (1, c) if c % g == 0]))
    kernel = [int(random.integers(1, 4)), int(random.integers(1, 4))]
    attributes = window_attributes(random, kernel)
    if min(h, w) < 5:
        attributes.pop("dilations", None)
    if random.random() < 0.5:
        attributes["kernel_shape"] = kernel
    outputs = groups * int(random.integers(1, 4))
    extra = [model.weights(outputs)] if random.random() < 0.6 else []
    weights = model.weights(outputs, c // groups, *kernel)
    y = model.node("Conv", x, weights, *extra, group=groups, **attributes)
    graph = compare(model.output(y).save(tmp_path))
    assert ops(graph) == ["Conv2D"]


@pytest.mark.parametrize("seed", range(10))
def test_conv_of_one_dimension(tmp_path, seed):
    model = Model(OPSETS[seed % len(OPSETS)], seed)
    x = model.input(["N", 4, 11])
    kernel = [int(model.random.integers(1, 4))]
    attributes = window_attributes(model.random, kernel)
    y = model.node("Conv", x, model.weights(6, 2, *kernel), group=2, **attributes)
    graph = compare(model.output(model.node("Relu", y)).save(tmp_path))
    assert ops(graph) == ["Conv2D", "Clamp"]
    assert graph.tensors["x0"].shape == (1, 11, 4)


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("op", ["MaxPool", "AveragePool"])
def test_pool(tmp_path, op, seed):
    model = Model(OPSETS[seed % len(OPSETS)], seed)
    random = model.random
    x, _ = random_image(model)
    kernel = random.integers(1, 4, 2).tolist()
    dilated = op == "MaxPool"
    attributes = window_attributes(random, kernel, dilations=dilated)
    if "auto_pad" not in attributes and random.random() < 0.5:
        attributes["ceil_mode"] = 1
    if op == "AveragePool" and random.random() < 0.5:
        attributes["count_include_pad"] = 1
        attributes.pop("ceil_mode", None)
    elif op == "MaxPool":
        attributes["storage_order"] = int(random.integers(2))
    if "dilations" in attributes:
        attributes.pop("pads", None)
    y = model.node(op, x, kernel_shape=kernel, **attributes)
    graph = compare(model.output(y).save(tmp_path))
    assert ops(graph) == [op]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("op", ["MaxPool", "AveragePool"])
def test_pool_of_one_dimension(tmp_path, op, seed):
    model = Model(OPSETS[seed], seed)
    x = model.input(["N", 3, 10])
    kernel = model.random.integers(1, 4, 1).tolist()
    attributes = window_attributes(model.random, kernel, dilations=False)
    compare(model.output(model.node(op, x, kernel_shape=kernel, **attributes)).save(tmp_path))


@pytest.mark.parametrize("opset", [19, 22])
@pytest.mark.parametrize("pads", [[0, 0, 0, 0], [1, 1, 0, 1]])
def test_average_pool_dilated(tmp_path, opset, pads):
    model = Model(opset)
    y = model.node(
        "AveragePool", model.input([1, 3, 9, 8]), kernel_shape=[3, 2], dilations=[2, 3],
        pads=pads, count_include_pad=1,
    )  # fmt: skip
    graph = compare(model.output(y).save(tmp_path))
    assert ops(graph) == ["Conv2D"]


@pytest.mark.parametrize("op", ["GlobalAveragePool", "GlobalMaxPool"])
@pytest.mark.parametrize("shape", [[1, 3, 4, 5], ["N", 5, 7]])
def test_global_pool(tmp_path, op, shape):
    model = Model()
    y = model.node(op, model.input(shape))
    compare(model.output(model.node("Flatten", y)).save(tmp_path))


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("axes", [[2, 3], [-1, -2], [2], [3], [1, 2]])
def test_reduce_mean(tmp_path, opset, keepdims, axes):
    model = Model(opset)
    x = model.input(["N", 3, 4, 5])
    if opset < 18:
        y = model.node("ReduceMean", x, axes=axes, keepdims=keepdims)
    else:
        y = model.node("ReduceMean", x, np.array(axes), keepdims=keepdims)
    compare(model.output(y).save(tmp_path))


def test_reduce_mean_of_no_axes(tmp_path):
    model = Model(18)
    x = model.input([1, 3, 4, 5])
    y = model.node("ReduceMean", x, np.array([], np.int64), noop_with_empty_axes=1)
    assert ops(compare(model.output(y).save(tmp_path))) == []


@pytest.mark.parametrize("trans", [0, 1])
@pytest.mark.parametrize("addend", [None, (), (1,), (4,), (1, 4), (1, 1)])
def test_gemm(tmp_path, trans, addend):
    model = Model()
    x = model.input(["N", 7])
    extra = [] if addend is None else [model.weights(*addend)]
    weights = model.weights(*((4, 7) if trans else (7, 4)))
    y = model.node("Gemm", x, weights, *extra, alpha=0.5, beta=2.0, transB=trans)
    assert ops(compare(model.output(y).save(tmp_path))) == ["FullyConnected"]


@pytest.mark.parametrize("shape", [[1, 6], [1, 1, 6], [1, 1, 1, 6]])
def test_matmul_of_all_features(tmp_path, shape):
    model = Model()
    y = model.node("MatMul", model.input(shape), model.weights(6, 3))
    y = model.node("Add", model.weights(3), y)
    graph = compare(model.output(y).save(tmp_path))
    assert ops(graph) == ["FullyConnected"]
    assert graph.nodes[0].sources == ("Add1",)


@pytest.mark.parametrize("shape", [[1, 4, 6], [1, 2, 3, 6]])
def test_matmul_at_every_position(tmp_path, shape):
    model = Model()
    y = model.node("MatMul", model.input(shape), model.weights(6, 3))
    y = model.node("Add", y, model.weights(3))
    graph = compare(model.output(y).save(tmp_path))
    assert ops(graph) == ["Conv2D"]


def test_gemm_after_flatten(tmp_path):
    """The weights follow the memory order, so nothing moves."""
    model = Model()
    y = model.node("Conv", model.input([1, 2, 5, 6]), model.weights(4, 2, 3, 3))
    y = model.node("Flatten", y)
    y = model.node("Gemm", y, model.weights(48, 5))
    assert ops(compare(model.output(y).save(tmp_path))) == ["Conv2D", "FullyConnected"]


def batch_norm(model, x, channels, **attributes):
    constants = [model.weights(channels) for _ in range(3)]
    variance = model.random.uniform(0.5, 2, channels).astype(np.float32)
    return model.node("BatchNormalization", x, *constants, variance, **attributes)


@pytest.mark.parametrize("opset", OPSETS)
def test_batch_normalization_folds(tmp_path, opset):
    model = Model(opset)
    y = model.node("Conv", model.input([1, 3, 5, 5]), model.weights(4, 3, 3, 3), model.weights(4))
    y = batch_norm(model, y, 4, epsilon=1e-3, momentum=0.5)
    graph = compare(model.output(y).save(tmp_path))
    assert ops(graph) == ["Conv2D"]
    assert graph.nodes[0].name == "Conv0"
    assert graph.nodes[0].sources == ("BatchNormalization1",)
    assert graph.nodes[0].output == y


def test_batch_normalization_on_its_own(tmp_path):
    model = Model()
    y = batch_norm(model, model.input([1, 3, 5, 5]), 3)
    graph = compare(model.output(y).save(tmp_path))
    assert ops(graph) == ["Conv2D"]
    assert graph.nodes[0].attributes["groups"] == 3


def test_batch_normalization_of_a_result_used_twice(tmp_path):
    model = Model()
    conv = model.node("Conv", model.input([1, 3, 5, 5]), model.weights(4, 3, 3, 3))
    y = model.node("Add", batch_norm(model, conv, 4), conv)
    assert ops(compare(model.output(y).save(tmp_path))) == ["Conv2D", "Conv2D", "Add"]


def test_batch_normalization_of_an_output(tmp_path):
    model = Model()
    conv = model.node("Conv", model.input([1, 3, 5, 5]), model.weights(4, 3, 3, 3))
    graph = compare(model.output(conv, batch_norm(model, conv, 4)).save(tmp_path))
    assert ops(graph) == ["Conv2D", "Conv2D"]


def test_batch_normalization_after_gemm(tmp_path):
    model = Model()
    y = model.node("Gemm", model.input([1, 6]), model.weights(6, 4))
    assert ops(compare(model.output(batch_norm(model, y, 4)).save(tmp_path))) == ["FullyConnected"]


@pytest.mark.parametrize(
    ("op", "attributes", "constants"),
    [
        ("Relu", {}, []),
        ("LeakyRelu", {}, []),
        ("LeakyRelu", {"alpha": 0.25}, []),
        ("Sigmoid", {}, []),
        ("Tanh", {}, []),
        ("HardSigmoid", {}, []),
        ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.25}, []),
        ("HardSwish", {}, []),
        ("Clip", {}, []),
        ("Clip", {}, [-0.5]),
        ("Clip", {}, ["", 0.5]),
        ("Clip", {}, [0, 6]),
        ("Max", {}, [0]),
        ("Min", {}, [1]),
        ("Identity", {}, []),
        ("Dropout", {}, []),
        ("Dropout", {"seed": 3}, [0.5]),
        ("Cast", {"to": 1}, []),
    ],
)
@pytest.mark.parametrize("shape", [[1, 3, 4, 5], ["N", 6], [1, 2, 3, 4, 5]])
def test_elementwise(tmp_path, op, attributes, constants, shape):
    model = Model(17 if op != "HardSwish" else 14)
    x = model.input([1, int(np.prod(shape[1:]))])
    x = model.node("Reshape", x, np.array([1, *shape[1:]]))
    constants = [c if isinstance(c, str) else np.array(c, np.float32) for c in constants]
    compare(model.output(model.node(op, x, *constants, **attributes)).save(tmp_path))


def test_hard_swish_of_two_nodes(tmp_path):
    model = Model(13)
    x = model.input([1, 3, 4, 5])
    gate = model.node("HardSigmoid", x, alpha=1 / 6, beta=0.5)
    assert ops(compare(model.output(model.node("Mul", x, gate)).save(tmp_path))) == ["Unary"]


CONSTANTS = [(), (1,), (3, 1, 1), (1, 3, 1, 1), (1, 1, 1, 1)]


@pytest.mark.parametrize(
    ("op", "first"),
    [(op, first) for op in ("Add", "Sub", "Mul", "Div") for first in (False, True)][:-1],
)
@pytest.mark.parametrize("shape", CONSTANTS)
@pytest.mark.parametrize("after_conv", [False, True])
def test_arithmetic_with_constants(tmp_path, op, shape, first, after_conv):
    model = Model()
    x = model.input([1, 3, 4, 5])
    if after_conv:
        x = model.node("Conv", x, model.weights(3, 3, 1, 1), model.weights(3))
    constant = model.weights(*shape)
    y = model.node(op, constant, x) if first else model.node(op, x, constant)
    assert ops(compare(model.output(y).save(tmp_path))) == ["Conv2D"]


@pytest.mark.parametrize("op", ["Add", "Sub"])
def test_arithmetic_of_two_tensors(tmp_path, op):
    model = Model()
    x, y = model.input([1, 3, 4, 5]), model.input([1, 3, 4, 5])
    z = model.node(op, x, model.node("Relu", y))
    assert ops(compare(model.output(z).save(tmp_path))) == ["Clamp", "Add"]


def test_add_of_two_layouts(tmp_path):
    model = Model()
    x, y = model.input([1, 3, 4, 5]), model.input([1, 60])
    y = model.node("Relu", model.node("Reshape", y, np.array([-1, 3, 4, 5])))
    assert ops(compare(model.output(model.node("Add", x, y)).save(tmp_path))).count("Add") == 1


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("seed", range(4))
def test_pad(tmp_path, opset, seed):
    model = Model(opset, seed)
    x, _ = random_image(model)
    random = model.random
    low = -1 if seed % 2 else 0
    if opset >= 18 and seed > 1:
        pads, axes = random.integers(low, 3, 4), np.array([[-2, 3], [3, 1]][seed % 2])
        if low:
            pads = np.where(axes.repeat(2).reshape(2, 2).T.ravel() == 1, abs(pads), pads)
        y = model.node("Pad", x, pads, np.float32(0.5), axes)
    else:
        pads = np.r_[0, 0, random.integers(low, 3, 2), 0, 0, random.integers(low, 3, 2)]
        y = model.node("Pad", x, pads, np.float32(-1.5), mode="constant")
    compare(model.output(y).save(tmp_path))


def test_pad_is_absorbed_by_conv(tmp_path):
    model = Model()
    y = model.node("Pad", model.input([1, 2, 5, 5]), np.array([0, 0, 0, 1, 0, 0, 1, 2]))
    y = model.node("Conv", y, model.weights(3, 2, 3, 3), pads=[1, 0, 0, 0])
    graph = compare(model.output(y).save(tmp_path))
    assert ops(graph) == ["Conv2D"]
    assert graph.nodes[0].attributes["padding"] == (1, 1, 1, 2)
    assert graph.nodes[0].sources == ("Pad0",)


@pytest.mark.parametrize(("axis", "inside"), [(1, 2), (-1, 1), (2, 0), (-3, 2)])
def test_concat(tmp_path, axis, inside):
    model = Model()
    shapes = [[1, 3, 4, 5], [1, 3, 4, 5]]
    shapes[1][axis] = 2
    x, y = (model.input(shape) for shape in shapes)
    graph = compare(model.output(model.node("Concat", x, y, x, axis=axis)).save(tmp_path))
    assert ops(graph) == ["Concat"]
    assert graph.nodes[0].attributes["axis"] == inside


def test_concat_of_flattened(tmp_path):
    model = Model()
    x = model.node("Flatten", model.input([1, 3, 4, 5]))
    y = model.node("Concat", x, model.input([1, 7]), axis=1)
    compare(model.output(y).save(tmp_path))


@pytest.mark.parametrize("seed", range(20))
def test_slice(tmp_path, seed):
    model = Model(OPSETS[seed % len(OPSETS)], seed)
    random = model.random
    x = model.input([1, 5, 6, 7])
    axes = random.permutation([1, 2, 3])[: random.integers(1, 4)]
    starts = random.choice([0, 1, 2, -3, -100], len(axes))
    ends = random.choice([3, 5, -1, 100, 2**62], len(axes))
    starts = np.where((starts == -3) & (ends == 3), 0, starts)
    starts = np.where((starts == 2) & (axes == 1), 0, starts)
    kind = [np.int32, np.int64][seed % 2]
    ends = np.minimum(ends, np.iinfo(np.int32).max)
    extra = [random.integers(1, 3, len(axes)).astype(kind)] if random.random() < 0.6 else []
    signed = np.where(random.random(len(axes)) < 0.5, axes, axes - 4)
    y = model.node("Slice", x, starts.astype(kind), ends.astype(kind), signed.astype(kind), *extra)
    compare(model.output(y).save(tmp_path))


def test_slice_without_axes(tmp_path):
    model = Model()
    x = model.input([1, 5, 6, 7])
    y = model.node("Slice", x, np.array([0, 1]), np.array([1, 4]))
    compare(model.output(y).save(tmp_path))


def test_slice_of_nothing_leaves_no_node(tmp_path):
    model = Model()
    x = model.input([1, 5, 6, 7])
    y = model.node("Slice", x, np.array([0]), np.array([99]), np.array([1]))
    assert ops(compare(model.output(y).save(tmp_path))) == []


@pytest.mark.parametrize("opset", [13, 18])
def test_split(tmp_path, opset):
    model = Model(opset)
    x = model.input([1, 5, 6, 7])
    a, _, c = model.node("Split", x, np.array([1, 2, 2]), axis=1, outputs=3)
    extra = {"num_outputs": 2} if opset == 18 else {}
    d, e = model.node("Split", x, axis=2, outputs=2, **extra)
    graph = compare(model.output(a, c, d, e).save(tmp_path))
    assert ops(graph) == ["Slice"] * 4


@pytest.mark.parametrize(
    ("shape", "axis"),
    [([1, 9], 1), ([1, 9], -1), ([1, 4, 3, 3], 1), ([1, 4, 1, 1], 1), ([1, 1, 1, 4], -1),
     ([1, 4, 6], 1)],
)  # fmt: skip
def test_softmax(tmp_path, shape, axis):
    model = Model()
    y = model.node("Softmax", model.input(shape), axis=axis)
    assert ops(compare(model.output(y).save(tmp_path)))[-1] == "Softmax"


VIEWS = [
    ("Flatten", [], {}),
    ("Flatten", [], {"axis": 0}),
    ("Flatten", [], {"axis": -3}),
    ("Reshape", [np.array([0, -1])], {}),
    ("Reshape", [np.array([-1, 60])], {}),
    ("Reshape", [np.array([1, 3, 20])], {"allowzero": 1}),
    ("Reshape", [np.array([0, 0, 10, 2])], {}),
    ("Transpose", [], {"perm": [0, 2, 3, 1]}),
    ("Transpose", [], {"perm": [0, 1, 3, 2]}),
    ("Unsqueeze", [np.array([2, -1])], {}),
]


@pytest.mark.parametrize("opset", [13, 14, 21])
@pytest.mark.parametrize(("op", "constants", "attributes"), VIEWS)
def test_views_leave_no_node(tmp_path, opset, op, constants, attributes):
    if opset < 14:
        attributes = {k: v for k, v in attributes.items() if k != "allowzero"}
    model = Model(opset)
    y = model.node(op, model.input([1, 3, 4, 5]), *constants, **attributes)
    graph = compare(model.output(y).save(tmp_path))
    assert ops(graph) == []
    assert graph.tensors[y].memory == "x0"


@pytest.mark.parametrize("axes", [[2, 3], [-1]])
def test_squeeze(tmp_path, axes):
    model = Model()
    y = model.node("GlobalAveragePool", model.input([1, 3, 4, 5]))
    compare(model.output(model.node("Squeeze", y, np.array(axes))).save(tmp_path))
