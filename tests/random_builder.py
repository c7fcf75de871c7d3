"""A random network that grows node by node: power-of-two scales, zero points 0 or -128."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.random import Generator

from weft.compiler import network as graph
from weft.compiler.network import Network, Port, Requantize, Tensor
from weft.sim import golden

CHANNELS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 16, 17, 20)
#: Tensors whose scales are further apart than this are not added or concatenated.
WIDEST_LEFT = 7


def output_side(size: int, kernel: int, stride: int, dilation: int, pads: tuple[int, ...]) -> int:
    return (size + sum(pads) - (kernel - 1) * dilation - 1) // stride + 1


class Builder:
    """A network that grows node by node, with the data of a few samples beside it."""

    def __init__(
        self,
        rng: Generator,
        *,
        size: int,
        operators: set[str],
        accumulator_bits: int,
        tables: int = 1,
        grow: bool = False,
        unsigned: float = 0.0,
        mixed: float = 0.0,
    ):
        self.rng = rng
        self.left = size
        self.operators = operators
        self.accumulator_limit = 2 ** (accumulator_bits - 1) - 1
        self.tables = tables
        self.grow = grow  # operators of several inputs make themselves more inputs
        self.unsigned = unsigned  # how often a zero point is -128
        self.mixed = mixed  # how often a layer only shifts, where others multiply
        self.network = Network("random")
        self.values: dict[str, np.ndarray] = {}
        self.constants: dict[str, np.ndarray] = {}  # as many samples of each
        self.made_tables: list[np.ndarray] = []
        self.unused: list[str] = []

    # Choices

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def pick(self, choices: Sequence[int]) -> int:
        return int(choices[int(self.rng.integers(len(choices)))])

    def upto(self, limit: int, start: int = 0) -> int:
        return int(self.rng.integers(start, limit + 1))

    def source(self) -> str:
        """Return a tensor to go on from, an unused one more likely than not."""
        names = self.unused if self.unused and self.chance(0.7) else list(self.values)
        return names[self.upto(len(names) - 1)]

    def exponent(self, name: str) -> int:
        return int(np.log2(self.network.tensors[name].scale))

    def shape(self, name: str) -> tuple[int, int, int]:
        return self.network.tensors[name].shape

    def quantization(self) -> dict[str, Any]:
        """Return a scale and a zero point."""
        scale = 2.0 ** self.upto(0, -7)
        return {"scale": scale, "zero_point": self.shift_zero_point()}

    def shift_zero_point(self) -> int:
        """Return what goes with a power of two."""
        return -128 if self.unsigned and self.chance(self.unsigned) else 0

    # Growth

    def add_input(self, shape: tuple[int, int, int]) -> str:
        name = f"in{len(self.network.inputs)}"
        self.network.tensors[name] = Tensor(name, shape, **self.quantization())
        self.network.inputs.append(Port(name, name, shape, "int8"))
        self.values[name] = self.rng.integers(-128, 128, (6, *shape), dtype=np.int8)
        self.unused.append(name)
        return name

    def draw(self, operator: str) -> str | None:
        """Add one node of an operator; None if none was found that fits."""
        for _ in range(10):
            name = self.methods()[operator]()
            if name is not None:
                return name
        return None

    def methods(self) -> dict[str, Callable[[], str | None]]:
        """How each operator is drawn; None from a try that leads nowhere."""
        return {
            "Conv2D": lambda: self.convolution("dense"),
            "GroupedConv2D": lambda: self.convolution("grouped"),
            "DepthwiseConv2D": lambda: self.convolution("depthwise"),
            "FullyConnected": self.fully_connected,
            "AveragePool": self.average_pool,
            "MaxPool": self.max_pool,
            "Add": self.add,
            "Table": self.table,
            "Pad": self.pad,
            "Concat": self.concat,
            "Slice": self.slice,
            "Permute": self.permute,
            "Softmax": self.softmax,
        }

    def emit(
        self, kind: str, inputs: Sequence[str], shape: Sequence[int], cost: int, **attributes: Any
    ) -> str | None:
        """Add a node unless it costs too much or tells too little about the engines.

        `scale` and `zero_point` among the attributes are the output's; by default the input's.
        """
        if cost > self.left or min(shape) < 1:
            return None
        source = self.network.tensors[inputs[0]]
        scale = attributes.pop("scale", source.scale)
        zero_point = attributes.pop("zero_point", source.zero_point)
        name = f"t{len(self.network.nodes)}"
        node = getattr(graph, kind)(name, tuple(inputs), name, **attributes)
        height, width, channels = (int(side) for side in shape)
        softmax = kind == "Softmax"
        self.network.tensors[name] = Tensor(name, (height, width, channels), scale, zero_point)
        value = golden.run_node(self.network, node, self.values | self.constants)
        saturated = np.mean((value == value.max()) | (value == value.min()))
        dull = value.max() == value.min() or (value.size > 32 and saturated > 0.8)
        if dull and not softmax and self.chance(0.95):
            del self.network.tensors[name]
            return None
        self.left -= cost
        self.network.nodes.append(node)
        self.unused = [other for other in self.unused if other not in inputs]
        if not softmax:  # nothing may follow a Softmax
            self.values[name] = value
        self.unused.append(name)
        return name

    def finish(self) -> Network:
        """Give the network its outputs: what nothing uses, and sometimes what something does."""
        network = self.network
        made = [node.output for node in network.nodes]
        used = {name for node in network.nodes for name in node.inputs}
        network.inputs = [port for port in network.inputs if port.tensor in used]
        network.constants = {n: x for n, x in network.constants.items() if n in used}
        kept = {port.tensor for port in network.inputs} | set(made) | set(network.constants)
        network.tensors = {name: t for name, t in network.tensors.items() if name in kept}
        for name in made:
            if name in self.unused or self.chance(0.05):
                network.outputs.append(Port(name, name, self.shape(name), "int8"))
        return network

    # Weighted operators

    def clamps(self, zero_point: int = 0) -> dict[str, Any]:
        """Bounds of a code; `zero_point` is the output's."""
        low, high = ((-128, 127), (-128, 127), (0, 127), (0, self.upto(120, 40)),
                     (-self.upto(128, 1), self.upto(127, 1)))[self.upto(4)]  # fmt: skip
        return {"low": low, "high": high}

    def weights(self, shape: tuple[int, ...]) -> np.ndarray:
        if self.chance(0.3):
            return self.rng.integers(-128, 128, shape, dtype=np.int8)
        spread = self.rng.uniform(2, 60)
        weights = np.clip(np.round(self.rng.normal(0, spread, shape)), -127, 127)
        if self.chance(0.2):
            weights.flat[self.upto(weights.size - 1)] = -128
        return weights.astype(np.int8)

    def weighted(
        self, kind: str, name: str, shape: Sequence[int], weights: np.ndarray, **attributes: Any
    ) -> str | None:
        """Add a Conv2D or FullyConnected: choose bias and shifts to suit its accumulators."""
        cost = int(np.prod(shape[:2])) * weights.size
        outputs = len(weights)
        source = self.network.tensors[name].zero_point
        farthest = max(127 - source, 128 + source)
        sums = np.abs(weights.astype(np.int64)).reshape(outputs, -1).sum(1)
        room = self.accumulator_limit - farthest * int(sums.max())
        if cost > self.left or min(shape) < 1 or room < 0:
            return None
        bits = self.upto(30, 16) if self.chance(0.1) else self.upto(11)
        reach = min(room, 1 << bits)
        bias = self.rng.integers(-reach, reach + 1, outputs).astype(np.int32)
        trial = getattr(graph, kind)(
            name, (name,), "", weights, bias, Requantize(np.zeros(outputs, np.int32)), **attributes
        )
        acc = golden.accumulate(trial, self.values[name], source).astype(np.float64)
        # A quarter to a half of full scale: some codes saturate, most do not.
        target = self.rng.uniform(25, 70)
        per_channel = self.chance(0.4)
        spread = np.sqrt(np.mean(acc**2, axis=(0, 1, 2) if per_channel else None))
        shift = np.ceil(np.log2(np.maximum(spread, 1) / target)).clip(0, 31).astype(np.int32)
        shift = np.broadcast_to(shift, outputs).copy()
        if per_channel and self.chance(0.3):
            shift[self.upto(outputs - 1)] = self.pick((0, 1, self.upto(31, 16), 31))
        elif self.chance(0.05):
            shift[:] = 0
        clamps, made = self.clamps(), self.quantization()
        rq = Requantize(shift, zero_point=made["zero_point"], **clamps)
        return self.emit(
            kind, (name,), shape, cost, weights=weights, bias=bias, requantize=rq,
            **made, **attributes,
        )  # fmt: skip

    def convolution(self, kind: str, name: str | None = None, keep: bool = False) -> str | None:
        """Add a convolution of `kind`; with `keep` its output has its input's shape."""
        name = name or self.source()
        height, width, channels = self.shape(name)
        outputs, groups = (channels if keep else self.pick(CHANNELS)), 1
        if kind == "depthwise":
            groups = channels
            outputs = channels * (1 if keep or self.chance(0.6) else self.upto(3, 2))
        elif kind == "grouped":
            divisors = [g for g in range(2, channels + 1) if channels % g == 0] or [1]
            groups = self.pick(divisors)
            outputs = channels if keep else groups * self.upto(4, 1)
        kernel = self.kernel(height, width)
        stride, dilation = (1, 1), (1, 1)
        if not keep and self.chance(0.4):
            stride = (self.upto(3, 1), self.upto(3, 1))
        if self.chance(0.25):
            dilation = (self.upto(3, 1), self.upto(3, 1))
        reach = [(k - 1) * d for k, d in zip(kernel, dilation, strict=True)]
        if keep:
            top, left = self.upto(reach[0]), self.upto(reach[1])
            padding = (top, left, reach[0] - top, reach[1] - left)
        else:
            padding = self.padding(reach)
        shape = (
            output_side(height, kernel[0], stride[0], dilation[0], padding[0::2]),
            output_side(width, kernel[1], stride[1], dilation[1], padding[1::2]),
            outputs,
        )
        return self.weighted(
            "Conv2D", name, shape, self.weights((outputs, *kernel, channels // groups)),
            stride=stride, dilation=dilation, padding=padding, groups=groups,
        )  # fmt: skip

    def kernel(self, height: int, width: int) -> tuple[int, int]:
        kh, kw = self.upto(5, 1), self.upto(5, 1)
        if self.chance(0.3):
            kh = kw = self.pick((1, 3))
        if self.chance(0.2):
            kh, kw = self.pick((1, kh)), self.pick((1, kw))
        # Larger than the image only sometimes: then padding does the rest.
        return (kh, kw) if self.chance(0.2) else (min(kh, height), min(kw, width))

    def padding(self, reach: Sequence[int]) -> tuple[int, int, int, int]:
        if self.chance(0.35):
            return (0, 0, 0, 0)
        return (self.upto(reach[0]), self.upto(reach[1]), self.upto(reach[0]), self.upto(reach[1]))

    def fully_connected(self, name: str | None = None) -> str | None:
        name = name or self.source()
        outputs = self.pick((*CHANNELS, 33, 64))
        features = self.network.tensors[name].size
        return self.weighted(
            "FullyConnected", name, (1, 1, outputs), self.weights((outputs, features))
        )

    # Pools

    def pool(
        self, kind: str, dilation: tuple[int, int], whole: bool, **attributes: Any
    ) -> str | None:
        name = self.source()
        height, width, channels = self.shape(name)
        kernel = (height, width) if whole else self.kernel(height, width)
        stride = (self.upto(3, 1), self.upto(3, 1)) if self.chance(0.6) else kernel
        padding = (0, 0, 0, 0)
        if not whole:
            padding = self.padding([(k - 1) * d for k, d in zip(kernel, dilation, strict=True)])
        sides = []
        for axis, side in enumerate((height, width)):
            k, s, d, before = kernel[axis], stride[axis], dilation[axis], padding[axis]
            size = output_side(side, k, s, d, padding[axis::2])
            starts = np.arange(max(size, 0)) * s - before
            taps = starts[:, None] + np.arange(k) * d
            if not ((taps >= 0) & (taps < side)).any(axis=1).all():
                return None  # a window entirely in the padding has no maximum and no mean
            sides.append(size)
        cost = max(sides[0], 0) * max(sides[1], 0) * channels * kernel[0] * kernel[1]
        if kind == "MaxPool":
            attributes["dilation"] = dilation
        return self.emit(
            kind, (name,), (*sides, channels), cost,
            kernel=kernel, stride=stride, padding=padding, **attributes,
            **(self.clamps(self.network.tensors[name].zero_point) if self.chance(0.3) else {}),
        )  # fmt: skip

    def max_pool(self) -> str | None:
        dilation = (self.upto(3, 1), self.upto(3, 1)) if self.chance(0.25) else (1, 1)
        return self.pool("MaxPool", dilation, whole=False)

    def average_pool(self) -> str | None:
        # On raw codes, so another scale would need zero points of 0.
        left = self.upto(3, -2) if not self.unsigned and self.chance(0.4) else 0
        name = self.pool(
            "AveragePool", (1, 1), self.chance(0.3),
            count_include_pad=self.chance(0.5), left=left,
        )  # fmt: skip
        if name is not None:  # 2**left is a change of scale
            tensor = self.network.tensors[name]
            scaled = Tensor(name, tensor.shape, tensor.scale / 2.0**left)
            self.network.tensors[name] = scaled
        return name

    # Elementwise operators and moves

    def peers(self, name: str, axis: int | None) -> list[str]:
        """Tensors that can stand beside `name`: its shape, `axis` excepted, and near its scale."""

        def key(other: str) -> list[int]:
            return [side for i, side in enumerate(self.shape(other)) if i != axis]

        exponent = self.exponent(name)
        return [
            other
            for other in self.values
            if key(other) == key(name) and abs(self.exponent(other) - exponent) <= WIDEST_LEFT
        ]

    def same(self, one: str, two: str) -> bool:
        """Whether codes of both mean the same."""
        first, second = (self.network.tensors[name] for name in (one, two))
        return (first.scale, first.zero_point) == (second.scale, second.zero_point)

    def add(self) -> str | None:
        name = self.source()
        others = [other for other in self.peers(name, None) if other != name]
        other = name  # the same tensor twice, where nothing else offers itself
        if self.grow and self.chance(0.85):
            other = self.add_input(self.shape(name))
        elif others and self.chance(0.8):
            other = others[self.upto(len(others) - 1)]
        else:
            kinds = [kind for kind, operator in (("dense", "Conv2D"),
                     ("grouped", "GroupedConv2D"), ("depthwise", "DepthwiseConv2D"))
                     if operator in self.operators]  # fmt: skip
            if kinds and self.chance(0.8):  # a residual block
                other = self.convolution(kinds[self.upto(len(kinds) - 1)], name, keep=True) or name
        pair = (name, other) if self.chance(0.5) else (other, name)
        exponents = [self.exponent(n) for n in pair]
        if abs(exponents[0] - exponents[1]) > WIDEST_LEFT:
            return None
        base = min(exponents)
        left = (exponents[0] - base, exponents[1] - base)
        shift = self.upto(max(left) + 2)
        signs = (1, 1) if name == other or self.chance(0.6) else (1, -1)
        zero_point = self.shift_zero_point()
        return self.emit(
            "Add", pair, self.shape(name), 2 * self.network.tensors[name].size,
            left=left, signs=signs, scale=2.0 ** (base + shift), zero_point=zero_point,
            requantize=Requantize(
                np.array([shift], np.int32), zero_point=zero_point, **self.clamps()
            ),
        )  # fmt: skip

    def table(self) -> str | None:
        name = self.source()
        if len(self.made_tables) < self.tables:
            codes = np.arange(-128, 128)
            smooth = 127 * np.tanh(codes / self.rng.uniform(20, 90)) + self.upto(20, -20)
            table = self.rng.integers(-128, 128, 256) if self.chance(0.5) else smooth
            self.made_tables.append(np.clip(np.round(table), -128, 127).astype(np.int8))
        table = self.made_tables[self.upto(len(self.made_tables) - 1)]
        size = self.network.tensors[name].size
        return self.emit("Table", (name,), self.shape(name), size, table=table,
                         **self.quantization())  # fmt: skip

    def pad(self) -> str | None:
        name = self.source()
        channels = (self.upto(3), self.upto(3)) if self.chance(0.4) else (0, 0)
        pads = ((self.upto(2), self.upto(2)), (self.upto(2), self.upto(2)), channels)
        value = 0 if self.chance(0.6) else self.upto(127, -128)
        shape = [side + sum(pad) for side, pad in zip(self.shape(name), pads, strict=True)]
        return self.emit("Pad", (name,), shape, int(np.prod(shape)), pads=pads, value=value)

    def concat(self) -> str | None:
        name, axis = self.source(), self.upto(2)
        names = [name]
        for _ in range(self.upto(2, 1)):
            if self.grow:
                shape = list(self.shape(name))
                shape[axis] = self.upto(5, 1) if axis < 2 else self.pick(CHANNELS)
                names.append(self.add_input((shape[0], shape[1], shape[2])))
            else:
                others = [
                    n for n in self.peers(name, axis) if not self.unsigned or self.same(n, name)
                ]
                names.append(others[self.upto(len(others) - 1)])
        order = self.rng.permutation(len(names))
        names = [names[i] for i in order]
        exponent = max(self.exponent(n) for n in names)
        if not self.unsigned and self.chance(0.3):
            exponent += self.upto(2)
        shape = list(self.shape(name))
        shape[axis] = sum(self.shape(n)[axis] for n in names)
        return self.emit(
            "Concat", names, shape, int(np.prod(shape)), scale=2.0**exponent,
            axis=axis, shift=tuple(exponent - self.exponent(n) for n in names),
        )  # fmt: skip

    def slice(self) -> str | None:
        name = self.source()
        parts = []
        for side in self.shape(name):
            start = self.upto(side - 1) if self.chance(0.5) else 0
            stop = self.upto(side, start + 1) if self.chance(0.5) else side
            parts.append((start, stop, self.upto(3, 1) if self.chance(0.4) else 1))
        shape = [len(range(*part)) for part in parts]
        if tuple(shape) == self.shape(name):
            return None
        starts, stops, steps = zip(*parts, strict=True)
        return self.emit("Slice", (name,), shape, int(np.prod(shape)),
                         start=starts, stop=stops, step=steps)  # fmt: skip

    def permute(self) -> str | None:
        name = self.source()
        shape, size = self.shape(name), self.network.tensors[name].size
        axes = self.rng.permutation(3)
        order = np.arange(size).reshape(shape).transpose(axes).reshape(-1)
        target = [shape[int(axis)] for axis in axes]
        if self.chance(0.3):
            order = self.rng.permutation(size)
        if self.chance(0.4):  # and a reshape
            channels = self.pick([c for c in range(1, size + 1) if size % c == 0])
            width = self.pick([w for w in range(1, size + 1) if size // channels % w == 0])
            target = [size // channels // width, width, channels]
        if np.array_equal(order, np.arange(size)):
            return None  # the contract: only where memory order really changes
        return self.emit("Permute", (name,), target, size, order=order.astype(np.int64))

    def softmax(self) -> str | None:
        """Add a Softmax behind a dense tensor that nothing else uses, or behind a new one."""
        made = {node.output for node in self.network.nodes}
        dense = [n for n in self.unused if n in made and self.shape(n)[:2] == (1, 1)]
        name = dense[0] if dense else self.fully_connected()
        if name is None or name not in self.unused:
            return None
        return self.emit("Softmax", (name,), self.shape(name), self.shape(name)[2], scale=2.0**-8,
                         zero_point=-128)  # fmt: skip
