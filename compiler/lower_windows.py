"""Lowering of what sums over a window: convolutions, matrix products, averages, maxima."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from weft.compiler.fold import phases, windows_of
from weft.compiler.lower_common import Context, LoweringError, identity, requantized, zeros
from weft.compiler.network import (
    AveragePool,
    Conv2D,
    FullyConnected,
    MaxPool,
    Mean,
    Rescale,
    Tensor,
)  # fmt: skip
from weft.compiler.passes import Pass
from weft.compiler.reciprocal import reciprocal, reciprocal_multiplier
from weft.compiler.window_limits import (
    too_large_pool,
    too_many_taps,
    too_much_padding,
    too_wide_groups,
)
from weft.hw.config import MULTIPLIER_BITS

_Linear = Conv2D | FullyConnected | Mean | Rescale


def conv2d(context: Context, node: Conv2D) -> Iterator[Pass]:
    """A convolution: its weights, spread over the channels of other groups with zeros."""
    _refuse(too_many_taps(node.weights.shape[1:3]) or _padded(context, node))
    source, target = context.source(node), context.target(node)
    if source.name in context.folds:
        yield from _folded(context, node, _dense(node), source, target)
        return
    channelwise = node.groups == len(node.weights) and node.weights.shape[3] == 1
    taps = node.weights[..., 0].transpose(1, 2, 0).astype(np.int64)
    yield linear(
        context, node, taps if channelwise else _dense(node), source, target,
        stride=node.stride, dilation=node.dilation, origin=(-node.padding[0], -node.padding[1]),
    )  # fmt: skip


def _padded(context: Context, node: AveragePool | Conv2D | MaxPool) -> tuple[str, str] | None:
    """What is wrong with the size of a node's padded image."""
    return too_much_padding(context.network.tensors[node.inputs[0]].shape, node.padding)


def _refuse(problem: tuple[str, str] | None) -> None:
    if problem is not None:
        raise LoweringError(*problem)


def _dense(node: Conv2D) -> np.ndarray:
    """Weights as a kernel (kh, kw, inputs, outputs)."""
    out, kh, kw, per_group = node.weights.shape
    _refuse(too_wide_groups(node.weights.shape, node.groups))
    kernel = np.zeros((kh, kw, per_group * node.groups, out), np.int64)
    for group in range(node.groups):
        inputs = slice(group * per_group, (group + 1) * per_group)
        outputs = slice(group * out // node.groups, (group + 1) * out // node.groups)
        kernel[:, :, inputs, outputs] = node.weights[outputs].transpose(1, 2, 3, 0)
    return kernel


def fully_connected(context: Context, node: FullyConnected) -> Iterator[Pass]:
    """A matrix product: a window as large as the image."""
    source, target = context.source(node), context.target(node)
    shape = context.network.tensors[source.name].shape
    kernel = node.weights.astype(np.int64).reshape(-1, *shape).transpose(1, 2, 3, 0)
    if source.name in context.folds:
        yield from _folded(context, node, kernel, source, target)
        return
    yield linear(context, node, kernel, source, target)


def _folded(
    context: Context, node: Conv2D | FullyConnected, kernel, source: Tensor, target: Tensor
) -> Iterator[Pass]:
    """A kernel over an input that the host folds, phase by phase."""
    windows = windows_of(context.network.tensors[source.name], node, target)
    assert windows is not None
    for phase in phases(context.folds[source.name], windows, kernel):
        yield linear(
            context, node, phase.kernel, source, target,
            count=phase.count, origin=phase.origin, stride=phase.stride, dilation=phase.dilation,
            target_origin=phase.first, target_step=phase.every,
        )  # fmt: skip


def linear(
    context: Context, node: _Linear, kernel, source: Tensor, target: Tensor, **geometry
) -> Pass:
    """A kernel over codes less their zero point, which goes into the bias."""
    channels = kernel.shape[-1]
    bias = np.asarray(getattr(node, "bias", zeros(channels)), np.int64)
    bias = bias - source.zero_point * kernel.reshape(-1, channels).sum(axis=0)
    return Pass(
        name=node.name, sources=(source.name,), target=target.name,
        **requantized(context, node.requantize, kernel, bias),
        **{"count": target.shape[:2], "fill": source.zero_point, **geometry},
    )  # fmt: skip


def mean(context: Context, node: Mean) -> Iterator[Pass]:
    """A sum over the image; the multiplier divides."""
    source, target = context.source(node), context.target(node)
    height, width = (source.shape[axis] if axis in node.axes else 1 for axis in (0, 1))
    _refuse(too_large_pool((height, width), source.shape[2]))
    kernel = np.tile(identity(source.shape[2]), (height, width, 1))
    yield linear(context, node, kernel, source, target)


def rescale(context: Context, node: Rescale) -> Iterator[Pass]:
    """A window of one code."""
    source, target = context.source(node), context.target(node)
    yield linear(context, node, identity(source.shape[2]), source, target)


def max_pool(context: Context, node: MaxPool) -> Iterator[Pass]:
    """A maximum: every tap is a one."""
    source, target = context.source(node), context.target(node)
    channels = source.shape[2]
    _refuse(too_large_pool(node.kernel, channels) or _padded(context, node))
    if not all(min(_inside(node, axis, source.shape[axis], target.shape[axis])) for axis in (0, 1)):
        raise LoweringError(*_ALL_PADDING)
    yield Pass(
        name=node.name, sources=(source.name,), target=target.name,
        kernel=np.tile(identity(channels), (*node.kernel, 1)),
        bias=zeros(channels), shift=zeros(channels), count=target.shape[:2],
        origin=(-node.padding[0], -node.padding[1]), stride=node.stride, dilation=node.dilation,
        fill=-128, low=node.low, high=node.high, peak=True,
    )  # fmt: skip


def average_pool(context: Context, node: AveragePool) -> Iterator[Pass]:
    """One pass per rectangle of outputs whose windows have equally many elements."""
    source, target = context.source(node), context.target(node)
    channels = source.shape[2]
    _refuse(too_large_pool(node.kernel, channels) or _padded(context, node))
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
            yield Pass(
                name=node.name, sources=(source.name,), target=target.name,
                bias=zeros(channels), **_divided(context, node, rows * columns, channels),
                count=(bottom - top, right - left),
                origin=(top * node.stride[0] - node.padding[0],
                        left * node.stride[1] - node.padding[1]),
                stride=node.stride, target_origin=(top, left),
                fill=source.zero_point if node.count_include_pad else 0,
                low=node.low, high=node.high,
            )  # fmt: skip


def _divided(context: Context, node: AveragePool, count: int, channels: int) -> dict[str, Any]:
    """Kernel, multiplier and shift of an exact division of a window's sum by `count`."""
    numerator, denominator = 1 << max(node.left, 0), count << max(-node.left, 0)
    largest = 128 * node.kernel[0] * node.kernel[1]
    ones = np.tile(identity(channels), (*node.kernel, 1))
    try:
        if context.config.multiplier_bits == MULTIPLIER_BITS:
            multiplier, shift = reciprocal_multiplier(numerator, denominator, largest)
            return {
                "kernel": ones, "multiplier": zeros(channels) + multiplier,
                "shift": zeros(channels) - shift, "single": True,
            }  # fmt: skip
        multiplier, shift = reciprocal(numerator, denominator, largest)
    except ValueError:
        raise LoweringError(
            f"its window of {count} elements is too large to average exactly", "pool in two steps"
        ) from None
    return {"kernel": ones * multiplier, "shift": zeros(channels) + shift}


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
