"""Clamps and unary functions, which do not care about layout; and Softmax, which does."""

from __future__ import annotations

import math

import numpy as np

from weft.compiler.onnx_layout import find_roles, image_shape, lift, lift_axis, normal_axis
from weft.compiler.onnx_operators import Call, finite, operator
from weft.compiler.onnx_values import Constant, NodeError, Value

#: Limits from here on are how exporters write "none" in float32.
_NO_LIMIT = 3.4e38


@operator("Relu")
def relu(call: Call) -> Value:
    """max(x, 0)."""
    return call.pointwise("Clamp", {"low": 0.0, "high": None}, call.view())


@operator("Clip")
def clip(call: Call) -> Value:
    """min(max(x, low), high), each limit optional."""
    low, high = call.scalar(1, "lower limit"), call.scalar(2, "upper limit")
    view = call.view()
    for limit in (low, high):
        if limit is not None and math.isnan(limit):
            raise NodeError("a limit is NaN", "export the model again")
    if low is not None and high is not None and low > high:
        raise NodeError(f"its lower limit {low} is above its upper limit {high}", "swap the two")
    low = None if low is None or low <= -_NO_LIMIT else low
    high = None if high is None or high >= _NO_LIMIT else high
    return call.pointwise("Clamp", {"low": low, "high": high}, view)


@operator("Max", "Min")
def limit(call: Call) -> Value:
    """A tensor and a constant number: a clamp from one side."""
    constants = [i for i in range(len(call.inputs)) if isinstance(call.value(i), Constant)]
    if len(call.inputs) != 2 or len(constants) != 1:
        raise NodeError(
            "it compares several computed tensors", "compare one tensor with one constant number"
        )
    view = call.view(1 - constants[0])
    values = finite(call.constant(constants[0], "limit"), "limit")
    if values.size != 1 or values.ndim > len(view.shape):
        raise NodeError("its constant is not one number", "use one number as the limit")
    side = "low" if call.op == "Max" else "high"
    attributes = {"low": None, "high": None, side: float(values.reshape(-1)[0])}
    return call.pointwise("Clamp", attributes, view)


@operator("LeakyRelu", alpha=0.01)
def leaky_relu(call: Call) -> Value:
    """Multiply what is negative by alpha."""
    return _unary(call)


@operator("Sigmoid", "Tanh", "HardSwish")
def unary(call: Call) -> Value:
    """Functions without attributes."""
    return _unary(call)


@operator("HardSigmoid", alpha=0.2, beta=0.5)
def hard_sigmoid(call: Call) -> Value:
    """max(0, min(1, alpha * x + beta))."""
    return _unary(call)


def _unary(call: Call) -> Value:
    attributes = {"function": call.op, **call.attributes}
    numbers = [value for value in attributes.values() if isinstance(value, float)]
    if not np.isfinite(numbers).all():
        raise NodeError("an attribute is NaN or infinite", "export the model again")
    return call.pointwise("Unary", attributes, call.view())


@operator("Identity")
def identity(call: Call) -> Value:
    """The same."""
    value = call.value(0)
    if isinstance(value, Constant) or value is None:
        return call.constant(0, "input")
    view = call.view(0, codes=True)
    return call.build.reviewed(call.output, view, view.order)


@operator("Dropout", seed=0)
def dropout(call: Call) -> Value:
    """The same, in inference; the ratio has no effect there."""
    mode = call.optional(2, "training_mode")
    if mode is not None and mode.array.dtype != np.bool_:
        raise NodeError(f"its training_mode is {mode.array.dtype}", "make it bool")
    if (mode is not None and mode.array.any()) or any(call.outputs[1:]):
        raise NodeError(
            "it is in training mode", "export the model in inference mode (model.eval())"
        )
    view = call.view()
    return call.build.reviewed(call.output, view, view.order)


@operator("Softmax", axis=-1)
def softmax(call: Call) -> Value:
    """Softmax over the channels; of one position, where a network ends."""
    view = call.view()
    rank = len(view.shape)
    axis = normal_axis(call.attributes["axis"], rank)
    order = lift(view.order)
    roles = find_roles(order, call.build.shape(view), lift_axis(axis, rank))
    natural = find_roles(order, call.build.shape(view))
    if view.shape[axis] != order.size and natural[2] != roles[2]:
        raise NodeError(
            f"axis {axis} of shape {list(view.shape)} is not the channel axis",
            "apply Softmax to the channels",
        )
    memory = call.build.image(view, roles)
    made = call.build.image_view(call.output, image_shape(order, roles), roles, rank)
    call.build.add_node("Softmax", call.name, (memory,), call.output)
    return made
