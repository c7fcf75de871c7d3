"""The float graph under construction from a `.tflite` file.

TFLite's memory is channels last already, so every tensor lies in memory as in the file.
Operators that only move values are read by the same handlers as those of INT8 models: the
base class keeps the shapes for them, and the moves they make become float nodes here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from weft.compiler import network as integer
from weft.compiler.float_graph import FloatGraph, FloatNode, FloatTensor, Op
from weft.compiler.tflite_builder import Builder, quantization
from weft.compiler.tflite_file import TfliteModel, TfliteTensor
from weft.compiler.tflite_views import NodeError, Shape3, View, image_shape


class FloatBuilder(Builder):
    """Collects a FloatGraph node by node.

    Parameters
    ----------
    name : str
        Of the graph.
    model : TfliteModel
    """

    def __init__(self, name: str, model: TfliteModel):
        super().__init__(name, model.tensors)
        self.graph = FloatGraph(name)
        self.tensors = model.tensors
        self._file_shapes: dict[str, tuple[int, ...]] = {}
        self._makers: dict[str, FloatNode] = {}
        self._uses = Counter(number for operator in model.operators for number in operator.inputs)
        self._uses.update(model.outputs)

    def add(
        self,
        name: str,
        tensor: TfliteTensor,
        shape: tuple[int, ...],
        image: Shape3 | None = None,
    ) -> View:
        """Memory (H, W, C) for real values, seen with the file's shape."""
        check_real(tensor)
        return self.add_memory(name, shape, image or image_shape(shape))

    def add_memory(self, name: str, shape: tuple[int, ...], image: Shape3) -> View:
        """Memory (H, W, C) under a name that may be new, seen with a shape."""
        self.charge(name, image)
        # Of the integer graph only the shape is of use: real values need no scale.
        self.network.tensors[name] = integer.Tensor(name, image, 1.0, 0)
        self._file_shapes[name] = shape
        return View(name, shape)

    def add_node(self, node: integer.Node) -> None:
        """Append a move."""
        attributes: dict[str, Any]
        op: Op
        match node:
            case integer.Pad():
                op, attributes = "Pad", {"pads": node.pads, "value": 0.0}
            case integer.Concat():
                op, attributes = "Concat", {"axis": node.axis}
            case integer.Slice():
                op = "Slice"
                attributes = {"start": node.start, "stop": node.stop, "step": node.step}
            case integer.Permute():
                op, attributes = "Permute", {"order": node.order}
            case _:
                raise TypeError(f"{type(node).__name__} is no move")
        self.add_float(op, node.name, node.inputs, node.output, attributes)

    def add_float(
        self,
        op: Op,
        name: str,
        inputs: tuple[str, ...],
        output: str,
        attributes: Mapping[str, Any] | None = None,
        *,
        constants: Mapping[str, np.ndarray] | None = None,
        sources: tuple[str, ...] = (),
    ) -> None:
        """Append a node; `output` is memory that was added."""
        node = FloatNode(
            op, name, inputs, output, attributes or {}, constants or {}, sources=sources
        )
        self._makers[output] = node
        self.graph.nodes.append(node)

    def set_last(self, **attributes: Any) -> None:
        """Change attributes of the node that was added last."""
        node = self.graph.nodes[-1]
        changed = replace(node, attributes={**node.attributes, **attributes})
        self._makers[node.output] = self.graph.nodes[-1] = changed

    def absorbable(self, number: int, view: View) -> FloatNode | None:
        """The layer that makes tensor `number` of the file for one reader alone, or None.

        A scale and a shift behind such a layer can become part of its weights.
        """
        maker = self._makers.get(view.memory)
        if maker is None or maker.op not in ("Conv2D", "FullyConnected"):
            return None
        alone = self._uses[number] == 1 and self.names[number] == view.memory
        return maker if alone else None

    def take_back(self, node: FloatNode) -> None:
        """Remove a node and the memory it makes."""
        self.graph.nodes.remove(node)
        del self._makers[node.output], self.network.tensors[node.output]

    def finish(self) -> FloatGraph:
        """The graph, with all tensors as they lie now."""
        for name, tensor in self.network.tensors.items():
            shape = self._file_shapes.get(name, tensor.shape)
            self.graph.tensors[name] = FloatTensor(name, tensor.shape, batched(shape))
        return self.graph

    def add_output(self, name: str, view: View) -> None:
        """List an output; `finish` must have been called."""
        self.graph.outputs.append(name)
        if view.memory != name:
            shape = self.graph.tensors[view.memory].shape
            self.graph.tensors[name] = FloatTensor(
                name, shape, batched(view.shape), memory=view.memory
            )


def check_real(tensor: TfliteTensor) -> None:
    """Refuse an activation that has no real values."""
    if tensor.dtype == "int8":
        quantization(tensor)  # refuses codes that mean nothing
    elif tensor.dtype != "float32":
        raise NodeError(
            f"tensor {tensor.name!r} is {tensor.dtype}",
            "convert the model with float32 activations",
        )


def batched(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape of the file with a batch axis of 1, which a converter may have squeezed away."""
    return shape if shape[:1] == (1,) else (1, *shape)
