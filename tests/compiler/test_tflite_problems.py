"""What the TFLite reader refuses of any operator, and that it says everything at once."""

import pytest
from tflite_graphs import Graph
from tflite_refused import Refused, found, image, problems, simple
from tflite_writer import activation

from weft.compiler.tflite_reader import read_tflite
from weft.errors import UnsupportedError

refused = Refused()


@refused("input", "it is uint8", "convert with inference_input_type=tf.int8")
def _(g):
    x = g.tensor((1, 8), 0.1, 3, dtype="uint8")
    y = g.codes((1, 8))
    g.operator("QUANTIZE", [x], [y])
    return [x], [y]


@refused("input", "shape [2, 6, 6, 4] is more than one image of height, width and channels",
         "keep the batch at 1 and tensors at four dimensions")  # fmt: skip
def _(g):
    return [x := g.codes((2, 6, 6, 4))], [g.unary("TANH", x)]


@refused(
    "input", "tensor 'tensor0' is int16", "convert with int8 activations (TFLITE_BUILTINS_INT8)"
)
def _(g):
    x = g.tensor((1, 8), 0.1, dtype="int16")
    return simple(g, "RESHAPE", x, (1, 8), newShape=[1, 8])


@refused("input", "tensor 'tensor0' is int8 without a scale",
         "quantise it to full INT8 when converting")  # fmt: skip
def _(g):
    x, y = g.tensor((1, 8)), g.codes((1, 8))
    g.operator("RELU", [x], [y])
    return [x], [y]


@refused("output", "the network does not compute it", "remove it from the outputs")
def _(g):
    x = image(g)
    y = g.unary("TANH", x)
    return [x], [y, g.constant([1])]


@refused("RELU", "its input is float32", "quantise it to full INT8 when converting")
def _(g):
    x, y = g.tensor((1, 8), dtype="float32"), g.tensor((1, 8), dtype="float32")
    g.operator("RELU", [x], [y])
    return [x], [y]


@refused("TANH", "its input is float32", "quantise it to full INT8 when converting")
def _(g):
    x = image(g)
    return [x], [g.unary("TANH", g.dequantize(x))]


@refused("QUANTIZE", "it quantises what DEQUANTIZE made within the network",
         "rescale from int8 to int8")  # fmt: skip
def _(g):
    x = image(g)
    return [x], [g.quantize(g.dequantize(x))]


@refused("QUANTIZE", "the input 'tensor0' is quantised a second time, differently",
         "quantise the input once")  # fmt: skip
def _(g):
    x = g.tensor((1, 8), dtype="float32")
    return [x], [g.quantize(x, 0.1), g.quantize(x, 0.2)]


@refused("FLOOR", "the operator is not implemented",
         "replace it by operators that are, or end the model before it")  # fmt: skip
def _(g):
    x = image(g)
    y = g.codes((1, 6, 6, 4))
    g.operator("FLOOR", [x], [y])
    return [x], [y]


@refused.parametrize()
def test_it_is_refused(make, op, reason, remedy, tmp_path):
    assert found(make, tmp_path) == [(op, reason, remedy)]


def test_every_problem_at_once(tmp_path):
    g = Graph(1)
    x = image(g)
    one = g.conv(x, 4)
    g.graph.operators[-1].builtinOptions.fusedActivationFunction = activation("SIGN_BIT")
    two = g.unary("TANH", one)
    y = g.codes((1, 6, 6, 4))
    g.operator("MAXIMUM", [two, x], [y])
    z = g.conv(y, 2)
    g.graph.operators[-1].builtinOptions.strideW = -1
    path = tmp_path / "model.tflite"
    path.write_bytes(g.finish([x], [z]))
    with pytest.raises(UnsupportedError) as error:
        read_tflite(path)
    assert [(p.node, p.op) for p in error.value.problems] == [
        (f"tensor{one}", "CONV_2D"), (f"tensor{y}", "MAXIMUM"), (f"tensor{z}", "CONV_2D"),
    ]  # fmt: skip
    assert str(error.value).startswith(f"{path} cannot run as it is (3 problems):")


def test_relu6_at_one_scale_is_read_with_every_rounding(tmp_path):
    g = Graph(0)
    x = g.tensor((1, 8), 0.1)
    model = g.finish([x], [g.move("RELU6", x, (1, 8))])
    for rounding in ("double", "single", "litert"):
        assert problems(model, tmp_path, rounding) == []


def test_names_that_are_not_unique_get_their_numbers(tmp_path):
    g = Graph(0)
    x = g.tensor((1, 8), 0.1, name="same")
    y = g.tensor((1, 8), 0.1, name="same")
    z = g.tensor((1, 8), 0.1, name="")
    g.operator("RELU", [x], [y])
    g.operator("RELU", [y], [z])
    path = tmp_path / "model.tflite"
    path.write_bytes(g.finish([x], [z]))
    net = read_tflite(path)
    assert [port.name for port in net.activations] == ["same/0", "same/1", "tensor_2"]
    assert [node.name for node in net.nodes] == ["same/1", "tensor_2"]
