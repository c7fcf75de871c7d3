"""Windows that would take all the memory are refused, and those of real models are not."""

from dataclasses import replace

import numpy as np
import pytest
from tflite_floats import Floats
from tflite_graphs import Graph
from tflite_writer import padding

from weft.compiler.lower import Lowering
from weft.compiler.network import AveragePool, Conv2D, MaxPool, Mean, Network, Requantize, Tensor
from weft.compiler.tflite_float import load_tflite_float
from weft.compiler.tflite_reader import check_tflite
from weft.errors import UnsupportedError
from weft.hw.config import MULTIPLIER_BITS, Config

HALVES = Requantize(np.array([1], np.int32))
CONFIG = Config(rows=4, columns=4, multiplier_bits=MULTIPLIER_BITS)
POOLS = pytest.mark.parametrize("cls", [MaxPool, AveragePool])

TAPS = "looks at 131,328 places, of 131,072 at most"
SMALLER = "use a smaller window, or two one after another"
LESS = "use less padding, which a smaller window or dilation needs"
PADDED = "is padded to 8193 x 8193, 67,125,249 elements of 67,108,864 at most"


def problems(node, source, target):
    """What lowering a single node between tensors of these shapes complains of."""
    network = Network("net", nodes=[node])
    for name, shape in (("a", source), ("b", target)):
        network.tensors[name] = Tensor(name, shape, 1.0)
    return [str(problem) for problem in Lowering(network, CONFIG).problems]


# Lowering, whatever file a network is from -------------------------------------------------


@POOLS
def test_pool_of_too_many_taps(cls):
    node = cls("p", ("a",), "b", (512, 256), padding=(511, 255, 0, 0))
    assert problems(node, (1, 1, 1), (1, 1, 1)) == []
    node = replace(node, kernel=(513, 256), padding=(512, 255, 0, 0))
    expected = f"{cls.__name__} 'p': its window of 513 x 256 {TAPS}; {SMALLER}"
    assert problems(node, (1, 1, 1), (1, 1, 1)) == [expected]


@POOLS
def test_pool_of_too_many_channels(cls):
    node = cls("p", ("a",), "b", (256, 256), padding=(255, 255, 0, 0))
    assert problems(node, (1, 1, 257), (1, 1, 257)) == [
        f"{cls.__name__} 'p': its window of 256 x 256 over 257 channels has 16,842,752 elements, "
        f"of 16,777,216 at most; {SMALLER}"
    ]


def test_mean_of_too_many_elements():
    node = Mean("m", ("a",), "b", axes=(0, 1), requantize=HALVES)
    expected = f"Mean 'm': its window of 513 x 256 {TAPS}; {SMALLER}"
    assert problems(node, (513, 256, 1), (1, 1, 1)) == [expected]
    assert problems(replace(node, axes=(0,)), (513, 256, 1), (1, 256, 1)) == []


def test_averages_of_whole_images_are_taken():
    pool = AveragePool("p", ("a",), "b", (224, 224))
    assert problems(pool, (224, 224, 3), (1, 1, 3)) == []
    mean = Mean("m", ("a",), "b", axes=(0, 1), requantize=HALVES)
    assert problems(mean, (224, 224, 3), (1, 1, 3)) == []


@POOLS
def test_too_much_padding(cls):
    node = cls("p", ("a",), "b", (4, 4), padding=(4095, 4095, 4094, 4094))
    expected = f"{cls.__name__} 'p': its image of 4 x 4 x 1 {PADDED}; {LESS}"
    assert problems(node, (4, 4, 1), (2, 2, 1)) == [expected]


def test_dilated_convolution_with_too_much_padding():
    node = Conv2D(
        "c", ("a",), "b", np.ones((6, 3, 2, 4), np.int8), np.zeros(6, np.int32), HALVES,
        dilation=(9000, 9000), padding=(9000, 4500, 9000, 4500),
    )  # fmt: skip
    assert problems(node, (3, 2, 4), (3, 2, 6)) == [
        "Conv2D 'c': its image of 3 x 2 x 4 is padded to 18003 x 9002, 648,252,024 elements "
        f"of 67,108,864 at most; {LESS}"
    ]


def test_groups_that_would_take_a_huge_kernel():
    weights, bias = np.ones((8192, 1, 1, 1), np.int8), np.zeros(8192, np.int32)
    node = Conv2D("c", ("a",), "b", weights, bias, HALVES, groups=4096)
    assert problems(node, (1, 1, 4096), (1, 1, 8192)) == [
        "Conv2D 'c': its 4,096 groups of several channels take a kernel of 33,554,432 weights and "
        "zeros, of 16,777,216 at most; split it into convolutions of fewer channels"
    ]


# TFLite files, INT8 and float --------------------------------------------------------------


def read(writer, x, y, folder):
    """(op, reason, remedy) of every problem of a model from x to y."""
    path = folder / "model.tflite"
    path.write_bytes(writer.finish([x], [y]))
    found = ()
    if isinstance(writer, Graph):
        found = check_tflite(path)[1]
    else:
        try:
            load_tflite_float(path)
        except UnsupportedError as error:
            found = error.problems
    return [(p.op, p.reason, p.remedy) for p in found]


@pytest.fixture(params=["int8", "float"])
def writer(request):
    return Graph(0) if request.param == "int8" else Floats()


def tensor(writer, *shape):
    return writer.codes(shape) if isinstance(writer, Graph) else writer.real(*shape)


def pool(writer, op, shape, kernel):
    """A pool with SAME padding, from and to one shape."""
    x = tensor(writer, *shape)
    y = writer.tensor(shape, *writer.scale(x)) if isinstance(writer, Graph) else writer.real(*shape)
    writer.operator(
        op, [x], [y], padding=padding("SAME"), strideH=1, strideW=1,
        filterHeight=kernel[0], filterWidth=kernel[1],
    )  # fmt: skip
    return x, y


@pytest.mark.parametrize("op", ["AVERAGE_POOL_2D", "MAX_POOL_2D"])
def test_tflite_pool_of_too_many_taps(op, writer, tmp_path):
    x, y = pool(writer, op, (1, 1, 1, 4), (513, 256))
    expected = (op, f"its window of 513 x 256 {TAPS}", SMALLER)
    assert read(writer, x, y, tmp_path) == [expected]


@pytest.mark.parametrize("op", ["AVERAGE_POOL_2D", "MAX_POOL_2D"])
def test_tflite_pool_of_too_many_channels(op, writer, tmp_path):
    x, y = pool(writer, op, (1, 1, 1, 257), (256, 256))
    reason = (
        "its window of 256 x 256 over 257 channels has 16,842,752 elements, of 16,777,216 at most"
    )
    assert read(writer, x, y, tmp_path) == [(op, reason, SMALLER)]


@pytest.mark.parametrize("op", ["AVERAGE_POOL_2D", "MAX_POOL_2D"])
def test_tflite_pool_with_too_much_padding(op, writer, tmp_path):
    x, y = pool(writer, op, (1, 32, 32, 2048), (256, 256))
    reason = (
        "its image of 32 x 32 x 2048 is padded to 287 x 287, 168,691,712 elements of 67,108,864 "
        "at most"
    )
    assert read(writer, x, y, tmp_path) == [(op, reason, LESS)]


def test_tflite_mean_of_too_many_elements(writer, tmp_path):
    x, y = tensor(writer, 1, 513, 256, 1), tensor(writer, 1, 1)
    writer.operator("MEAN", [x, writer.constant([1, 2])], [y])
    assert read(writer, x, y, tmp_path) == [("MEAN", f"its window of 513 x 256 {TAPS}", SMALLER)]


def convolution(writer, size, outputs, kernel, dilation):
    """CONV_2D with SAME padding on an image of size x size x 4."""
    x, y = tensor(writer, 1, size, size, 4), tensor(writer, 1, size, size, outputs)
    weights = np.ones((outputs, *kernel, 4), np.int8)
    if isinstance(writer, Graph):
        constants = [
            writer.tensor(weights.shape, 0.1, data=weights),
            writer.constant(np.zeros(outputs), scale=0.01),
        ]
    else:
        constants = [writer.values(weights.astype(np.float32)), -1]
    writer.operator(
        "CONV_2D", [x, *constants], [y], padding=padding("SAME"), strideH=1, strideW=1,
        dilationHFactor=dilation, dilationWFactor=dilation,
    )  # fmt: skip
    return x, y


def test_tflite_dilated_convolution_with_too_much_padding(writer, tmp_path):
    x, y = convolution(writer, 64, 4, (3, 3), 2047)
    reason = (
        "its image of 64 x 64 x 4 is padded to 4158 x 4158, 69,155,856 elements of 67,108,864 "
        "at most"
    )
    assert read(writer, x, y, tmp_path) == [("CONV_2D", reason, LESS)]


def test_tflite_windows_of_real_models_are_taken(writer, tmp_path):
    x, y = convolution(writer, 512, 64, (1, 1), 1)
    assert read(writer, x, y, tmp_path) == []
    whole = Graph(1) if isinstance(writer, Graph) else Floats()
    x, y = tensor(whole, 1, 224, 224, 32), tensor(whole, 1, 32)
    whole.operator("MEAN", [x, whole.constant([1, 2])], [y])
    assert read(whole, x, y, tmp_path) == []
