"""Random models of operators that move codes."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from tflite_random import (
    image_of,
    input_of,
    like,
    maker,
    shape_of,
)
from tflite_writer import ModelWriter


@maker("RESHAPE", "SQUEEZE", "EXPAND_DIMS")
def _view(op: str, rng: Generator, writer: ModelWriter) -> tuple[list[int], list[int]]:
    one, height, width, channels = shape = image_of(rng)
    if op == "RESHAPE":
        made = [(1, height * width * channels), (1, height * width, channels),
                (1, channels, height, width), (1, width, 1, height * channels)][
            rng.integers(0, 4)]  # fmt: skip
        asked = [-1 if i == 1 and rng.random() < 0.3 else n for i, n in enumerate(made)]
        inputs, options = ([writer.constant(asked)], {}) if rng.random() < 0.7 else ([], {
            "newShape": asked})  # fmt: skip
    elif op == "SQUEEZE":
        shape = (one, 1, width + 1, channels + 1)
        made, inputs, options = (one, width + 1, channels + 1), [], {"squeezeDims": [1]}
        if rng.random() < 0.3:
            options = {"squeezeDims": [-3]}
    else:
        shape, axis = (one, width, channels), int(rng.integers(1, 4))
        made = (*shape[:axis], 1, *shape[axis:])
        inputs, options = [writer.constant(axis if rng.random() < 0.5 else axis - 4)], {}
    x = input_of(rng, writer, shape)
    y = like(writer, x, made)
    writer.operator(op, [x, *inputs], [y], **options)
    return [x], [y]


@maker("TRANSPOSE")
def _transpose(op: str, rng: Generator, writer: ModelWriter) -> tuple[list[int], list[int]]:
    shape = shape_of(rng)
    perm = [0, *(rng.permutation(len(shape) - 1) + 1).tolist()]
    x = input_of(rng, writer, shape)
    y = like(writer, x, tuple(shape[axis] for axis in perm))
    writer.operator(op, [x, writer.constant(perm)], [y])
    return [x], [y]


@maker("PAD", "PADV2")
def _pad(op: str, rng: Generator, writer: ModelWriter) -> tuple[list[int], list[int]]:
    shape = shape_of(rng)
    amounts = rng.integers(0, 4, (len(shape), 2)) * (rng.random((len(shape), 1)) < 0.6)
    amounts[0] = 0
    x = input_of(rng, writer, shape)
    inputs = [x, writer.constant(amounts, str(rng.choice(["int32", "int64"])))]
    if op == "PADV2":
        value = like(writer, x, (1,))
        inputs.append(value)
        number = len(writer.model.buffers)
        writer.constant(rng.integers(-128, 128, 1), "int8")
        writer.graph.tensors.pop()
        writer.graph.tensors[value].buffer = number
    y = like(writer, x, tuple((np.array(shape) + amounts.sum(axis=1)).tolist()))
    writer.operator(op, inputs, [y])
    return [x], [y]


@maker("CONCATENATION")
def _concatenation(op: str, rng: Generator, writer: ModelWriter) -> tuple[list[int], list[int]]:
    shape = list(shape_of(rng, 5))
    axis, count = int(rng.integers(1, len(shape))), int(rng.integers(1, 5))
    parts = [[*shape[:axis], int(rng.integers(1, 6)), *shape[axis + 1 :]] for _ in range(count)]
    first = input_of(rng, writer, tuple(parts[0]))
    inputs = [first, *(like(writer, first, tuple(part)) for part in parts[1:])]
    shape[axis] = sum(part[axis] for part in parts)
    y = like(writer, first, tuple(shape))
    writer.operator(op, inputs, [y], axis=axis if rng.random() < 0.5 else axis - len(shape))
    return inputs, [y]


@maker("SLICE")
def _slice(op: str, rng: Generator, writer: ModelWriter) -> tuple[list[int], list[int]]:
    shape = shape_of(rng)
    begin = [0, *(int(rng.integers(0, n)) for n in shape[1:])]
    size = [
        1,
        *(int(rng.integers(1, n - b + 1)) for n, b in zip(shape[1:], begin[1:], strict=True)),
    ]
    asked = [-1 if b + s == n and rng.random() < 0.5 else s
             for n, b, s in zip(shape, begin, size, strict=True)]  # fmt: skip
    x = input_of(rng, writer, shape)
    y = like(writer, x, tuple(size))
    writer.operator(op, [x, writer.constant(begin), writer.constant(asked)], [y])
    return [x], [y]


@maker("STRIDED_SLICE")
def _strided_slice(op: str, rng: Generator, writer: ModelWriter) -> tuple[list[int], list[int]]:
    shape = shape_of(rng)
    begin, end, steps, masks, index = [], [], [], dict.fromkeys(_MASKS, 0), []
    dots = int(rng.integers(1, len(shape))) if rng.random() < 0.2 else None
    axis = 0
    while axis < len(shape):
        i = len(begin)
        if axis and axis == dots:
            masks["ellipsisMask"] |= 1 << i
            entry, item = (0, 0, 1), Ellipsis
            axis = int(rng.integers(axis + 1, len(shape) + 1))
        elif axis and dots is None and rng.random() < 0.1:
            masks["newAxisMask"] |= 1 << i
            entry, item = (0, 0, 1), None
        else:
            entry, item = _range(rng, shape[axis], masks, i, axis)
            axis += 1
        for column, value in zip((begin, end, steps), entry, strict=True):
            column.append(value)
        index.append(item)
        if len(shape) + bin(masks["newAxisMask"]).count("1") == 5:
            dots = -1  # LiteRT's kernels take five dimensions at most
    made = np.empty(shape, np.int8)[tuple(index)].shape
    x = input_of(rng, writer, shape)
    y = like(writer, x, made)
    inputs = [x, *(writer.constant(values) for values in (begin, end, steps))]
    writer.operator(op, inputs, [y], **masks)
    return [x], [y]


_MASKS = ("beginMask", "endMask", "ellipsisMask", "newAxisMask", "shrinkAxisMask")


def _range(
    rng: Generator, n: int, masks: dict[str, int], i: int, axis: int
) -> tuple[tuple[int, int, int], slice | int]:
    """One axis of a STRIDED_SLICE, and the same for NumPy; the batch is kept whole."""
    if axis == 0:
        return (0, 1, 1), slice(0, 1)
    first = int(rng.integers(0, n))
    if rng.random() < 0.15:
        masks["shrinkAxisMask"] |= 1 << i
        return (first - n if rng.random() < 0.3 else first, first + 1, 1), first
    last, step = int(rng.integers(first + 1, n + 1)), int(rng.integers(1, 4))
    item = slice(first, last, step)
    if rng.random() < 0.2:
        masks["beginMask"] |= 1 << i
        item = slice(None, last, step)
    if rng.random() < 0.2:
        masks["endMask"] |= 1 << i
        item = slice(item.start, None, step)
    written = (first - n if rng.random() < 0.3 else first,
               last - n if last < n and rng.random() < 0.3 else last, step)  # fmt: skip
    return written, item


@maker("SPLIT", "SPLIT_V", "UNPACK")
def _split(op: str, rng: Generator, writer: ModelWriter) -> tuple[list[int], list[int]]:
    shape = list(shape_of(rng, 5, 4))
    axis, count = int(rng.integers(1, len(shape))), int(rng.integers(1, 5))
    sizes = [int(rng.integers(1, 4))] * count
    if op == "SPLIT_V":
        sizes = rng.integers(1, 4, count).tolist()
    elif op == "UNPACK":
        sizes = [1] * count
    shape[axis] = sum(sizes)
    x = input_of(rng, writer, tuple(shape))
    kept = [0] if op == "UNPACK" else [1]
    outputs = [
        like(writer, x, tuple(shape[:axis] + [size] * kept[0] + shape[axis + 1 :]))
        for size in sizes
    ]
    written = axis if rng.random() < 0.5 else axis - len(shape)
    if op == "SPLIT":
        writer.operator(op, [writer.constant(written), x], outputs, numSplits=count)
    elif op == "UNPACK":
        writer.operator(op, [x], outputs, num=count, axis=written)
    else:
        if rng.random() < 0.3:
            sizes[int(rng.integers(0, count))] = -1
        writer.operator(
            op, [x, writer.constant(sizes), writer.constant(written)], outputs, numSplits=count
        )
    return [x], outputs
