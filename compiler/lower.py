"""Lowering: every node of the integer graph as passes of the array."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from weft.compiler.network import (
    Add,
    AveragePool,
    Concat,
    Conv2D,
    FullyConnected,
    MaxPool,
    Network,
    Node,
    Pad,
    Permute,
    Requantize,
    Slice,
    Softmax,
    Table,
    Tensor,
)
from weft.compiler.passes import Pass
from weft.compiler.reciprocal import reciprocal
from weft.errors import Problem


class LoweringError(Exception):
    """A node that the hardware cannot compute."""

    def __init__(self, reason: str, remedy: str):
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy


class Lowering:
    """Lowers a network for an array with `lanes` requantize lanes.

    Attributes
    ----------
    passes : list of Pass
        In execution order.
    tensors : dict of name to Tensor
        The network's, and temporary ones.
    problems : list of Problem
        Everything that cannot be lowered.
    """

    def __init__(self, network: Network, *, lanes: int):
        self.network = network
        self.lanes = lanes
        self.tensors = dict(network.tensors)
        self.passes: list[Pass] = []
        self.problems: list[Problem] = []
        for node in network.nodes:
            try:
                self.passes.extend(_LOWER[type(node)](self, node))
            except LoweringError as error:
                self.problems.append(
                    Problem(node.name, type(node).__name__, error.reason, error.remedy)
                )

    def source(self, node: Node, index: int = 0) -> Tensor:
        """The node's input tensor."""
        return self.tensors[node.inputs[index]]

    def target(self, node: Node) -> Tensor:
        """The node's output tensor."""
        return self.tensors[node.output]

    def temporary(self, like: Tensor, name: str) -> Tensor:
        """A new tensor of the same shape."""
        while name in self.tensors:
            name += "'"
        self.tensors[name] = replace(like, name=name)
        return self.tensors[name]


def _identity(channels: int) -> np.ndarray:
    return np.eye(channels, dtype=np.int64)[None, None]


def _zeros(channels: int) -> np.ndarray:
    return np.zeros(channels, np.int64)


def _too_far(shift: int) -> tuple[str, str]:
    return (
        f"it shifts by {shift}, and the requantizer by 31 at the most",
        "give its output a finer scale",
    )


def _shifts(requantize: Requantize, kernel: np.ndarray, bias: np.ndarray):
    """Right shifts for the hardware; a left shift becomes a factor of kernel and bias."""
    if requantize.rounding != "shift":
        raise LoweringError(
            "its scales are not powers of two, and this requantizer only shifts",
            "quantize it again with `weft quantize --scales shift`",
        )
    shift = np.broadcast_to(np.asarray(requantize.shift, np.int64), bias.shape)
    if shift.max(initial=0) > 31:
        raise LoweringError(*_too_far(shift.max()))
    left = np.maximum(-shift, 0)
    return kernel << left, bias << left, np.maximum(shift, 0)


def _conv2d(lowering: Lowering, node: Conv2D) -> Iterator[Pass]:
    source, target = lowering.source(node), lowering.target(node)
    out, kh, kw, per_group = node.weights.shape
    kernel = np.zeros((kh, kw, source.shape[2], out), np.int64)
    for group in range(node.groups):
        inputs = slice(group * per_group, (group + 1) * per_group)
        outputs = slice(group * out // node.groups, (group + 1) * out // node.groups)
        kernel[:, :, inputs, outputs] = node.weights[outputs].transpose(1, 2, 3, 0)
    yield _linear(
        node, kernel, source, target, stride=node.stride, dilation=node.dilation,
        origin=(-node.padding[0], -node.padding[1]),
    )  # fmt: skip


def _fully_connected(lowering: Lowering, node: FullyConnected) -> Iterator[Pass]:
    source, target = lowering.source(node), lowering.target(node)
    kernel = node.weights.astype(np.int64).reshape(-1, *source.shape).transpose(1, 2, 3, 0)
    yield _linear(node, kernel, source, target)


def _linear(node, kernel, source: Tensor, target: Tensor, **geometry) -> Pass:
    requantize = node.requantize
    bias = node.bias.astype(np.int64) - source.zero_point * kernel.sum(axis=(0, 1, 2))
    kernel, bias, shift = _shifts(requantize, kernel, bias)
    return Pass(
        name=node.name, sources=(source.name,), target=target.name, kernel=kernel, bias=bias,
        shift=shift, count=target.shape[:2], fill=source.zero_point,
        zero_point=requantize.zero_point, low=requantize.low, high=requantize.high, **geometry,
    )  # fmt: skip


def _max_pool(lowering: Lowering, node: MaxPool) -> Iterator[Pass]:
    source, target = lowering.source(node), lowering.target(node)
    channels = source.shape[2]
    if not all(min(_inside(node, axis, source.shape[axis], target.shape[axis])) for axis in (0, 1)):
        raise LoweringError(*_ALL_PADDING)
    yield Pass(
        name=node.name, sources=(source.name,), target=target.name,
        kernel=np.tile(_identity(channels), (*node.kernel, 1, 1)),
        bias=_zeros(channels), shift=_zeros(channels), count=target.shape[:2],
        origin=(-node.padding[0], -node.padding[1]), stride=node.stride, dilation=node.dilation,
        fill=-128, low=node.low, high=node.high, peak=True,
    )  # fmt: skip


def _average_pool(lowering: Lowering, node: AveragePool) -> Iterator[Pass]:
    """One pass per rectangle of outputs whose windows have equally many elements."""
    source, target = lowering.source(node), lowering.target(node)
    channels = source.shape[2]
    area = node.kernel[0] * node.kernel[1]
    spans = [
        list(_equal_runs(_inside(node, axis, source.shape[axis], target.shape[axis])))
        for axis in (0, 1)
    ]
    if node.count_include_pad:
        spans = [[(0, target.shape[axis], node.kernel[axis])] for axis in (0, 1)]
    for top, bottom, rows in spans[0]:
        for left, right, columns in spans[1]:
            if rows * columns == 0:
                raise LoweringError(*_ALL_PADDING)
            numerator = 1 << max(node.left, 0)
            denominator = (rows * columns) << max(-node.left, 0)
            try:
                multiplier, shift = reciprocal(numerator, denominator, 128 * area)
            except ValueError:
                raise LoweringError(
                    f"its window of {rows * columns} elements is too large to average exactly",
                    "pool in two steps",
                ) from None
            yield Pass(
                name=node.name, sources=(source.name,), target=target.name,
                kernel=np.tile(_identity(channels) * multiplier, (*node.kernel, 1, 1)),
                bias=_zeros(channels), shift=_zeros(channels) + shift,
                count=(bottom - top, right - left),
                origin=(top * node.stride[0] - node.padding[0],
                        left * node.stride[1] - node.padding[1]),
                stride=node.stride, target_origin=(top, left),
                fill=source.zero_point if node.count_include_pad else 0,
                low=node.low, high=node.high,
            )  # fmt: skip


_ALL_PADDING = ("a window lies in the padding altogether", "use smaller padding")


def _inside(node: AveragePool | MaxPool, axis: int, size: int, results: int) -> list[int]:
    """How many rows (or columns) of each window are inside the image."""
    dilation = node.dilation[axis] if isinstance(node, MaxPool) else 1
    starts = [i * node.stride[axis] - node.padding[axis] for i in range(results)]
    return [sum(0 <= s + k * dilation < size for k in range(node.kernel[axis])) for s in starts]


def _equal_runs(values: list[int]) -> Iterator[tuple[int, int, int]]:
    start = 0
    for end in range(1, len(values) + 1):
        if end == len(values) or values[end] != values[start]:
            yield start, end, values[start]
            start = end


def _add(lowering: Lowering, node: Add) -> Iterator[Pass]:
    target = lowering.target(node)
    channels = target.shape[2]
    factors = [sign << left for sign, left in zip(node.signs, node.left, strict=True)]
    kernel = np.concatenate([_identity(channels) * factor for factor in factors], axis=1)
    kernel, bias, shift = _shifts(node.requantize, kernel, _zeros(channels))
    yield Pass(
        name=node.name, sources=node.inputs, target=target.name, kernel=kernel,
        bias=bias, shift=shift, count=target.shape[:2],
        low=node.requantize.low, high=node.requantize.high,
    )  # fmt: skip


def _table(lowering: Lowering, node: Table) -> Iterator[Pass]:
    source, target = lowering.source(node), lowering.target(node)
    yield replace(_copy(node, source, target), table=node.table)


def _copy(node: Node, source: Tensor, target: Tensor, kernel: np.ndarray | None = None) -> Pass:
    kernel = _identity(source.shape[2]) if kernel is None else kernel
    channels = kernel.shape[3]
    return Pass(
        name=node.name, sources=(source.name,), target=target.name, kernel=kernel,
        bias=_zeros(channels), shift=_zeros(channels), count=target.shape[:2],
    )  # fmt: skip


def _pad(lowering: Lowering, node: Pad) -> Iterator[Pass]:
    source, target = lowering.source(node), lowering.target(node)
    (top, _), (left, _), (front, _) = node.pads
    inner = slice(front, front + source.shape[2])
    kernel = np.zeros((1, 1, source.shape[2], target.shape[2]), np.int64)
    kernel[0, 0, :, inner] = np.eye(source.shape[2], dtype=np.int64)
    bias = _zeros(target.shape[2]) + node.value
    bias[inner] = 0
    yield replace(
        _copy(node, source, target, kernel), bias=bias, origin=(-top, -left), fill=node.value
    )


def _slice(lowering: Lowering, node: Slice) -> Iterator[Pass]:
    source, target = lowering.source(node), lowering.target(node)
    kernel = np.zeros((1, 1, source.shape[2], target.shape[2]), np.int64)
    for channel in range(target.shape[2]):
        kernel[0, 0, node.start[2] + channel * node.step[2], channel] = 1
    yield replace(
        _copy(node, source, target, kernel),
        origin=(node.start[0], node.start[1]),
        stride=(node.step[0], node.step[1]),
    )


def _concat(lowering: Lowering, node: Concat) -> Iterator[Pass]:
    target = lowering.target(node)
    sources = [lowering.source(node, i) for i in range(len(node.inputs))]
    starts = np.cumsum([0] + [source.shape[node.axis] for source in sources])
    aligned = node.axis < 2 or all(start % lowering.lanes == 0 for start in starts[:-1])
    for index, (source, start, shift) in enumerate(
        zip(sources, starts[:-1], node.shift, strict=True)
    ):
        place: dict[str, Any] = {}
        kernel = _identity(source.shape[2])
        if node.axis < 2:
            place["target_origin"] = (int(start), 0) if node.axis == 0 else (0, int(start))
        elif aligned:
            place["first_channel"] = int(start)
        else:
            # Channels that share a lane group with another input's: put each input in its
            # place among zeros, and add up.
            kernel = np.zeros((1, 1, source.shape[2], target.shape[2]), np.int64)
            kernel[0, 0, :, start : start + source.shape[2]] = np.eye(source.shape[2])
        part = target
        if not aligned and index:
            part = lowering.temporary(target, f"{node.output}/{index}")
        copy = _copy(node, source, part, kernel << max(-shift, 0))
        # An int8 code shifted by more than 31 is 0 as it is by 31.
        right = min(max(shift, 0), 31)
        yield replace(copy, shift=copy.shift + right, count=source.shape[:2], **place)
        if not aligned and index:
            both = np.concatenate([_identity(target.shape[2])] * 2, axis=1)
            yield replace(_copy(node, part, target, both), sources=(target.name, part.name))


def _permute(lowering: Lowering, node: Permute) -> Iterator[Pass]:
    source, target = lowering.source(node), lowering.target(node)
    order = np.asarray(node.order, np.int64).reshape(target.shape)
    pixels, channels = np.divmod(order, source.shape[2])
    steps = _affine_steps(pixels[..., 0])
    if (pixels == pixels[..., :1]).all() and (channels == channels[0, 0]).all() and steps:
        kernel = np.zeros((1, 1, source.shape[2], target.shape[2]), np.int64)
        kernel[0, 0, channels[0, 0], np.arange(target.shape[2])] = 1
        first = divmod(int(pixels[0, 0, 0]), source.shape[1])
        yield replace(_copy(node, source, target, kernel), origin=first, pixel_steps=steps)
        return
    for y in range(target.shape[0]):
        for x in range(target.shape[1]):
            yield _gather(node, source, target, (y, x), order[y, x])


def _affine_steps(pixels: np.ndarray) -> tuple[int, int] | None:
    """(a, b) where pixels[y, x] = pixels[0, 0] + a * y + b * x, if it is so."""
    height, width = pixels.shape
    a = int(pixels[1, 0] - pixels[0, 0]) if height > 1 else 0
    b = int(pixels[0, 1] - pixels[0, 0]) if width > 1 else 0
    expected = pixels[0, 0] + a * np.arange(height)[:, None] + b * np.arange(width)
    return (a, b) if np.array_equal(pixels, expected) else None


def _gather(node, source: Tensor, target: Tensor, at: tuple[int, int], order) -> Pass:
    """One pixel of the target from anywhere in the source: a kernel over all it needs."""
    ys, xs, cs = np.unravel_index(order, source.shape)
    top, left = int(ys.min()), int(xs.min())
    kernel = np.zeros(
        (ys.max() - top + 1, xs.max() - left + 1, source.shape[2], target.shape[2]), np.int64
    )
    kernel[ys - top, xs - left, cs, np.arange(len(order))] = 1
    return replace(
        _copy(node, source, target, kernel), count=(1, 1), origin=(top, left), target_origin=at
    )


def _softmax(lowering: Lowering, node: Softmax) -> Iterator[Pass]:
    if any(node.output in other.inputs for other in lowering.network.nodes):
        raise LoweringError(
            "it stands in the middle of the network, and only the last one runs, in the host",
            "cut the model behind it, or replace it by Sigmoid",
        )
    return iter(())


_LOWER: dict[type[Node], Callable[..., Iterator[Pass]]] = {
    Add: _add,
    AveragePool: _average_pool,
    Concat: _concat,
    Conv2D: _conv2d,
    FullyConnected: _fully_connected,
    MaxPool: _max_pool,
    Pad: _pad,
    Permute: _permute,
    Slice: _slice,
    Softmax: _softmax,
    Table: _table,
}
