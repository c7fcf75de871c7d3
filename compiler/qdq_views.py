"""Permutations of elements written as Reshape, Transpose, Reshape."""

from __future__ import annotations

import itertools
import math

import numpy as np

Shape = tuple[int, ...]


def factor_permutation(order: np.ndarray) -> tuple[Shape, Shape] | None:
    """(shape, perm) with ``arange(n).reshape(shape).transpose(perm).ravel() == order``.

    The fewest axes that do it; None where no transposition does.
    """
    lengths, strides = _loops(order)
    # Axes of the source, slowest first, by what a step along them skips.
    axes = sorted(range(len(strides)), key=lambda axis: -strides[axis])
    shape = tuple(lengths[axis] for axis in axes)
    perm = tuple(axes.index(axis) for axis in range(len(axes)))
    if math.prod(shape) != order.size:
        return None
    found = np.arange(order.size).reshape(shape).transpose(perm).reshape(-1)
    return (shape, perm) if np.array_equal(found, order) else None


def single_transpose(order: np.ndarray, shape: Shape, target: Shape) -> Shape | None:
    """Find the perm from `shape` to `target` that puts elements in `order`, or None."""
    if len(shape) != len(target) or len(shape) > 5:
        return None
    indices = np.arange(order.size).reshape(shape)
    for perm in itertools.permutations(range(len(shape))):
        if tuple(shape[axis] for axis in perm) == target and np.array_equal(
            indices.transpose(perm).reshape(-1), order
        ):
            return perm
    return None


def channels_first(shape: tuple[int, int, int]) -> np.ndarray:
    """Memory indices (H, W, C) of the elements in the order C, H, W."""
    return np.arange(math.prod(shape)).reshape(shape).transpose(2, 0, 1).reshape(-1)


def inverse(order: np.ndarray) -> np.ndarray:
    """Permutation that undoes `order`."""
    result = np.empty_like(order)
    result[order] = np.arange(order.size)
    return result


def _loops(order: np.ndarray) -> tuple[list[int], list[int]]:
    """`order` as nested loops, outermost first: their lengths and strides."""
    lengths: list[int] = []
    strides: list[int] = []
    rest = np.asarray(order, np.int64)
    while rest.size > 1:
        stride = rest[1] - rest[0]
        straight = rest == rest[0] + stride * np.arange(rest.size)
        length = int(rest.size if straight.all() else straight.argmin())
        lengths.insert(0, length)
        strides.insert(0, int(stride))
        if rest.size % length:
            return [1], [1]
        rest = rest[::length]
    return lengths or [1], strides or [1]
