"""The table of operators, and the call that each handler gets."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from weft.compiler.float_graph import Op, Scale
from weft.compiler.onnx_builder import Builder
from weft.compiler.onnx_values import Constant, NodeError, Unknown, Value, View


class UnknownInputError(Exception):
    """An input is unknown because of a problem already reported."""


@dataclass(frozen=True, eq=False)
class Call:
    """One node of the file, ready to be read.

    Parameters
    ----------
    name, op : str
    inputs : tuple of Value or None
        None for an optional input that is left out.
    outputs : tuple of str
        Names; empty for one that nothing reads.
    attributes : mapping of str
        Every attribute the handler declared.
    opset : int
    build : Builder
    """

    name: str
    op: str
    inputs: tuple[Value | None, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    opset: int
    build: Builder

    @property
    def output(self) -> str:
        """Name of the first output."""
        return self.outputs[0]

    def value(self, index: int) -> Value | None:
        """An input, None if it is left out.

        Raises
        ------
        UnknownInputError
            If a problem upstream left it unknown.
        """
        value = self.inputs[index] if index < len(self.inputs) else None
        if isinstance(value, Unknown):
            raise UnknownInputError
        return value

    def view(self, index: int = 0, *, codes: bool = False) -> View:
        """An input that is computed by the network; with `codes` it may be quantized."""
        value = self.value(index)
        if not isinstance(value, View):
            raise NodeError(
                f"its input {index} is a constant where a computed tensor is expected",
                "let the network compute it",
            )
        if value.quantized and not codes:
            raise NodeError(
                "it works on quantized codes",
                "put DequantizeLinear before and QuantizeLinear after it (the QDQ format)",
            )
        return value

    def constant(self, index: int, what: str) -> Constant:
        """An input that must be there and be known now; `what` names it in the message."""
        value = self.value(index)
        if value is None:
            raise NodeError(f"its {what} is missing", "export the model again")
        if not isinstance(value, Constant):
            raise NodeError(
                f"its {what} is computed by the network",
                "make it a constant (simplify the model with onnxsim or onnxslim)",
            )
        return value

    def optional(self, index: int, what: str) -> Constant | None:
        """An input that may be left out but otherwise must be known now."""
        return None if self.value(index) is None else self.constant(index, what)

    def integers(self, index: int, what: str) -> list[int] | None:
        """A list of integers given as an optional constant input."""
        constant = self.optional(index, what)
        if constant is None:
            return None
        if constant.array.dtype.kind not in "iu" or constant.array.ndim > 1:
            raise NodeError(f"its {what} is not a list of integers", "export the model again")
        return [int(value) for value in constant.array.reshape(-1)]

    def scalar(self, index: int, what: str) -> float | None:
        """A number given as an optional constant input."""
        constant = self.optional(index, what)
        if constant is None:
            return None
        if constant.array.size != 1 or constant.array.dtype.kind not in "iuf":
            raise NodeError(f"its {what} is not one number", "export the model again")
        return float(constant.array.reshape(-1)[0])

    def pointwise(self, op: Op, attributes: Mapping[str, Any], view: View) -> View:
        """Emit a node that treats each element of memory alike."""
        made = self.build.like(self.output, view)
        self.build.add_node(op, self.name, (view.memory,), self.output, attributes)
        return made

    def scales(self, **constants: Constant | None) -> dict[str, Scale]:
        """What the file says about the quantization of constants, for a FloatNode."""
        return {name: c.scale for name, c in constants.items() if c is not None and c.scale}


Key = TypeVar("Key")
Handler = Callable[[Call], list[Value]]


@dataclass(frozen=True)
class Operator:
    """How to read one operator: its handler and the attributes that it implements.

    `inputs` are how few and how many it may have; ONNX's own operators have a schema for that.
    """

    handler: Handler
    attributes: Mapping[str, Any]
    inputs: tuple[int, int] = (0, 0)


OPERATORS: dict[str, Operator] = {}

#: Operators of other domains than ONNX's own, by domain and name.
CONTRIBUTED: dict[tuple[str, str], Operator] = {}

#: ONNX Runtime's own domain.
MICROSOFT = "com.microsoft"


def operator(*names: str, **attributes: Any) -> Callable[[Callable[[Call], Any]], Handler]:
    """Register a handler for operators of the default domain, with its attributes' defaults.

    The handler returns one Value, or a list of them where the operator has several outputs.
    """
    return _register(OPERATORS, names, attributes, (0, 0))


def contributed(
    *names: str,
    inputs: tuple[int, int],
    domains: tuple[str, ...] = (MICROSOFT,),
    **attributes: Any,
) -> Callable[[Callable[[Call], Any]], Handler]:
    """Register a handler as `operator` does, for operators of other domains.

    `inputs` are how few and how many such a node may have.
    """
    keys = [(domain, name) for domain in domains for name in names]
    return _register(CONTRIBUTED, keys, attributes, inputs)


def _register(
    table: dict[Key, Operator],
    keys: Sequence[Key],
    attributes: Mapping[str, Any],
    inputs: tuple[int, int],
) -> Callable[[Callable[[Call], Any]], Handler]:
    def register(function: Callable[[Call], Any]) -> Handler:
        def handler(call: Call) -> list[Value]:
            made = function(call)
            return made if isinstance(made, list) else [made]

        for key in keys:
            table[key] = Operator(handler, attributes, inputs)
        return handler

    return register


def finite(constant: Constant | np.ndarray, what: str) -> np.ndarray:
    """As float64, refused where it is not numbers throughout."""
    array = constant.array if isinstance(constant, Constant) else constant
    if array.dtype.kind not in "iuf" and array.dtype.name != "bfloat16":
        raise NodeError(f"its {what} is of type {array.dtype}", "make it float32")
    with np.errstate(all="ignore"):
        result = array.astype(np.float64)
    if not np.isfinite(result).all():
        raise NodeError(f"its {what} contains NaN or infinity", "train or export the model again")
    return result


def channel_scales(constant: Constant, axis: int, what: str) -> None:
    """Refuse per-channel quantization along anything but the output channels."""
    if constant.scale is not None and constant.scale.scale.ndim and constant.axis != axis:
        raise NodeError(
            f"its {what} is quantized along axis {constant.axis}, not along the output channels",
            f"quantize it per tensor, or along axis {axis}",
        )


def positive(values: tuple[int, ...], count: int, name: str) -> tuple[int, ...]:
    """Attribute of `count` positive integers, ones where it is left out."""
    values = values or (1,) * count
    if len(values) != count or any(value < 1 for value in values):
        raise NodeError(
            f"attribute {name} must be {count} positive integers, not {list(values)}",
            "export the model again",
        )
    return values


def as_shape(values: list[int]) -> tuple[int, ...]:
    """A list of integers that is to be a shape, bounded before anything is allocated."""
    if any(value < 0 for value in values) or math.prod(values) > 1 << 24:
        raise NodeError(f"the shape {values} is not possible here", "export the model again")
    return tuple(values)


@contextmanager
def quiet() -> Iterator[None]:
    """Let overflow become infinity, which `finite` then refuses."""
    with np.errstate(all="ignore"):
        yield
