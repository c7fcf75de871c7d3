"""The way through a `.tflite` file's graph that every reader of one goes.

Every tensor of the file becomes a constant, memory that is seen in some shape, or unknown where
a problem was found; the operators are read once, in order. What becomes of them is the reader's.
That each tensor is made once, and before it is read, `tflite_file` has seen to.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Generic, TypeVar

from weft.compiler.model_file import BROKEN
from weft.compiler.tflite_arithmetic import Arithmetic
from weft.compiler.tflite_builder import Builder
from weft.compiler.tflite_file import TfliteModel, TfliteOperator, TfliteTensor
from weft.compiler.tflite_operators import Call, Operator
from weft.compiler.tflite_views import (
    Constant,
    NodeError,
    Unknown,
    UnknownInputError,
    Value,
    View,
)
from weft.errors import Problem

_AGAIN = "convert the model again"

AnyBuilder = TypeVar("AnyBuilder", bound=Builder)


class Walk(ABC, Generic[AnyBuilder]):
    """One pass over a file.

    Parameters
    ----------
    model : TfliteModel
    build : Builder
        Of the graph that the reader makes.
    arithmetic : str
        How the model is computed.

    Attributes
    ----------
    operators : mapping of str to Operator
        The table of operators, by the schema's names.
    unknown : str
        What to say of an operator that is not in the table.
    call : type
        What an operator's handler gets.
    model, build
        As above.
    values : dict of int to Value
        What the file's tensors are, by number.
    problems : list of Problem
        Everything that stands in the way, in the order of the file's operators.
    """

    operators: Mapping[str, Operator]
    unknown: str
    call: type[Call]

    def __init__(self, model: TfliteModel, build: AnyBuilder, arithmetic: Arithmetic = "double"):
        self.model = model
        self.build = build
        self.values: dict[int, Value] = {
            tensor.number: Constant(tensor) for tensor in model.tensors if tensor.data is not None
        }
        self.problems: list[Problem] = []
        self._arithmetic = arithmetic

    @abstractmethod
    def make_input(self, tensor: TfliteTensor) -> Value:
        """Add an input of the network."""

    @abstractmethod
    def list_output(self, number: int, value: Value | None) -> None:
        """Add an output of the network."""

    def read_nodes(self) -> None:
        """Read the inputs, then every operator."""
        for number in self.model.inputs:
            self._read_input(self.model.tensors[number])
        for operator in self.model.operators:
            self._read_operator(operator)

    def read_outputs(self) -> None:
        """Read the outputs, when everything else is read."""
        listed = set()
        for number in self.model.outputs:
            value = self.values.get(number)
            if isinstance(value, Unknown):
                continue
            try:
                if number in listed:
                    raise NodeError("it is listed twice", "list it once")
                self.list_output(number, value)
                listed.add(number)
            except NodeError as error:
                self._complain(number, "output", error)

    def _complain(self, number: int, op: str, error: NodeError) -> None:
        self.problems.append(Problem(self.build.names[number], op, error.reason, error.remedy))

    def _read_input(self, tensor: TfliteTensor) -> None:
        try:
            self.values[tensor.number] = self.make_input(tensor)
        except NodeError as error:
            self._complain(tensor.number, "input", error)
            self.values[tensor.number] = Unknown()

    def _read_operator(self, operator: TfliteOperator) -> None:
        made: list[Value] = []
        try:
            made = self._values_of(operator)
        except NodeError as error:
            self._complain(operator.outputs[0], operator.op, error)
        except UnknownInputError:
            pass
        except BROKEN as error:
            broken = NodeError(f"it contradicts itself ({error})", _AGAIN)
            self._complain(operator.outputs[0], operator.op, broken)
        for index, number in enumerate(operator.outputs):
            self.values[number] = made[index] if made else self._stand_in(number)

    def _values_of(self, operator: TfliteOperator) -> list[Value]:
        known = self.operators.get(operator.op)
        if known is None:
            raise NodeError(
                self.unknown, "replace it by operators that are, or end the model before it"
            )
        strange = sorted(operator.options.keys() - known.options)
        if strange:
            raise NodeError(f"its option {strange[0]} is not implemented", "convert it differently")
        inputs = tuple(self._value(number) for number in operator.inputs)
        outputs = tuple(self.model.tensors[number] for number in operator.outputs)
        names = tuple(self.build.names[number] for number in operator.outputs)
        call = self.call(operator, inputs, outputs, names, self._arithmetic, self.build)
        made = known.handler(call)
        if len(made) != len(outputs):
            raise NodeError(
                f"it has {len(outputs)} outputs, and {operator.op} makes {len(made)}", _AGAIN
            )
        return made

    def _value(self, number: int) -> Value | None:
        if number < 0:
            return None
        if number not in self.values:  # a variable, which keeps what the last run left
            name = self.build.names[number]
            raise NodeError(f"it reads tensor {name!r}, which nothing makes", _AGAIN)
        return self.values[number]

    def _stand_in(self, number: int) -> Value:
        """Something of the right shape, so that later problems are found as well."""
        tensor = self.model.tensors[number]
        try:
            return self.build.add(self.build.names[number], tensor, tensor.shape)
        except NodeError:
            return Unknown()


def computed(value: Value | None) -> View:
    """What an output must be: memory that the network fills."""
    if not isinstance(value, View):
        raise NodeError("the network does not compute it", "remove it from the outputs")
    return value
