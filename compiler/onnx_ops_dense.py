"""Matrix products with constants."""

from __future__ import annotations

import math

import numpy as np

from weft.compiler.onnx_layout import find_roles, image_shape, lift, lift_axis
from weft.compiler.onnx_operators import Call, channel_scales, finite, operator, quiet
from weft.compiler.onnx_values import Constant, NodeError, Value, View


@operator("Gemm", alpha=1.0, beta=1.0, transA=0, transB=0)
def gemm(call: Call) -> Value:
    """Multiply: alpha * A * B + beta * C, where B and C are constants."""
    view = call.view()
    if call.attributes["transA"]:
        raise NodeError("transA is not implemented", "leave the first matrix as it is (transA=0)")
    matrix, addend = call.constant(1, "matrix B"), call.optional(2, "addend C")
    weights = finite(matrix, "matrix B")
    if weights.ndim != 2 or len(view.shape) != 2:
        raise NodeError(
            f"it multiplies ranks {len(view.shape)} and {weights.ndim}", "export the model again"
        )
    if call.attributes["transB"]:
        weights = weights.T
    channel_scales(matrix, 0 if call.attributes["transB"] else 1, "matrix B")
    bias = np.zeros(weights.shape[1])
    if addend is not None:
        bias = _addend(addend, weights.shape[1])
    alpha, beta = call.attributes["alpha"], call.attributes["beta"]
    scaled = (alpha != 1, beta != 1)
    if (scaled[0] and matrix.scale) or (scaled[1] and addend is not None and addend.scale):
        raise NodeError("alpha or beta scale quantized constants", "use alpha = beta = 1")
    with quiet():
        weights, bias = weights * alpha, bias * beta
    return _fully_connected(call, view, weights, bias, matrix=matrix, addend=addend)


def _addend(addend: Constant, outputs: int) -> np.ndarray:
    values = finite(addend, "addend C")
    try:
        return np.array(np.broadcast_to(values, (1, outputs))[0])
    except ValueError:
        raise NodeError(
            f"its addend C has shape {list(values.shape)}, not [{outputs}]",
            "export the model again",
        ) from None


@operator("MatMul")
def matmul(call: Call) -> Value:
    """A * B, B a constant: over all features, or over the last axis as a 1x1 Conv."""
    if isinstance(call.value(0), Constant):
        raise NodeError(
            "its first matrix is a constant", "multiply with the constant on the right instead"
        )
    view, matrix = call.view(), call.constant(1, "second matrix")
    weights = finite(matrix, "second matrix")
    if weights.ndim < 2 or math.prod(weights.shape[:-2]) != 1:
        raise NodeError(
            f"its second matrix has shape {list(weights.shape)}", "multiply by a single 2-D matrix"
        )
    channel_scales(matrix, weights.ndim - 1, "second matrix")
    if weights.ndim > max(2, len(view.shape)):
        raise NodeError("its second matrix has the higher rank", "multiply by a single 2-D matrix")
    weights = weights.reshape(*weights.shape[-2:])
    if math.prod(view.shape) == view.shape[-1] and len(view.shape) > 1:
        return _fully_connected(call, view, weights, np.zeros(weights.shape[1]), matrix=matrix)
    return _pointwise_conv(call, view, weights, matrix)


def _check_inner(view: View, weights: np.ndarray) -> None:
    if view.shape[-1] != weights.shape[0] or weights.size == 0:
        raise NodeError(
            f"it multiplies shapes {list(view.shape)} and {list(weights.shape)}",
            "export the model again",
        )


def _fully_connected(
    call: Call,
    view: View,
    weights: np.ndarray,
    bias: np.ndarray,
    *,
    matrix: Constant,
    addend: Constant | None = None,
) -> View:
    """From file weights (K, M) to (M, memory order)."""
    _check_inner(view, weights)
    weights, bias = finite(weights, "weight"), finite(bias, "bias")
    inner, outputs = weights.shape
    columns = np.empty((outputs, inner))
    columns[:, view.order.reshape(-1)] = weights.T
    order = np.arange(outputs, dtype=np.int64).reshape(*view.shape[:-1], outputs)
    made = call.build.add_tensor(call.output, (1, 1, outputs), order)
    call.build.add_node(
        "FullyConnected",
        call.name,
        (view.memory,),
        call.output,
        constants={"weights": columns, "bias": bias},
        scales=call.scales(weights=matrix, bias=addend),
    )
    return made


def _pointwise_conv(call: Call, view: View, weights: np.ndarray, matrix: Constant) -> View:
    """A matrix product along the last axis at every position."""
    _check_inner(view, weights)
    rank = len(view.shape)
    order = lift(view.order)
    roles = find_roles(order, call.build.shape(view), lift_axis(rank - 1, rank))
    height, width, _ = image_shape(order, roles)
    outputs = weights.shape[1]
    memory = call.build.image(view, roles)
    made = call.build.image_view(call.output, (height, width, outputs), roles, rank)
    call.build.add_node(
        "Conv2D",
        call.name,
        (memory,),
        call.output,
        {"stride": (1, 1), "dilation": (1, 1), "padding": (0, 0, 0, 0), "groups": 1},
        constants={
            "weights": weights.T.reshape(outputs, 1, 1, -1).copy(),
            "bias": np.zeros(outputs),
        },
        scales=call.scales(weights=matrix),
    )
    return made
