"""Operators that move codes and compute nothing: PAD, CONCATENATION, TRANSPOSE."""

from __future__ import annotations

import math

import numpy as np

from weft.compiler.network import Concat, Pad, Permute
from weft.compiler.tflite_builder import quantization
from weft.compiler.tflite_operators import Call, contents, operator
from weft.compiler.tflite_ops_unary import rescaled
from weft.compiler.tflite_views import NodeError, View, image_axis, image_shape


@operator("PAD", "PADV2")
def pad(call: Call) -> View:
    """With the output's zero point, or with PADV2's constant of the same scale."""
    view = call.view()
    call.same_scale(view)
    rank = len(view.shape)
    amounts = call.integers(1, "paddings")
    if len(amounts) != 2 * rank or min(amounts) < 0:
        raise NodeError(f"its paddings {amounts} do not fit rank {rank}", "correct the paddings")
    pairs = list(zip(amounts[::2], amounts[1::2], strict=True))
    if any(pair != (0, 0) for pair in pairs[: max(0, rank - 3)]):
        raise NodeError("it pads the batch", "keep the batch at 1")
    shape = tuple(n + sum(pair) for n, pair in zip(view.shape, pairs, strict=True))
    value = call.output_scale()[1]
    if call.op == "PADV2":
        constant = call.constant(2, "padding value")
        if quantization(constant) != call.output_scale() or contents(constant).size != 1:
            raise NodeError(
                "its padding value is not one code of its output's scale and zero point",
                "quantise both alike",
            )
        value = int(contents(constant).reshape(-1)[0])
    image = call.build.image(view)
    made = call.make(shape)
    top, left, front = [(0, 0)] * (3 - rank) + pairs[max(0, rank - 3) :]
    call.build.add_node(
        Pad(call.node_name(), (image,), made.memory, pads=(top, left, front), value=value)
    )
    return made


@operator("CONCATENATION", options=("axis", "fused_activation_function"))
def concatenation(call: Call) -> View:
    """Along any axis but the batch; an input of another scale is rescaled first."""
    if call.option("fused_activation_function") != "NONE":
        raise NodeError(
            f"its fused activation is {call.option('fused_activation_function')}",
            "put the activation before or behind it",
        )
    views = [call.view(index) for index in range(len(call.inputs))]
    first = views[0].shape
    axis = call.option("axis")
    axis = axis + len(first) if axis < 0 else axis
    place = image_axis(axis, first)
    others = {(*view.shape[:axis], *view.shape[axis + 1 :]) for view in views}
    if len(others) > 1 or any(len(view.shape) != len(first) for view in views):
        raise NodeError(
            f"its inputs of shapes {[list(view.shape) for view in views]} do not fit each other",
            "convert the model again",
        )
    total = sum(view.shape[axis] for view in views)
    views = [rescaled(call, view, index) for index, view in enumerate(views)]
    shape = (*first[:axis], total, *first[axis + 1 :])
    if len(views) == 1:
        return call.look(views[0], shape)
    images = tuple(call.build.image(view, image_shape(view.shape)) for view in views)
    made = call.make(shape)
    shifts = (0,) * len(views)
    call.build.add_node(Concat(call.node_name(), images, made.memory, axis=place, shift=shifts))
    return made


@operator("TRANSPOSE")
def transpose(call: Call) -> View:
    """A move, or another look where only dimensions of 1 change places."""
    view = call.view()
    perm = call.integers(1, "permutation")
    rank = len(view.shape)
    perm = [axis + rank if axis < 0 else axis for axis in perm]
    if sorted(perm) != list(range(rank)):
        raise NodeError(f"{perm} is no permutation of {rank} axes", "correct the permutation")
    shape = tuple(view.shape[axis] for axis in perm)
    moved = [axis for axis in perm if view.shape[axis] != 1]
    if moved == sorted(moved):
        return call.look(view, shape)
    call.same_scale(view)
    order = np.arange(math.prod(shape), dtype=np.int64).reshape(view.shape)
    call.build.shape(view)
    made = call.make(shape)
    call.build.add_node(
        Permute(call.node_name(), (view.memory,), made.memory, order.transpose(perm).reshape(-1))
    )
    return made
