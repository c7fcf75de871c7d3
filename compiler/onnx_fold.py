"""Nodes whose inputs are all constants are computed while reading.

Exporters compute shapes and weights with such nodes. The set is small and bounded:
nothing here can allocate more than a tensor may have.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import onnx
from onnx import AttributeProto
from onnx.reference import ReferenceEvaluator

from weft.compiler.onnx_file import OnnxFile, tensor_array
from weft.compiler.onnx_layout import LARGEST
from weft.compiler.onnx_values import Constant, NodeError

#: Folded by ONNX's own reference implementation.
FOLDED = frozenset(
    """
    Abs Add And Cast Ceil Concat ConstantOfShape Div Equal Exp Expand Flatten Floor Gather
    Greater Identity Less MatMul Max Min Mod Mul Neg Not Or Pow Range Reciprocal ReduceMax
    ReduceMean ReduceMin ReduceProd ReduceSum Reshape Round Shape Size Slice Split Sqrt
    Squeeze Sub Tile Transpose Unsqueeze Where
    """.split()  # noqa: SIM905  a text of words is easier to read
)

#: These hand a constant's quantization on.
_KEEPS_SCALE = frozenset({"Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"})


def constant_node(file: OnnxFile, node: onnx.NodeProto) -> Constant:
    """The value of a Constant node."""
    if len(node.attribute) != 1:
        raise NodeError("it has no single value attribute", "export the model again")
    attribute = node.attribute[0]
    kinds = {
        "value": (AttributeProto.TENSOR, None),
        "value_float": (AttributeProto.FLOAT, np.float32),
        "value_floats": (AttributeProto.FLOATS, np.float32),
        "value_int": (AttributeProto.INT, np.int64),
        "value_ints": (AttributeProto.INTS, np.int64),
    }
    kind, dtype = kinds.get(attribute.name, (None, None))
    if kind is None:
        raise NodeError(
            f"attribute {attribute.name} is not implemented", "give it a dense, numeric value"
        )
    if attribute.type != kind:
        raise NodeError(f"attribute {attribute.name} is not of its type", "export the model again")
    if dtype is None:
        return Constant(tensor_array(file, attribute.t))
    return Constant(np.array(onnx.helper.get_attribute_value(attribute), dtype))


def fold(node: onnx.NodeProto, inputs: Sequence[Constant | None], opset: int) -> list[Constant]:
    """Compute a node of constants.

    Raises
    ------
    NodeError
        If the operator cannot be computed while reading, or its inputs do not fit.
    """
    if node.op_type not in FOLDED:
        raise NodeError("it is not computed from constants", "replace its result by a constant")
    keeps = node.op_type in _KEEPS_SCALE
    arrays = [None if c is None else c.array if keeps else _plain(c) for c in inputs]
    _bound(node, arrays)
    names = [name if array is not None else "" for name, array in
             zip((f"i{i}" for i in range(len(arrays))), arrays, strict=True)]  # fmt: skip
    alone = onnx.helper.make_node(node.op_type, names, [f"o{i}" for i in range(len(node.output))])
    alone.attribute.extend(node.attribute)
    for attribute in node.attribute:
        if attribute.type not in (1, 2, 3, 4, 6, 7) or attribute.t.external_data:
            raise NodeError(f"attribute {attribute.name} is not of its type", "export it again")
        if attribute.name == "num_outputs" and attribute.i != len(node.output):
            raise NodeError("num_outputs is not its number of outputs", "export the model again")
    try:
        evaluator = ReferenceEvaluator(_model(alone, arrays, opset))
        feeds = {name: a for name, a in zip(names, arrays, strict=True) if a is not None}
        with np.errstate(all="ignore"):
            results = evaluator.run(None, feeds)
    except Exception as error:  # the reference raises whatever numpy does
        raise NodeError("its constants do not fit together", "export the model again") from error
    first = inputs[0] if inputs else None
    scale = first.scale if first is not None and keeps else None
    axis = 0
    if scale is not None and scale.scale.ndim and first is not None:
        axis = _moved_axis(node, first)
    return [Constant(np.asarray(result), scale, axis) for result in results]


def _plain(constant: Constant) -> np.ndarray:
    """What the file's own runtime would see."""
    with np.errstate(over="ignore"):  # infinity, which is refused where it is used
        return constant.array.astype(np.float32) if constant.scale else constant.array


def _moved_axis(node: onnx.NodeProto, constant: Constant) -> int:
    """Where the axis of the scales goes."""
    rank = constant.array.ndim
    if node.op_type == "Identity":
        return constant.axis
    if node.op_type == "Transpose":
        perm = next((list(a.ints) for a in node.attribute if a.name == "perm"), None)
        return (perm or list(reversed(range(rank)))).index(constant.axis)
    raise NodeError(
        "it reshapes a constant that is quantized per channel", "quantize after reshaping"
    )


def _model(node: onnx.NodeProto, arrays: list[np.ndarray | None], opset: int) -> onnx.ModelProto:
    def info(name: str, array: np.ndarray) -> onnx.ValueInfoProto:
        kind = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
        return onnx.helper.make_tensor_value_info(name, kind, array.shape)

    graph = onnx.helper.make_graph(
        [node],
        "fold",
        [info(name, a) for name, a in zip(node.input, arrays, strict=True) if a is not None],
        [onnx.helper.make_empty_tensor_value_info(name) for name in node.output],
    )
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)])


def _bound(node: onnx.NodeProto, arrays: list[np.ndarray | None]) -> None:
    """Refuse what would be far larger than its inputs."""
    present = [a for a in arrays if a is not None]
    size = float(max((a.size for a in present), default=0))
    if node.op_type in ("ConstantOfShape", "Expand", "Tile") and present:
        wanted = present[-1].astype(np.float64).reshape(-1)
        size = math.prod(max(abs(n), 1.0) for n in wanted.tolist())
        size *= present[0].size if node.op_type != "ConstantOfShape" else 1
    elif node.op_type == "Range" and len(present) == 3 and all(a.size == 1 for a in present):
        start, stop, step = (float(a.reshape(-1)[0]) for a in present)
        size = abs(stop - start) / abs(step) if step else math.inf
    elif node.op_type == "Gather" and len(present) == 2:
        size = float(present[0].size) * max(present[1].size, 1)
    elif node.op_type == "MatMul" or len(present) > 1:
        ranks = max(a.ndim for a in present)
        shapes = [(1,) * (ranks - a.ndim) + a.shape for a in present]
        if node.op_type in ("Concat", "Reshape", "Slice", "Split", "Squeeze", "Unsqueeze"):
            size = float(sum(a.size for a in present))
        else:
            size = math.prod(float(max(dims)) for dims in zip(*shapes, strict=True))
    if not size <= LARGEST:
        raise NodeError("its constant result would be too large", "export the model again")
