"""Lowering of sums and products of two tensors, or of a tensor and a constant."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from weft.compiler.lower_common import (
    Context,
    LoweringError,
    copy,
    identity,
    requantized,
    zeros,
)
from weft.compiler.network import Add, Mul, Scaling, Tensor
from weft.compiler.passes import Pair, Pass
from weft.compiler.scaling import scale
from weft.hw.isa import PAIR_SHIFT, Elementwise

T = TypeVar("T")

#: Yields the passes that make what it returns.
Making = Generator[Pass, None, T]

#: Left shift of a scaled sum's operands, TFLite's.
_LEFT_SHIFT = 20

#: What a pair's first operand is multiplied by in the accumulator. Two int8 weights add up to it.
_FIRST = -(1 << PAIR_SHIFT)


def add(context: Context, node: Add) -> Iterator[Pass]:
    """A sum of aligned operands is a kernel; one of scaled operands is an elementwise pair."""
    if node.scalings is None:
        sources = yield from _operands(context, node)
        yield _aligned_sum(context, node, sources)
    else:
        yield from _scaled_sum(context, node, node.scalings)


def mul(context: Context, node: Mul) -> Iterator[Pass]:
    """A product with a constant is a kernel of one tap, else an elementwise pair."""
    constants = [context.network.constants.get(name) for name in node.inputs]
    if constants[0] is not None or constants[1] is not None:
        index = 0 if constants[1] is not None else 1
        yield _constant_product(context, node, index, constants[1 - index])
        return
    sources = yield from _operands(context, node)
    points = (sources[0].zero_point, sources[1].zero_point)
    pair = Pair(operation=Elementwise.MULTIPLY, zero_points=points)
    yield _pair_pass(context, node, [(sources[0], _FIRST), (sources[1], 1)], pair)


def _aligned_sum(context: Context, node: Add, sources: list[Tensor]) -> Pass:
    target = context.target(node)
    channels = target.shape[2]
    factors = [sign << left for sign, left in zip(node.signs, node.left, strict=True)]
    kernel = np.concatenate([identity(channels) * factor for factor in factors], axis=1)
    offset = sum(f * source.zero_point for f, source in zip(factors, sources, strict=True))
    return Pass(
        name=node.name, sources=tuple(source.name for source in sources), target=target.name,
        **requantized(context, node.requantize, kernel, zeros(channels) - offset),
        count=target.shape[:2],
    )  # fmt: skip


def _scaled_sum(context: Context, node: Add, scalings: tuple[Scaling, Scaling]) -> Iterator[Pass]:
    """Of the two operands one is halved exactly; only the other one takes a multiplier."""
    first = _halved(node, scalings)
    second = 1 - first
    pair = _sum(context, node, first, scalings[second])
    constants = {
        index: context.network.constants[name]
        for index, name in enumerate(node.inputs)
        if name in context.network.constants
    }
    factors = {first: node.signs[first] * _FIRST, second: 1}
    if not constants:
        sources = yield from _operands(context, node)
        operands = [(sources[first], factors[first]), (sources[second], 1)]
        yield _pair_pass(context, node, operands, pair)
        return
    # A constant is part of the bias, and its place in the pair is empty.
    ((constant, codes),) = constants.items()
    empty = 0 if constant == first else 1
    points = [0 if place == empty else point for place, point in enumerate(pair.zero_points)]
    codes = _per_channel(codes, context.target(node).shape[2])
    difference = codes - context.source(node, constant).zero_point
    bias = node.signs[constant] * scale(difference << _LEFT_SHIFT, scalings[constant])
    source = yield from _repeated(context, node, 1 - constant)
    pair = replace(pair, zero_points=(points[0], points[1]))
    yield _pair_pass(context, node, [(source, factors[1 - constant])], pair, bias)


def _halved(node: Add, scalings: tuple[Scaling, Scaling]) -> int:
    """Which operand is scaled by one half."""
    halves = [
        (_number(scaling.multiplier), _number(scaling.shift)) == (1 << 30, 0)
        for scaling in scalings
    ]
    if node.left != (_LEFT_SHIFT, _LEFT_SHIFT) or not any(halves):
        raise LoweringError(
            "neither of its operands is scaled by one half after a left shift of 20",
            "give the operand with the larger scale that factor, as TFLite does",
        )
    if len({node.requantize.rounding, *(scaling.rounding for scaling in scalings)}) > 1:
        raise LoweringError("its scalings round differently", "choose one rounding")
    return halves.index(True)


def _sum(context: Context, node: Add, first: int, scaling: Scaling) -> Pair:
    """The pair whose second operand is scaled as `scaling` says."""
    second = 1 - first
    multiplier, shift = _number(scaling.multiplier), _number(scaling.shift)
    if shift > 0:
        raise LoweringError(
            "it scales an operand up", "give the operand with the larger scale the factor 1/2"
        )
    if shift < -31:
        multiplier, shift = 0, 0
    return Pair(
        operation=Elementwise.ADD if node.signs[second] > 0 else Elementwise.SUBTRACT,
        zero_points=(
            node.signs[first] * context.source(node, first).zero_point,
            context.source(node, second).zero_point,
        ),
        multiplier=multiplier,
        shift=-shift,
    )


def _pair_pass(
    context: Context,
    node: Add | Mul,
    operands: list[tuple[Tensor, int]],
    pair: Pair,
    bias: np.ndarray | int = 0,
) -> Pass:
    """A sum that carries the operands, each times its factor."""
    if not context.config.elementwise:
        raise LoweringError(
            "it combines two activations, and this configuration has no elementwise unit",
            "use a configuration with an elementwise unit",
        )
    target = context.target(node)
    one = identity(target.shape[2])
    kernel = np.concatenate([one * factor for _, factor in operands], axis=1)
    return Pass(
        name=node.name, sources=tuple(source.name for source, _ in operands), target=target.name,
        **requantized(context, node.requantize, kernel, zeros(target.shape[2]) + bias),
        count=target.shape[:2], pair=pair,
    )  # fmt: skip


def _constant_product(context: Context, node: Mul, index: int, constant) -> Pass:
    source, target = context.source(node, index), context.target(node)
    channels = target.shape[2]
    factors = _per_channel(constant, channels) - context.source(node, 1 - index).zero_point
    kernel = identity(channels) * factors
    if source.shape[2] == 1:
        kernel = kernel[:, :, None]
    return Pass(
        name=node.name, sources=(source.name,), target=target.name,
        **requantized(context, node.requantize, kernel, -source.zero_point * factors),
        count=target.shape[:2], **_repetition(source, target),
    )  # fmt: skip


def _per_channel(constant: np.ndarray, channels: int) -> np.ndarray:
    if constant.shape[:2] != (1, 1):
        raise LoweringError(
            "its constant differs from pixel to pixel", "make it one number per channel"
        )
    return np.broadcast_to(constant.astype(np.int64).reshape(-1), channels)


def _operands(context: Context, node: Add | Mul) -> Making[list[Tensor]]:
    """Tensors of the target's shape; passes repeat those that are smaller."""
    sources = []
    for index in (0, 1):
        source = yield from _repeated(context, node, index)
        sources.append(source)
    return sources


def _repeated(context: Context, node: Add | Mul, index: int) -> Making[Tensor]:
    """An operand in the target's shape: itself, or what a pass makes of it."""
    source, target = context.source(node, index), context.target(node)
    if source.shape == target.shape:
        return source
    repeated = context.temporary(source, f"{node.output}/{index}", target.shape)
    kernel = identity(target.shape[2])
    if source.shape[2] == 1:
        kernel = kernel[:, :, None]
    yield replace(copy(node, source, repeated, kernel), **_repetition(source, target))
    return repeated


def _repetition(source: Tensor, target: Tensor) -> dict[str, Any]:
    """How a smaller image is read again for every row or column of results."""
    if source.shape[:2] == target.shape[:2]:
        return {}
    height, width, _ = source.shape
    return {"pixel_steps": (width if height > 1 else 0, 1 if width > 1 else 0)}


def _number(values: np.ndarray | None) -> int:
    assert values is not None
    return int(np.asarray(values).reshape(-1)[0])
