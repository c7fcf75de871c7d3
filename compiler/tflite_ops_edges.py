"""QUANTIZE, DEQUANTIZE and SOFTMAX: what the host does at the network's edges."""

from __future__ import annotations

import numpy as np

from weft.compiler.network import Port, Softmax
from weft.compiler.tflite_arithmetic import rescale_factor
from weft.compiler.tflite_builder import quantization
from weft.compiler.tflite_operators import Call, operator
from weft.compiler.tflite_ops_unary import rescale_node
from weft.compiler.tflite_views import FloatInput, FloatOutput, NodeError, View

SOFTMAX_OUTPUT = (np.float32(1 / 256), -128)


@operator("QUANTIZE")
def quantize(call: Call) -> View:
    """Of a float input, the host's; of int8, a rescaling."""
    value = call.value(0)
    if not isinstance(value, FloatInput):
        if isinstance(value, FloatOutput):
            raise NodeError("it quantises what DEQUANTIZE made within the network",
                            "rescale from int8 to int8")  # fmt: skip
        factor = rescale_factor(call.scale()[0], call.output_scale()[0])
        return rescale_node(call, call.requantize(factor))
    network = call.build.network
    port = next((port for port in network.inputs if port.number == value.number), None)
    if port is None:
        made = call.build.add_input(call.name, call.output, call.check_shape(value.shape))
        name = call.build.names[value.number]
        network.inputs.append(Port(name, made.memory, value.stated, number=value.number))
        return made
    tensor = network.tensors[port.tensor]
    if (np.float32(tensor.scale), tensor.zero_point) != quantization(call.output):
        raise NodeError(
            f"the input {port.name!r} is quantised a second time, differently",
            "quantise the input once",
        )
    return View(port.tensor, call.check_shape(value.shape))


@operator("DEQUANTIZE")
def dequantize(call: Call) -> FloatOutput:
    """Of codes, the host's; only an output of the network may come of it."""
    if call.output.dtype != "float32":
        raise NodeError(f"it makes {call.output.dtype}", "dequantise to float32")
    view = call.view()
    return FloatOutput(View(view.memory, call.check_shape(view.shape)))


@operator("SOFTMAX", options=("beta",))
def softmax(call: Call) -> View:
    """Over the last axis, in TFLite's integers."""
    if call.output_scale() != SOFTMAX_OUTPUT:
        raise NodeError(
            f"its output has scale {call.output_scale()[0]:.6g} and zero point "
            f"{call.output_scale()[1]}; TFLite fixes them at 1/256 and -128",
            "quantise the model again",
        )
    beta = float(call.option("beta"))
    if not float(call.scale()[0]) * beta * 2.0**26 > 1:
        raise NodeError(
            f"beta {beta:.4g} times its input's scale {call.scale()[0]:.4g} is too small",
            "quantise the model again",
        )
    view = call.view()
    image = call.build.image(view)
    made = call.make(view.shape)
    call.build.add_node(Softmax(call.node_name(), (image,), made.memory, beta))
    return made
