"""Writes an integer graph as standard QDQ ONNX, in the source's names, shapes and layout.

Every activation passes a QuantizeLinear and a DequantizeLinear, weights are int8 and
biases int32 initialisers behind a DequantizeLinear. Scales are numbers that float32 holds
exactly, so reading the file back gives the same integer graph.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from weft.compiler import network as integer
from weft.compiler.calibration_record import CalibrationRecord, write_record
from weft.compiler.qdq_builder import QdqBuilder
from weft.compiler.qdq_scales import weight_scales
from weft.compiler.qdq_views import channels_first, inverse
from weft.compiler.quantize_affine_weights import product_scales
from weft.errors import InputError, RefusedError

OPSET = 17
IR_VERSION = 8

#: The batch axis of inputs and outputs.
BATCH = "N"


def write_qdq(
    network: integer.Network, path: str | Path, record: CalibrationRecord | None = None
) -> None:
    """Save `network` as a QDQ ONNX file; the same network and record give the same bytes."""
    model = qdq_model(network)
    if record is not None:
        write_record(model, record)
    data = model.SerializeToString(deterministic=True)
    try:
        Path(path).write_bytes(data)
    except OSError as error:
        raise InputError(
            f"{path} cannot be written ({error.strerror}); choose another place"
        ) from error


def qdq_model(network: integer.Network) -> onnx.ModelProto:
    """`network` as a QDQ ONNX model."""
    _check(network)
    graph = _Writer(network).graph()
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
    )
    model.producer_name = "weft"
    try:
        model.producer_version = version("weft")
    except PackageNotFoundError:  # run from a folder that is not installed
        model.producer_version = "0"
    return model


def _check(network: integer.Network) -> None:
    """Refuse the arithmetic that ONNX has no words for: TFLite's."""
    for node in network.nodes:
        own = (getattr(node, "requantize", None), *(getattr(node, "scalings", None) or ()))
        if any(scaling is not None and scaling.rounding == "double" for scaling in own):
            raise RefusedError(
                f"node {node.name!r} rounds twice, as TFLite does; only networks quantized by "
                "shifts, or as ONNX Runtime does, can be written as ONNX"
            )
    if network.constants:
        raise RefusedError(
            f"tensor {next(iter(network.constants))!r} is a constant; it cannot be written as ONNX"
        )


class _Writer:
    """Writes node by node; knows the ONNX value that shows each tensor.

    A tensor is NCHW, or (N, C) where a Gemm or Softmax made it.
    """

    def __init__(self, network: integer.Network):
        self.network = network
        self.tensors = network.tensors
        ports = [port.name for port in (*network.inputs, *network.outputs)]
        self.builder = QdqBuilder({*network.tensors, *ports})
        self.values: dict[tuple[str, int], str] = {}  # by tensor and rank without batch
        self.native: dict[str, int] = {}

    def graph(self) -> onnx.GraphProto:
        """Write everything."""
        for port in self.network.inputs:
            self._input(port)
        for node in self.network.nodes:
            self._node(node)
        for port in self.network.outputs:
            self._output(port)
        return helper.make_graph(
            self.builder.nodes,
            self.network.name or "weft",
            [_value_info(port) for port in self.network.inputs],
            [_value_info(port) for port in self.network.outputs],
            self.builder.initializers,
        )

    # Tensors --------------------------------------------------------------------------

    def _shape(self, name: str, rank: int) -> tuple[int, ...]:
        height, width, channels = self.tensors[name].shape
        return (channels, height, width) if rank == 3 else (height * width * channels,)

    def _value(self, name: str, rank: int = 3) -> str:
        """Name of the ONNX value of a tensor as NCHW, or flattened from that."""
        if (name, rank) not in self.values:
            native = self.native[name]
            output = self.builder.unique(f"{name}_{'image' if rank == 3 else 'flat'}")
            self.values[name, rank] = self.builder.reshape(
                self.values[name, native],
                self._shape(name, native),
                self._shape(name, rank),
                output,
            )
        return self.values[name, rank]

    def _common_rank(self, names: tuple[str, ...]) -> int:
        """Flat where all tensors are flat already."""
        return 1 if all(self.native[name] == 1 for name in names) else 3

    def _made(self, name: str, value: str, rank: int) -> None:
        """Quantize a value that a node made and note it as the tensor's."""
        tensor = self.tensors[name]
        self.values[name, rank] = self.builder.quantized(
            value, name, tensor.scale, tensor.zero_point
        )
        self.native[name] = rank

    def _raw(self, name: str) -> str:
        """Name for a node's result before its codes: the tensor's, unless an output has it."""
        taken = {port.name for port in (*self.network.inputs, *self.network.outputs)}
        return self.builder.unique(f"{name}_QuantizeLinear_Input") if name in taken else name

    # Ports ----------------------------------------------------------------------------

    def _input(self, port: integer.Port) -> None:
        tensor = self.tensors[port.tensor]
        if port.dtype == "int8":
            parameters = self.builder.parameters(
                port.name, np.float32(tensor.scale), np.int8(tensor.zero_point)
            )
            value = self.builder.dequantized(port.name, port.name, parameters)
        else:
            value = self.builder.quantized(port.name, port.name, tensor.scale, tensor.zero_point)
        order = channels_first(tensor.shape)
        if port.order is not None:
            order = inverse(port.order)[order]
        rank = 1 if port.shape == (tensor.size,) and tensor.shape[:2] == (1, 1) else 3
        self.native[port.tensor] = rank
        target = self._shape(port.tensor, rank)
        output = self.builder.unique(f"{port.name}_image")
        self.values[port.tensor, rank] = self.builder.view(value, port.shape, order, target, output)

    def _output(self, port: integer.Port) -> None:
        if port.name in {given.name for given in self.network.inputs}:
            return  # the file shows an input as it is
        tensor, rank = self.tensors[port.tensor], self.native[port.tensor]
        order = np.arange(tensor.size) if port.order is None else port.order
        order = inverse(channels_first(tensor.shape))[order]
        value = self.values[port.tensor, rank]
        if port.dtype == "int8":
            value = self._codes(value)
        shape = self._shape(port.tensor, rank)
        result = self.builder.view(value, shape, order, port.shape, port.name)
        if result != port.name:
            self._rename(result, port.name)

    def _codes(self, value: str) -> str:
        """Name of the codes behind a dequantized value."""
        makers = {node.output[0]: node for node in self.builder.nodes}
        return makers[value].input[0]

    def _rename(self, value: str, name: str) -> None:
        """Let an output show a value: by renaming it, or where it is an output already, copying."""
        ports = {port.name for port in (*self.network.inputs, *self.network.outputs)}
        if value in ports:
            self.builder.node("Identity", [value], name)
            return
        for node in self.builder.nodes:
            for values in (node.input, node.output):
                for index, other in enumerate(values):
                    if other == value:
                        values[index] = name
        self.values = {key: name if other == value else other for key, other in self.values.items()}

    # Nodes ----------------------------------------------------------------------------

    def _node(self, node: integer.Node) -> None:
        match node:
            case integer.Permute():
                self._permute(node)
            case integer.FullyConnected():
                self._fully_connected(node)
            case integer.Softmax():
                self._softmax(node)
            case integer.Rescale():
                self._rescale(node)
            case integer.Mean() if node.axes == (0, 1):
                self._plain(node, 3, "GlobalAveragePool", [], {})
            case integer.Add() | integer.Table():
                rank = self._common_rank(node.inputs)
                self._plain(node, rank, *_pointwise(self, node))
            case _:
                self._plain(node, 3, *_operator(self, node))

    def _plain(
        self, node: integer.Node, rank: int, op: str, extra: list[str], attributes: dict[str, Any]
    ) -> None:
        """Write a node of one operator, and a clamp where it has one."""
        inputs = [self._value(name, rank) for name in node.inputs]
        self._finish(node, rank, op, [*inputs, *extra], attributes)

    def _finish(
        self, node: integer.Node, rank: int, op: str, inputs: list[str], attributes: dict[str, Any]
    ) -> None:
        raw = self._raw(node.output)
        low, high = _limits(node)
        clamped = (low, high) != (-128, 127)
        output = self.builder.unique(f"{node.output}_unclamped") if clamped else raw
        self.builder.node(op, inputs, output, node.name, **attributes)
        if clamped:
            self._clamp(output, raw, node, f"{node.name}_clamp")
        self._made(node.output, raw, rank)

    def _clamp(self, value: str, output: str, node: integer.Node, name: str) -> None:
        tensor, (low, high) = self.tensors[node.output], _limits(node)
        if (low, high) == (tensor.zero_point, 127):
            self.builder.node("Relu", [value], output, name)
            return
        limits = clip_limits(
            self.builder,
            output,
            None if low == -128 else (low - tensor.zero_point) * tensor.scale,
            None if high == 127 else (high - tensor.zero_point) * tensor.scale,
        )
        self.builder.node("Clip", [value, *limits], output, name)

    def _rescale(self, node: integer.Rescale) -> None:
        """Codes at another scale are a clamp, of which there may be nothing to see."""
        raw, rank = self._raw(node.output), self.native[node.inputs[0]]
        value = self._value(node.inputs[0], rank)
        if _limits(node) == (-128, 127):
            self.builder.node("Clip", [value], raw, node.name)
        else:
            self._clamp(value, raw, node, node.name)
        self._made(node.output, raw, rank)

    def _fully_connected(self, node: integer.FullyConnected) -> None:
        height, width, channels = self.tensors[node.inputs[0]].shape
        codes = node.weights.reshape(-1, height, width, channels).transpose(0, 3, 1, 2)
        constants = self.weighted(node, codes.reshape(len(codes), -1))
        inputs = [self._value(node.inputs[0], 1), *constants]
        self._finish(node, 1, "Gemm", inputs, {"transB": 1})

    def weighted(
        self, node: integer.Conv2D | integer.FullyConnected, codes: np.ndarray
    ) -> list[str]:
        """Weights, whose file layout is given, and bias as real values."""
        given, made = self.tensors[node.inputs[0]].scale, self.tensors[node.output].scale
        if node.requantize.rounding == "shift":
            products = made * np.ldexp(1.0, -node.requantize.shift)
            scales = products / given
        else:
            scales = weight_scales(node, given, made)
            products = product_scales(given, scales)
        return [
            self.builder.weights(f"{node.name}_weights", codes, scales),
            self.builder.weights(f"{node.name}_bias", node.bias, products),
        ]

    def _softmax(self, node: integer.Softmax) -> None:
        given = node.inputs[0]
        flat = self.tensors[given].shape[:2] == (1, 1)
        rank = 1 if flat else 3
        self._plain(node, rank, "Softmax", [], {"axis": 1})

    def _permute(self, node: integer.Permute) -> None:
        """Only views: the codes stay, so nothing is quantized again."""
        given = node.inputs[0]
        source = inverse(channels_first(self.tensors[given].shape))
        order = source[node.order][channels_first(self.tensors[node.output].shape)]
        output = self.builder.unique(f"{node.output}_image")
        self.native[node.output] = 3
        self.values[node.output, 3] = self.builder.view(
            self._value(given), self._shape(given, 3), order, self._shape(node.output, 3), output
        )


def clip_limits(builder: QdqBuilder, name: str, low: float | None, high: float | None) -> list[str]:
    """Name the inputs of a Clip after the first."""
    result = [
        "" if limit is None else builder.constant(f"{name}_{key}", np.float32(limit))
        for key, limit in (("min", low), ("max", high))
    ]
    return result if result[1] else result[:1] if result[0] else []


_REQUANTIZED = (
    integer.Conv2D | integer.FullyConnected | integer.Add | integer.Mean | integer.Rescale
)


def _limits(node: integer.Node) -> tuple[int, int]:
    if isinstance(node, _REQUANTIZED):
        return node.requantize.low, node.requantize.high
    if isinstance(node, integer.AveragePool | integer.MaxPool):
        return node.low, node.high
    return -128, 127


_Parts = tuple[str, list[str], dict[str, Any]]


def _pointwise(writer: _Writer, node: integer.Add | integer.Table) -> _Parts:
    """Operator, further inputs and attributes of a node that works at any rank."""
    if isinstance(node, integer.Add):
        if node.signs not in ((1, 1), (1, -1)):
            raise RefusedError(f"node {node.name!r} negates its first input; swap its inputs")
        return ("Sub" if node.signs[1] < 0 else "Add"), [], {}
    if node.function == "Clamp":
        low, high = node.attributes.get("low"), node.attributes.get("high")
        if low == 0 and high is None:
            return "Relu", [], {}
        return "Clip", clip_limits(writer.builder, node.output, low, high), {}
    return node.function, [], dict(node.attributes)


def _operator(writer: _Writer, node: integer.Node) -> _Parts:
    """Operator, further inputs and attributes of a node that works on NCHW."""
    match node:
        case integer.Conv2D():
            codes = node.weights.transpose(0, 3, 1, 2)
            window = {"kernel_shape": list(node.weights.shape[1:3]), "group": node.groups}
            return "Conv", writer.weighted(node, codes), {**window, **_window(node)}
        case integer.MaxPool():
            return "MaxPool", [], {"kernel_shape": list(node.kernel), **_window(node)}
        case integer.AveragePool():
            window = {"kernel_shape": list(node.kernel), **_window(node)}
            return "AveragePool", [], {**window, "count_include_pad": int(node.count_include_pad)}
        case integer.Pad():
            return "Pad", _pad_inputs(writer, node), {}
        case integer.Concat():
            return "Concat", [], {"axis": (2, 3, 1)[node.axis]}
        case integer.Slice():
            return "Slice", _slice_inputs(writer, node), {}
    raise RefusedError(f"node {node.name!r} of type {type(node).__name__} cannot be written")


def _window(node: integer.Conv2D | integer.MaxPool | integer.AveragePool) -> dict[str, Any]:
    attributes = {"strides": list(node.stride), "pads": list(node.padding)}
    if not isinstance(node, integer.AveragePool):
        attributes["dilations"] = list(node.dilation)
    return attributes


def _pad_inputs(writer: _Writer, node: integer.Pad) -> list[str]:
    (top, bottom), (left, right), (front, back) = node.pads
    pads = np.array([0, front, top, left, 0, back, bottom, right], np.int64)
    tensor = writer.tensors[node.output]
    value = np.float32((node.value - tensor.zero_point) * tensor.scale)
    return [
        writer.builder.constant(f"{node.output}_pads", pads),
        writer.builder.constant(f"{node.output}_value", value),
    ]


def _slice_inputs(writer: _Writer, node: integer.Slice) -> list[str]:
    height, width, channels = writer.tensors[node.inputs[0]].shape
    full = list(zip((0, 0, 0), (height, width, channels), (1, 1, 1), strict=True))
    cuts = list(zip(node.start, node.stop, node.step, strict=True))
    used = [axis for axis in (2, 0, 1) if cuts[axis] != full[axis]] or [0]
    columns = {
        "starts": [cuts[axis][0] for axis in used],
        "ends": [cuts[axis][1] for axis in used],
        "axes": [(2, 3, 1)[axis] for axis in used],
        "steps": [cuts[axis][2] for axis in used],
    }
    return [
        writer.builder.constant(f"{node.output}_{key}", np.array(values, np.int64))
        for key, values in columns.items()
    ]


def _value_info(port: integer.Port) -> onnx.ValueInfoProto:
    kind = TensorProto.FLOAT if port.dtype == "float32" else TensorProto.INT8
    return helper.make_tensor_value_info(port.name, kind, [BATCH, *port.shape])
