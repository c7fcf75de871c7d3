"""Lowering of moves: codes go elsewhere, unchanged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from weft.compiler.lower_common import Context, LoweringError, Shape, copy, identity, zeros
from weft.compiler.network import Concat, Pad, Permute, Slice
from weft.compiler.passes import Pass
from weft.compiler.window_limits import too_large_move, too_much_permuted


def pad(context: Context, node: Pad) -> Iterator[Pass]:
    """A copy into the middle; what lies outside reads as the padding code."""
    source, target = context.source(node), context.target(node)
    (top, _), (left, _), (front, _) = node.pads
    inner = slice(front, front + source.shape[2])
    kernel = _kernel(1, 1, source.shape[2], target.shape[2])
    kernel[0, 0, :, inner] = np.eye(source.shape[2], dtype=np.int64)
    bias = zeros(target.shape[2]) + node.value
    bias[inner] = 0
    yield replace(
        copy(node, source, target, kernel), bias=bias, origin=(-top, -left), fill=node.value
    )


def _kernel(height: int, width: int, inputs: int, outputs: int) -> np.ndarray:
    """Zeros, where there are not too many of them."""
    _refuse(too_large_move(height * width * inputs * outputs))
    return np.zeros((height, width, inputs, outputs), np.int64)


def _refuse(problem: tuple[str, str] | None) -> None:
    if problem is not None:
        raise LoweringError(*problem)


def cut(context: Context, node: Slice) -> Iterator[Pass]:
    """A copy from inside, by steps."""
    source, target = context.source(node), context.target(node)
    kernel = _kernel(1, 1, source.shape[2], target.shape[2])
    for channel in range(target.shape[2]):
        kernel[0, 0, node.start[2] + channel * node.step[2], channel] = 1
    yield replace(
        copy(node, source, target, kernel),
        origin=(node.start[0], node.start[1]),
        stride=(node.step[0], node.step[1]),
    )


def concat(context: Context, node: Concat) -> Iterator[Pass]:
    """A copy of every input, next to each other."""
    target = context.target(node)
    sources = [context.source(node, i) for i in range(len(node.inputs))]
    starts = np.cumsum([0] + [source.shape[node.axis] for source in sources])
    aligned = node.axis < 2 or all(start % context.config.lanes == 0 for start in starts[:-1])
    for index, (source, start, shift) in enumerate(
        zip(sources, starts[:-1], node.shift, strict=True)
    ):
        place: dict[str, Any] = {}
        kernel = identity(source.shape[2])
        if node.axis < 2:
            place["target_origin"] = (int(start), 0) if node.axis == 0 else (0, int(start))
        elif aligned:
            place["first_channel"] = int(start)
        else:
            # Channels that share a lane group with another input's: put each input in its
            # place among zeros, and add up.
            kernel = _kernel(1, 1, source.shape[2], target.shape[2])
            kernel[0, 0, :, start : start + source.shape[2]] = np.eye(source.shape[2])
        part = target
        if not aligned and index:
            part = context.temporary(target, f"{node.output}/{index}")
        moved = copy(node, source, part, kernel << max(-shift, 0))
        # An int8 code shifted by more than 31 is 0 as it is by 31.
        right = min(max(shift, 0), 31)
        yield replace(moved, shift=moved.shift + right, count=source.shape[:2], **place)
        if not aligned and index:
            both = np.concatenate([identity(target.shape[2])] * 2, axis=1)
            yield replace(copy(node, part, target, both), sources=(target.name, part.name))


def permute(context: Context, node: Permute) -> Iterator[Pass]:
    """As few gathers as there are: of the whole image, of its columns or rows, or of pixels."""
    source, target = context.source(node), context.target(node)
    order = np.asarray(node.order, np.int64).reshape(target.shape)
    height, width, _ = target.shape
    for columns, rows in ((1, 1), (width, 1), (1, height), (width, height)):
        _refuse(too_much_permuted(order.size, columns * rows))
        parts = [
            (int(part[0][0, 0]), int(part[1][0, 0]), order[part])
            for part in _parts(height, width, rows, columns)
        ]
        steps = [_even_steps(part, source.shape) for _, _, part in parts]
        if all(step is not None for step in steps):
            break
    for (y, x, part), step in zip(parts, steps, strict=True):
        assert step is not None  # a part of one pixel is even
        yield _gather(context, node, (y, x), part, step)


def _parts(height: int, width: int, rows: int, columns: int) -> Iterator[tuple]:
    """Indices of an image's parts, cut into so many rows and columns."""
    ys = np.arange(height).reshape(rows, -1)
    xs = np.arange(width).reshape(columns, -1)
    for y in ys:
        for x in xs:
            yield y[:, None], x[None, :]


def _even_steps(order: np.ndarray, shape: Shape) -> tuple[int, int] | None:
    """Source pixels from one result to the next along y and along x, where they are the same.

    The kernel also reads the pixels between those it needs: none of them may be outside.
    """
    height, width, _ = order.shape
    first, channels = order[0, 0], shape[2]
    a = int(order[1, 0, 0] - first[0]) if height > 1 else 0
    b = int(order[0, 1, 0] - first[0]) if width > 1 else 0
    if a % channels or b % channels:
        return None
    expected = first + a * np.arange(height)[:, None, None] + b * np.arange(width)[:, None]
    if not np.array_equal(order, expected):
        return None
    steps = a // channels, b // channels
    ys, xs, _ = np.unravel_index(first, shape)
    moves = [0, steps[0] * (height - 1), steps[1] * (width - 1)]
    lowest = ys.min() * shape[1] + xs.min() + sum(min(move, 0) for move in moves)
    highest = ys.max() * shape[1] + xs.max() + sum(max(move, 0) for move in moves)
    return steps if lowest >= 0 and highest < shape[0] * shape[1] else None


def _gather(
    context: Context,
    node: Permute,
    at: tuple[int, int],
    order: np.ndarray,
    steps: tuple[int, int],
) -> Pass:
    """Part of the target from anywhere in the source: a kernel over all its first pixel needs."""
    source, target = context.source(node), context.target(node)
    ys, xs, cs = np.unravel_index(order[0, 0], source.shape)
    top, left = int(ys.min()), int(xs.min())
    sides = int(ys.max()) - top + 1, int(xs.max()) - left + 1
    kernel = _kernel(*sides, source.shape[2], target.shape[2])
    kernel[ys - top, xs - left, cs, np.arange(target.shape[2])] = 1
    return replace(
        copy(node, source, target, kernel),
        count=order.shape[:2], origin=(top, left), target_origin=at, pixel_steps=steps,
    )  # fmt: skip
