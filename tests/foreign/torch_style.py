"""Small networks in the form that PyTorch's exporters write: channels first, names as paths."""

import numpy as np
from onnx_models import Model


def conv(model, x, out, kernel, *, inputs, groups=1, name=None, **attributes):
    """A convolution with a bias; `kernel` has one number per spatial axis."""
    fan_in = inputs // groups * int(np.prod(kernel))
    weights = model.weights(out, inputs // groups, *kernel, scale=fan_in**-0.5)
    bias = model.weights(out, scale=0.2)
    return model.node(
        "Conv", x, weights, bias, name=name, group=groups, kernel_shape=list(kernel), **attributes
    )


def batch_norm(model, x, channels):
    """Statistics as after some training."""
    positive = model.random.uniform(0.5, 1.5, (2, channels)).astype(np.float32)
    shifts = model.weights(2, channels, scale=0.3)
    return model.node("BatchNormalization", x, positive[0], shifts[0], shifts[1], positive[1])


def linear(model, x, inputs, outputs):
    """A dense layer as torch.nn.Linear has it."""
    weights = model.weights(outputs, inputs, scale=inputs**-0.5)
    return model.node("Gemm", x, weights, model.weights(outputs, scale=0.2), transB=1)


def relu6(model, x):
    """What both exporters make of torch.nn.ReLU6."""
    return model.node("Clip", x, np.float32(0), np.float32(6))


def odd_channels():
    """3 to 5 to 17 to 1 channels; kernels 5 x 3, 1 x 1 and 1 x 5."""
    model = Model(opset=13)
    x = model.input(["batch", 3, 11, 13], "image")
    x = conv(model, x, 5, (5, 3), inputs=3, strides=[2, 1], pads=[1, 0, 1, 0], name="/0/Conv")
    x = relu6(model, conv(model, model.node("Relu", x), 17, (1, 1), inputs=5))
    return model.output(model.node("Tanh", conv(model, x, 1, (1, 5), inputs=17, pads=[0, 2, 0, 2])))


def asymmetric():
    """F.pad by constants, then padding="same" with a dilation, which ONNX Runtime refuses."""
    model = Model(opset=14)
    x = model.input([1, 1, 9, 10])
    x = model.node("Pad", x, np.array([0, 0, 0, 1, 0, 0, 3, 2]), np.float32(0))
    x = model.node("Relu", conv(model, x, 5, (3, 3), inputs=1, strides=[2, 2]))
    return model.output(
        conv(model, x, 3, (3, 3), inputs=5, auto_pad="SAME_UPPER", dilations=[2, 2])
    )


def groups():
    """Groups, a depthwise multiplier of 3, and three different tables."""
    model = Model(opset=15)
    x = model.input(["batch", 6, 9, 8])
    x = conv(model, x, 9, (3, 3), inputs=6, groups=3, pads=[1] * 4)
    x = conv(model, model.node("LeakyRelu", x, alpha=0.1), 27, (3, 3), inputs=9, groups=9,
             strides=[2, 2])  # fmt: skip
    x = model.node("HardSwish", x)
    return model.output(
        model.node("Sigmoid", conv(model, x, 27, (1, 3), inputs=27, groups=27, pads=[0, 1, 0, 1]))
    )


def resnet():
    """Two residual blocks, the second with a projection; softmax at the end."""
    model = Model(opset=16)
    x = model.input(["N", 3, 12, 12], "input.1")

    def block(x, inputs, out, stride):
        y = conv(model, x, out, (3, 3), inputs=inputs, strides=[stride] * 2, pads=[1] * 4)
        y = model.node("Relu", batch_norm(model, y, out))
        y = batch_norm(model, conv(model, y, out, (3, 3), inputs=out, pads=[1] * 4), out)
        if inputs != out:
            x = conv(model, x, out, (1, 1), inputs=inputs, strides=[stride] * 2)
            x = batch_norm(model, x, out)
        return model.node("Relu", model.node("Add", x, y))

    x = model.node("Relu", batch_norm(model, conv(model, x, 5, (3, 3), inputs=3), 5))
    x = block(block(x, 5, 5, 1), 5, 9, 2)
    x = model.node("Flatten", model.node("GlobalAveragePool", x), axis=1)
    return model.output(model.node("Softmax", linear(model, x, 9, 10), axis=1))


def mobilenet():
    """Inverted residuals with ReLU6, one of them with a shortcut."""
    model = Model(opset=17)
    x = model.input(["N", 3, 14, 14])

    def block(x, inputs, out, stride):
        wide = 3 * inputs
        y = relu6(model, batch_norm(model, conv(model, x, wide, (1, 1), inputs=inputs), wide))
        y = conv(model, y, wide, (3, 3), inputs=wide, groups=wide, strides=[stride] * 2,
                 pads=[1] * 4)  # fmt: skip
        y = relu6(model, batch_norm(model, y, wide))
        y = batch_norm(model, conv(model, y, out, (1, 1), inputs=wide), out)
        return model.node("Add", x, y) if (stride, inputs) == (1, out) else y

    x = relu6(model, batch_norm(model, conv(model, x, 5, (3, 3), inputs=3, strides=[2, 2]), 5))
    x = block(block(x, 5, 5, 1), 5, 7, 2)
    x = model.node("ReduceMean", x, axes=[2, 3], keepdims=0)
    return model.output(linear(model, model.node("Dropout", x), 7, 3))


def ds_cnn():
    """Depthwise separable layers on an oblong image, an average pool over all of it."""
    model = Model(opset=18)
    x = model.input([1, 1, 25, 10])
    x = conv(model, x, 6, (10, 4), inputs=1, strides=[2, 2], pads=[4, 1, 5, 1])
    for _ in range(2):
        x = model.node("Relu", conv(model, x, 6, (3, 3), inputs=6, groups=6, pads=[1] * 4))
        x = model.node("Relu", conv(model, x, 6, (1, 1), inputs=6))
    x = model.node("AveragePool", x, kernel_shape=[13, 5], strides=[13, 5])
    x = model.node("Reshape", x, np.array([-1, 6]))
    return model.output(model.node("Softmax", linear(model, x, 6, 4), axis=-1))


def conv1d():
    """One spatial axis; an average pool that does not count its padding."""
    model = Model(opset=19)
    x = model.input(["N", 3, 40])
    x = conv(model, x, 17, (5,), inputs=3, strides=[2], pads=[2, 2])
    x = model.node("MaxPool", model.node("Relu", x), kernel_shape=[2], strides=[2])
    x = model.node("Relu", conv(model, x, 5, (3,), inputs=17, dilations=[2]))
    x = model.node("AveragePool", x, kernel_shape=[3], pads=[1, 1], count_include_pad=0)
    return model.output(linear(model, model.node("Flatten", x), 30, 4))


def pools():
    """Padding that counts and padding that does not, joined with a maximum."""
    model = Model(opset=20)
    x = model.input(["N", 5, 11, 10])
    window = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}
    parts = [model.node("AveragePool", x, count_include_pad=k, **window) for k in (0, 1)]
    return model.output(model.node("Concat", *parts, model.node("MaxPool", x, **window), axis=1))


def two_of_each():
    """Two inputs, and a sum and a difference of the same layers as outputs."""
    model = Model(opset=21)
    a, b = model.input(["N", 3, 6, 6], "image"), model.input(["N", 1, 6, 6], "depth")
    a, b = conv(model, a, 5, (3, 3), inputs=3, pads=[1] * 4), conv(model, b, 5, (1, 1), inputs=1)
    b = model.node("Mul", b, np.float32(6.5))
    return model.output(model.node("Add", a, b), model.node("Relu", model.node("Sub", a, b)))


def slices():
    """Channel and border slices of odd sizes, split by halves and joined again."""
    model = Model(opset=13)
    x = model.input(["N", 5, 9, 8])

    def cut(x, start, end):
        return model.node("Slice", x, np.array(start), np.array(end), np.array([1, 2, 3]))

    x = model.node("Add", conv(model, cut(x, [1, 2, 0], [4, 9, 7]), 5, (3, 3), inputs=3),
                   conv(model, cut(x, [0, 1, 1], [3, 8, 8]), 5, (3, 3), inputs=3))  # fmt: skip
    first, second = (cut(x, [i, 0, 0], [j, 9, 9]) for i, j in ((0, 2), (2, 5)))
    return model.output(model.node("Concat", model.node("Relu", second), first, axis=1))


def permuted():
    """x.permute(0, 2, 3, 1).reshape(n, -1) in front of a dense layer, inputs normalised."""
    model = Model(opset=22)
    x = model.input(["N", 3, 6, 5])
    mean, deviation = (np.array(v, np.float32).reshape(1, 3, 1, 1)
                       for v in ((0.4, 0.5, 0.3), (0.2, 0.25, 0.3)))  # fmt: skip
    x = model.node("Div", model.node("Sub", x, mean), deviation)
    x = model.node("Relu", conv(model, x, 5, (3, 3), inputs=3))
    x = model.node("Transpose", x, perm=[0, 2, 3, 1])
    return model.output(linear(model, model.node("Reshape", x, np.array([0, -1])), 60, 4))


MODELS = (
    odd_channels, asymmetric, groups, resnet, mobilenet, ds_cnn, conv1d, pools, two_of_each,
    slices, permuted,
)  # fmt: skip
