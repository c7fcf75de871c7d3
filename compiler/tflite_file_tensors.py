"""The tensors of a verified `.tflite` file, with their contents and quantization."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import tflite

from weft.compiler.tflite_file_types import (
    BadContentError,
    NotTakenError,
    TfliteTensor,
    check_count,
    has,
    scalar,
    text,
)
from weft.compiler.tflite_schema import NAMES

#: No operator of TensorFlow Lite takes a tensor of more dimensions.
LARGEST_RANK = 8

#: A tensor of more elements is taken for damage; TensorFlow Lite counts in 32 bits as well.
MOST_ELEMENTS = 2**31

#: The schema's types as NumPy has them, little-endian as FlatBuffers are.
_NUMPY: Mapping[str, np.dtype] = {
    name: np.dtype(name).newbyteorder("<")
    for name in (
        "bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64",
        "float16", "float32", "float64", "complex64", "complex128",
    )
}  # fmt: skip

#: Bits per element of types that have a size, but not in NumPy.
_BITS = {"int4": 4, "bfloat16": 16}


def read_tensors(model: tflite.Model, graph: tflite.SubGraph) -> list[TfliteTensor]:
    """Every tensor of a graph.

    Raises
    ------
    BadContentError
        If a shape, contents or quantization parameters are impossible.
    NotTakenError
        If a tensor is sparse, lies outside of the file or is quantized in an unusual way.
    """
    count = graph.TensorsLength()
    check_count(count, "tensors")
    return [_tensor(model, graph.Tensors(number), number) for number in range(count)]


def _tensor(model: tflite.Model, tensor: tflite.Tensor, number: int) -> TfliteTensor:
    name = text(tensor.Name())
    which = f"tensor {number} {name!r}"
    if has(tensor, 6):
        raise NotTakenError(f"{which} is sparse; convert the model without pruning's packing")
    if has(tensor, 9):
        raise NotTakenError(f"{which} is a variant; convert the model without tensor lists")
    dtype = NAMES["TensorType"][tensor.Type()].lower()
    shape = _shape(tensor, which)
    data = _contents(model, tensor, shape, dtype, which)
    scale, zero_point, axis = _quantization(
        tensor.Quantization(), shape, dtype, which, constant=data is not None
    )
    return TfliteTensor(
        number=number,
        name=name,
        shape=shape,
        dtype=dtype,
        scale=scale,
        zero_point=zero_point,
        axis=axis,
        data=data,
        is_variable=bool(tensor.IsVariable()),
    )


def _shape(tensor: tflite.Tensor, which: str) -> tuple[int, ...]:
    rank = tensor.ShapeLength()
    if rank > LARGEST_RANK:
        raise BadContentError(f"{which} has {rank} dimensions, of {LARGEST_RANK} at most")
    shape = tuple(tensor.ShapeAsNumpy().tolist()) if rank else ()
    if any(size < 0 for size in shape):
        raise BadContentError(f"{which} has the impossible shape {shape}")
    if math.prod(size or 1 for size in shape) > MOST_ELEMENTS:
        raise BadContentError(f"{which} has the shape {shape}, more than 2^31 elements")
    return shape


def _contents(
    model: tflite.Model, tensor: tflite.Tensor, shape: tuple[int, ...], dtype: str, which: str
) -> np.ndarray | None:
    number = tensor.Buffer()
    if number >= model.BuffersLength():
        raise BadContentError(f"{which} is in buffer {number}, there are {model.BuffersLength()}")
    buffer = model.Buffers(number)
    # 0 and 1 stand for none; the tensor's own reference is of a newer schema than the accessors'.
    if buffer.Offset() > 1 or scalar(tensor, 10, "I"):
        raise NotTakenError(
            f"{which} has its contents outside of the model's tables; "
            "convert the model into one file of less than 2 GB"
        )
    if not buffer.DataLength():
        # An empty tensor has all it can have: placeholders of recurrent operators are such.
        return _empty(shape, dtype) if 0 in shape else None
    data: np.ndarray = buffer.DataAsNumpy()  # a view of the file's bytes, read-only as they are
    bits = _NUMPY[dtype].itemsize * 8 if dtype in _NUMPY else _BITS.get(dtype)
    if bits is None:
        return data
    expected = -(-math.prod(shape) * bits // 8)
    if len(data) != expected:
        raise BadContentError(
            f"{which} of shape {shape} and type {dtype} takes {expected} bytes, "
            f"its buffer {number} has {len(data)}"
        )
    return data.view(_NUMPY[dtype]).reshape(shape) if dtype in _NUMPY else data


def _empty(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    data = np.zeros(shape, _NUMPY.get(dtype, np.uint8))
    data.flags.writeable = False
    return data


def _quantization(
    parameters: tflite.QuantizationParameters | None,
    shape: tuple[int, ...],
    dtype: str,
    which: str,
    *,
    constant: bool,
) -> tuple[np.ndarray | None, np.ndarray | None, int]:
    """Scales, zero points and axis; None, None and 0 for a tensor that is not quantized."""
    if parameters is None:
        return None, None, 0
    if parameters.DetailsType():
        kind = NAMES["QuantizationDetails"][parameters.DetailsType()]
        raise NotTakenError(f"{which} has {kind}; convert the model with plain int8 quantization")
    count, axis = parameters.ScaleLength(), parameters.QuantizedDimension()
    if parameters.ZeroPointLength() != count:
        raise BadContentError(
            f"{which} has {count} scales, but {parameters.ZeroPointLength()} zero points"
        )
    if not count:
        return None, None, 0
    scale, zero_point = parameters.ScaleAsNumpy(), parameters.ZeroPointAsNumpy()
    if count == 1 or len(shape) == 1:
        axis = 0  # one axis is all there is; converters write their filter's here
    if not 0 <= axis < max(len(shape), 1):
        raise BadContentError(f"{which} of shape {shape} is quantized along dimension {axis}")
    if count not in (1, *shape[axis : axis + 1]):
        raise BadContentError(f"{which} of shape {shape} has {count} scales along dimension {axis}")
    # Converters give a scale of 0 to a channel whose weights are all 0.
    positive = scale >= 0 if constant and count > 1 else scale > 0
    wrong = ~(positive & np.isfinite(scale))
    if wrong.any():
        raise BadContentError(f"{which} has the scale {scale[wrong][0]}")
    if dtype in _NUMPY and _NUMPY[dtype].kind in "iu":
        limits = np.iinfo(_NUMPY[dtype])
        outside = (zero_point < limits.min) | (zero_point > limits.max)
        if outside.any():
            raise BadContentError(f"{which} has the {dtype} zero point {zero_point[outside][0]}")
    return scale, zero_point, axis
