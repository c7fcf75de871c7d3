"""What the reader of float TFLite models refuses, and how it says so."""

import numpy as np
import pytest
from tflite_floats import Floats
from tflite_refused import Refused
from tflite_writer import activation, padding

from weft.compiler.tflite_float import load_tflite_float
from weft.errors import Problem, UnsupportedError

refused = Refused()


def found(w, inputs, outputs, folder) -> tuple[Problem, ...]:
    path = folder / "model.tflite"
    path.write_bytes(w.finish(inputs, outputs))
    with pytest.raises(UnsupportedError) as raised:
        load_tflite_float(path)
    return raised.value.problems


@refused("CUMSUM", "the operator is not implemented in a float model",
         "replace it by operators that are, or end the model before it")  # fmt: skip
def _(w):
    x = w.real(1, 4)
    return [x], [w.made("CUMSUM", [x, w.constant(1)], 1, 4)]


@refused("MUL", "it multiplies two computed tensors",
         "multiply by constants only (or use HARD_SWISH)")  # fmt: skip
def _(w):
    x = w.real(1, 4)
    return [x], [w.made("MUL", [x, x], 1, 4)]


@refused("ADD", "it broadcasts between shapes [1, 3, 4] and [1, 1, 4]",
         "give both tensors the same shape")  # fmt: skip
def _(w):
    x, y = w.real(1, 3, 4), w.real(1, 1, 4)
    return [x, y], [w.made("ADD", [x, y], 1, 3, 4)]


@refused("ADD", "its constant varies over height or width",
         "use a constant that is a scalar or has one value per channel")  # fmt: skip
def _(w):
    x = w.real(1, 2, 3)
    return [x], [w.made("ADD", [x, w.values([[1.0], [2.0]])], 1, 2, 3)]


@refused(
    "MUL",
    "its constant of shape [2, 3] does not broadcast to the tensor's shape [1, 1, 3]",
    "use a constant that is a scalar or has one value per channel",
)
def _(w):
    x = w.real(1, 1, 3)
    return [x], [w.made("MUL", [x, w.values(np.ones((2, 3)))], 1, 2, 3)]


@refused("MUL", "its constant holds a number that is NaN, infinite or beyond float32",
         "convert the model again")  # fmt: skip
def _(w):
    x = w.real(1, 3)
    return [x], [w.made("MUL", [x, w.values(np.nan)], 1, 3)]


@refused("SOFTMAX", "its beta is 2", "multiply by a constant before it instead")
def _(w):
    x = w.real(1, 3)
    return [x], [w.made("SOFTMAX", [x], 1, 3, beta=2.0)]


@refused("CONV_2D", "its fused activation SIGN_BIT is not implemented",
         "convert the model without it")  # fmt: skip
def _(w):
    x = w.real(1, 4, 4, 1)
    weights = w.values(np.ones((2, 1, 1, 1)))
    function = activation("SIGN_BIT")
    return [x], [w.conv(x, weights, (1, 4, 4, 2), fusedActivationFunction=function)]


@refused("CONV_2D", "it takes uint8 for its weights",
         "convert it to float32, or with int8 or float16 weights")  # fmt: skip
def _(w):
    x = w.real(1, 4, 4, 1)
    weights = w.constant(np.ones((2, 1, 1, 1)), "uint8", scale=0.5)
    return [x], [w.conv(x, weights, (1, 4, 4, 2))]


@refused("CONV_2D", "it takes int8 without a scale for its weights", "convert the model again")
def _(w):
    x = w.real(1, 4, 4, 1)
    return [x], [w.conv(x, w.constant(np.ones((2, 1, 1, 1)), "int8"), (1, 4, 4, 2))]


@refused("CONV_2D", "the network computes its weights", "make that a constant")
def _(w):
    x, weights = w.real(1, 4, 4, 1), w.real(1, 1, 1, 1)
    return [x, weights], [w.conv(x, weights, (1, 4, 4, 1))]


@refused("CONV_2D", "its weights of shape [2, 1, 1, 3] do not fit 4 channels",
         "convert the model again")  # fmt: skip
def _(w):
    x = w.real(1, 4, 4, 4)
    return [x], [w.conv(x, w.values(np.ones((2, 1, 1, 3))), (1, 4, 4, 2))]


@refused("CONV_2D", "its output is [1, 4, 4, 2], but the file says [1, 4, 4, 3]",
         "convert the model again")  # fmt: skip
def _(w):
    x, y = w.real(1, 4, 4, 1), w.real(1, 4, 4, 3)
    inputs = [x, w.values(np.ones((2, 1, 1, 1))), w.values([0, 0])]
    w.operator("CONV_2D", inputs, [y], padding=padding("SAME"), strideH=1, strideW=1)
    return [x], [y]


@refused("FULLY_CONNECTED", "its bias has shape [3] for 2 channels", "convert the model again")
def _(w):
    x = w.real(1, 4)
    inputs = [x, w.values(np.ones((2, 4))), w.values(np.ones(3))]
    return [x], [w.made("FULLY_CONNECTED", inputs, 1, 2)]


@refused("MEAN", "it averages over the channels", "average over height and width only")
def _(w):
    x = w.real(1, 3, 4, 2)
    return [x], [w.made("MEAN", [x, w.constant([3])], 1, 3, 4)]


@refused("PADV2", "its padding value has shape [2]", "pad with a single number")
def _(w):
    x = w.real(1, 4)
    pads = w.constant([[0, 0], [1, 1]])
    return [x], [w.made("PADV2", [x, pads, w.values([1.0, 2.0])], 1, 6)]


@refused("CONCATENATION", "its fused activation is RELU",
         "put the activation before or behind it")  # fmt: skip
def _(w):
    x = w.real(1, 4)
    function = activation("RELU")
    y = w.made("CONCATENATION", [x, x], 1, 8, axis=1, fusedActivationFunction=function)
    return [x], [y]


@refused("input", "tensor 'tensor0' is uint8", "convert the model with float32 activations")
def _(w):
    x = w.tensor((1, 4), 0.5, dtype="uint8")
    return [x], [w.made("TANH", [x], 1, 4)]


@refused("TANH", "tensor 'tensor1' is int8 without a scale",
         "quantise it to full INT8 when converting")  # fmt: skip
def _(w):
    x, y = w.real(1, 4), w.tensor((1, 4))
    w.operator("TANH", [x], [y])
    return [x], [w.made("RESHAPE", [y], 1, 4)]


@refused("QUANTIZE", "tensor 'tensor1' is int16", "convert the model with float32 activations")
def _(w):
    x, y = w.real(1, 4), w.tensor((1, 4), 0.5, dtype="int16")
    w.operator("QUANTIZE", [x], [y])
    return [x], [w.made("DEQUANTIZE", [y], 1, 4)]


@refused("input", "shape [2, 3, 3, 4] is more than one image of height, width and channels",
         "keep the batch at 1 and tensors at four dimensions")  # fmt: skip
def _(w):
    x = w.real(2, 3, 3, 4)
    return [x], [w.made("TANH", [x], 2, 3, 3, 4)]


@refused("output", "the network does not compute it", "remove it from the outputs")
def _(w):
    x = w.real(1, 4)
    return [x], [w.made("TANH", [x], 1, 4), w.values([1.0])]


@refused.parametrize()
def test_it_is_refused(make, op, reason, remedy, tmp_path):
    w = Floats()
    inputs, outputs = make(w)
    (problem,) = found(w, inputs, outputs, tmp_path)
    assert (problem.op, problem.reason, problem.remedy) == (op, reason, remedy)


def test_all_problems_are_named_at_once(tmp_path):
    w = Floats()
    x = w.real(1, 4, name="x")
    y = w.made("SOFTMAX", [x], 1, 4, beta=2.0)
    z = w.made("MUL", [y, y], 1, 4)
    last = w.made("CUMSUM", [z, w.constant(1)], 1, 4)
    assert [(p.node, p.op) for p in found(w, [x], [last], tmp_path)] == [
        (f"tensor{y}", "SOFTMAX"), (f"tensor{z}", "MUL"), (f"tensor{last}", "CUMSUM"),
    ]  # fmt: skip
