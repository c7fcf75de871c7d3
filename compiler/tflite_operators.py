"""The table of TFLite's operators, and the call that each handler gets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from weft.compiler.network import Requantize
from weft.compiler.tflite_arithmetic import (
    Arithmetic,
    Rounds,
    activation_range,
    requantize,
    rounding_of,
)
from weft.compiler.tflite_builder import Builder, quantization
from weft.compiler.tflite_file import TfliteOperator, TfliteTensor
from weft.compiler.tflite_views import (
    Constant,
    FloatInput,
    FloatOutput,
    NodeError,
    Shape3,
    Unknown,
    UnknownInputError,
    Value,
    View,
)

_FULL_INT8 = "quantise it to full INT8 when converting"


@dataclass(frozen=True, eq=False)
class Call:
    """One operator of the file, ready to be read.

    Parameters
    ----------
    operator : TfliteOperator
    inputs : tuple of Value or None
        None for an input that is left out.
    outputs : tuple of TfliteTensor
    names : tuple of str
        Of the outputs, in the integer graph.
    arithmetic : str
    build : Builder
    """

    operator: TfliteOperator
    inputs: tuple[Value | None, ...]
    outputs: tuple[TfliteTensor, ...]
    names: tuple[str, ...]
    arithmetic: Arithmetic
    build: Builder

    @property
    def op(self) -> str:
        """The operator as the schema spells it."""
        return self.operator.op

    @property
    def output(self) -> TfliteTensor:
        """The first output."""
        return self.outputs[0]

    @property
    def name(self) -> str:
        """Name of the first output."""
        return self.names[0]

    @property
    def rounding(self) -> Rounds:
        """How this operator rounds."""
        return rounding_of(self.arithmetic, self.op)

    def option(self, name: str) -> Any:
        """One of the operator's options."""
        return self.operator.options[name]

    def value(self, index: int) -> Value | None:
        """An input, None if it is left out."""
        value = self.inputs[index] if index < len(self.inputs) else None
        if isinstance(value, Unknown):
            raise UnknownInputError
        return value

    def view(self, index: int = 0) -> View:
        """An input that the network computes, as int8."""
        value = self.value(index)
        if isinstance(value, View):
            return value
        if isinstance(value, FloatInput | FloatOutput):
            raise NodeError("its input is float32", _FULL_INT8)
        if isinstance(value, Constant):
            raise NodeError(f"its input {index} is a constant", "let the network compute it")
        raise NodeError(f"its input {index} is missing", "convert the model again")

    def scale(self, index: int = 0) -> tuple[np.float32, int]:
        """Scale and zero point of a computed input."""
        tensor = self.build.network.tensors[self.view(index).memory]
        return np.float32(tensor.scale), tensor.zero_point

    def output_scale(self, index: int = 0) -> tuple[np.float32, int]:
        """Scale and zero point of an output."""
        return quantization(self.outputs[index])

    def constant(self, index: int, what: str) -> TfliteTensor:
        """An input that must be there and in the file; `what` names it in the message."""
        tensor = self.optional(index, what)
        if tensor is None:
            raise NodeError(f"it has no {what}", "convert the model again")
        return tensor

    def optional(self, index: int, what: str) -> TfliteTensor | None:
        """An input that may be left out but otherwise must be in the file."""
        value = self.value(index)
        if value is None:
            return None
        if not isinstance(value, Constant):
            raise NodeError(f"the network computes its {what}", "make that a constant")
        return value.tensor

    def integers(self, index: int, what: str) -> list[int]:
        """A constant input of int32 or int64, flat."""
        tensor = self.constant(index, what)
        if tensor.dtype not in ("int32", "int64"):
            raise NodeError(f"it takes {tensor.dtype} for its {what}", "make that int32")
        return [int(value) for value in contents(tensor).reshape(-1)]

    def check_shape(self, shape: tuple[int, ...], index: int = 0) -> tuple[int, ...]:
        """The shape of an output, which the file must state as it is computed."""
        stated = self.outputs[index].shape
        if stated != tuple(shape):
            raise NodeError(
                f"its output is {list(shape)}, but the file says {list(stated)}",
                "convert the model again",
            )
        return stated

    def make(self, shape: tuple[int, ...], image: Shape3 | None = None, index: int = 0) -> View:
        """Memory for an output of this shape, by its own name and quantization."""
        stated = self.check_shape(shape, index)
        return self.build.add(self.names[index], self.outputs[index], stated, image)

    def like(self, view: View) -> View:
        """Memory for the output, in which it lies element by element as another tensor."""
        return self.make(view.shape, self.build.shape(view))

    def node_name(self, index: int = 0) -> str:
        """A unique name for the node that makes an output."""
        return self.build.node_name(self.names[index])

    def look(self, view: View, shape: tuple[int, ...], index: int = 0) -> View:
        """The output as another look at an input's memory."""
        self.same_scale(view, index)
        return View(view.memory, self.check_shape(shape, index))

    def same_scale(self, view: View, index: int = 0, tolerance: float = 0.0) -> None:
        """Refuse an output whose codes do not mean what the input's mean."""
        tensor = self.build.network.tensors[view.memory]
        scale, zero_point = self.output_scale(index)
        if zero_point != tensor.zero_point or abs(float(scale) - tensor.scale) > tolerance:
            raise NodeError(
                "it moves codes, but its output has another scale or zero point than its input",
                "quantise both alike, or put QUANTIZE between",
            )

    def requantize(self, factors: np.ndarray | float, activation: str = "NONE") -> Requantize:
        """From accumulators to the output's codes."""
        scale, zero_point = self.output_scale()
        limits = activation_range(activation, scale, zero_point)
        return requantize(factors, self.rounding, zero_point, limits)


Handler = Callable[[Call], list[Value]]


@dataclass(frozen=True)
class Operator:
    """How to read one operator: its handler and the options that it takes care of."""

    handler: Handler
    options: frozenset[str]


OPERATORS: dict[str, Operator] = {}


def operator(*names: str, options: tuple[str, ...] = ()) -> Callable[[Callable[[Call], Any]], Any]:
    """Register a handler; it returns one Value, or a list where there are several outputs."""

    def register(function: Callable[[Call], Any]) -> Handler:
        def handler(call: Call) -> list[Value]:
            made = function(call)
            return made if isinstance(made, list) else [made]

        for name in names:
            OPERATORS[name] = Operator(handler, frozenset(options))
        return handler

    return register


def contents(tensor: TfliteTensor) -> np.ndarray:
    """A constant's array."""
    if tensor.data is None:
        raise NodeError(f"tensor {tensor.name!r} has no contents", "convert the model again")
    return tensor.data


def folded(call: Call, array: np.ndarray) -> Constant:
    """An output that is known already: what models compute of their own shapes."""
    call.check_shape(array.shape)
    return Constant(replace(call.output, dtype=array.dtype.name, data=array))
