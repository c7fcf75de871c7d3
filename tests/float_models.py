"""Random float ONNX models from many operators, for tests of quantization."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from weft.compiler.network import Network, Node, Port, Scaling

UNARY = ("LeakyRelu", "Sigmoid", "Tanh", "HardSigmoid", "HardSwish")


class FloatModel:
    """A float ONNX model that grows node by node; the last value's shape is known."""

    def __init__(self, rng: np.random.Generator, shape: tuple[int, ...], name: str = "x"):
        self.rng = rng
        self.inputs = {name: shape}
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, array: np.ndarray) -> str:
        name = f"k{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def weights(self, *shape: int, spread: float = 1.0) -> str:
        fan = max(1, int(np.prod(shape[1:])))
        values = self.rng.normal(0, spread / np.sqrt(fan), shape)
        return self.constant(values.astype(np.float32))

    def node(self, op: str, inputs: list[str], output: str = "", **attributes) -> str:
        output = output or f"t{len(self.nodes)}"
        name = f"{op.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [output], name, **attributes))
        return output

    def save(self, path: Path, outputs: dict[str, tuple[int, ...]]) -> Path:
        graph = helper.make_graph(
            self.nodes,
            "model",
            [_info(name, shape) for name, shape in self.inputs.items()],
            [_info(name, shape) for name, shape in outputs.items()],
            self.constants,
        )
        opset = [helper.make_opsetid("", 17)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=8)
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, path)
        return path


def random_model(seed: int, path: Path) -> dict[str, np.ndarray]:
    """Save a model of a few blocks, dense layers and perhaps a softmax; its inputs, 24 samples."""
    rng = np.random.default_rng(seed)
    channels, height, width = (int(n) for n in rng.integers((1, 5, 5), (6, 11, 11)))
    model = FloatModel(rng, (channels, height, width))
    value, shape = "x", (channels, height, width)
    blocks = rng.permutation(len(BLOCKS))[: int(rng.integers(2, 5))]
    for index in blocks:
        value, shape = BLOCKS[index](model, value, shape)
    value = model.node("Flatten", [value])
    features = int(np.prod(shape))
    value = model.node("Gemm", [value, model.weights(7, features), model.weights(7)], transB=1)
    if rng.random() < 0.3:
        value = model.node("Relu", [value])
    if rng.random() < 0.5:
        value = model.node("Softmax", [value], axis=-1)
    model.save(path, {value: (7,)})
    samples = rng.normal(0, rng.uniform(0.3, 3), (24, channels, height, width))
    return {"x": samples.astype(np.float32)}


def same_network(one, two) -> str:
    """Empty where two integer graphs are equal in everything, else what differs first."""
    if one.tensors != two.tensors:
        return f"tensors {one.tensors} and {two.tensors}"
    for key in ("nodes", "inputs", "outputs"):
        first, second = getattr(one, key), getattr(two, key)
        if len(first) != len(second):
            return f"{len(first)} and {len(second)} {key}"
        for a, b in zip(first, second, strict=True):
            if not _equal(a, b):
                return f"{a} and {b}"
    return ""


def alone(network, node):
    """A network of one node, whose ports are NCHW."""

    def port(name):
        height, width, channels = shape = network.tensors[name].shape
        order = np.arange(height * width * channels).reshape(shape).transpose(2, 0, 1)
        return Port(name, name, (channels, height, width), "float32", order.reshape(-1))

    names = dict.fromkeys(node.inputs)
    tensors = {name: network.tensors[name] for name in (*names, node.output)}
    return Network("part", tensors, [node], [port(name) for name in names], [port(node.output)])


def _equal(one, two) -> bool:
    if type(one) is not type(two):
        return False
    if isinstance(one, np.ndarray):
        return one.dtype == two.dtype and np.array_equal(one, two)
    if isinstance(one, tuple):
        return len(one) == len(two) and all(map(_equal, one, two))
    if isinstance(one, Node | Port | Scaling):
        return all(_equal(value, vars(two)[key]) for key, value in vars(one).items())
    return one == two


def _info(name: str, shape: tuple[int, ...]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", *shape])


# Blocks: (model, value, (C, H, W)) -> (value, (C, H, W)) --------------------------------


def _conv(model, value, shape):
    channels, height, width = shape
    rng, out = model.rng, int(model.rng.integers(1, 8))
    kernel = [int(n) for n in rng.integers(1, 4, 2)]
    stride = [int(n) for n in rng.integers(1, 3, 2)]
    pads = [int(n) for n in rng.integers(0, 2, 4)]
    sizes = [
        (side + pads[i] + pads[i + 2] - kernel[i]) // stride[i] + 1
        for i, side in enumerate((height, width))
    ]
    if min(sizes) < 3:
        return value, shape
    weights = [model.weights(out, channels, *kernel), model.weights(out)]
    value = model.node("Conv", [value, *weights], kernel_shape=kernel, strides=stride, pads=pads)
    return model.node("Relu", [value]), (out, *sizes)


def _residual(model, value, shape):
    channels = shape[0]
    weights = [model.weights(channels, 1, 3, 3, spread=0.5)]
    branch = model.node("Conv", [value, *weights], group=channels, pads=[1, 1, 1, 1])
    total = model.node(str(model.rng.choice(["Add", "Sub"])), [value, branch])
    low, high = model.constant(np.float32(-0.5)), model.constant(np.float32(1.5))
    return model.node("Clip", [total, low, high]), shape


def _pools(model, value, shape):
    channels, height, width = shape
    one = model.node("MaxPool", [value], kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    two = model.node(
        "AveragePool",
        [value],
        kernel_shape=[3, 2],
        pads=[1, 0, 1, 1],
        count_include_pad=int(model.rng.integers(2)),
    )
    return model.node("Concat", [one, two], axis=1), (2 * channels, height, width)


def _unary(model, value, shape):
    return model.node(str(model.rng.choice(UNARY)), [value]), shape


def _moves(model, value, shape):
    channels, height, width = shape
    pads = model.constant(np.array([0, 0, 1, 0, 0, 1, 0, 2], np.int64))
    value = model.node("Pad", [value, pads, model.constant(np.float32(0.75))])
    cuts = [model.constant(np.array(c, np.int64)) for c in ([1, 0], [99, 99], [2, 3], [1, 2])]
    value = model.node("Slice", [value, *cuts])
    return value, (channels + 1, height, (width + 3) // 2)


def _shuffle(model, value, shape):
    channels, height, width = shape
    split = model.constant(np.array([0, channels, height * width], np.int64))
    joined = model.constant(np.array([0, channels, width, height], np.int64))
    value = model.node("Reshape", [value, split])
    return model.node("Reshape", [value, joined]), (channels, width, height)


def _padded_conv(model, value, shape):
    channels, height, width = shape
    pads = model.constant(np.array([0, 0, 1, 0, 0, 0, 0, 2], np.int64))
    value = model.node("Pad", [value, pads])
    value = model.node("Conv", [value, model.weights(3, channels, 2, 3)])
    return model.node("MaxPool", [value], kernel_shape=[1, 1]), (3, height, width)


BLOCKS = (_conv, _conv, _residual, _pools, _unary, _moves, _shuffle, _padded_conv)
