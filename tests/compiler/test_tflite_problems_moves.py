"""What the TFLite reader refuses of operators that move codes."""

import numpy as np
from tflite_graphs import Graph
from tflite_refused import ANOTHER_SCALE, Refused, found, image, simple
from tflite_writer import activation

refused = Refused()


@refused("RESHAPE", *ANOTHER_SCALE)
def _(g):
    x, y = image(g), g.codes((1, 144))
    g.operator("RESHAPE", [x], [y], newShape=[1, 144])
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


@refused.parametrize()
def test_it_is_refused(make, op, reason, remedy, tmp_path):
    assert found(make, tmp_path) == [(op, reason, remedy)]
