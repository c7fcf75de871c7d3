"""Writes a float graph as a float ONNX model in memory, for ONNX Runtime to run.

Every tensor of the graph is there under its own name, in the file's shape and layout, so that
calibration sees the tensors of a TFLite model as it sees those of an ONNX file.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from weft.compiler.float_graph import FloatGraph, FloatNode, FloatTensor
from weft.compiler.qdq_builder import QdqBuilder
from weft.compiler.qdq_views import inverse

OPSET = 17
IR_VERSION = 8

#: The batch axis of inputs and outputs.
BATCH = "N"


def float_onnx(graph: FloatGraph, name: str = "", *, through: bool = False) -> onnx.ModelProto:
    """`graph` as a float32 ONNX model whose tensors have the graph's names.

    Inputs and outputs have an open batch axis and otherwise the file's shape.

    Parameters
    ----------
    graph : FloatGraph
    name : str
        What messages call it; by default the graph's name.
    through : bool
        Have nodes read tensors as they are in the file's layout, so that another value put
        there reaches everything behind it.
    """
    return helper.make_model(
        _Writer(graph, through).write(name or graph.name or "model"),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="weft",
    )


class _Writer:
    """Writes node by node.

    Nodes compute on (N, C, H, W); beside what a node makes stands the same tensor in the
    file's layout, which ONNX Runtime leaves out where nobody asks for it.
    """

    def __init__(self, graph: FloatGraph, through: bool):
        self.graph = graph
        self.through = through
        self.builder = QdqBuilder(set(graph.tensors))
        self.images: dict[str, str] = {}

    def write(self, name: str) -> onnx.GraphProto:
        """Write everything, as a graph of this name."""
        for given in self.graph.inputs:
            self._read(self.graph.tensors[given])
        for node in self.graph.nodes:
            self._node(node)
        for made in self.graph.outputs:
            tensor = self.graph.tensors[made]
            if tensor.memory:
                self._show(tensor, self.images[tensor.memory])
        return helper.make_graph(
            self.builder.nodes,
            name,
            [self._value_info(given) for given in self.graph.inputs],
            [self._value_info(made) for made in self.graph.outputs],
            self.builder.initializers,
        )

    def _value_info(self, name: str) -> onnx.ValueInfoProto:
        shape: list[int | str | None] = [BATCH, *self.graph.tensors[name].file_shape[1:]]
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    # Layouts --------------------------------------------------------------------------

    def _read(self, tensor: FloatTensor) -> None:
        """From the file's layout to an image (N, C, H, W)."""
        value = tensor.name
        if tensor.order is not None:
            value = self._gathered(value, inverse(tensor.order))
        value = self._reshaped(value, tensor.shape)
        image = self.builder.unique(f"{tensor.name}/image")
        self.images[tensor.name] = self.builder.node("Transpose", [value], image, perm=[0, 3, 1, 2])

    def _show(self, tensor: FloatTensor, image: str) -> None:
        """From an image (N, C, H, W) to the file's layout, under the tensor's own name."""
        value = self.builder.unique(f"{tensor.name}/rows")
        self.builder.node("Transpose", [image], value, perm=[0, 2, 3, 1])
        if tensor.order is not None:
            value = self._gathered(value, tensor.order)
        self._reshaped(value, tensor.file_shape[1:], tensor.name)

    def _gathered(self, value: str, order: np.ndarray) -> str:
        """Elements of each sample in another order, flat."""
        flat = self.builder.node("Flatten", [value], self.builder.unique(f"{value}/flat"), axis=1)
        indices = self.builder.constant(f"{value}/order", order.astype(np.int64))
        output = self.builder.unique(f"{value}/moved")
        return self.builder.node("Gather", [flat, indices], output, axis=1)

    def _reshaped(self, value: str, shape: tuple[int, ...], output: str = "") -> str:
        output = output or self.builder.unique(f"{value}/reshaped")
        # The batch is what remains: 0 would copy an axis that a vector may not have.
        target = self.builder.constant(f"{output}/shape", np.array([-1, *shape], np.int64))
        return self.builder.node("Reshape", [value, target], output)

    def _flat(self, name: str) -> str:
        """A tensor as (N, elements in memory order)."""
        image = self.images[name]
        rows = self.builder.unique(f"{name}/rows")
        self.builder.node("Transpose", [image], rows, perm=[0, 2, 3, 1])
        return self.builder.node("Flatten", [rows], self.builder.unique(f"{name}/flat"), axis=1)

    def _image(self, flat: str, name: str) -> str:
        """An image (N, C, H, W) of elements in memory order."""
        rows = self._reshaped(flat, self.graph.tensors[name].shape)
        image = self.builder.unique(f"{name}/image")
        return self.builder.node("Transpose", [rows], image, perm=[0, 3, 1, 2])

    # Nodes ----------------------------------------------------------------------------

    def _node(self, node: FloatNode) -> None:
        name = node.output
        match node.op:
            case "FullyConnected":
                constants = [self._constant(node, key) for key in ("weights", "bias")]
                made = self.builder.unique(f"{name}/dense")
                self.builder.node(
                    "Gemm", [self._flat(node.inputs[0]), *constants], made, node.name, transB=1
                )
                image = self._image(made, name)
            case "Permute":
                order = np.asarray(node.attributes["order"])
                image = self._image(self._gathered(self._flat(node.inputs[0]), order), name)
            case _:
                op, more, attributes = self._plain(node)
                image = self.builder.unique(f"{name}/image")
                inputs = [*(self.images[given] for given in node.inputs), *more]
                self.builder.node(op, inputs, image, node.name, **attributes)
        self.images[name] = image
        self._show(self.graph.tensors[name], image)
        if self.through:
            self._read(self.graph.tensors[name])

    def _plain(self, node: FloatNode) -> tuple[str, list[str], dict[str, Any]]:
        """Operator, further inputs and attributes of a node on (N, C, H, W)."""
        attributes = node.attributes
        op: str = node.op
        more: list[str] = []
        rest = _window(node)
        match node.op:
            case "Conv2D":
                op, more = "Conv", [self._constant(node, key) for key in ("weights", "bias")]
                rest["group"] = int(attributes.get("groups", 1))
            case "Clamp":
                op, more = "Clip", self._limits(node)
            case "Unary":
                op = str(attributes["function"])
                rest = {key: value for key, value in attributes.items() if key != "function"}
            case "AveragePool":
                rest["count_include_pad"] = int(attributes.get("count_include_pad", False))
            case "Add":
                first, second = attributes.get("signs", (1, 1))
                assert first == 1  # no reader negates the first operand
                op = "Sub" if second < 0 else "Add"
            case "Pad":
                more = self._pads(node)
            case "Concat":
                rest = {"axis": (2, 3, 1)[attributes["axis"]]}
            case "Slice":
                more = self._cuts(node)
            case "Softmax":
                rest = {"axis": 1}
        return op, more, rest

    def _constant(self, node: FloatNode, key: str) -> str:
        array = node.constants[key].astype(np.float32)
        if array.ndim == 4:
            array = array.transpose(0, 3, 1, 2)
        return self.builder.constant(f"{node.output}/{key}", array)

    def _limits(self, node: FloatNode) -> list[str]:
        names = []
        for key in ("low", "high"):
            limit = node.attributes.get(key)
            constant = f"{node.output}/{key}"
            names.append(
                "" if limit is None else self.builder.constant(constant, np.float32(limit))
            )
        return names

    def _pads(self, node: FloatNode) -> list[str]:
        (top, bottom), (left, right), (front, back) = node.attributes["pads"]
        pads = np.array([0, front, top, left, 0, back, bottom, right], np.int64)
        value = np.float32(node.attributes.get("value", 0))
        return [
            self.builder.constant(f"{node.output}/pads", pads),
            self.builder.constant(f"{node.output}/value", value),
        ]

    def _cuts(self, node: FloatNode) -> list[str]:
        start, stop, step = (node.attributes[key] for key in ("start", "stop", "step"))
        columns = {"starts": start, "ends": stop, "axes": (2, 3, 1), "steps": step}
        return [
            self.builder.constant(f"{node.output}/{key}", np.array(values, np.int64))
            for key, values in columns.items()
        ]


def _window(node: FloatNode) -> dict[str, Any]:
    """Attributes of a convolution's or pool's window, by ONNX's names."""
    names = {
        "kernel": "kernel_shape", "stride": "strides", "padding": "pads", "dilation": "dilations",
    }  # fmt: skip
    return {
        name: [int(value) for value in node.attributes[key]]
        for key, name in names.items()
        if key in node.attributes
    }
