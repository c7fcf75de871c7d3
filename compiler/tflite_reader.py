"""Read a `.tflite` file into the integer graph, or name everything that stands in the way.

Every tensor of the file becomes a constant, a view of memory, or unknown where a problem
was found; the operators are read once, in order, by the handlers in tflite_ops_*.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from weft.compiler import (  # noqa: F401  registers the operators
    tflite_ops_conv,
    tflite_ops_dense,
    tflite_ops_edges,
    tflite_ops_elementwise,
    tflite_ops_folded,
    tflite_ops_moves,
    tflite_ops_pool,
    tflite_ops_slices,
    tflite_ops_unary,
    tflite_ops_views,
)
from weft.compiler.network import Network, Port
from weft.compiler.tflite_arithmetic import Arithmetic
from weft.compiler.tflite_builder import Builder
from weft.compiler.tflite_file import TfliteModel, TfliteOperator, TfliteTensor, read_tflite_file
from weft.compiler.tflite_operators import OPERATORS, Call
from weft.compiler.tflite_views import (
    Constant,
    FloatInput,
    FloatOutput,
    NodeError,
    Unknown,
    UnknownInputError,
    Value,
    View,
    image_shape,
)
from weft.errors import Problem, UnsupportedError

#: What a handler may stumble over in a file that contradicts itself.
_BROKEN = (ArithmeticError, AttributeError, LookupError, MemoryError, TypeError, ValueError)


def read_tflite(path: Path, rounding: Arithmetic = "double") -> Network:
    """Read a `.tflite` file.

    Parameters
    ----------
    path : Path
    rounding : str
        "double": as TFLite Micro computes. "single": the same, built with one rounding.
        "litert": as LiteRT's reference kernels compute.

    Raises
    ------
    InputError
        If the file is missing, damaged or no `.tflite` file.
    UnsupportedError
        If anything in it is not implemented; it holds every problem.
    """
    network, problems = check_tflite(path, rounding)
    if problems:
        raise UnsupportedError(str(path), problems)
    return network


def check_tflite(path: Path, rounding: Arithmetic = "double") -> tuple[Network, list[Problem]]:
    """Read a `.tflite` file as far as possible.

    Returns
    -------
    network : Network
        Complete where there are no problems; otherwise of no use but to look at.
    problems : list of Problem
        Everything that stands in the way, in the order of the file's operators.

    Raises
    ------
    InputError
        If the file is missing, damaged or no `.tflite` file.
    """
    reader = _Reader(read_tflite_file(path), Path(path).stem, rounding)
    return reader.read()


class _Reader:
    """One pass over a file."""

    def __init__(self, model: TfliteModel, name: str, arithmetic: Arithmetic):
        self._model = model
        self._arithmetic = arithmetic
        self._build = Builder(name, model.tensors)
        self._values: dict[int, Value] = {
            tensor.number: Constant(tensor) for tensor in model.tensors if tensor.data is not None
        }
        self._problems: list[Problem] = []

    def read(self) -> tuple[Network, list[Problem]]:
        for number in self._model.inputs:
            self._read_input(self._model.tensors[number])
        for operator in self._model.operators:
            self._read_operator(operator)
        self._read_outputs()
        network = self._build.network
        inputs = {port.number: port for port in network.inputs}
        network.inputs = [inputs[n] for n in self._model.inputs if n in inputs]
        network.activations = [
            self._port(number, value)
            for number, value in sorted(self._values.items())
            if isinstance(value, View)
        ]
        return network, self._problems

    def _complain(self, number: int, op: str, error: NodeError) -> None:
        name = self._build.names[number]
        self._problems.append(Problem(name, op, error.reason, error.remedy))

    def _read_input(self, tensor: TfliteTensor) -> None:
        try:
            self._values[tensor.number] = self._input(tensor)
        except NodeError as error:
            self._complain(tensor.number, "input", error)
            self._values[tensor.number] = Unknown()

    def _input(self, tensor: TfliteTensor) -> Value:
        if tensor.number in self._values:
            raise NodeError("it is a constant, or listed twice", "convert the model again")
        image_shape(tensor.shape)  # refuses a batch of images
        if tensor.dtype == "float32":
            return FloatInput(tensor.number, tensor.shape, tensor.shape)
        if tensor.dtype == "uint8":
            raise NodeError("it is uint8", "convert with inference_input_type=tf.int8")
        name = self._build.names[tensor.number]
        view = self._build.add_input(name, tensor, tensor.shape)
        self._build.network.inputs.append(self._port(tensor.number, view))
        return view

    def _port(self, number: int, view: View) -> Port:
        return Port(self._build.names[number], view.memory, view.shape, "int8", None, number)

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
        for number in operator.outputs:
            if number in self._values:
                name = self._build.names[number]
                raise NodeError(f"it makes tensor {name!r}, which is there already",
                                "convert the model again")  # fmt: skip
        known = OPERATORS.get(operator.op)
        if known is None:
            raise NodeError(
                "the operator is not implemented",
                "replace it by operators that are, or end the model before it",
            )
        strange = sorted(operator.options.keys() - known.options)
        if strange:
            raise NodeError(f"its option {strange[0]} is not implemented", "convert it differently")
        inputs = tuple(self._value(number) for number in operator.inputs)
        call = Call(
            operator,
            inputs,
            tuple(self._model.tensors[number] for number in operator.outputs),
            tuple(self._build.names[number] for number in operator.outputs),
            self._arithmetic,
            self._build,
        )
        return known.handler(call)

    def _value(self, number: int) -> Value | None:
        if number < 0:
            return None
        if number not in self._values:
            name = self._build.names[number]
            raise NodeError(f"it reads tensor {name!r}, which nothing makes",
                            "convert the model again")  # fmt: skip
        return self._values[number]

    def _stand_in(self, number: int) -> Value:
        """Something of the right shape, so that later problems are found as well."""
        tensor, name = self._model.tensors[number], self._build.names[number]
        try:
            return self._build.add(name, tensor, tensor.shape)
        except NodeError:
            return Unknown()

    def _read_outputs(self) -> None:
        network = self._build.network
        for number in self._model.outputs:
            value = self._values.get(number)
            try:
                if isinstance(value, Unknown):
                    continue
                if any(port.number == number for port in network.outputs):
                    raise NodeError("it is listed twice", "list it once")
                network.outputs.append(self._output(number, value))
            except NodeError as error:
                self._complain(number, "output", error)

    def _output(self, number: int, value: Value | None) -> Port:
        view = value.codes if isinstance(value, FloatOutput) else value
        if isinstance(value, FloatInput):
            raise NodeError("it is an input as well", "quantise the input")
        if not isinstance(view, View):
            raise NodeError("the network does not compute it", "remove it from the outputs")
        port = self._port(number, view)
        return replace(port, dtype="float32") if isinstance(value, FloatOutput) else port
