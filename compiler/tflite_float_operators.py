"""The table of TFLite's operators on real values, and the call that each handler gets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from weft.compiler.float_graph import Op
from weft.compiler.tflite_arithmetic import LIMITS
from weft.compiler.tflite_file import TfliteTensor
from weft.compiler.tflite_float_builder import FloatBuilder
from weft.compiler.tflite_operators import Call, Operator, contents
from weft.compiler.tflite_views import NodeError, Shape3, Value, View


@dataclass(frozen=True, eq=False)
class FloatCall(Call):
    """One operator of the file, ready to be read as one on real values.

    Handlers of moves see a model in which every tensor has the same scale.
    """

    build: FloatBuilder

    def output_scale(self, index: int = 0) -> tuple[np.float32, int]:
        """The same for every tensor."""
        return np.float32(1), 0

    def same_scale(self, view: View, index: int = 0, tolerance: float = 0.0) -> None:
        """Nothing to see to: real values need no scale."""

    def input_tensor(self, index: int) -> TfliteTensor:
        """An input as the file describes it."""
        return self.build.tensors[self.operator.inputs[index]]

    def real(self, index: int, what: str) -> np.ndarray:
        """A constant input as float64."""
        return real_values(self.constant(index, what), what)

    def emit(
        self,
        op: Op,
        inputs: tuple[str, ...],
        shape: tuple[int, ...],
        image: Shape3 | None = None,
        *,
        attributes: Mapping[str, Any] | None = None,
        constants: Mapping[str, np.ndarray] | None = None,
        name: str = "",
        sources: tuple[str, ...] = (),
    ) -> View:
        """Add the operator's node, and one for its fused activation.

        What the node makes before the activation has no name in the file: "…/linear".
        """
        activation = self.operator.options.get("fused_activation_function", "NONE")
        fused = activation_node(activation)
        self.check_shape(shape)
        name = name or self.node_name()
        if fused is None:
            made = self.make(shape, image)
            self.build.add_float(
                op, name, inputs, made.memory, attributes, constants=constants, sources=sources
            )
            return made
        linear = self.build.new_tensor(f"{self.name}/linear")
        self.build.add(linear, self.output, shape, image)
        self.build.add_float(
            op, name, inputs, linear, attributes, constants=constants, sources=sources
        )
        made = self.make(shape, image)
        last = self.build.node_name(f"{self.name}/{activation}")
        self.build.add_float(fused[0], last, (linear,), made.memory, fused[1])
        return made


def activation_node(activation: str) -> tuple[Op, dict[str, Any]] | None:
    """Operator and attributes of an activation, None for none.

    Raises
    ------
    NodeError
        For SIGN_BIT.
    """
    if activation == "NONE":
        return None
    if activation in LIMITS:
        low, high = LIMITS[activation]
        return "Clamp", {"low": low, "high": high}
    if activation == "TANH":
        return "Unary", {"function": "Tanh"}
    raise NodeError(
        f"its fused activation {activation} is not implemented", "convert the model without it"
    )


def real_values(tensor: TfliteTensor, what: str) -> np.ndarray:
    """A constant as float64: float32 as it is, int8 by its scales.

    Raises
    ------
    NodeError
        If it is of another type, has no scale, or is not finite.
    """
    array = contents(tensor)
    if tensor.dtype == "int8" and tensor.scale is not None and tensor.zero_point is not None:
        shape = [1] * array.ndim
        if len(tensor.scale) > 1:
            shape[tensor.axis] = -1
        scale = tensor.scale.astype(np.float64).reshape(shape)
        return (array - tensor.zero_point.reshape(shape)) * scale
    if tensor.dtype == "float32":
        return finite(array, what)
    if tensor.dtype == "int8":
        raise NodeError(f"it takes int8 without a scale for its {what}", "convert the model again")
    raise NodeError(
        f"it takes {tensor.dtype} for its {what}",
        "convert it to float32, or with int8 or float16 weights",
    )


def finite(array: np.ndarray, what: str) -> np.ndarray:
    """The array as float64 if all its numbers are finite in float32."""
    with np.errstate(invalid="ignore"):  # a NaN that signals
        array = array.astype(np.float64)
    if not (np.abs(array) <= np.finfo(np.float32).max).all():
        raise NodeError(
            f"its {what} holds a number that is NaN, infinite or beyond float32",
            "convert the model again",
        )
    return array


FLOAT_OPERATORS: dict[str, Operator] = {}


def float_operator(
    *names: str, options: tuple[str, ...] = ()
) -> Callable[[Callable[[FloatCall], Value]], Callable[[FloatCall], Value]]:
    """Register a handler, which returns one Value."""

    def register(function: Callable[[FloatCall], Value]) -> Callable[[FloatCall], Value]:
        def handler(call: Call) -> list[Value]:
            assert isinstance(call, FloatCall)
            return [function(call)]

        for name in names:
            FLOAT_OPERATORS[name] = Operator(handler, frozenset(options))
        return function

    return register
