"""What the TFLite reader refuses, and how it says so."""

from collections.abc import Callable

import numpy as np
import pytest
from tflite_graphs import Graph
from tflite_writer import activation, padding

from weft.compiler.tflite_reader import check_tflite, read_tflite
from weft.errors import Problem, UnsupportedError

CASES: list[tuple[Callable[[Graph], tuple[list[int], list[int]]], str, str, str]] = []


def refused(op: str, reason: str, remedy: str):
    """Register a graph that has this one problem."""

    def register(make):
        CASES.append((make, op, reason, remedy))
        return make

    return register


def problems(model: bytes, folder, rounding="double") -> list[Problem]:
    path = folder / "model.tflite"
    path.write_bytes(model)
    return check_tflite(path, rounding)[1]


def conv(g: Graph, x: int, **changes):
    """A 3 x 3 convolution of 4 channels to 5, with changed tensors or options."""
    weights = changes.pop("weights", None)
    if weights is None:
        data = np.ones(changes.pop("shape", (5, 3, 3, 4)), np.int8)
        weights = g.tensor(data.shape, 0.1, data=data)
    bias = changes.pop("bias", None)
    if bias is None:
        bias = g.constant(np.zeros(5), scale=0.01)
    y = changes.pop("y", None)
    if y is None:
        y = g.codes((1, 6, 6, 5))
    options = {"strideH": 1, "strideW": 1, "padding": padding("SAME"), **changes}
    g.operator("CONV_2D", [x, weights, bias], [y], **options)
    return [x], [y]


def image(g: Graph) -> int:
    return g.codes((1, 6, 6, 4))


def simple(g: Graph, op: str, x: int, shape, *inputs: int, **options):
    """An operator whose output has its input's scale."""
    return [x], [g.move(op, x, shape, *inputs, **options)]


# Types and quantization -------------------------------------------------------------------


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


# Convolutions -----------------------------------------------------------------------------


@refused("CONV_2D", "its weights have a zero point other than 0",
         "quantise weights symmetrically")  # fmt: skip
def _(g):
    data = np.ones((5, 3, 3, 4), np.int8)
    return conv(g, image(g), weights=g.tensor(data.shape, 0.1, 3, data=data))


@refused("CONV_2D", "the network computes its weights", "make that a constant")
def _(g):
    x, weights, y = image(g), g.codes((1, 3, 3, 4)), g.codes((1, 6, 6, 1))
    conv(g, x, weights=weights, y=y)
    return [x, weights], [y]


@refused("CONV_2D", "its weights are uint8", "quantise the model to full INT8 when converting")
def _(g):
    data = np.ones((5, 3, 3, 4), np.uint8)
    return conv(g, image(g), weights=g.tensor(data.shape, 0.1, dtype="uint8", data=data))


@refused("CONV_2D", "its weights are int16", "convert with int8 weights")
def _(g):
    data = np.ones((5, 3, 3, 4), np.int16)
    return conv(g, image(g), weights=g.tensor(data.shape, 0.1, dtype="int16", data=data))


@refused("CONV_2D", "its weights are quantised along axis 3, not along the output channels",
         "quantise them per tensor or along axis 0")  # fmt: skip
def _(g):
    data = np.ones((5, 3, 3, 4), np.int8)
    return conv(g, image(g), weights=g.tensor(data.shape, [0.1] * 4, data=data, axis=3))


@refused("CONV_2D", "its weights of shape [5, 3, 3, 3] do not fit 4 channels",
         "convert the model again")  # fmt: skip
def _(g):
    return conv(g, image(g), shape=(5, 3, 3, 3))


@refused("CONV_2D", "its bias is int64", "quantise the bias to int32")
def _(g):
    return conv(g, image(g), bias=g.constant(np.zeros(5), "int64", scale=0.1))


@refused("CONV_2D", "its bias has shape [4] for 5 channels", "convert the model again")
def _(g):
    return conv(g, image(g), bias=g.constant(np.zeros(4), scale=0.1))


@refused("CONV_2D", "its fused activation TANH is not there in integers",
         "convert the model with it as an operator of its own")  # fmt: skip
def _(g):
    return conv(g, image(g), fusedActivationFunction=activation("TANH"))


@refused("CONV_2D", "its output is [1, 6, 6, 5], but the file says [1, 5, 6, 5]",
         "convert the model again")  # fmt: skip
def _(g):
    return conv(g, image(g), y=g.codes((1, 5, 6, 5)))


@refused("CONV_2D", "its window of 13 x 3 does not fit an image of 6 x 6",
         "use a smaller window or SAME padding")  # fmt: skip
def _(g):
    return conv(g, image(g), dilationHFactor=6, padding=padding("VALID"))


@refused("CONV_2D", "its stride_h and stride_w are 0 and 1", "make both at least 1")
def _(g):
    return conv(g, image(g), strideH=0)


@refused("CONV_2D", "its input has shape [1, 6, 24], not (1, height, width, channels)",
         "reshape to four dimensions before it")  # fmt: skip
def _(g):
    return conv(g, g.codes((1, 6, 24)))


@refused("CONV_2D", "its scales ask for a factor of 1e+10", "quantise the model again")
def _(g):
    return conv(g, g.tensor((1, 6, 6, 4), 1e5), y=g.tensor((1, 6, 6, 5), 1e-6))


@refused("CONV_2D", "its activation's limit 6 is beyond int32 at scale 1e-10",
         "quantise the model again")  # fmt: skip
def _(g):
    x, y = g.tensor((1, 6, 6, 4), 1e-9), g.tensor((1, 6, 6, 5), 1e-10)
    return conv(g, x, y=y, fusedActivationFunction=activation("RELU6"))


@refused("DEPTHWISE_CONV_2D", "its depth_multiplier is 3, but its weights have 8 outputs for 4 "
         "channels", "convert the model again")  # fmt: skip
def _(g):
    x = image(g)
    y = g.conv(x, 2, (3, 3), depthwise=True)
    g.graph.operators[-1].builtinOptions.depthMultiplier = 3
    return [x], [y]


@refused("FULLY_CONNECTED", "its weights are stored as SHUFFLED4x16INT8",
         "convert with weights in the default format")  # fmt: skip
def _(g):
    x = image(g)
    y = g.dense(x, 3)
    g.graph.operators[-1].builtinOptions.weightsFormat = 1
    return [x], [y]


@refused("FULLY_CONNECTED", "its weights of shape [3, 144] do not fit an input of 36 elements",
         "convert the model again")  # fmt: skip
def _(g):
    x, small = image(g), g.codes((1, 36))
    y = g.dense(x, 3)
    g.graph.operators[-1].inputs[0] = small
    return [small], [y]


@refused("FULLY_CONNECTED", "its bias has scale 9, not the product of its input's and weights'",
         "convert the model again")  # fmt: skip
def _(g):
    x = image(g)
    y = g.dense(x, 3)
    g.graph.operators[-1].inputs[2] = g.constant([1, 2, 3], scale=9)
    return [x], [y]


# Elementwise ------------------------------------------------------------------------------


def binary(g: Graph, op: str, one: int, two: int, shape):
    y = g.codes(shape)
    g.operator(op, [one, two], [y])
    return y


@refused("ADD", "its inputs of shapes [1, 6, 6, 4] and [1, 5, 6, 4] do not fit each other",
         "convert the model again")  # fmt: skip
def _(g):
    x, z = image(g), g.codes((1, 5, 6, 4))
    return [x, z], [binary(g, "ADD", x, z, (1, 6, 6, 4))]


@refused("MUL", "its input of shape [1, 6, 1, 4] would be repeated to [1, 6, 6, 4]",
         "broadcast over all of height and width, over channels, or from one element")  # fmt: skip
def _(g):
    x, z = image(g), g.codes((1, 6, 1, 4))
    return [x, z], [binary(g, "MUL", x, z, (1, 6, 6, 4))]


@refused("SUB", "both its inputs are constants", "fold them when converting")
def _(g):
    z = [g.constant([1, 2], "int8", scale=0.1) for _ in range(2)]
    return [image(g)], [binary(g, "SUB", *z, (2,))]


@refused("ADD", "its output's scale 1e-09 is too fine for its inputs' 0.1 and 0.1",
         "quantise the model again")  # fmt: skip
def _(g):
    x, y = g.tensor((1, 8), 0.1), g.tensor((1, 8), 1e-9)
    g.operator("ADD", [x, x], [y])
    return [x], [y]


@refused("RELU6", "TFLite Micro's RELU6 does not rescale, and here its output has another scale",
         "use --rounding litert, whose RELU6 does")  # fmt: skip
def _(g):
    x = g.tensor((1, 8), 0.1)
    y = g.tensor((1, 8), 0.05)
    g.operator("RELU6", [x], [y])
    return [x], [y]


@refused("HARD_SWISH", "its output's scale 0.0001 is too fine for its input's 0.1",
         "quantise the model again")  # fmt: skip
def _(g):
    x, y = g.tensor((1, 8), 0.1), g.tensor((1, 8), 0.0001)
    g.operator("HARD_SWISH", [x], [y])
    return [x], [y]


@refused("LOGISTIC", "its output has scale 0.01 and zero point -128; TFLite fixes them at 1/256 "
         "and -128", "quantise the model again")  # fmt: skip
def _(g):
    x, y = g.tensor((1, 8), 0.1), g.tensor((1, 8), 0.01, -128)
    g.operator("LOGISTIC", [x], [y])
    return [x], [y]


@refused("TANH", "its input's scale 1e-09 is too fine", "quantise the model again")
def _(g):
    x = g.tensor((1, 8), 1e-9)
    return [x], [g.unary("TANH", x)]


@refused("SOFTMAX", "its output has scale 0.0078125 and zero point 0; TFLite fixes them at 1/256 "
         "and -128", "quantise the model again")  # fmt: skip
def _(g):
    x, y = g.tensor((1, 8), 0.1), g.tensor((1, 8), 1 / 128)
    g.operator("SOFTMAX", [x], [y], beta=1.0)
    return [x], [y]


@refused("SOFTMAX", "beta 1 times its input's scale 1e-09 is too small", "quantise the model again")
def _(g):
    x = g.tensor((1, 8), 1e-9)
    return [x], [g.unary("SOFTMAX", x, beta=1.0)]


# Moves ------------------------------------------------------------------------------------

ANOTHER_SCALE = (
    "it moves codes, but its output has another scale or zero point than its input",
    "quantise both alike, or put QUANTIZE between",
)


@refused("RESHAPE", *ANOTHER_SCALE)
def _(g):
    x, y = image(g), g.codes((1, 144))
    g.operator("RESHAPE", [x], [y], newShape=[1, 144])
    return [x], [y]


@refused("MAX_POOL_2D", *ANOTHER_SCALE)
def _(g):
    x = image(g)
    y = g.pool(x, 2)
    g.graph.tensors[y].quantization.zeroPoint = [1 + g.scale(x)[1] % 100]
    return [x], [y]


@refused("PAD", *ANOTHER_SCALE)
def _(g):
    x = image(g)
    y = g.pad(x, 1, 1, 1, 1)
    g.graph.tensors[y].quantization.scale = [0.7]
    return [x], [y]


@refused("PADV2", "its padding value is not one code of its output's scale and zero point",
         "quantise both alike")  # fmt: skip
def _(g):
    amounts = g.constant(np.zeros((4, 2)))
    return simple(g, "PADV2", image(g), (1, 6, 6, 4), amounts, g.constant([0], "int8", scale=9))


@refused("PAD", "it pads the batch", "keep the batch at 1")
def _(g):
    return simple(g, "PAD", image(g), (2, 6, 6, 4), g.constant([[1, 0], [0, 0], [0, 0], [0, 0]]))


@refused("PAD", "its paddings [0, 0] do not fit rank 4", "correct the paddings")
def _(g):
    return simple(g, "PAD", image(g), (1, 6, 6, 4), g.constant([[0, 0]]))


@refused("RESHAPE", "its shape [1, 100] does not hold its input's 144 elements",
         "correct the shape")  # fmt: skip
def _(g):
    return simple(g, "RESHAPE", image(g), (1, 100), g.constant([1, 100]))


@refused("SQUEEZE", "its dimensions [1] are not all 1 in shape [1, 6, 6, 4]",
         "correct squeeze_dims")  # fmt: skip
def _(g):
    return simple(g, "SQUEEZE", image(g), (6, 6, 4), squeezeDims=[1])


@refused("EXPAND_DIMS", "its axis [9] does not fit rank 4", "correct the axis")
def _(g):
    return simple(g, "EXPAND_DIMS", image(g), (1, 6, 6, 4, 1), g.constant(9))


@refused("TRANSPOSE", "[0, 1, 1, 3] is no permutation of 4 axes", "correct the permutation")
def _(g):
    return simple(g, "TRANSPOSE", image(g), (1, 6, 6, 4), g.constant([0, 1, 1, 3]))


@refused("CONCATENATION", "its fused activation is RELU", "put the activation before or behind it")
def _(g):
    x = image(g)
    y = g.concatenate([x, x], 3)
    g.graph.operators[-1].builtinOptions.fusedActivationFunction = activation("RELU")
    return [x], [y]


@refused("CONCATENATION", "its axis 0 is the batch", "keep the batch at 1 as axis 0")
def _(g):
    x = image(g)
    return [x], [g.concatenate([x, x], 0)]


@refused("CONCATENATION", "its inputs of shapes [[1, 6, 6, 4], [1, 5, 6, 4]] do not fit each other",
         "convert the model again")  # fmt: skip
def _(g):
    x, z = image(g), g.codes((1, 5, 6, 4))
    return [x, z], [g.concatenate([x, z], 3)]


@refused("MEAN", "it averages over the channels", "average over height and width only")
def _(g):
    return simple(g, "MEAN", image(g), (1, 6, 6), g.constant([3]))


@refused("MEAN", "its axis 0 is the batch", "keep the batch at 1 as axis 0")
def _(g):
    return simple(g, "MEAN", image(g), (6, 6, 4), g.constant([0]))


@refused("SLICE", "its begin [0, 5, 0, 0] and size [1, 2, 6, 4] leave shape [1, 6, 6, 4]",
         "correct them")  # fmt: skip
def _(g):
    inputs = g.constant([0, 5, 0, 0]), g.constant([1, 2, 6, 4])
    return simple(g, "SLICE", image(g), (1, 2, 6, 4), *inputs)


def strided(g: Graph, shape, begin, end, steps, **masks):
    return simple(g, "STRIDED_SLICE", image(g), shape, *map(g.constant, (begin, end, steps)),
                  **masks)  # fmt: skip


@refused("STRIDED_SLICE", "its stride -1 is not positive", "use positive strides")
def _(g):
    return strided(g, (1, 6, 6, 4), [0, 5], [1, 0], [1, -1])


@refused("STRIDED_SLICE", "its ends are offsets from its beginnings", "convert with plain ends")
def _(g):
    return strided(g, (1, 3, 6, 4), [0, 1], [1, 3], [1, 1], offset=True)


@refused("STRIDED_SLICE", "it takes element 9 of 6", "correct its begin")
def _(g):
    return strided(g, (1, 6, 4), [0, 9], [1, 10], [1, 1], shrinkAxisMask=2)


@refused("STRIDED_SLICE", "it has more than one ellipsis", "convert the model again")
def _(g):
    return strided(g, (1, 6, 6, 4), [0, 0], [1, 6], [1, 1], ellipsisMask=3)


@refused("SPLIT", "it splits 4 elements into 3 for 3 outputs", "convert the model again")
def _(g):
    x = image(g)
    parts = [g.tensor((1, 6, 6, 1), *g.scale(x)) for _ in range(3)]
    g.operator("SPLIT", [g.constant(3), x], parts, numSplits=3)
    return [x], parts


@refused("SPLIT_V", "its sizes [1, 4] do not make up 4", "convert the model again")
def _(g):
    x = image(g)
    parts = [g.tensor((1, 6, 6, n), *g.scale(x)) for n in (1, 3)]
    g.operator("SPLIT_V", [x, g.constant([1, 4]), g.constant(3)], parts, numSplits=2)
    return [x], parts


@refused("PACK", "it packs tensors that the network computes",
         "use RESHAPE and CONCATENATION instead")  # fmt: skip
def _(g):
    x = image(g)
    y = g.tensor((2, 1, 6, 6, 4), *g.scale(x))
    g.operator("PACK", [x, x], [y], valuesCount=2)
    return [x], [y]


#: The functions have no names, and their addresses differ from process to process.
NAMES = [f"{number}-{op}: {reason[:50]}" for number, (_, op, reason, _) in enumerate(CASES)]


@pytest.mark.parametrize(("make", "op", "reason", "remedy"), CASES, ids=NAMES)
def test_it_is_refused(make, op, reason, remedy, tmp_path):
    g = Graph(0)
    inputs, outputs = make(g)
    found = problems(g.finish(inputs, outputs), tmp_path)
    assert [(p.op, p.reason, p.remedy) for p in found] == [(op, reason, remedy)]


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
