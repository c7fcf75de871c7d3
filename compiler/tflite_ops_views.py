"""Operators that only change how the file looks at memory: they leave no node behind."""

from __future__ import annotations

import math

import numpy as np

from weft.compiler.tflite_operators import Call, operator
from weft.compiler.tflite_views import FloatInput, FloatOutput, NodeError, Value, View


def _looked(call: Call, shape: tuple[int, ...]) -> Value:
    value = call.value(0)
    if isinstance(value, FloatInput):
        return FloatInput(value.number, value.stated, call.check_shape(shape))
    if isinstance(value, FloatOutput):
        return FloatOutput(View(value.codes.memory, call.check_shape(shape)))
    return call.look(call.view(), shape)


def _shape(call: Call) -> tuple[int, ...]:
    value = call.value(0)
    if isinstance(value, FloatInput):
        return value.shape
    return value.codes.shape if isinstance(value, FloatOutput) else call.view().shape


@operator("RESHAPE", options=("new_shape",))
def reshape(call: Call) -> Value:
    """To a constant shape, where -1 is what remains."""
    size = math.prod(_shape(call))
    if call.value(1) is not None:
        target = call.integers(1, "shape")
    else:
        target = [int(n) for n in call.option("new_shape")]
    known = math.prod(n for n in target if n != -1)
    if target.count(-1) == 1 and known > 0 and size % known == 0:
        target = [size // known if n == -1 else n for n in target]
    if any(n < 1 for n in target) or math.prod(target) != size:
        raise NodeError(
            f"its shape {target} does not hold its input's {size} elements", "correct the shape"
        )
    return _looked(call, tuple(target))


@operator("SQUEEZE", options=("squeeze_dims",))
def squeeze(call: Call) -> Value:
    """Drop dimensions of 1: those that are named, or all."""
    shape = _shape(call)
    axes = [axis + len(shape) if axis < 0 else axis for axis in call.option("squeeze_dims")]
    if not axes:
        axes = [axis for axis, n in enumerate(shape) if n == 1]
    if any(not 0 <= axis < len(shape) or shape[axis] != 1 for axis in axes):
        raise NodeError(
            f"its dimensions {axes} are not all 1 in shape {list(shape)}", "correct squeeze_dims"
        )
    return _looked(call, tuple(n for axis, n in enumerate(shape) if axis not in axes))


@operator("EXPAND_DIMS")
def expand_dims(call: Call) -> Value:
    """Insert a dimension of 1."""
    shape = _shape(call)
    axes = call.integers(1, "axis")
    if len(axes) != 1 or not -len(shape) - 1 <= axes[0] <= len(shape):
        raise NodeError(f"its axis {axes} does not fit rank {len(shape)}", "correct the axis")
    place = axes[0] + len(shape) + 1 if axes[0] < 0 else axes[0]
    return _looked(call, tuple(int(n) for n in np.insert(shape, place, 1)))
