"""What the TFLite reader refuses of sums, products and functions of single codes."""

from tflite_graphs import Graph
from tflite_refused import Refused, found, image

refused = Refused()


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


@refused.parametrize()
def test_it_is_refused(make, op, reason, remedy, tmp_path):
    assert found(make, tmp_path) == [(op, reason, remedy)]
