"""The float graph under construction: tensors in memory, nodes, and the moves between layouts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from weft.compiler.float_graph import FloatGraph, FloatNode, FloatTensor, Op, Scale
from weft.compiler.onnx_layout import (
    LARGEST_SUM,
    Roles,
    Shape3,
    check_size,
    file_order,
    image_order,
    image_shape,
    is_image,
    lift,
    unlift,
)
from weft.compiler.onnx_values import NodeError, View
from weft.compiler.orders import in_order


class Relayout(Exception):  # noqa: N818  not an error: it starts the reading again
    """An input of the network had better lie in memory as `order` says; start again."""

    def __init__(self, name: str, shape: Shape3, order: np.ndarray):
        super().__init__(name)
        self.name = name
        self.shape = shape
        self.order = order


class Builder:
    """Collects a FloatGraph node by node.

    Parameters
    ----------
    name : str
        Of the graph.
    uses : mapping of str to int
        How many nodes and graph outputs read each name of the file.
    fixed : set of str
        Inputs whose layout in memory is settled; others may raise `Relayout`.
    taken : set of str
        Every name of a tensor in the file.
    """

    def __init__(self, name: str, uses: Mapping[str, int], fixed: set[str], taken: set[str]):
        self.graph = FloatGraph(name)
        self._uses = uses
        self._fixed = fixed
        self._tensor_names = set(taken)
        self._node_names: set[str] = set()
        self._makers: dict[str, int] = {}
        self._origins: dict[str, str] = {}
        self._moves: dict[tuple[str, Shape3, bytes], str] = {}
        self._left = LARGEST_SUM

    def add_input(self, name: str, shape: Shape3, order: np.ndarray) -> View:
        """A tensor that the user gives."""
        self.graph.inputs.append(name)
        self._origins[name] = name
        return self.add_tensor(name, shape, order)

    def add_tensor(self, name: str, shape: Shape3, order: np.ndarray) -> View:
        """Memory under the file's name for it; `order` has the file's shape."""
        self._charge(shape)
        flat = order.reshape(-1)
        plain = in_order(flat)
        self.graph.tensors[name] = FloatTensor(name, shape, order.shape, None if plain else flat)
        return View(name, order, self._uses.get(name, 0) == 1)

    def like(self, name: str, view: View) -> View:
        """A tensor that lies in memory element by element as another one."""
        made = self.add_tensor(name, self.shape(view), view.order)
        if view.memory in self._origins:
            self._origins[name] = self._origins[view.memory]
        return made

    def shape(self, view: View) -> Shape3:
        """The (H, W, C) of the memory under a view."""
        return self.graph.tensors[view.memory].shape

    def reviewed(self, name: str, view: View, order: np.ndarray) -> View:
        """Another look at the same memory, under the file's name `name`.

        Raises
        ------
        NodeError
            If the batch axis is no longer the first.
        """
        if order.ndim == 0 or order.shape[0] != 1:
            raise NodeError(
                "its result no longer has the batch axis first", "keep the batch as axis 0"
            )
        if not np.may_share_memory(order, view.order):  # a copy
            self._charge(order.shape)
        return replace(view, order=order, sole=view.sole and self._uses.get(name, 0) == 1)

    def add_node(
        self,
        op: Op,
        name: str,
        inputs: tuple[str, ...],
        output: str,
        attributes: Mapping[str, Any] | None = None,
        *,
        constants: Mapping[str, np.ndarray] | None = None,
        scales: Mapping[str, Scale] | None = None,
        sources: tuple[str, ...] = (),
    ) -> None:
        """Append a node; `output` is a tensor that was added."""
        self._makers[output] = len(self.graph.nodes)
        unique = self._unique(name, self._node_names)
        self._node_names.add(unique)
        node = FloatNode(
            op, unique, inputs, output, attributes or {}, constants or {}, scales or {}, sources
        )
        self.graph.nodes.append(node)

    def maker(self, memory: str) -> FloatNode | None:
        """The node that writes a memory; None for an input."""
        index = self._makers.get(memory)
        return None if index is None else self.graph.nodes[index]

    def replace_maker(self, memory: str, node: FloatNode) -> None:
        """Let `node`, which may write elsewhere, stand for the node that wrote `memory`."""
        index = self._makers.pop(memory)
        self.graph.nodes[index] = node
        self._makers[node.output] = index
        if node.output != memory:
            del self.graph.tensors[memory]

    def annotate(self, memory: str, scale: Scale) -> None:
        """Note the file's quantization of a tensor."""
        known = self.graph.scales.setdefault(memory, scale)
        if known.scale != scale.scale or known.zero_point != scale.zero_point:
            raise NodeError(
                f"tensor {memory!r} is quantized twice, with different scales",
                "quantize it once",
            )

    def is_annotated(self, memory: str) -> bool:
        """Whether the file quantizes this tensor, so that nothing may be folded across it."""
        return memory in self.graph.scales

    def image(self, view: View, roles: Roles) -> str:
        """Name of memory that is the (H, W, C) of a view; moves it there if it is not.

        Raises
        ------
        Relayout
            If a better layout of a network's input saves the move.
        """
        order = lift(view.order)
        if is_image(order, self.shape(view), roles):
            return view.memory
        shape, flat = image_shape(order, roles), image_order(order, roles)
        origin = self._origins.get(view.memory)
        if origin is not None and origin not in self._fixed:
            self._relayout(origin, shape, flat)
        return self.moved(view.memory, shape, flat)

    def moved(self, memory: str, shape: Shape3, flat: np.ndarray) -> str:
        """Name of memory of `shape` whose element i is element ``flat[i]`` of another one."""
        key = (memory, shape, flat.tobytes())
        if key not in self._moves:
            name = self.new_tensor(f"{memory}/permuted", shape)
            self.add_node("Permute", name, (memory,), name, {"order": flat})
            if memory in self.graph.scales:
                self.graph.scales[name] = self.graph.scales[memory]
            self._moves[key] = name
        return self._moves[key]

    def image_view(self, name: str, shape: Shape3, roles: Roles, rank: int) -> View:
        """New memory (H, W, C) that the file sees with these roles at this rank."""
        check_size(shape)
        return self.add_tensor(name, shape, unlift(file_order(shape, roles), rank))

    def new_tensor(self, name: str, shape: Shape3) -> str:
        """Memory that the file has no name for; returns the name it got."""
        self._charge(shape)
        name = self._unique(name, self._tensor_names)
        self._tensor_names.add(name)
        self.graph.tensors[name] = FloatTensor(name, shape, (1, *shape))
        return name

    def output_alias(self, name: str, view: View) -> None:
        """Make a view of other memory known under the name the file gives it."""
        flat = view.order.reshape(-1)
        self.graph.tensors[name] = FloatTensor(
            name, self.shape(view), view.shape, flat, memory=view.memory
        )

    def _charge(self, shape: tuple[int, ...]) -> None:
        """Refuse a tensor that is too large, or one too many for the memory that reading takes."""
        check_size(shape)
        self._left -= math.prod(shape)
        if self._left < 0:
            raise NodeError(
                f"the tensors up to here have more than {LARGEST_SUM} elements",
                "use a smaller input, or a smaller model",
            )

    def _relayout(self, origin: str, shape: Shape3, flat: np.ndarray) -> None:
        """Where memory element ``flat[i]`` becomes element i, find the input's new order."""
        tensor = self.graph.tensors[origin]
        size = math.prod(tensor.shape)
        new_index = np.empty(size, np.int64)
        new_index[flat] = np.arange(size)
        old = np.arange(size) if tensor.order is None else tensor.order
        raise Relayout(origin, shape, new_index[old].reshape(tensor.file_shape))

    @staticmethod
    def _unique(name: str, taken: set[str]) -> str:
        count, candidate = 1, name
        while candidate in taken:
            count += 1
            candidate = f"{name}/{count}"
        return candidate
