"""Open an ONNX file and take arrays out of it, trusting nothing in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # no stubs
from onnx import numpy_helper

from weft.compiler.model_file import read_model_file
from weft.compiler.onnx_external import check_locations, with_external_data
from weft.errors import InputError

#: Opsets whose operators are read.
OPSETS = range(13, 24)

_EXPORT = "export the model again"


@dataclass(frozen=True)
class OnnxFile:
    """A parsed file.

    Parameters
    ----------
    path : Path
    model : onnx.ModelProto
    opset : int
        Version of the default domain.
    """

    path: Path
    model: onnx.ModelProto
    opset: int


def open_file(path: str | Path) -> OnnxFile:
    """Parse a file and see that it is an ONNX model.

    Raises
    ------
    InputError
        If it is missing, empty, too large, truncated or something else.
    """
    path = Path(path)
    data = read_model_file(path, "an .onnx file", _EXPORT)
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except (DecodeError, ValueError, RecursionError) as error:
        raise InputError(
            f"{path} is not an ONNX model, or is truncated; {_EXPORT}, or copy it again"
        ) from error
    if not model.HasField("graph") or not model.ir_version:
        raise InputError(f"{path} is not an ONNX model: it holds no graph; {_EXPORT}")
    versions = [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    if not versions:
        raise InputError(f"{path} does not say its opset, so it may be truncated; {_EXPORT}")
    if not model.graph.output:
        raise InputError(f"{path} has a graph without outputs; {_EXPORT}")
    if not all(isinstance(text, str) for text in _texts(model.graph)):
        raise InputError(f"{path} is damaged: a name in it is not text; {_EXPORT}")
    check_locations(path, model)
    return OnnxFile(path, model, max(versions))


def _texts(graph: onnx.GraphProto) -> Iterator[object]:
    """Every name that may end up in a message; protobuf hands out bytes where one is not UTF-8."""
    yield graph.name
    for node in graph.node:
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
        for attribute in node.attribute:
            yield from (attribute.name, attribute.t.name)
    for tensor in graph.initializer:
        yield tensor.name
        yield from (entry.value for entry in tensor.external_data)
    for sparse in graph.sparse_initializer:
        yield sparse.values.name
    for value in (*graph.input, *graph.output):
        yield value.name
        yield from (dim.dim_param for dim in value.type.tensor_type.shape.dim)


def tensor_array(file: OnnxFile, tensor: onnx.TensorProto) -> np.ndarray:
    """A tensor of the file as an array, wherever its data lie.

    Raises
    ------
    InputError
        If its data are missing, do not fit its shape or lie outside the file's folder.
    """
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        tensor = with_external_data(file.path, tensor)
    try:
        array = numpy_helper.to_array(tensor)
    except Exception as error:  # onnx raises whatever the broken bytes led to
        raise InputError(
            f"{file.path}: the data of tensor {tensor.name!r} do not fit its type and shape; "
            f"{_EXPORT}"
        ) from error
    if array.dtype == object or array.dtype.kind in "SUO":
        raise InputError(
            f"{file.path}: tensor {tensor.name!r} holds strings; remove it from the model"
        )
    return array
