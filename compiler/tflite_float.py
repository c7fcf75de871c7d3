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
from weft.compiler.tflite_file import TfliteModel, TfliteTensor, read_tflite_file
from weft.compiler.tflite_float_builder import FloatBuilder
from weft.compiler.tflite_float_operators import FLOAT_OPERATORS, FloatCall
from weft.compiler.tflite_views import Value
from weft.compiler.tflite_walk import Walk, computed
from weft.errors import Problem, UnsupportedError

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
    return float_graph(read_tflite_file(path))


def float_graph(model: TfliteModel) -> FloatGraph:
    """The float graph of a file that is taken apart already; as `load_tflite_float`.

    Raises
    ------
    UnsupportedError
        If anything in it is not implemented; it holds every problem.
    """
    graph, problems = _Reader(model).read()
    if problems:
        raise UnsupportedError(model.path, problems)
    return graph


def is_float_model(model: TfliteModel) -> bool:
    """Whether a model computes with real values alone: no activation is a code."""
    computed = {number for operator in model.operators for number in operator.outputs}
    computed |= set(model.inputs)
    return not any(model.tensors[number].dtype in _CODES for number in computed)


class _Reader(Walk[FloatBuilder]):
    """One pass over a file, to the float graph."""

    operators = FLOAT_OPERATORS
    unknown = "the operator is not implemented in a float model"
    call = FloatCall

    def __init__(self, model: TfliteModel):
        super().__init__(model, FloatBuilder(Path(model.path).stem, model))

    def read(self) -> tuple[FloatGraph, list[Problem]]:
        self.read_nodes()
        graph = self.build.finish()
        self.read_outputs()
        return graph, self.problems

    def make_input(self, tensor: TfliteTensor) -> Value:
        name = self.build.names[tensor.number]
        view = self.build.add_input(name, tensor, tensor.shape)
        self.build.graph.inputs.append(name)
        return view

    def list_output(self, number: int, value: Value | None) -> None:
        self.build.add_output(self.build.names[number], computed(value))
