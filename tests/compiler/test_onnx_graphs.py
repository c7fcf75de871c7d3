"""Whole graphs: layouts, folded shapes, quantized models, names."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx_evaluate import compare, ops
from onnx_models import Model

from weft.compiler.onnx_reader import load_onnx


def transpose(model, x, *perm):
    return model.node("Transpose", x, perm=list(perm))


def test_channels_last_input_lies_in_memory_as_in_the_file(tmp_path):
    """As Keras exports: transposes around convolutions leave nothing behind."""
    model = Model()
    x = transpose(model, model.input(["N", 6, 7, 3]), 0, 3, 1, 2)
    y = model.node("Conv", x, model.weights(4, 3, 3, 3), auto_pad="SAME_UPPER")
    y = model.node("Add", y, model.weights(1, 4, 1, 1))
    y = model.node("Relu", transpose(model, y, 0, 2, 3, 1))
    y = model.node("MaxPool", transpose(model, y, 0, 3, 1, 2), kernel_shape=[2, 2])
    y = transpose(model, y, 0, 2, 3, 1)
    mean = model.node("ReduceMean", y, axes=[1, 2], keepdims=0)
    y = model.node("Softmax", model.node("MatMul", mean, model.weights(4, 5)))
    graph = compare(model.output(y).save(tmp_path))
    expected = ["Conv2D", "Clamp", "MaxPool", "AveragePool", "FullyConnected", "Softmax"]
    assert ops(graph) == expected
    assert graph.tensors["x0"].order is None
    assert graph.tensors["x0"].shape == (6, 7, 3)


def test_channels_last_input_is_scaled_and_padded_before_the_transpose(tmp_path):
    model = Model()
    x = model.node("Mul", model.input(["N", 6, 7, 3]), np.float32(1 / 255))
    x = model.node("Sub", x, model.weights(3))
    x = model.node("Pad", x, np.array([0, 1, 1, 0, 0, 1, 1, 0]))
    y = model.node("Conv", transpose(model, x, 0, 3, 1, 2), model.weights(4, 3, 3, 3))
    graph = compare(model.output(y).save(tmp_path))
    assert ops(graph) == ["Conv2D", "Conv2D"]
    assert graph.tensors["x0"].order is None


def test_flat_input_lies_in_memory_as_its_convolution_wants_it(tmp_path):
    model = Model()
    x = model.node("Relu", model.input(["N", 60]))
    x = model.node("Reshape", x, np.array([-1, 3, 4, 5]))
    graph = compare(model.output(model.node("Conv", x, model.weights(2, 3, 3, 3))).save(tmp_path))
    assert ops(graph) == ["Clamp", "Conv2D"]
    assert graph.tensors["x0"].shape == (4, 5, 3)


def test_transpose_written_as_reshape(tmp_path):
    """With a single channel a transpose is a reshape, and exporters write it so."""
    model = Model()
    x = model.node("Reshape", model.input(["N", 9, 5, 1]), np.array([-1, 1, 9, 5]))
    graph = compare(model.output(model.node("Conv", x, model.weights(2, 1, 3, 3))).save(tmp_path))
    assert ops(graph) == ["Conv2D"]


def test_two_inputs_want_layouts_of_their_own(tmp_path):
    model = Model()
    x, y = model.input([1, 5, 6, 2]), model.input([1, 60])
    x = model.node("Reshape", x, np.array([1, 2, 5, 6]))
    y = model.node("Reshape", y, np.array([1, 2, 5, 6]))
    x = model.node("Conv", x, model.weights(2, 2, 3, 3))
    y = model.node("Conv", y, model.weights(2, 2, 3, 3))
    graph = compare(model.output(model.node("Add", x, y)).save(tmp_path))
    assert ops(graph) == ["Conv2D", "Conv2D", "Add"]


def test_channel_shuffle_is_one_move(tmp_path):
    model = Model()
    y = model.node("Conv", model.input([1, 2, 4, 4]), model.weights(6, 2, 1, 1))
    y = model.node("Reshape", y, np.array([1, 2, 3, 4, 4]))
    y = model.node("Reshape", transpose(model, y, 0, 2, 1, 3, 4), np.array([1, 6, 4, 4]))
    y = model.node("Conv", y, model.weights(6, 1, 3, 3), group=6)
    graph = compare(model.output(y).save(tmp_path))
    assert ops(graph) == ["Conv2D", "Permute", "Conv2D"]


@pytest.mark.parametrize("batch", [1, "N", -1, None])
def test_flatten_by_shape_arithmetic(tmp_path, batch):
    """As exporters write x.view(x.size(0), -1) with a dynamic batch."""
    model = Model()
    x = model.node("Relu", model.input([batch, 3, 4, 5]))
    size = model.node("Gather", model.node("Shape", x), np.array(0), axis=0)
    size = model.node("Unsqueeze", size, np.array([0]))
    last = model.node("Constant", value_ints=[-1])
    target = model.node("Concat", size, last, axis=0)
    target = model.node("Cast", target, to=TensorProto.INT64)
    y = model.node("Gemm", model.node("Reshape", x, target), model.weights(60, 2))
    if batch == -1:
        path = model.output(y).save(tmp_path)
        assert ops(load_onnx(path)) == ["Clamp", "FullyConnected"]
    else:
        assert ops(compare(model.output(y).save(tmp_path))) == ["Clamp", "FullyConnected"]


def test_weights_from_constant_nodes(tmp_path):
    model = Model()
    weights = model.node("Constant", value=onnx.numpy_helper.from_array(model.weights(3, 4)))
    weights = model.node("Transpose", weights, perm=[1, 0])
    weights = model.node("Mul", weights, np.float32(2))
    y = model.node("MatMul", model.input([1, 4]), weights)
    filled = model.node(
        "ConstantOfShape", np.array([3]),
        value=helper.make_tensor("v", TensorProto.FLOAT, [1], [0.5]),
    )  # fmt: skip
    assert ops(compare(model.output(model.node("Add", y, filled)).save(tmp_path))) == [
        "FullyConnected"
    ]


def test_residual_with_an_intermediate_output(tmp_path):
    model = Model()
    x = model.node("Conv", model.input([1, 3, 6, 6]), model.weights(4, 3, 3, 3), pads=[1] * 4)
    y = model.node("Relu", batch_norm_of_four(model, x))
    z = model.node("Conv", y, model.weights(4, 4, 3, 3), pads=[1] * 4)
    z = model.node("Relu", model.node("Add", z, y))
    graph = compare(model.output(z, y).save(tmp_path))
    assert ops(graph) == ["Conv2D", "Clamp", "Conv2D", "Add", "Clamp"]
    assert graph.outputs == [z, y]


def batch_norm_of_four(model, x):
    constants = [model.weights(4) for _ in range(3)]
    return model.node("BatchNormalization", x, *constants, np.ones(4, np.float32))


def test_input_as_an_output(tmp_path):
    model = Model()
    x = model.input([1, 3, 4, 5])
    graph = compare(model.output(x, model.node("Identity", x)).save(tmp_path))
    assert graph.outputs == ["x0", "t0"]


def test_dead_nodes_are_ignored(tmp_path):
    model = Model()
    x = model.input([1, 3, 4, 5])
    model.node("NonZero", x)
    y = model.node("Relu", x)
    model.node("Relu", y)
    assert ops(compare(model.output(y).save(tmp_path))) == ["Clamp"]


def test_nodes_without_names(tmp_path):
    model = Model()
    y = model.node("Relu", model.node("Relu", model.input([1, 4]), name="same"), name="same")
    z = model.node("Tanh", y)
    model.nodes[-1].name = ""
    graph = load_onnx(model.output(z).save(tmp_path))
    assert [node.name for node in graph.nodes] == ["same", "same/2", z]


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_weights_of_other_float_types(tmp_path, dtype):
    model = Model()
    weights = model.weights(4, 2).astype(dtype)
    y = model.node("MatMul", model.input([1, 4]), weights)
    (node,) = load_onnx(model.output(y).save(tmp_path)).nodes
    assert node.constants["weights"].dtype == np.float64
    assert np.array_equal(node.constants["weights"], weights.T)


def quantized(model, x, scale, zero, dtype=np.int8):
    parameters = np.float32(scale), np.array(zero, dtype)
    codes = model.node("QuantizeLinear", x, *parameters)
    return model.node("DequantizeLinear", codes, *parameters)


@pytest.mark.parametrize("opset", [13, 21, 23])
@pytest.mark.parametrize(("dtype", "zero", "expected"), [(np.int8, 3, 3), (np.uint8, 131, 3)])
def test_quantized_model(tmp_path, opset, dtype, zero, expected):
    model = Model(opset)
    x = quantized(model, model.input([1, 3, 6, 6]), 0.5, zero, dtype)
    codes = model.random.integers(-127, 128, (4, 3, 3, 3)).astype(np.int8)
    steps = model.random.uniform(0.01, 0.1, 4).astype(np.float32)
    weights = model.node("DequantizeLinear", codes, steps, np.zeros(4, np.int8), axis=0)
    bias = model.random.integers(-999, 999, 4).astype(np.int32)
    bias_steps = steps * np.float32(0.5)
    offsets = model.node("DequantizeLinear", bias, bias_steps, axis=0)
    conv = model.node("Conv", x, weights, offsets)
    relu = model.node("Relu", conv)
    y = quantized(model, relu, 0.25, 0, np.int8)
    path = model.output(y).save(tmp_path)
    graph = load_onnx(path)
    node = graph.nodes[0]
    assert ops(graph) == ["Conv2D", "Clamp"]
    assert graph.tensors[y].memory == relu
    assert graph.scales.keys() == {"x0", relu}
    assert graph.scales["x0"].scale == 0.5
    assert graph.scales["x0"].zero_point == expected
    found = node.constants["weights"] / node.scales["weights"].scale[:, None, None, None]
    assert np.array_equal(np.rint(found), codes.transpose(0, 2, 3, 1))
    assert np.array_equal(node.constants["bias"], bias * bias_steps.astype(np.float64))
    assert np.array_equal(node.scales["bias"].scale, bias_steps)


def test_weights_quantized_inside_the_model(tmp_path):
    """As quantization-aware training exports them."""
    model = Model()
    weights, scale = model.weights(5, 4), np.float32(0.02)
    zero = np.zeros((), np.int8)
    codes = model.node("QuantizeLinear", model.constant(weights), scale, zero)
    taken = model.node("Transpose", model.node("DequantizeLinear", codes, scale, zero))
    y = model.node("MatMul", model.input([1, 4]), taken)
    (node,) = compare(model.output(y).save(tmp_path)).nodes
    assert np.array_equal(
        node.constants["weights"],
        np.clip(np.rint(weights / scale), -128, 127) * np.float64(scale),
    )
    assert node.scales["weights"].scale == scale


def test_nothing_is_folded_across_a_quantized_tensor(tmp_path):
    model = Model()
    y = model.node("Conv", model.input([1, 2, 3, 3]), model.weights(2, 2, 1, 1))
    y = model.node("Mul", quantized(model, y, 0.5, 0), np.float32(3))
    assert ops(load_onnx(model.output(y).save(tmp_path))) == ["Conv2D", "Conv2D"]


def test_initializers_among_the_inputs(tmp_path):
    """As old exporters list them, read or not."""
    model = Model()
    x, weights = model.input([1, 4]), model.constant(model.weights(4, 2), "weights")
    model.input([4, 2], "weights")
    model.constant(np.array(7), "steps")
    model.input([], "steps", TensorProto.INT64)
    graph = compare(model.output(model.node("MatMul", x, weights)).save(tmp_path))
    assert graph.inputs == [x]


def test_same_padding_of_a_dilated_kernel(tmp_path):
    """ONNX Runtime refuses the two together; the specification gives the pads."""
    model = Model()
    x, weights = model.input([1, 1, 9, 8]), model.weights(1, 1, 3, 2)
    y = model.node("Conv", x, weights, auto_pad="SAME_UPPER", dilations=[2, 3], strides=[2, 1])
    (node,) = load_onnx(model.output(y).save(tmp_path)).nodes
    assert node.attributes["padding"] == (2, 1, 2, 2)


def test_digits(digits_onnx):
    if not digits_onnx.exists():
        pytest.skip("the example is not there")
    assert ops(compare(digits_onnx))
