"""Open a `.tflite` file and take it apart into plain data, trusting nothing in it."""

from __future__ import annotations

from pathlib import Path

import tflite

from weft.compiler.model_file import read_model_file
from weft.compiler.tflite_file_operators import read_operators
from weft.compiler.tflite_file_tensors import read_tensors
from weft.compiler.tflite_file_types import (
    BadContentError,
    NotTakenError,
    TfliteModel,
    TfliteOperator,
    TfliteTensor,
    text,
)
from weft.compiler.tflite_verify import IDENTIFIER, DamagedError, NewerError, verify
from weft.errors import InputError, RefusedError

__all__ = ["TfliteModel", "TfliteOperator", "TfliteTensor", "read_tflite_file"]

#: The only version of the format there has ever been.
_VERSION = 3

_AGAIN = "copy it again, or convert the model again"


def read_tflite_file(path: str | Path) -> TfliteModel:
    """Read and check a `.tflite` file.

    Raises
    ------
    InputError
        If it cannot be read or is not a whole, consistent `.tflite` file.
    RefusedError
        If it is one, but has what weft does not take: several subgraphs, sparse tensors,
        contents outside of the file, a newer schema.
    """
    path = Path(path)
    data = read_model_file(path, "a .tflite file", _AGAIN)
    if data[IDENTIFIER] != b"TFL3":
        raise InputError(
            f"{path} is not a TensorFlow Lite model: it does not say TFL3 at byte 4; "
            "check its name, or convert the model again"
        )
    try:
        verify(data)
        return _take_apart(path, tflite.Model.GetRootAs(data, 0))
    except (DamagedError, BadContentError) as error:
        raise InputError(f"{path} is damaged: {error}; {_AGAIN}") from error
    except NewerError as error:
        raise RefusedError(
            f"{path} is damaged, or newer than weft knows: {error}; "
            "convert the model again, with an older converter"
        ) from error
    except NotTakenError as error:
        raise RefusedError(f"{path}: {error}") from error


def _take_apart(path: Path, model: tflite.Model) -> TfliteModel:
    if model.Version() != _VERSION:
        raise NotTakenError(
            f"its format has version {model.Version()}, weft reads version {_VERSION}; "
            "convert the model again"
        )
    if model.SubgraphsLength() != 1:
        if not model.SubgraphsLength():
            raise BadContentError("it holds no graph")
        raise NotTakenError(
            f"it holds {model.SubgraphsLength()} graphs, weft takes one: "
            "convert the model without control flow (IF, WHILE, CALL) and with one signature"
        )
    graph = model.Subgraphs(0)
    tensors = read_tensors(model, graph)
    operators = read_operators(model, graph)
    result = TfliteModel(
        path=str(path),
        tensors=tensors,
        operators=operators,
        inputs=tuple(graph.InputsAsNumpy().tolist()) if graph.InputsLength() else (),
        outputs=tuple(graph.OutputsAsNumpy().tolist()) if graph.OutputsLength() else (),
        description=text(model.Description()),
    )
    _check_ends(result, graph)
    _check_order(result)
    return result


def _named(model: TfliteModel, number: int) -> str:
    return f"tensor {number} {model.tensors[number].name!r}"


def _contents(model: TfliteModel, number: int) -> str:
    """Why nothing may write a tensor."""
    shape = model.tensors[number].shape
    return f"has the empty shape {shape}" if 0 in shape else "has its contents already"


def _check_number(model: TfliteModel, number: int, which: str) -> None:
    if not 0 <= number < len(model.tensors):
        raise BadContentError(f"{which} is tensor {number}, there are {len(model.tensors)}")


def _check_ends(model: TfliteModel, graph: tflite.SubGraph) -> None:
    for side, numbers in (("input", model.inputs), ("output", model.outputs)):
        if not numbers:
            raise BadContentError(f"its graph has no {side}")
        for number in numbers:
            _check_number(model, number, f"its {side}")
    if len(set(model.inputs)) != len(model.inputs):
        raise BadContentError("its graph has one tensor as several inputs")
    for number in model.inputs:
        if model.tensors[number].data is not None:
            raise BadContentError(f"input {_named(model, number)} {_contents(model, number)}")
        signature = graph.Tensors(number)
        if signature.ShapeSignatureLength() and (signature.ShapeSignatureAsNumpy()[1:] < 0).any():
            raise NotTakenError(
                f"input {_named(model, number)} has dimensions of any size; "
                "convert the model with a fixed input shape"
            )


def _check_order(model: TfliteModel) -> None:
    """See that operators only read what is there, and that each tensor is made once."""
    constants = {tensor.number for tensor in model.tensors if tensor.data is not None}
    variables = {tensor.number for tensor in model.tensors if tensor.is_variable}
    made = constants.union(model.inputs)
    for operator in model.operators:
        which = f"operator {operator.number} {operator.op}"
        for number in operator.inputs:
            if number == -1:
                continue
            _check_number(model, number, f"an input of {which}")
            if number not in made and number not in variables:
                raise BadContentError(
                    f"{which} reads {_named(model, number)} before anything has made it"
                )
        for number in operator.outputs:
            _check_number(model, number, f"an output of {which}")
            if number in made:
                raise BadContentError(
                    f"{which} writes {_named(model, number)}, which {_contents(model, number)}"
                )
            made.add(number)
    for number in model.outputs:
        if number not in made and number not in variables:
            raise BadContentError(f"nothing makes the output {_named(model, number)}")
