"""Scale and shift by constants: BatchNormalization and arithmetic with constants.

Folded into the convolution or fully connected node before where nothing else reads
its result; otherwise a depthwise 1x1 convolution.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from weft.compiler.float_graph import FloatNode, Scale
from weft.compiler.onnx_operators import Call, finite, operator, quiet
from weft.compiler.onnx_values import Constant, NodeError, Value, View
from weft.compiler.orders import in_order


def affine(call: Call, view: View, scale: np.ndarray, shift: np.ndarray) -> View:
    """Make ``view * scale + shift``; both broadcast against the file's shape.

    Raises
    ------
    NodeError
        If the constants enlarge the tensor, or vary over height or width.
    """
    a, b = (_per_channel(call, view, constant) for constant in (scale, shift))
    maker = call.build.maker(view.memory)
    if maker is not None and _can_fold(call, view, maker):
        return _fold(call, view, maker, a, b)
    made = call.build.like(call.output, view)
    call.build.add_node(
        "Conv2D",
        call.name,
        (view.memory,),
        call.output,
        {"stride": (1, 1), "dilation": (1, 1), "padding": (0, 0, 0, 0), "groups": a.size},
        constants={"weights": a.reshape(-1, 1, 1, 1), "bias": b},
    )
    return made


def _per_channel(call: Call, view: View, constant: np.ndarray) -> np.ndarray:
    """One value per channel of the memory under a view."""
    try:
        full = np.broadcast_to(constant, view.shape)
    except ValueError:
        raise NodeError(
            f"its constant of shape {list(constant.shape)} does not broadcast "
            f"to the tensor's shape {list(view.shape)}",
            "use a constant that is a scalar or has one value per channel",
        ) from None
    memory = np.empty(view.order.size)
    memory[view.order.reshape(-1)] = full.reshape(-1)
    values = memory.reshape(-1, call.build.shape(view)[2])
    if not (values == values[0]).all():
        raise NodeError(
            "its constant varies over height or width",
            "use a constant that is a scalar or has one value per channel",
        )
    return values[0].copy()


def _can_fold(call: Call, view: View, maker: FloatNode) -> bool:
    return (
        maker.op in ("Conv2D", "FullyConnected")
        and view.sole
        and not call.build.is_annotated(view.memory)
    )


def _fold(call: Call, view: View, maker: FloatNode, a: np.ndarray, b: np.ndarray) -> View:
    weights = maker.constants["weights"]
    with quiet():
        scaled = weights * a.reshape(-1, *(1,) * (weights.ndim - 1))
        shifted = maker.constants["bias"] * a + b
    constants = {"weights": finite(scaled, "product"), "bias": finite(shifted, "sum")}
    made = call.build.like(call.output, view)
    sources = (*maker.sources, call.name)
    scales = {"weights": scaled_by(maker.scales["weights"], a)} if maker.scales else {}
    node = replace(maker, output=call.output, constants=constants, scales=scales, sources=sources)
    call.build.replace_maker(view.memory, node)
    return made


def scaled_by(scale: Scale, factors: np.ndarray) -> Scale:
    """The quantization of weights whose rows are multiplied, so that their codes stay.

    A negative factor turns codes around, and one of zero makes them zero at any scale.
    """
    steps = np.where(factors == 0, scale.scale, scale.scale * np.abs(factors))
    points = np.where(factors < 0, -scale.zero_point, scale.zero_point)
    return Scale(steps, np.broadcast_to(points, steps.shape))


@operator("BatchNormalization", epsilon=1e-5, momentum=0.9, training_mode=0)
def batch_normalization(call: Call) -> Value:
    """(x - mean) / sqrt(variance + epsilon) * scale + bias, over axis 1."""
    view = call.view()
    if call.attributes["training_mode"] or any(call.outputs[1:]):
        raise NodeError(
            "it is in training mode", "export the model in inference mode (model.eval())"
        )
    names = ("scale", "bias", "mean", "variance")
    values = [finite(call.constant(i + 1, name), name) for i, name in enumerate(names)]
    if len(view.shape) < 2 or any(value.shape != view.shape[1:2] for value in values):
        raise NodeError(
            "its constants do not have one value per channel (axis 1)", "export the model again"
        )
    gamma, beta, mean, variance = values
    with quiet():
        scale = gamma / np.sqrt(variance + call.attributes["epsilon"])
        shift = beta - mean * scale
    shape = (1, -1) + (1,) * (len(view.shape) - 2)
    return affine(
        call,
        view,
        finite(scale, "scale over its variance").reshape(shape),
        finite(shift, "shift").reshape(shape),
    )


@operator("Add", "Sub")
def add_or_sub(call: Call) -> Value:
    """A sum or difference of two tensors, or of one and a constant."""
    sign = 1 if call.op == "Add" else -1
    first, second = call.value(0), call.value(1)
    if isinstance(second, Constant):
        return affine(call, call.view(0), np.array(1.0), sign * finite(second, "constant"))
    if isinstance(first, Constant):
        return affine(call, call.view(1), np.array(float(sign)), finite(first, "constant"))
    return _add_views(call, call.view(0), call.view(1), sign)


def _add_views(call: Call, a: View, b: View, sign: int) -> View:
    if a.shape != b.shape:
        raise NodeError(
            f"it broadcasts between shapes {list(a.shape)} and {list(b.shape)}",
            "give both tensors the same shape",
        )
    shape = call.build.shape(a)
    flat = np.empty(a.order.size, np.int64)
    flat[a.order.reshape(-1)] = b.order.reshape(-1)  # where the partner of each element lies
    other = b.memory
    if shape != call.build.shape(b) or not in_order(flat):
        other = call.build.moved(b.memory, shape, flat)
    made = call.build.like(call.output, a)
    call.build.add_node("Add", call.name, (a.memory, other), call.output, {"signs": (1, sign)})
    return made


@operator("Mul")
def mul(call: Call) -> Value:
    """A product with a constant; or of x and HardSigmoid(x), which is HardSwish."""
    for index in (0, 1):
        constant = call.value(index)
        if isinstance(constant, Constant):
            view = call.view(1 - index)
            return affine(call, view, finite(constant, "constant"), np.array(0.0))
    a, b = call.view(0), call.view(1)
    for x, gate in ((a, b), (b, a)):
        if _is_hard_swish(call, x, gate):
            return call.pointwise("Unary", {"function": "HardSwish"}, x)
    raise NodeError(
        "it multiplies two computed tensors", "multiply by constants only (or use HardSwish)"
    )


def _is_hard_swish(call: Call, x: View, gate: View) -> bool:
    maker = call.build.maker(gate.memory)
    return (
        maker is not None
        and maker.attributes.get("function") == "HardSigmoid"
        and abs(maker.attributes["alpha"] - 1 / 6) < 1e-6
        and abs(maker.attributes["beta"] - 0.5) < 1e-6
        and maker.inputs == (x.memory,)
        and not call.build.is_annotated(gate.memory)
        and np.array_equal(x.order, gate.order)
    )


@operator("Div")
def div(call: Call) -> Value:
    """A quotient by a constant."""
    divisor = call.value(1)
    if not isinstance(divisor, Constant):
        raise NodeError("it divides by a computed tensor", "divide by constants only")
    with quiet():
        inverse = 1 / finite(divisor, "divisor")
    return affine(call, call.view(0), finite(inverse, "reciprocal"), np.array(0.0))
