"""Data of an ONNX file that lie in other files: beside it, or nowhere."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import onnx

from weft.errors import InputError

_EXPORT = "export the model again"


def check_locations(path: Path, model: onnx.ModelProto) -> None:
    """Refuse a model of which any tensor, whether it is used or not, lies in a foreign folder.

    Whoever runs the model later, ONNX Runtime say, follows what is written there.

    Raises
    ------
    InputError
    """
    for tensor in _tensors_of_model(model):
        if tensor.external_data or tensor.data_location == onnx.TensorProto.EXTERNAL:
            _location(path, tensor)


def _tensors_of_model(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    yield from _tensors_of(model.graph)
    for training in model.training_info:
        yield from _tensors_of(training.initialization)
        yield from _tensors_of(training.algorithm)
    for function in model.functions:
        for node in function.node:
            yield from _tensors_of_node(node)


def _tensors_of(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        yield from _tensors_of_node(node)


def _tensors_of_node(node: onnx.NodeProto) -> Iterator[onnx.TensorProto]:
    for attribute in node.attribute:
        yield from attribute.tensors
        if attribute.HasField("t"):
            yield attribute.t
        if attribute.HasField("sparse_tensor"):
            yield from (attribute.sparse_tensor.values, attribute.sparse_tensor.indices)
        for sparse in attribute.sparse_tensors:
            yield from (sparse.values, sparse.indices)
        if attribute.HasField("g"):
            yield from _tensors_of(attribute.g)
        for graph in attribute.graphs:
            yield from _tensors_of(graph)


def _location(path: Path, tensor: onnx.TensorProto) -> Path:
    """Where a tensor's data lie, within the model's folder."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    where = f"{path}: the external data of tensor {tensor.name!r}"
    name = entries.get("location", "")
    if not isinstance(name, str) or "\0" in name:  # bytes, where it is no text
        raise InputError(f"{where} have no file name; {_EXPORT}")
    location, folder = Path(name.replace("\\", "/")), path.parent.resolve()
    try:
        inside = (folder / location).resolve().is_relative_to(folder)
    except (OSError, RuntimeError):  # a name that no file could have, links in a circle
        inside = False
    if location.is_absolute() or ".." in location.parts or not inside or not location.parts:
        raise InputError(
            f"{where} lie at {str(location)!r}, outside the model's folder; "
            "put them beside the model and name them by a relative path"
        )
    return location


def with_external_data(path: Path, tensor: onnx.TensorProto) -> onnx.TensorProto:
    """The same tensor with its data inside.

    Raises
    ------
    InputError
        If they lie outside the folder of `path`, or are not there as a whole.
    """
    location, folder = _location(path, tensor), path.parent.resolve()
    entries = {entry.key: entry.value for entry in tensor.external_data}
    where = f"{path}: the external data of tensor {tensor.name!r}"
    try:
        offset = int(entries.get("offset", "0"))
        size = (folder / location).stat().st_size
        length = int(entries.get("length", size - offset))
        fits = math.prod(tensor.dims) <= 8 * length  # no type has less than a bit per element
        if offset < 0 or length < 0 or offset + length > size or not fits:
            raise InputError(f"{where} are truncated in {location}; copy that file again")
        with (folder / location).open("rb") as stream:
            stream.seek(offset)
            data = stream.read(length)
    except ValueError as error:
        raise InputError(f"{where} have no valid offset and length; {_EXPORT}") from error
    except OSError as error:
        raise InputError(
            f"{where} cannot be read ({location}: {error.strerror}); put that file beside the model"
        ) from error
    inner = onnx.TensorProto()
    inner.CopyFrom(tensor)
    inner.ClearField("external_data")
    inner.data_location = onnx.TensorProto.DEFAULT
    inner.raw_data = data
    return inner
