"""A float graph, computed as plainly as possible, one sample at a time."""

import itertools

import numpy as np
from onnx_models import random_inputs, run_onnxruntime

from weft.compiler.onnx_reader import load_onnx


def compare(path, tolerance=1e-4):
    """Read a model, compare all outputs with ONNX Runtime's on one sample, return the graph."""
    inputs = random_inputs(path)
    expected = run_onnxruntime(path, inputs)
    graph = load_onnx(path)
    actual = evaluate(graph, inputs)
    assert actual.keys() == expected.keys()
    for name, value in expected.items():
        assert actual[name].shape == value.shape
        np.testing.assert_allclose(actual[name], value, rtol=tolerance, atol=tolerance)
    return graph


def ops(graph):
    return [node.op for node in graph.nodes]


def evaluate(graph, inputs):
    """Outputs by name in the file's shape, from one sample of each input in the file's shape."""
    memory = {}
    for name in graph.inputs:
        tensor = graph.tensors[name]
        flat = np.empty(np.prod(tensor.shape))
        flat[positions(tensor)] = np.asarray(inputs[name], np.float64).ravel()
        memory[name] = flat.reshape(tensor.shape)
    for node in graph.nodes:
        shape = graph.tensors[node.output].shape
        if node.op == "Permute":
            result = memory[node.inputs[0]].ravel()[node.attributes["order"]].reshape(shape)
        else:
            result = OPS[node.op](node, *(memory[name] for name in node.inputs))
        assert result.shape == shape, node
        memory[node.output] = result
    outputs = {}
    for name in graph.outputs:
        tensor = graph.tensors[name]
        flat = memory[tensor.memory or name].ravel()
        outputs[name] = flat[positions(tensor)].reshape(tensor.file_shape)
    return outputs


def positions(tensor):
    return np.arange(np.prod(tensor.shape)) if tensor.order is None else tensor.order


def windows(x, kernel, stride, dilation, padding):
    """(position, values (kh, kw, C)) of every window; NaN stands for padding."""
    top, left, bottom, right = padding
    padded = np.pad(x, ((top, bottom), (left, right), (0, 0)), constant_values=np.nan)
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    counts = [(n - r) // s + 1 for n, r, s in zip(padded.shape, reach, stride, strict=False)]
    for y, z in itertools.product(*map(range, counts)):
        corner = y * stride[0], z * stride[1]
        rows = slice(corner[0], corner[0] + reach[0], dilation[0])
        columns = slice(corner[1], corner[1] + reach[1], dilation[1])
        yield (y, z), padded[rows, columns]


def collect(results):
    results = dict(results)
    height, width = (1 + max(axis) for axis in zip(*results, strict=True))
    return np.array([[results[y, x] for x in range(width)] for y in range(height)])


def conv2d(node, x):
    a, weights = node.attributes, node.constants["weights"]
    outputs, kh, kw, taken = weights.shape
    groups = a["groups"]
    grouped = weights.reshape(groups, outputs // groups, kh, kw, taken)

    def one(values):
        parts = np.nan_to_num(values).reshape(kh, kw, groups, taken)
        return np.einsum("yxgi,goyxi->go", parts, grouped).ravel() + node.constants["bias"]

    found = windows(x, (kh, kw), a["stride"], a["dilation"], a["padding"])
    return collect((place, one(values)) for place, values in found)


def fully_connected(node, x):
    return (node.constants["weights"] @ x.ravel() + node.constants["bias"]).reshape(1, 1, -1)


def max_pool(node, x):
    a = node.attributes
    found = windows(x, a["kernel"], a["stride"], a["dilation"], a["padding"])
    return collect((place, np.nanmax(values, axis=(0, 1))) for place, values in found)


def average_pool(node, x):
    a = node.attributes
    found = windows(x, a["kernel"], a["stride"], (1, 1), a["padding"])
    if a["count_include_pad"]:
        return collect((place, np.nan_to_num(v).mean(axis=(0, 1))) for place, v in found)
    return collect((place, np.nanmean(v, axis=(0, 1))) for place, v in found)


def clamp(node, x):
    low, high = node.attributes["low"], node.attributes["high"]
    return np.clip(x, -np.inf if low is None else low, np.inf if high is None else high)


def unary(node, x):
    a = node.attributes
    return {
        "LeakyRelu": lambda: np.where(x < 0, a["alpha"] * x, x),
        "Sigmoid": lambda: 1 / (1 + np.exp(-x)),
        "Tanh": lambda: np.tanh(x),
        "HardSigmoid": lambda: np.clip(a["alpha"] * x + a["beta"], 0, 1),
        "HardSwish": lambda: x * np.clip(x / 6 + 0.5, 0, 1),
    }[a["function"]]()


def add(node, a, b):
    signs = node.attributes["signs"]
    assert a.shape == b.shape
    return signs[0] * a + signs[1] * b


def pad(node, x):
    return np.pad(x, node.attributes["pads"], constant_values=node.attributes["value"])


def concat(node, *parts):
    return np.concatenate(parts, axis=node.attributes["axis"])


def slice_(node, x):
    a = node.attributes
    return x[tuple(map(slice, a["start"], a["stop"], a["step"]))]


def softmax(_node, x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


OPS = {
    "Conv2D": conv2d,
    "FullyConnected": fully_connected,
    "Clamp": clamp,
    "Unary": unary,
    "MaxPool": max_pool,
    "AveragePool": average_pool,
    "Add": add,
    "Pad": pad,
    "Concat": concat,
    "Slice": slice_,
    "Softmax": softmax,
}
