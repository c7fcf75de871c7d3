"""Read a `.tflite` file into the float graph, or name everything that stands in the way.

Float models, with weights of any kind, and INT8 models taken back to real values: codes mean
what their scales say, the steps between them are gone.
"""

from __future__ import annotations

from pathlib import Path

from weft.compiler import (  # noqa: F401  registers the operators
    tflite_float_elementwise,
    tflite_float_layers,
    tflite_float_moves,
    tflite_float_pools,
)
from weft.compiler.float_graph import FloatGraph
from weft.compiler.tflite_file import TfliteModel, TfliteOperator, TfliteTensor, read_tflite_file
from weft.compiler.tflite_float_builder import FloatBuilder
from weft.compiler.tflite_float_operators import FLOAT_OPERATORS, FloatCall
from weft.compiler.tflite_views import (
    Constant,
    NodeError,
    Unknown,
    UnknownInputError,
    Value,
    View,
)
from weft.errors import Problem, UnsupportedError

#: What a handler may stumble over in a file that contradicts itself.
_BROKEN = (ArithmeticError, AttributeError, LookupError, MemoryError, TypeError, ValueError)

#: Types of activations that are codes.
_CODES = ("int8", "uint8", "int16")


def load_tflite_float(path: str | Path) -> FloatGraph:
    """Read a `.tflite` file as a float graph.

    Inputs and outputs keep the file's names, shapes and layout; those of an INT8 model are real
    values, in the place of codes.

    Raises
    ------
    InputError
        If the file is missing, damaged or no `.tflite` file.
    UnsupportedError
        If anything in it is not implemented; it holds every problem.
    """
    graph, problems = _Reader(read_tflite_file(path), Path(path).stem).read()
    if problems:
        raise UnsupportedError(str(path), problems)
    return graph


def is_float_model(model: TfliteModel) -> bool:
    """Whether a model computes with real values alone: no activation is a code."""
    computed = {number for operator in model.operators for number in operator.outputs}
    computed |= set(model.inputs)
    return not any(model.tensors[number].dtype in _CODES for number in computed)


class _Reader:
    """One pass over a file."""

    def __init__(self, model: TfliteModel, name: str):
        self._model = model
        self._build = FloatBuilder(name, model)
        self._values: dict[int, Value] = {
            tensor.number: Constant(tensor) for tensor in model.tensors if tensor.data is not None
        }
        self._problems: list[Problem] = []

    def read(self) -> tuple[FloatGraph, list[Problem]]:
        for number in self._model.inputs:
            self._read_input(self._model.tensors[number])
        for operator in self._model.operators:
            self._read_operator(operator)
        graph = self._build.finish()
        for number in self._model.outputs:
            self._read_output(number)
        return graph, self._problems

    def _complain(self, number: int, op: str, error: NodeError) -> None:
        name = self._build.names[number]
        self._problems.append(Problem(name, op, error.reason, error.remedy))

    def _read_input(self, tensor: TfliteTensor) -> None:
        name = self._build.names[tensor.number]
        try:
            if tensor.number in self._values:
                raise NodeError("it is a constant, or listed twice", "convert the model again")
            self._values[tensor.number] = self._build.add_input(name, tensor, tensor.shape)
            self._build.graph.inputs.append(name)
        except NodeError as error:
            self._complain(tensor.number, "input", error)
            self._values[tensor.number] = Unknown()

    def _read_operator(self, operator: TfliteOperator) -> None:
        made: list[Value] = []
        try:
            made = self._values_of(operator)
        except NodeError as error:
            self._complain(operator.outputs[0], operator.op, error)
        except UnknownInputError:
            pass
        except _BROKEN as error:
            broken = NodeError(f"it contradicts itself ({error})", "convert the model again")
            self._complain(operator.outputs[0], operator.op, broken)
        for index, number in enumerate(operator.outputs):
            if made:
                self._values[number] = made[index]
            elif number not in self._values:
                self._values[number] = self._stand_in(number)

    def _values_of(self, operator: TfliteOperator) -> list[Value]:
        names = [self._build.names[number] for number in operator.outputs]
        for number, name in zip(operator.outputs, names, strict=True):
            if number in self._values:
                raise NodeError(
                    f"it makes tensor {name!r}, which is there already", "convert the model again"
                )
        known = FLOAT_OPERATORS.get(operator.op)
        if known is None:
            raise NodeError(
                "the operator is not implemented in a float model",
                "replace it by operators that are, or end the model before it",
            )
        strange = sorted(operator.options.keys() - known.options)
        if strange:
            raise NodeError(f"its option {strange[0]} is not implemented", "convert it differently")
        inputs = tuple(self._value(number) for number in operator.inputs)
        outputs = tuple(self._model.tensors[number] for number in operator.outputs)
        call = FloatCall(operator, inputs, outputs, tuple(names), "double", self._build)
        return known.handler(call)

    def _value(self, number: int) -> Value | None:
        if number < 0:
            return None
        if number not in self._values:
            name = self._build.names[number]
            raise NodeError(
                f"it reads tensor {name!r}, which nothing makes", "convert the model again"
            )
        return self._values[number]

    def _stand_in(self, number: int) -> Value:
        """Something of the right shape, so that later problems are found as well."""
        tensor, name = self._model.tensors[number], self._build.names[number]
        try:
            return self._build.add(name, tensor, tensor.shape)
        except NodeError:
            return Unknown()

    def _read_output(self, number: int) -> None:
        value, name = self._values.get(number), self._build.names[number]
        try:
            if isinstance(value, Unknown):
                return
            if name in self._build.graph.outputs:
                raise NodeError("it is listed twice", "list it once")
            if not isinstance(value, View):
                raise NodeError("the network does not compute it", "remove it from the outputs")
            self._build.add_output(name, value)
        except NodeError as error:
            self._complain(number, "output", error)
