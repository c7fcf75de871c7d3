"""`.tflite` models of several operators, as published networks have them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from tflite_writer import ModelWriter, activation, padding

Pair = tuple[int, int]


class Graph(ModelWriter):
    """A writer of whole layers; weights and scales come from a seed."""

    def __init__(self, seed: int):
        super().__init__()
        self.rng = np.random.default_rng(seed)

    def shape(self, x: int) -> tuple[int, ...]:
        return tuple(self.graph.tensors[x].shape)

    def scale(self, x: int) -> tuple[float, int]:
        quantization = self.graph.tensors[x].quantization
        return quantization.scale[0], quantization.zeroPoint[0]

    def codes(self, shape: Sequence[int], scale: float | None = None) -> int:
        """An activation with some quantization."""
        size = scale or float(np.float32(2 ** self.rng.uniform(-6, -3)))
        return self.tensor(tuple(shape), size, int(self.rng.integers(-128, 128)))

    def move(self, op: str, x: int, shape: Sequence[int], *inputs: int, **options: object) -> int:
        """An operator whose output has its input's scale."""
        y = self.tensor(tuple(shape), *self.scale(x))
        self.operator(op, [x, *inputs], [y], **options)
        return y

    def conv(
        self, x: int, outputs: int, kernel: Pair = (1, 1), stride: int = 1, *,
        act: str = "RELU6", same: bool = True, depthwise: bool = False,
    ) -> int:  # fmt: skip
        """CONV_2D, or DEPTHWISE_CONV_2D with `outputs` for each channel."""
        _, height, width, channels = self.shape(x)
        op, axis, shape = "CONV_2D", 0, (outputs, *kernel, channels)
        options = {}
        if depthwise:
            op, axis, options = "DEPTHWISE_CONV_2D", 3, {"depthMultiplier": outputs}
            outputs *= channels
            shape = (1, *kernel, outputs)
        taps = math.prod(shape) // outputs
        weights = self.rng.integers(-127, 128, shape).astype(np.int8)
        scales = (2 ** self.rng.uniform(-8, -6, outputs)).astype(np.float32)
        bias = self.rng.normal(0, 3000 * math.sqrt(taps), outputs).astype(np.int32)
        size = [
            -(-n // stride) if same else (n - k) // stride + 1
            for n, k in zip((height, width), kernel, strict=True)
        ]
        step = self.scale(x)[0] * float(np.median(scales)) * 4400 * math.sqrt(taps) / 50
        y = self.codes((1, *size, outputs), step)
        self.operator(
            op,
            [x, self.tensor(shape, scales, data=weights, axis=axis),
             self.constant(bias, scale=scales * np.float32(self.scale(x)[0]))],
            [y], padding=padding("SAME" if same else "VALID"), strideH=stride, strideW=stride,
            fusedActivationFunction=activation(act), **options,
        )  # fmt: skip
        return y

    def depthwise(self, x: int, stride: int = 1, kernel: Pair = (3, 3), multiplier: int = 1) -> int:
        return self.conv(x, multiplier, kernel, stride, depthwise=True)

    def add(self, one: int, two: int) -> int:
        y = self.codes(self.shape(one), 1.5 * max(self.scale(one)[0], self.scale(two)[0]))
        self.operator("ADD", [one, two], [y])
        return y

    def dense(self, x: int, units: int) -> int:
        features = math.prod(self.shape(x)[1:])
        weights = self.rng.integers(-127, 128, (units, features)).astype(np.int8)
        scale = np.float32(1 / 300)
        bias = self.rng.integers(-9000, 9000, units)
        step = self.scale(x)[0] * float(scale) * 4400 * math.sqrt(features) / 50
        y = self.codes((1, units), step)
        product = scale * np.float32(self.scale(x)[0])
        self.operator(
            "FULLY_CONNECTED",
            [x, self.tensor(weights.shape, scale, data=weights),
             self.constant(bias, scale=product)],
            [y],
        )  # fmt: skip
        return y

    def unary(self, op: str, x: int, **options: object) -> int:
        fixed = {"LOGISTIC": (1 / 256, -128), "SOFTMAX": (1 / 256, -128), "TANH": (1 / 128, 0)}
        shape = self.shape(x)
        y = self.tensor(shape, *fixed[op]) if op in fixed else self.codes(shape)
        self.operator(op, [x], [y], **options)
        return y

    def quantize(self, x: int, scale: float = 1 / 32) -> int:
        y = self.codes(self.shape(x), scale)
        self.operator("QUANTIZE", [x], [y])
        return y

    def dequantize(self, x: int) -> int:
        y = self.tensor(self.shape(x), dtype="float32")
        self.operator("DEQUANTIZE", [x], [y])
        return y

    def pool(self, x: int, kernel: int, op: str = "MAX_POOL_2D") -> int:
        _, height, width, channels = self.shape(x)
        return self.move(
            op, x, (1, height // kernel, width // kernel, channels), padding=padding("VALID"),
            strideH=kernel, strideW=kernel, filterHeight=kernel, filterWidth=kernel,
        )  # fmt: skip

    def crop(self, x: int, rows: Pair, columns: Pair) -> int:
        channels = self.shape(x)[3]
        begin, end = (0, rows[0], columns[0], 0), (0, rows[1], columns[1], 0)
        return self.move(
            "STRIDED_SLICE", x, (1, rows[1] - rows[0], columns[1] - columns[0], channels),
            *(self.constant(list(v)) for v in (begin, end, (1, 1, 1, 1))),
            beginMask=0b1001, endMask=0b1001,
        )  # fmt: skip

    def pad(self, x: int, top: int, left: int, bottom: int, right: int) -> int:
        _, height, width, channels = self.shape(x)
        amounts = self.constant([[0, 0], [top, bottom], [left, right], [0, 0]])
        return self.move("PAD", x, (1, height + top + bottom, width + left + right, channels),
                         amounts)  # fmt: skip

    def concatenate(self, parts: Sequence[int], axis: int) -> int:
        shape = list(self.shape(parts[0]))
        shape[axis] = sum(self.shape(part)[axis] for part in parts)
        y = self.tensor(tuple(shape), *self.scale(parts[0]))
        self.operator("CONCATENATION", list(parts), [y], axis=axis)
        return y


def mobilenet(seed: int) -> bytes:
    """Inverted residual blocks, float in and out."""
    g = Graph(seed)
    image = g.tensor((1, 16, 12, 3), dtype="float32")
    x = g.conv(g.quantize(image), 8, (3, 3), 2)
    for outputs, stride in ((8, 1), (12, 2), (12, 1)):
        block = g.conv(g.depthwise(g.conv(x, 24), stride), outputs, act="NONE")
        x = g.add(x, block) if stride == 1 else block
    x = g.conv(x, 32)
    y = g.codes((1, 32), g.scale(x)[0] * 0.6)
    g.operator("MEAN", [x, g.constant([1, 2])], [y])
    return g.finish([image], [g.dequantize(g.unary("SOFTMAX", g.dense(y, 10), beta=1.0))])


def keywords(seed: int) -> bytes:
    """1 x k and k x 1 kernels on a spectrogram that comes as one row; depth multiplier 8."""
    g = Graph(seed)
    row = g.codes((1, 25 * 10))
    x = g.move("RESHAPE", row, (1, 25, 10, 1), g.constant([-1, 25, 10, 1]))
    x = g.depthwise(x, 2, (10, 4), multiplier=8)
    x = g.conv(g.conv(x, 8, (1, 3)), 12, (5, 1), same=False)
    x = g.pool(x, 2)
    _, height, width, channels = g.shape(x)
    x = g.move("RESHAPE", x, (1, height * width * channels), newShape=[1, -1])
    return g.finish([row], [g.unary("LOGISTIC", g.dense(x, 2))])


def tiles(seed: int) -> bytes:
    """An image cut into overlapping tiles, each convolved, put together again."""
    g = Graph(seed)
    image = g.codes((1, 24, 32, 1))
    first: list[int] = []  # the weights, bias and output of the first tile
    bands = []
    for top in (0, 12):
        parts = []
        for left in (0, 16):
            rows = max(0, top - 1), min(24, top + 13)
            columns = max(0, left - 1), min(32, left + 17)
            tile = g.crop(image, rows, columns)
            tile = g.pad(tile, int(top == 0), int(left == 0), int(top == 12), int(left == 16))
            parts.append(g.conv(tile, 6, (3, 3), same=False))
            layer = g.graph.operators[-1]
            first = first or [*layer.inputs[1:], parts[0]]
            layer.inputs[1:] = first[:2]  # the same layer for every tile
            g.graph.tensors[parts[-1]].quantization = g.graph.tensors[first[2]].quantization
        bands.append(g.concatenate(parts, 2))
    x = g.pool(g.concatenate(bands, 1), 4)
    x = g.conv(x, 1, (1, 1), act="NONE")
    return g.finish([image], [g.unary("LOGISTIC", x)])


def branches(seed: int) -> bytes:
    """Two inputs, several outputs, halves of channels that go separate ways."""
    g = Graph(seed)
    one, two = g.codes((1, 6, 5, 8)), g.codes((1, 1, 1, 8))
    scaled = g.codes((1, 6, 5, 8), g.scale(one)[0])
    g.operator("MUL", [one, two], [scaled])
    halves = [g.tensor((1, 6, 5, 4), *g.scale(scaled)) for _ in range(2)]
    g.operator("SPLIT", [g.constant(3), scaled], halves, numSplits=2)
    left = g.unary("HARD_SWISH", g.conv(halves[0], 4, (3, 3), act="NONE"))
    right = g.unary("LEAKY_RELU", halves[1], alpha=0.1)
    same = [g.tensor((1, 6, 5, 4), 0.05, 3) for _ in range(2)]
    for part, quantized in zip((left, right), same, strict=True):
        g.operator("QUANTIZE", [part], [quantized])
    joined = g.concatenate(same, 3)
    turned = g.move("TRANSPOSE", joined, (1, 5, 8, 6), g.constant([0, 2, 3, 1]))
    difference = g.codes((1, 6, 5, 8))
    g.operator("SUB", [joined, g.constant(g.rng.integers(-128, 128, (8,)), "int8", scale=0.04)],
               [difference])  # fmt: skip
    return g.finish([one, two], [turned, difference, g.dense(turned, 7)])


def shapes(seed: int) -> bytes:
    """Reshapes on their way: rows, transposes, and a shape that the model computes."""
    g = Graph(seed)
    x = g.codes((1, 4, 3, 6))
    dims = g.tensor((4,), dtype="int32")
    g.operator("SHAPE", [x], [dims], outType=schema.TensorType.INT32)
    first = g.tensor((), dtype="int32")
    g.operator("STRIDED_SLICE", [dims, *(g.constant([v]) for v in (0, 1, 1))], [first],
               shrinkAxisMask=1)  # fmt: skip
    target = g.tensor((3,), dtype="int32")
    rest = [g.constant(12), g.constant(6)]
    g.operator("PACK", [first, *rest], [target], valuesCount=3)
    rows = g.move("RESHAPE", x, (1, 12, 6), target)
    rows = g.unary("TANH", rows)
    turned = g.move("TRANSPOSE", rows, (1, 6, 12), g.constant([0, 2, 1]))
    turned = g.move("EXPAND_DIMS", turned, (1, 1, 6, 12), g.constant(1))
    image = g.move("RESHAPE", turned, (1, 6, 6, 2), g.constant([1, 6, 6, 2]))
    y = g.conv(image, 4, (3, 3), 2)
    y = g.move("SQUEEZE", g.move("RESHAPE", y, (1, 1, 36), newShape=[1, 1, 36]), (1, 36),
               squeezeDims=[1])  # fmt: skip
    other = g.codes((1, 36))
    z = g.add(y, other)
    z = g.add(z, z)
    return g.finish([x, other], [z, turned])


def floats(seed: int) -> bytes:
    """Reshapes before QUANTIZE and behind DEQUANTIZE."""
    g = Graph(seed)
    row = g.tensor((1, 60), dtype="float32")
    image = g.tensor((1, 5, 4, 3), dtype="float32")
    g.operator("RESHAPE", [row, g.constant([1, 5, 4, 3])], [image])
    y = g.dequantize(g.conv(g.quantize(image), 4, (3, 3)))
    flat = g.tensor((1, 80), dtype="float32")
    g.operator("RESHAPE", [y, g.constant([1, -1])], [flat])
    return g.finish([row], [flat, y])


GRAPHS: dict[str, Callable[[int], bytes]] = {
    "mobilenet": mobilenet,
    "keywords": keywords,
    "tiles": tiles,
    "branches": branches,
    "shapes": shapes,
    "floats": floats,
}
