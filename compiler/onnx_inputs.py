"""Inputs of the network: their shapes, and how they should lie in memory."""

from __future__ import annotations

import math

import numpy as np
import onnx

from weft.compiler.onnx_layout import NCHW, NHWC, Shape3, check_size, file_order, unlift
from weft.compiler.onnx_values import NodeError

#: For each input: its (H, W, C), and the order in which the file sees that.
Layouts = dict[str, tuple[Shape3, np.ndarray]]

#: Operators that leave the axes of their first input where they are.
_KEEPS_AXES = frozenset(
    """
    Add BatchNormalization Cast Clip Concat DequantizeLinear Div Dropout HardSigmoid HardSwish
    Identity LeakyRelu Max Min Mul Pad QuantizeLinear Relu Sigmoid Slice Sub Tanh
    """.split()  # noqa: SIM905  a text of words is easier to read
)


def input_shape(value: onnx.ValueInfoProto) -> tuple[int, ...]:
    """Shape of one sample, with the batch axis as 1.

    Raises
    ------
    NodeError
        If it is not a float32 or int8 tensor with a batch axis and otherwise fixed dimensions.
    """
    if not value.type.HasField("tensor_type"):
        raise NodeError("it is not a tensor", "export a model that takes tensors")
    kind = value.type.tensor_type
    if kind.elem_type not in (onnx.TensorProto.FLOAT, onnx.TensorProto.INT8):
        raise NodeError(
            f"its type is {_type_name(kind.elem_type)}, not float32",
            "export the model with float32 inputs (or int8 ones, if it is quantized)",
        )
    if not kind.HasField("shape"):
        raise NodeError("it has no shape", "export the model with a fixed input shape")
    dims = list(kind.shape.dim)
    if not 2 <= len(dims) <= 4:
        raise NodeError(
            f"it has {len(dims)} dimensions",
            "use (batch, features), (batch, channels, length) or (batch, channels, height, width)",
        )
    batch = dims[0].dim_value
    if dims[0].HasField("dim_value") and batch > 1:
        raise NodeError(
            f"its batch is fixed to {batch}", "export with a batch of 1 or a dynamic one"
        )
    for index, dim in enumerate(dims[1:], 1):
        if dim.dim_value < 1:
            called = f" {dim.dim_param!r}" if dim.dim_param else ""
            raise NodeError(f"dimension {index}{called} is not fixed", _fix(value.name, dim))
    shape = (1, *(dim.dim_value for dim in dims[1:]))
    check_size(shape)
    return shape


def _fix(name: str, dim: onnx.TensorShapeProto.Dimension) -> str:
    if dim.dim_param:
        return (
            "export with a fixed size, or run python -m onnxruntime.tools.make_dynamic_shape_fixed "
            f"--dim_param {dim.dim_param} --dim_value SIZE"
        )
    return (
        "export with a fixed size, or run python -m onnxruntime.tools.make_dynamic_shape_fixed "
        f"--input_name {name} --input_shape SHAPE"
    )


def _type_name(kind: int) -> str:
    try:
        return onnx.TensorProto.DataType.Name(kind)
    except ValueError:
        return str(kind)


def default_layout(
    graph: onnx.GraphProto, name: str, shape: tuple[int, ...]
) -> tuple[Shape3, np.ndarray]:
    """Channels as axis 1, unless a Transpose that follows makes them so."""
    rank = len(shape)
    if rank > 4:
        size = math.prod(shape)
        check_size((size,))
        return (1, 1, size), np.arange(size, dtype=np.int64).reshape(shape)
    roles = NHWC if _is_channels_last(graph, name, rank) else NCHW
    padded = shape + (1,) * (4 - rank) if rank != 3 else (shape[0], shape[1], 1, shape[2])
    if roles == NHWC and rank == 3:
        roles = (2, 1, 3)
    memory = (padded[roles[0]], padded[roles[1]], padded[roles[2]])
    return memory, unlift(file_order(memory, roles), rank)


def _is_channels_last(graph: onnx.GraphProto, name: str, rank: int) -> bool:
    """Whether a Transpose to channels first comes next, but for what keeps the axes."""
    wanted = {3: [0, 2, 1], 4: [0, 3, 1, 2]}.get(rank)
    if wanted is None:
        return False
    reached = {name}
    for node in graph.node:
        if not reached.intersection(node.input[:1]):
            continue
        if node.op_type == "Transpose":
            perm = next((list(a.ints) for a in node.attribute if a.name == "perm"), [])
            return perm == wanted
        if node.op_type in _KEEPS_AXES:
            reached.update(node.output[:1])
    return False
