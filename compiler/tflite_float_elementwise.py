"""Sums, differences and products with constants, sums of tensors, and unary functions."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from weft.compiler.float_graph import Op
from weft.compiler.tflite_arithmetic import LIMITS
from weft.compiler.tflite_float_builder import check_real
from weft.compiler.tflite_float_operators import FloatCall, finite, float_operator
from weft.compiler.tflite_operators import contents
from weft.compiler.tflite_views import Constant, NodeError, View

_PER_CHANNEL = "use a constant that is a scalar or has one value per channel"


@float_operator("ADD", "SUB", options=("fused_activation_function", "pot_scale_int16"))
def add(call: FloatCall) -> View:
    """A sum or difference of two tensors of one shape, or of a tensor and a constant."""
    sign = -1.0 if call.op == "SUB" else 1.0
    first, second = call.value(0), call.value(1)
    if isinstance(second, Constant) and not isinstance(first, Constant):
        return _affine(call, 0, np.array(1.0), sign * call.real(1, "constant"))
    if isinstance(first, Constant):
        return _affine(call, 1, np.array(sign), call.real(0, "constant"))
    one, two = call.view(0), call.view(1)
    if one.shape != two.shape:
        raise NodeError(
            f"it broadcasts between shapes {list(one.shape)} and {list(two.shape)}",
            "give both tensors the same shape",
        )
    image = call.build.shape(one)
    inputs = (one.memory, call.build.image(two, image))
    return call.emit("Add", inputs, one.shape, image, attributes={"signs": (1, int(sign))})


@float_operator("MUL", options=("fused_activation_function",))
def mul(call: FloatCall) -> View:
    """A product of a tensor and a constant."""
    for index in (1, 0):
        if isinstance(call.value(index), Constant):
            return _affine(call, 1 - index, call.real(index, "constant"), np.array(0.0))
    raise NodeError(
        "it multiplies two computed tensors", "multiply by constants only (or use HARD_SWISH)"
    )


def _affine(call: FloatCall, index: int, scale: np.ndarray, shift: np.ndarray) -> View:
    """``input * scale + shift``: in the layer before where it can be, else a depthwise 1 x 1."""
    view = call.view(index)
    a, b = (_per_channel(call, view, constant) for constant in (scale, shift))
    maker = call.build.absorbable(call.operator.inputs[index], view)
    image = call.build.shape(view)
    if maker is None:
        return call.emit(
            "Conv2D",
            (view.memory,),
            view.shape,
            image,
            attributes={
                "stride": (1, 1), "dilation": (1, 1), "padding": (0, 0, 0, 0), "groups": a.size,
            },
            constants={"weights": a.reshape(-1, 1, 1, 1), "bias": b},
        )  # fmt: skip
    weights, bias = maker.constants["weights"], maker.constants["bias"]
    constants = {
        "weights": finite(weights * a.reshape(-1, *(1,) * (weights.ndim - 1)), "product"),
        "bias": finite(bias * a + b, "sum"),
    }
    call.check_shape(view.shape)
    call.build.take_back(maker)
    return call.emit(
        maker.op,
        maker.inputs,
        view.shape,
        image,
        attributes=maker.attributes,
        constants=constants,
        name=maker.name,
        sources=(*maker.sources, call.name),
    )


def _per_channel(call: FloatCall, view: View, constant: np.ndarray) -> np.ndarray:
    """One value per channel of the memory under a view."""
    try:
        full = np.broadcast_to(constant, view.shape)
    except ValueError:
        raise NodeError(
            f"its constant of shape {list(constant.shape)} does not broadcast "
            f"to the tensor's shape {list(view.shape)}",
            _PER_CHANNEL,
        ) from None
    values = full.reshape(-1, call.build.shape(view)[2])
    if not (values == values[0]).all():
        raise NodeError("its constant varies over height or width", _PER_CHANNEL)
    return values[0].copy()


@float_operator("RELU", "RELU6", "RELU_N1_TO_1", "RELU_0_TO_1")
def relu(call: FloatCall) -> View:
    """A clamp."""
    low, high = LIMITS[call.op]
    return _pointwise(call, {"low": low, "high": high})


@float_operator("LEAKY_RELU", options=("alpha",))
def leaky_relu(call: FloatCall) -> View:
    """Multiplies what is negative by alpha."""
    alpha = float(call.option("alpha"))
    if not math.isfinite(alpha):
        raise NodeError("its alpha is NaN or infinite", "convert the model again")
    return _pointwise(call, {"function": "LeakyRelu", "alpha": alpha})


@float_operator("HARD_SWISH", "LOGISTIC", "TANH")
def unary(call: FloatCall) -> View:
    """Functions without options."""
    functions = {"HARD_SWISH": "HardSwish", "LOGISTIC": "Sigmoid", "TANH": "Tanh"}
    return _pointwise(call, {"function": functions[call.op]})


def _pointwise(call: FloatCall, attributes: dict[str, object]) -> View:
    view = call.view()
    op: Op = "Unary" if "function" in attributes else "Clamp"
    image = call.build.shape(view)
    return call.emit(op, (view.memory,), view.shape, image, attributes=attributes)


@float_operator("SOFTMAX", options=("beta",))
def softmax(call: FloatCall) -> View:
    """Over the last axis."""
    beta = float(call.option("beta"))
    if beta != 1:
        raise NodeError(f"its beta is {beta:.4g}", "multiply by a constant before it instead")
    view = call.view()
    return call.emit("Softmax", (call.build.image(view),), view.shape)


@float_operator("DEQUANTIZE", "QUANTIZE")
def codes(call: FloatCall) -> View | Constant:
    """Between codes and real values: here all values are real, so only a constant changes."""
    value = call.value(0)
    check_real(call.output)
    if not isinstance(value, Constant):
        return call.look(call.view(), call.view().shape)
    tensor = value.tensor
    if call.op == "QUANTIZE":
        raise NodeError("it quantises a constant", "fold it when converting")
    if tensor.dtype == "float16":
        real = finite(contents(tensor), "constant")
    else:
        real = call.real(0, "constant")
    call.check_shape(real.shape)
    return Constant(replace(call.output, dtype="float32", data=real.astype(np.float32)))
