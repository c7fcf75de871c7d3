"""A random network as TFLite has them: any scales, zero points, multipliers, constants."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from random_builder import Builder

from weft.compiler import network as graph
from weft.compiler.network import Network, Port, Requantize, Scaling, Tensor
from weft.sim import golden


class MultiplierBuilder(Builder):
    """Draws scales, and makes multipliers of them by TFLite's formulas.

    Now and then a weighted layer has dead channels as published models do: biases near
    2**30, shifts to -31, multipliers of 0; or channels that shift to the left. One network
    rounds twice, once, or once in FullyConnected alone.
    """

    def __init__(self, rng: np.random.Generator, **settings: Any):
        super().__init__(rng, **settings)
        kind = self.rng.random()
        self.rounding: graph.Rounding = "single" if kind < 0.2 else "double"
        self.dense_rounding: graph.Rounding = "single" if kind < 0.45 else "double"

    def methods(self) -> dict[str, Callable[[], str | None]]:
        return super().methods() | {"Mul": self.mul, "Mean": self.mean, "Rescale": self.rescale}

    def finish(self) -> Network:
        network = super().finish()
        for number, (name, tensor) in enumerate(network.tensors.items()):
            if name not in network.constants:
                port = Port(f"model/{name}", name, tensor.shape, "int8", number=number)
                network.activations.append(port)
        return network

    # Numbers

    def zero_point(self) -> int:
        return self.pick((-128, -128, 0, self.upto(127, -128), self.upto(20, -20), 127))

    def quantization(self) -> dict[str, Any]:
        scale = np.float32(2.0 ** self.rng.uniform(-9, 1))
        return {"scale": float(scale), "zero_point": self.zero_point()}

    def clamps(self, zero_point: int = 0) -> dict[str, Any]:
        kind = self.upto(5)
        if kind < 3:
            return {"low": -128, "high": 127}
        low = zero_point  # of Relu
        high = min(zero_point + self.upto(120, 40), 127) if kind == 4 else 127  # Relu6
        if kind == 5:
            low, high = -self.upto(128, 1), self.upto(127, 1)
        return {"low": low, "high": high} if low < high else {"low": -128, "high": 127}

    def scaling(self, factor: float) -> Scaling:
        m, s = golden.quantize_multiplier(factor)
        return Scaling(np.array([s], np.int32), np.array([m], np.int32), self.rounding)

    def scale_for(self, real: np.ndarray) -> float | None:
        """Scale at which real values take a good part of the codes."""
        spread = float(np.sqrt(np.mean(real**2)))
        return float(np.float32(spread / self.rng.uniform(25, 70))) if spread > 0 else None

    def emit_scaled(
        self, kind: str, inputs: Sequence[str], shape: Sequence[int], factor: float, scale: float,
        **attributes: Any,
    ) -> str | None:  # fmt: skip
        """Add a node with one multiplier for all channels, its output of `scale`."""
        zero_point = self.zero_point()
        made = self.scaling(factor)
        multiplier = attributes.pop("multiplier", made.multiplier)
        shift = attributes.pop("shift", made.shift)
        requantize = Requantize(
            shift, multiplier, self.rounding, zero_point=zero_point, **self.clamps(zero_point)
        )
        cost = sum(self.network.tensors[name].size for name in inputs)
        return self.emit(kind, inputs, shape, max(cost, int(np.prod(shape))), scale=scale,
                         zero_point=zero_point, requantize=requantize, **attributes)  # fmt: skip

    def real(self, name: str) -> np.ndarray:
        """Real values of the samples."""
        tensor, codes = self.network.tensors[name], (self.values | self.constants)[name]
        return tensor.scale * (codes.astype(np.float64) - tensor.zero_point)

    # Weighted operators

    def weighted(
        self, kind: str, name: str, shape: Sequence[int], weights: np.ndarray, **attributes: Any
    ) -> str | None:
        if self.mixed and self.chance(self.mixed):  # a layer between powers of two
            return super().weighted(kind, name, shape, weights, **attributes)
        cost, outputs = int(np.prod(shape[:2])) * weights.size, len(weights)
        source = self.network.tensors[name].zero_point
        farthest = max(127 - source, 128 + source)
        sums = np.abs(weights.astype(np.int64)).reshape(outputs, -1).sum(axis=1)
        room = self.accumulator_limit - farthest * int(sums.max())
        if cost > self.left or min(shape) < 1 or room < 0:
            return None
        reach = min(room, 1 << self.upto(13))
        bias = self.rng.integers(-reach, reach + 1, outputs).astype(np.int32)
        trial = getattr(graph, kind)(
            name, (name,), "", weights, bias, Requantize(np.zeros(outputs, np.int32)), **attributes
        )
        acc = golden.accumulate(trial, self.values[name], source).astype(np.float64)
        per_channel = kind == "Conv2D" and self.chance(0.7)
        spread = np.sqrt(np.mean(acc**2, axis=(0, 1, 2) if per_channel else None))
        factors = self.rng.uniform(25, 70) / np.maximum(np.broadcast_to(spread, outputs), 1)
        pairs = [golden.quantize_multiplier(float(factor)) for factor in factors]
        multiplier, shift = (np.array(numbers, np.int32) for numbers in zip(*pairs, strict=True))
        if per_channel and self.chance(0.4):
            for _ in range(self.upto(2, 1)):
                self.dead_channel(self.upto(outputs - 1), room, bias, multiplier, shift)
        zero_point = self.zero_point()
        requantize = Requantize(
            shift, multiplier, self.dense_rounding if kind == "FullyConnected" else self.rounding,
            zero_point=zero_point, **self.clamps(zero_point),
        )  # fmt: skip
        if not per_channel and self.chance(0.5):
            requantize = replace_numbers(requantize, shift[:1], multiplier[:1])
        return self.emit(
            kind, (name,), shape, cost, weights=weights, bias=bias, requantize=requantize,
            **(self.quantization() | {"zero_point": zero_point}), **attributes,
        )  # fmt: skip

    def dead_channel(
        self, at: int, room: int, bias: np.ndarray, multiplier: np.ndarray, shift: np.ndarray
    ) -> None:
        """Give one channel unusual numbers."""
        kind = self.upto(4)
        if kind == 0:  # as a layer trained to nothing has them
            bias[at] = min(room, (1 << 30) + self.upto(1 << 20)) * self.pick((-1, 1))
            shift[at] = -self.upto(31, 20)
        elif kind == 1:
            multiplier[at] = shift[at] = 0
        elif kind == 2:
            shift[at] = self.pick((-31, -30, 1, self.upto(30, 2)))
        elif kind == 3:
            multiplier[at], shift[at] = self.pick((1 << 30, (1 << 31) - 1)), self.upto(0, -12)
        else:
            multiplier[at], shift[at] = self.upto((1 << 31) - 1), self.upto(0, -12)

    # Pools and means

    def average_pool(self) -> str | None:
        return self.pool("AveragePool", (1, 1), self.chance(0.3),
                         count_include_pad=self.chance(0.3))  # fmt: skip

    def mean(self) -> str | None:
        name = self.source()
        tensor, real = self.network.tensors[name], self.real(name)
        axes = ((0,), (1,), (0, 1))[self.upto(2)]
        shape = [1 if axis in axes else side for axis, side in enumerate(tensor.shape)]
        n = int(np.prod([tensor.shape[axis] for axis in axes]))
        scale = self.scale_for(real.mean(axis=tuple(axis + 1 for axis in axes)))
        if scale is None or 255 * n > self.accumulator_limit:
            return None
        m, s = golden.quantize_multiplier(tensor.scale / scale)
        h = min(n.bit_length() - 1, 32, 31 + s)
        return self.emit_scaled(
            "Mean", (name,), shape, 1.0, scale, axes=axes,
            multiplier=np.array([(m << h) // n], np.int32), shift=np.array([s - h], np.int32),
        )  # fmt: skip

    def rescale(self, name: str | None = None, like: Tensor | None = None) -> str | None:
        """Add a Rescale; with `like` to its scale and zero point."""
        name = name or self.source()
        tensor = self.network.tensors[name]
        if like is not None:
            made = self.scaling(tensor.scale / like.scale)
            requantize = Requantize(
                made.shift, made.multiplier, self.rounding, zero_point=like.zero_point
            )
            return self.emit("Rescale", (name,), tensor.shape, tensor.size, scale=like.scale,
                             zero_point=like.zero_point, requantize=requantize)  # fmt: skip
        scale = tensor.scale if self.chance(0.3) else self.scale_for(self.real(name))
        if scale is None:
            return None
        return self.emit_scaled("Rescale", (name,), tensor.shape, tensor.scale / scale, scale)

    def alike(self, name: str, like: Tensor) -> str | None:
        """Return the tensor at the scale and zero point of `like`."""
        tensor = self.network.tensors[name]
        if (tensor.scale, tensor.zero_point) == (like.scale, like.zero_point):
            return name
        return self.rescale(name, like)

    # Two operands

    def operand(self, name: str) -> str | None:
        """Return something to add to `name` or to multiply it with."""
        height, width, channels = self.shape(name)
        repeated = [(1, 1, 1), (1, 1, channels), (height, width, 1)]
        others = [other for other in self.values if other != name and
                  self.shape(other) in (self.shape(name), *repeated)]  # fmt: skip
        kind = self.upto(9)
        if kind < 3:
            return self.constant(repeated[self.upto(1)])
        if self.grow:
            return self.add_input(repeated[self.upto(2)] if kind < 6 else self.shape(name))
        if kind < 7 and others:
            return others[self.upto(len(others) - 1)]
        if kind == 7:  # squeeze and excite
            return self.pool("AveragePool", (1, 1), whole=True)
        if kind == 8:
            return name
        kinds = [kind for kind, operator in (("dense", "Conv2D"),
                 ("depthwise", "DepthwiseConv2D")) if operator in self.operators]  # fmt: skip
        return (
            self.convolution(kinds[self.upto(len(kinds) - 1)], name, keep=True) if kinds else name
        )

    def constant(self, shape: tuple[int, int, int]) -> str:
        name = f"c{len(self.network.constants)}"
        self.network.tensors[name] = Tensor(name, shape, **self.quantization())
        codes = self.rng.integers(-128, 128, shape, dtype=np.int8)
        self.network.constants[name] = codes
        self.constants[name] = np.broadcast_to(codes, (6, *shape))
        return name

    def operands(self) -> tuple[tuple[str, str], tuple[int, ...]] | None:
        """Return two tensors in any order, and the shape of what they make."""
        name = "in0" if self.grow else self.source()
        other = self.operand(name)
        if other is None:
            return None
        one, two = self.shape(name), self.shape(other)
        shape = tuple(max(sides) for sides in zip(one, two, strict=True))
        height, width, channels = shape
        allowed = (shape, (1, 1, 1), (1, 1, channels), (height, width, 1))
        if one not in allowed or two not in allowed:
            return None
        return ((name, other) if self.chance(0.5) else (other, name)), shape

    def add(self) -> str | None:
        found = self.operands()
        if found is None:
            return None
        pair, shape = found
        signs = (1, 1) if pair[0] == pair[1] or self.chance(0.6) else (1, -1)
        one, two = (sign * self.real(name) for sign, name in zip(signs, pair, strict=True))
        scale = self.scale_for(one + two)
        if scale is None:
            return None
        scales = [self.network.tensors[name].scale for name in pair]
        twice = 2 * max(scales)
        scalings = tuple(self.scaling(each / twice) for each in scales)
        return self.emit_scaled("Add", pair, shape, twice / (2.0**20 * scale), scale, left=(20, 20),
                                signs=signs, scalings=scalings)  # fmt: skip

    def mul(self) -> str | None:
        found = self.operands()
        if found is None:
            return None
        pair, shape = found
        one, two = (self.real(name) for name in pair)
        scale = self.scale_for(one * two)
        if scale is None:
            return None
        scales = [self.network.tensors[name].scale for name in pair]
        return self.emit_scaled("Mul", pair, shape, scales[0] * scales[1] / scale, scale)

    # Moves and Softmax

    def pad(self) -> str | None:
        name = self.source()
        channels = (self.upto(3), self.upto(3)) if self.chance(0.3) else (0, 0)
        pads = ((self.upto(2), self.upto(2)), (self.upto(2), self.upto(2)), channels)
        value = self.network.tensors[name].zero_point
        if self.chance(0.2):
            value = self.upto(127, -128)  # PADV2
        shape = [side + sum(pad) for side, pad in zip(self.shape(name), pads, strict=True)]
        return self.emit("Pad", (name,), shape, int(np.prod(shape)), pads=pads, value=value)

    def concat(self) -> str | None:
        """Add a Concat; what comes at another scale is rescaled first."""
        name, axis = self.source(), self.upto(2)
        around = [side for i, side in enumerate(self.shape(name)) if i != axis]
        names = [name]
        for _ in range(self.upto(2, 1)):
            if self.grow:
                shape = list(self.shape(name))
                shape[axis] = self.upto(5, 1)
                names.append(self.add_input((shape[0], shape[1], shape[2])))
                same = {k: getattr(self.network.tensors[name], k) for k in ("scale", "zero_point")}
                self.network.tensors[names[-1]] = Tensor(names[-1], (*shape,), **same)
                continue
            others = [
                n
                for n in self.values
                if [side for i, side in enumerate(self.shape(n)) if i != axis] == around
            ]
            names.append(others[self.upto(len(others) - 1)])
        like = self.network.tensors[name]
        alike = [self.alike(other, like) for other in names]
        made = [alike[i] for i in self.rng.permutation(len(alike))]
        if None in made:
            return None
        shape = list(self.shape(name))
        shape[axis] = sum(self.shape(n)[axis] for n in made)
        return self.emit("Concat", made, shape, int(np.prod(shape)), axis=axis,
                         shift=(0,) * len(made))  # fmt: skip

    def softmax(self) -> str | None:
        """Add a Softmax behind a tensor that nothing else uses, or behind a new one."""
        made = {node.output for node in self.network.nodes}
        free = [n for n in self.unused if n in made]
        name = free[self.upto(len(free) - 1)] if free else self.fully_connected()
        if name is None or name not in self.unused:
            return None
        beta = 1.0 if self.chance(0.6) else float(np.float32(self.rng.uniform(0.2, 3)))
        return self.emit("Softmax", (name,), self.shape(name), self.shape(name)[2], beta=beta,
                         scale=2.0**-8, zero_point=-128)  # fmt: skip


def replace_numbers(old: Requantize, shift: np.ndarray, multiplier: np.ndarray) -> Requantize:
    """Return a Requantize with other numbers."""
    return Requantize(shift, multiplier, old.rounding, zero_point=old.zero_point, low=old.low,
                      high=old.high)  # fmt: skip
