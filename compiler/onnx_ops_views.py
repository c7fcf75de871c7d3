"""Operators that only change how the file looks at memory: they leave no node behind."""

from __future__ import annotations

import math

import numpy as np
import onnx

from weft.compiler.onnx_operators import Call, operator
from weft.compiler.onnx_values import Constant, NodeError, Value


def _review(call: Call, order: np.ndarray) -> Value:
    return call.build.reviewed(call.output, call.view(codes=True), order)


@operator("Reshape", allowzero=0)
def reshape(call: Call) -> Value:
    """To a constant shape, where 0 copies a dimension and -1 is what remains."""
    order = call.view(codes=True).order
    target = call.integers(1, "shape") or []
    if not call.attributes["allowzero"]:
        if any(n == 0 and i >= order.ndim for i, n in enumerate(target)):
            raise NodeError(f"its shape {target} copies a dimension that does not exist",
                          "correct the shape")  # fmt: skip
        target = [order.shape[i] if n == 0 else n for i, n in enumerate(target)]
    known = math.prod(n for n in target if n != -1)
    if target.count(-1) == 1 and known > 0 and order.size % known == 0:
        target = [order.size // known if n == -1 else n for n in target]
    if any(n < 1 for n in target) or math.prod(target) != order.size:
        raise NodeError(
            f"its shape {target} does not hold the {order.size} elements of one sample",
            "keep the batch as axis 0 and correct the shape",
        )
    return _review(call, order.reshape(target))


@operator("Flatten", axis=1)
def flatten(call: Call) -> Value:
    """To two dimensions."""
    order = call.view(codes=True).order
    axis = call.attributes["axis"]
    if not -order.ndim <= axis <= order.ndim:
        raise NodeError(f"axis {axis} does not exist in rank {order.ndim}", "correct the axis")
    axis = axis + order.ndim if axis < 0 else axis
    return _review(call, order.reshape(math.prod(order.shape[:axis]), -1))


@operator("Transpose", perm=())
def transpose(call: Call) -> Value:
    """Any permutation that keeps the batch first."""
    order = call.view(codes=True).order
    perm = call.attributes["perm"] or tuple(reversed(range(order.ndim)))
    if sorted(perm) != list(range(order.ndim)):
        raise NodeError(f"perm {list(perm)} is no permutation of {order.ndim} axes", "correct perm")
    if perm[0] != 0:
        raise NodeError("it moves the batch axis", "keep the batch as axis 0")
    return _review(call, order.transpose(perm))


@operator("Squeeze")
def squeeze(call: Call) -> Value:
    """Drop dimensions of 1."""
    order = call.view(codes=True).order
    axes = call.integers(1, "axes")
    if axes is None:
        axes = [axis for axis in range(1, order.ndim) if order.shape[axis] == 1]
        # The batch axis of a file may be symbolic, so it is not squeezed by surprise.
    axes = [axis + order.ndim if axis < 0 else axis for axis in axes]
    if any(not 0 <= axis < order.ndim or order.shape[axis] != 1 for axis in axes):
        raise NodeError(
            f"its axes {axes} are not all of size 1 in shape {list(order.shape)}",
            "correct the axes",
        )
    return _review(call, order.squeeze(tuple(set(axes))) if 0 not in axes else order.reshape(-1))


@operator("Unsqueeze")
def unsqueeze(call: Call) -> Value:
    """Insert dimensions of 1."""
    order = call.view(codes=True).order
    axes = call.integers(1, "axes") or []
    rank = order.ndim + len(axes)
    axes = sorted(axis + rank if axis < 0 else axis for axis in axes)
    if len(set(axes)) != len(axes) or any(not 0 <= axis < rank for axis in axes) or rank > 16:
        raise NodeError(f"its axes {axes} do not fit rank {order.ndim}", "correct the axes")
    return _review(call, np.expand_dims(order, tuple(axes)))


@operator("Cast", to=0, saturate=1, round_mode="up")  # the last two concern float8 alone
def cast(call: Call) -> Value:
    """From float32 to float32."""
    view = call.view()
    if call.attributes["to"] != onnx.TensorProto.FLOAT:
        try:
            name = onnx.TensorProto.DataType.Name(call.attributes["to"])
        except ValueError:
            name = str(call.attributes["to"])
        raise NodeError(f"it casts to {name}", "keep tensors in FLOAT (float32)")
    return call.build.reviewed(call.output, view, view.order)


@operator("Shape", start=0, end=1 << 31)
def shape(call: Call) -> Value:
    """The shape of one sample, batch 1: exporters compute constants from it."""
    view = call.view(codes=True)
    dims = view.shape[call.attributes["start"] : call.attributes["end"]]
    return Constant(np.array(dims, np.int64))


@operator("Size")
def size(call: Call) -> Value:
    """The number of elements of one sample."""
    return Constant(np.array(call.view(codes=True).order.size, np.int64))
