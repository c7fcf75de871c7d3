"""Small networks in the form that tf2onnx writes: channels last outside, transposes within."""

import numpy as np
from onnx_models import Model

FIRST, LAST = [0, 3, 1, 2], [0, 2, 3, 1]


def cnn():
    """SAME with stride 2, so more padding below; a flatten in channels-last order."""
    model = Model(opset=13)
    x = model.node("Transpose", model.input(["unk__1", 12, 10, 3], "input_1:0"), perm=FIRST)
    x = model.node("Conv", x, model.weights(5, 3, 3, 3, scale=0.2), model.weights(5),
                   name="StatefulPartitionedCall/model/conv2d/Conv2D", strides=[2, 2],
                   pads=[0, 0, 1, 1])  # fmt: skip
    x = model.node("MaxPool", model.node("Relu", x), kernel_shape=[2, 2], strides=[2, 2],
                   auto_pad="VALID")  # fmt: skip
    x = model.node("Reshape", model.node("Transpose", x, perm=LAST), np.array([-1, 30]))
    x = model.node("MatMul", x, model.weights(30, 7, scale=0.2))
    return model.output(model.node("Softmax", model.node("Add", x, model.weights(7)), axis=-1))


def depthwise():
    """auto_pad, a depthwise multiplier of 2, a folded norm, and ReLU6 as a Min of a Relu."""
    model = Model(opset=15)
    x = model.node("Transpose", model.input([None, 13, 11, 3]), perm=FIRST)
    same = {"auto_pad": "SAME_UPPER", "strides": [2, 2], "kernel_shape": [3, 3]}
    x = model.node("Conv", x, model.weights(5, 3, 3, 3, scale=0.2), **same)
    x = model.node("Clip", x, np.float32(0), np.float32(6))
    x = model.node("Conv", x, model.weights(10, 1, 3, 3, scale=0.4), group=5, **same)
    x = model.node("Mul", x, 1 + model.weights(1, 10, 1, 1, scale=0.2))
    x = model.node("Add", x, model.weights(1, 10, 1, 1))
    x = model.node("Min", model.node("Relu", x), np.float32(6))
    x = model.node("ReduceMean", model.node("Transpose", x, perm=LAST), axes=[1, 2], keepdims=0)
    return model.output(model.node("Gemm", x, model.weights(3, 10), model.weights(3), transB=1))


def residual():
    """Pads, sums of different scales, concat and slice, all in channels-last order."""
    model = Model(opset=16)
    x = model.input(["N", 8, 9, 1])
    x = model.node("Pad", x, np.array([0, 1, 1, 0, 0, 2, 1, 0]), np.float32(0))
    x = model.node("Transpose", x, perm=FIRST)
    x = model.node("Conv", x, model.weights(3, 1, 3, 3, scale=0.4), model.weights(3),
                   strides=[2, 2])  # fmt: skip
    x = model.node("Relu", model.node("Transpose", x, perm=LAST))
    y = model.node("Transpose", x, perm=FIRST)
    y = model.node("Conv", y, model.weights(3, 3, 1, 5, scale=0.3), pads=[0, 2, 0, 2])
    y = model.node("Mul", model.node("Transpose", y, perm=LAST), np.float32(7.5))
    x = model.node("Concat", model.node("Add", y, x), x, axis=3)
    one, five, three = (np.array([i]) for i in (1, 5, 3))
    return model.output(model.node("Slice", x, one, five, three))


def conv1d():
    """Conv1D as an image of one row between Unsqueeze and Squeeze."""
    model = Model(opset=17)
    x = model.node("Unsqueeze", model.input(["N", 17, 3]), np.array([1]))
    x = model.node("Transpose", x, perm=FIRST)
    x = model.node("Conv", x, model.weights(5, 3, 1, 4, scale=0.3), pads=[0, 1, 0, 2])
    x = model.node("Add", model.node("Squeeze", x, np.array([2])), model.weights(1, 5, 1))
    x = model.node("Transpose", model.node("Relu", x), perm=[0, 2, 1])
    x = model.node("ReduceMean", x, axes=[1], keepdims=0)
    return model.output(model.node("MatMul", x, model.weights(5, 2)))


def inner_output():
    """A layer that is an output and goes on to two pools."""
    model = Model(opset=20)
    x = model.node("Conv", model.input(["N", 3, 7, 6]), model.weights(5, 3, 5, 3, scale=0.2),
                   pads=[2, 1, 2, 1])  # fmt: skip
    x = model.node("Relu", x)
    mean = model.node("Flatten", model.node("GlobalAveragePool", x))
    return model.output(mean, x, model.node("GlobalMaxPool", x))


MODELS = (cnn, depthwise, residual, conv1d, inner_output)
