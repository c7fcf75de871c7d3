"""An ONNX graph under construction, where every tensor goes through codes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

from weft.compiler.orders import in_order
from weft.compiler.qdq_views import Shape, factor_permutation, single_transpose
from weft.errors import RefusedError


class QdqBuilder:
    """Collects nodes and initialisers under names that do not collide.

    Parameters
    ----------
    taken : set of str
        Names that the network itself uses.
    """

    def __init__(self, taken: set[str]):
        self.nodes: list[NodeProto] = []
        self.initializers: list[TensorProto] = []
        self._taken = set(taken)
        self._node_names: set[str] = set()

    def unique(self, name: str) -> str:
        """`name`, or `name` with a number where something else is called so."""
        candidate, count = name, 1
        while candidate in self._taken:
            count += 1
            candidate = f"{name}_{count}"
        self._taken.add(candidate)
        return candidate

    def constant(self, name: str, array: np.ndarray | np.generic) -> str:
        """Name of a new initialiser."""
        name = self.unique(name)
        self.initializers.append(numpy_helper.from_array(np.asarray(array, order="C"), name))
        return name

    def node(
        self, op: str, inputs: list[str], output: str, name: str = "", **attributes: Any
    ) -> str:
        """Append a node; its output's name."""
        name = name or f"{output}_{op}"
        count = 1
        while name in self._node_names:
            count += 1
            name = f"{name}_{count}"
        self._node_names.add(name)
        self.nodes.append(helper.make_node(op, inputs, [output], name, **attributes))
        return output

    def quantized(self, value: str, tensor: str, scale: float, zero: int) -> str:
        """Put a value through codes; the name of the DequantizeLinear's output.

        `tensor` is the name to derive others from.
        """
        parameters = self.parameters(tensor, np.float32(scale), np.int8(zero))
        codes = self.unique(f"{tensor}_QuantizeLinear_Output")
        self.node("QuantizeLinear", [value, *parameters], codes, f"{tensor}_QuantizeLinear")
        return self.dequantized(codes, tensor, parameters)

    def dequantized(self, codes: str, tensor: str, parameters: list[str]) -> str:
        """Real values of codes."""
        result = self.unique(f"{tensor}_DequantizeLinear_Output")
        return self.node(
            "DequantizeLinear", [codes, *parameters], result, f"{tensor}_DequantizeLinear"
        )

    def parameters(
        self, tensor: str, scale: np.ndarray | np.generic, zero: np.ndarray | np.generic
    ) -> list[str]:
        """Names of new initialisers of scale and zero point."""
        return [
            self.constant(f"{tensor}_scale", scale),
            self.constant(f"{tensor}_zero_point", zero),
        ]

    def weights(self, name: str, codes: np.ndarray, scale: np.ndarray) -> str:
        """Constant codes and their DequantizeLinear; one scale, or one per entry of axis 0."""
        if (scale == scale[0]).all():
            scale = scale[0]
        real = np.asarray(scale, np.float32)
        zeros = np.zeros(real.shape, codes.dtype)
        inputs = [self.constant(f"{name}_quantized", codes), *self.parameters(name, real, zeros)]
        attributes = {"axis": 0} if real.ndim else {}
        output = self.unique(f"{name}_DequantizeLinear_Output")
        return self.node("DequantizeLinear", inputs, output, "", **attributes)

    def view(self, value: str, shape: Shape, order: np.ndarray, target: Shape, output: str) -> str:
        """Move elements so that ``output.flat[i] == value.flat[order[i]]`` for one sample.

        Returns the name of the result, `value` itself where nothing moves.
        """
        if in_order(order):
            return self.reshape(value, shape, target, output)
        perm = single_transpose(order, shape, target)
        if perm is not None:
            return self._transpose(value, perm, output)
        factored = factor_permutation(order)
        if factored is None:
            raise RefusedError(
                f"the layout of tensor {output!r} cannot be written as Reshape and Transpose; "
                "use a model whose moves are made of these operators"
            )
        source, perm = factored
        moved = tuple(source[axis] for axis in perm)
        value = self.reshape(value, shape, source, self.unique(f"{output}_split"))
        if moved == target:
            return self._transpose(value, perm, output)
        value = self._transpose(value, perm, self.unique(f"{output}_moved"))
        return self.reshape(value, moved, target, output)

    def reshape(self, value: str, shape: Shape, target: Shape, output: str) -> str:
        """Look at elements in another shape; `value` itself where it is the same."""
        if shape == target:
            return value
        if target == (math.prod(shape),):
            return self.node("Flatten", [value], output, axis=1)
        dimensions = self.constant(f"{output}_shape", np.array([0, *target], np.int64))
        return self.node("Reshape", [value, dimensions], output)

    def _transpose(self, value: str, perm: Shape, output: str) -> str:
        return self.node("Transpose", [value], output, perm=[0, *(axis + 1 for axis in perm)])
