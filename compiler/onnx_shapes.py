"""Shapes from ONNX's own inference: for tensors behind a node that could not be read.

The inference is C++ that can abort the whole process on a damaged file, so it runs in
one of its own, and only once there is a problem anyway.
"""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cached_property

import onnx

from weft.compiler.onnx_file import OnnxFile

_INFER = """
import json, sys, onnx
model = onnx.load_model_from_string(sys.stdin.buffer.read())
graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
json.dump(
    {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*graph.value_info, *graph.output)
    },
    sys.stdout,
)
"""
_PATIENCE = 30  # seconds


class Shapes:
    """Shapes of a file's tensors with a batch of 1; inferred when first asked for."""

    def __init__(self, file: OnnxFile):
        self._file = file

    def of(self, name: str) -> tuple[int, ...] | None:
        """Shape of a tensor whose batch axis comes first, or None where it is not known."""
        shape = self._inferred.get(name)
        return shape if shape and shape[0] == 1 and min(shape) > 0 else None

    @cached_property
    def _inferred(self) -> dict[str, tuple[int, ...]]:
        model = onnx.ModelProto()
        model.CopyFrom(self._file.model)
        del model.graph.value_info[:]
        for value in (*model.graph.input, *model.graph.output):
            dims = value.type.tensor_type.shape.dim
            if dims:
                dims[0].Clear()
                dims[0].dim_value = 1
        try:
            done = subprocess.run(
                [sys.executable, "-c", _INFER],
                input=model.SerializeToString(),
                capture_output=True,
                timeout=_PATIENCE,
                check=True,
            )
            found = json.loads(done.stdout)
        except (OSError, ValueError, subprocess.SubprocessError):
            return {}  # it is a convenience: the file has a problem already
        return {name: tuple(shape) for name, shape in found.items()}
