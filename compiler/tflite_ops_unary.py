"""Operators that treat each code alike: rescaling, clamps and tables."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from weft.compiler import tflite_tables as tables
from weft.compiler.network import Requantize, Rescale, Table
from weft.compiler.tflite_arithmetic import (
    requantize,
    rescale_factor,
    short_rescale_factor,
)
from weft.compiler.tflite_operators import Call, operator
from weft.compiler.tflite_views import NodeError, View


def rescale_node(call: Call, scaled: Requantize) -> View:
    """A Rescale from the operator's input to its output."""
    view = call.view()
    made = call.like(view)
    call.build.add_node(Rescale(call.node_name(), (view.memory,), made.memory, scaled))
    return made


def rescaled(call: Call, view: View, index: int) -> View:
    """An input of CONCATENATION at its output's scale, by QUANTIZE's arithmetic."""
    tensor = call.build.network.tensors[view.memory]
    scale, zero_point = call.output_scale()
    if (np.float32(tensor.scale), tensor.zero_point) == (scale, zero_point):
        return view
    name = call.build.new_tensor(f"{call.name}/rescaled/{index}")
    made = call.build.add(name, call.output, view.shape, call.build.shape(view))
    factor = rescale_factor(np.float32(tensor.scale), scale)
    scaled = requantize(factor, call.rounding, zero_point, (-128, 127))
    call.build.add_node(Rescale(call.build.node_name(name), (view.memory,), name, scaled))
    return made


@operator("RELU", "RELU_N1_TO_1", "RELU_0_TO_1")
def relu(call: Call) -> View:
    """Rescaled, then clamped."""
    factor = short_rescale_factor(call.scale()[0], call.output_scale()[0])
    return rescale_node(call, call.requantize(factor, call.op))


@operator("RELU6")
def relu6(call: Call) -> View:
    """As RELU; TFLite Micro's kernel clamps at its input's scale and does not rescale."""
    if call.arithmetic != "litert" and call.scale() != call.output_scale():
        raise NodeError(
            "TFLite Micro's RELU6 does not rescale, and here its output has another scale",
            "use --rounding litert, whose RELU6 does",
        )
    return relu(call)


@operator("LEAKY_RELU", options=("alpha",))
def leaky_relu(call: Call) -> View:
    """A table: one multiplier for codes from the zero point up, one below it."""
    alpha = float(call.option("alpha"))
    (scale, _), (output, _) = call.scale(), call.output_scale()
    slopes = short_rescale_factor(scale, output), short_rescale_factor(scale, output, alpha)
    codes = tables.leaky_relu(_distances(call), *slopes, call.rounding)
    return _table(call, codes + call.output_scale()[1], "LeakyRelu", {"alpha": alpha})


@operator("HARD_SWISH")
def hard_swish(call: Call) -> View:
    """A table of TFLite's 16-bit arithmetic."""
    codes = tables.hard_swish(_distances(call), call.scale()[0], call.output_scale()[0])
    return _table(call, codes + call.output_scale()[1], "HardSwish", {})


@operator("LOGISTIC")
def logistic(call: Call) -> View:
    """A table: gemmlowp's fixed point in TFLite Micro, float32 in LiteRT."""
    return _sigmoidal(call, "Sigmoid", (np.float32(1 / 256), -128), tables.logistic)


@operator("TANH")
def tanh(call: Call) -> View:
    """A table, like LOGISTIC's."""
    return _sigmoidal(call, "Tanh", (np.float32(1 / 128), 0), tables.tanh)


def _sigmoidal(
    call: Call, function: str, fixed: tuple[np.float32, int], table: Callable[..., np.ndarray]
) -> View:
    if call.output_scale() != fixed:
        raise NodeError(
            f"its output has scale {call.output_scale()[0]:.6g} and zero point "
            f"{call.output_scale()[1]}; TFLite fixes them at 1/{1 / fixed[0]:.0f} and {fixed[1]}",
            "quantise the model again",
        )
    codes = table(_distances(call), call.scale()[0], call.arithmetic)
    return _table(call, codes, function, {})


def _distances(call: Call) -> np.ndarray:
    """Every code of the input less its zero point, from -128 on."""
    return np.arange(-128, 128, dtype=np.int64) - call.scale()[1]


def _table(call: Call, codes: np.ndarray, function: str, attributes: dict[str, float]) -> View:
    view = call.view()
    made = call.like(view)
    table = np.clip(codes, -128, 127).astype(np.int8)
    call.build.add_node(
        Table(call.node_name(), (view.memory,), made.memory, table, function, dict(attributes))
    )
    return made
