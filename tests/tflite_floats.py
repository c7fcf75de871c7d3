"""Float `.tflite` models: written operator by operator, or made of INT8 ones.

In the latter every code becomes the real value that it stands for, by LiteRT's own schema, so
that LiteRT's float kernels can judge what weft reads.
"""

from __future__ import annotations

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from tflite_writer import ModelWriter, padding

_TYPE = schema.TensorType
_DTYPES = {_TYPE.INT8: np.int8, _TYPE.INT32: np.int32}
_LAYERS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


class Floats(ModelWriter):
    """A writer of float32 activations."""

    def real(self, *shape: int, name: str | None = None) -> int:
        return self.tensor(shape, dtype="float32", name=name)

    def values(self, values) -> int:
        return self.constant(values, "float32")

    def made(self, op: str, inputs: list[int], *shape: int, **options: object) -> int:
        output = self.real(*shape)
        self.operator(op, inputs, [output], **options)
        return output

    def conv(self, x: int, weights: int, shape: tuple[int, ...], **options: object) -> int:
        channels = shape[-1]
        bias = self.values(np.arange(channels))
        options = {"padding": padding("SAME"), "strideH": 1, "strideW": 1, **options}
        return self.made("CONV_2D", [x, weights, bias], *shape, **options)


def as_float(data: bytes) -> bytes:
    """The same model with float32 in the place of every tensor of codes."""
    model = schema.ModelT.InitFromPackedBuf(data, 0)
    (graph,) = model.subgraphs
    biases = {}
    for operator in graph.operators:
        layer = _op(model, operator) in _LAYERS
        if layer and len(operator.inputs) > 2 and operator.inputs[2] >= 0:
            biases[operator.inputs[2]] = [_scale(graph.tensors[i]) for i in operator.inputs[:2]]
    for operator in graph.operators:
        if _op(model, operator) in ("QUANTIZE", "DEQUANTIZE"):
            _keep(model, operator, graph.tensors[operator.outputs[0]].shape)
    for number, tensor in enumerate(graph.tensors):
        if tensor.type == _TYPE.INT8 and _scale(tensor) is not None:
            _replace(model, tensor, _real(model, tensor))
        elif tensor.type == _TYPE.INT32 and number in biases:
            given, weights = biases[number]
            _replace(model, tensor, _contents(model, tensor) * given * weights)
    for tensor in graph.tensors:  # scales are needed until here
        if tensor.type == _TYPE.FLOAT32:
            tensor.quantization = None
    return pack(model)


def pack(model: schema.ModelT) -> bytes:
    """The file of a model."""
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _op(model: schema.ModelT, operator: schema.OperatorT) -> str:
    code = model.operatorCodes[operator.opcodeIndex]
    number = max(code.builtinCode, code.deprecatedBuiltinCode)
    return next(k for k, v in vars(schema.BuiltinOperator).items() if v == number)


def _keep(model: schema.ModelT, operator: schema.OperatorT, shape: list[int]) -> None:
    """Make an operator hand its input on, as a RESHAPE to the same shape."""
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.RESHAPE
    code.version = 1
    operator.opcodeIndex = len(model.operatorCodes)
    model.operatorCodes.append(code)
    operator.builtinOptionsType = schema.BuiltinOptions.ReshapeOptions
    operator.builtinOptions = schema.ReshapeOptionsT()
    operator.builtinOptions.newShape = list(shape)


def _scale(tensor: schema.TensorT) -> np.ndarray | None:
    quantization = tensor.quantization
    if quantization is None or quantization.scale is None or not len(quantization.scale):
        return None
    return np.asarray(quantization.scale, np.float64)


def _contents(model: schema.ModelT, tensor: schema.TensorT) -> np.ndarray | None:
    data = model.buffers[tensor.buffer].data
    if data is None or not len(data):
        return None
    shape = [] if tensor.shape is None else list(tensor.shape)
    return np.asarray(data, np.uint8).view(_DTYPES[tensor.type]).reshape(shape)


def _real(model: schema.ModelT, tensor: schema.TensorT) -> np.ndarray | None:
    codes = _contents(model, tensor)
    if codes is None:
        return None
    shape = [1] * codes.ndim
    if len(_scale(tensor)) > 1:
        shape[tensor.quantization.quantizedDimension] = -1
    zero_point = np.asarray(tensor.quantization.zeroPoint, np.int64).reshape(shape)
    return (codes - zero_point) * _scale(tensor).reshape(shape)


def _replace(model: schema.ModelT, tensor: schema.TensorT, values: np.ndarray | None) -> None:
    tensor.type = _TYPE.FLOAT32
    if values is None:
        return
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(np.asarray(values, np.float32).tobytes(), np.uint8)
    tensor.buffer = len(model.buffers)
    model.buffers.append(buffer)
