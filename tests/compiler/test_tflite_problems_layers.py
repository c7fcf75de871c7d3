"""What the TFLite reader refuses of convolutions, matrix products, pools and means."""

import numpy as np
from tflite_graphs import Graph
from tflite_refused import ANOTHER_SCALE, Refused, found, image, simple
from tflite_writer import activation, padding

refused = Refused()


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


@refused("MAX_POOL_2D", *ANOTHER_SCALE)
def _(g):
    x = image(g)
    y = g.pool(x, 2)
    g.graph.tensors[y].quantization.zeroPoint = [1 + g.scale(x)[1] % 100]
    return [x], [y]


@refused("MEAN", "it averages over the channels", "average over height and width only")
def _(g):
    return simple(g, "MEAN", image(g), (1, 6, 6), g.constant([3]))


@refused("MEAN", "its axis 0 is the batch", "keep the batch at 1 as axis 0")
def _(g):
    return simple(g, "MEAN", image(g), (6, 6, 4), g.constant([0]))


@refused.parametrize()
def test_it_is_refused(make, op, reason, remedy, tmp_path):
    assert found(make, tmp_path) == [(op, reason, remedy)]
