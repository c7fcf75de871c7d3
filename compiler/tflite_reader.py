"""Read a `.tflite` file into the integer graph, or name everything that stands in the way.

The operators are read by the handlers in tflite_ops_*.
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
from weft.compiler.tflite_file import TfliteModel, TfliteTensor, read_tflite_file
from weft.compiler.tflite_operators import OPERATORS, Call
from weft.compiler.tflite_views import (
    FloatInput,
    FloatOutput,
    NodeError,
    Value,
    View,
    image_shape,
)
from weft.compiler.tflite_walk import Walk, computed
from weft.errors import Problem, UnsupportedError


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
    return integer_graph(read_tflite_file(path), rounding)


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
    return _Reader(read_tflite_file(path), rounding).read()


def integer_graph(model: TfliteModel, rounding: Arithmetic = "double") -> Network:
    """The integer graph of a file that is taken apart already; as `read_tflite`.

    Raises
    ------
    UnsupportedError
        If anything in it is not implemented; it holds every problem.
    """
    network, problems = _Reader(model, rounding).read()
    if problems:
        raise UnsupportedError(model.path, problems)
    return network


class _Reader(Walk[Builder]):
    """One pass over a file, to the integer graph."""

    operators = OPERATORS
    unknown = "the operator is not implemented"
    call = Call

    def __init__(self, model: TfliteModel, arithmetic: Arithmetic):
        super().__init__(model, Builder(Path(model.path).stem, model.tensors), arithmetic)

    def read(self) -> tuple[Network, list[Problem]]:
        self.read_nodes()
        self.read_outputs()
        network = self.build.network
        inputs = {port.number: port for port in network.inputs}
        network.inputs = [inputs[n] for n in self.model.inputs if n in inputs]
        network.activations = [
            self._port(number, value)
            for number, value in sorted(self.values.items())
            if isinstance(value, View)
        ]
        return network, self.problems

    def make_input(self, tensor: TfliteTensor) -> Value:
        image_shape(tensor.shape)  # refuses a batch of images
        if tensor.dtype == "float32":
            return FloatInput(tensor.number, tensor.shape, tensor.shape)
        if tensor.dtype == "uint8":
            raise NodeError("it is uint8", "convert with inference_input_type=tf.int8")
        name = self.build.names[tensor.number]
        view = self.build.add_input(name, tensor, tensor.shape)
        self.build.network.inputs.append(self._port(tensor.number, view))
        return view

    def list_output(self, number: int, value: Value | None) -> None:
        if isinstance(value, FloatInput):
            raise NodeError("it is an input as well", "quantise the input")
        view = computed(value.codes if isinstance(value, FloatOutput) else value)
        port = self._port(number, view)
        if isinstance(value, FloatOutput):
            port = replace(port, dtype="float32")
        self.build.network.outputs.append(port)

    def _port(self, number: int, view: View) -> Port:
        return Port(self.build.names[number], view.memory, view.shape, "int8", None, number)
