"""Writes `.tflite` files through LiteRT's own schema, and runs them with its reference kernels."""

from __future__ import annotations

from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

#: The table that holds an operator's options, where its name is not the operator's.
OPTIONS = {
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "MEAN": "ReducerOptions",
    "PADV2": "PadV2Options",
    "SPLIT_V": "SplitVOptions",
    "RELU": "NONE",
    "RELU6": "NONE",
    "RELU_N1_TO_1": "NONE",
    "RELU_0_TO_1": "NONE",
    "LOGISTIC": "NONE",
    "TANH": "NONE",
}

DTYPES = {"int8": "INT8", "int32": "INT32", "int64": "INT64", "float32": "FLOAT32",
          "float16": "FLOAT16", "uint8": "UINT8", "int16": "INT16"}  # fmt: skip


class ModelWriter:
    """A graph under construction; tensors are known by their numbers."""

    def __init__(self) -> None:
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.description = "test"
        self.model.buffers = [schema.BufferT()]
        self.model.operatorCodes = []
        self.graph = schema.SubGraphT()
        self.graph.name = "main"
        self.graph.tensors, self.graph.operators = [], []
        self.model.subgraphs = [self.graph]

    def tensor(
        self,
        shape: tuple[int, ...],
        scale: Any = None,
        zero_point: int = 0,
        *,
        dtype: str = "int8",
        data: np.ndarray | None = None,
        axis: int = 0,
        name: str | None = None,
    ) -> int:
        """Add a tensor; `scale` is a number, or one for each index of `axis`."""
        number = len(self.graph.tensors)
        tensor = schema.TensorT()
        tensor.shape = list(shape)
        tensor.type = getattr(schema.TensorType, DTYPES[dtype])
        tensor.name = f"tensor{number}" if name is None else name
        if scale is not None:
            quantization = schema.QuantizationParametersT()
            quantization.scale = np.atleast_1d(np.asarray(scale, np.float32)).tolist()
            quantization.zeroPoint = [zero_point] * len(quantization.scale)
            quantization.quantizedDimension = axis
            tensor.quantization = quantization
        tensor.buffer = 0
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
            tensor.buffer = len(self.model.buffers)
            self.model.buffers.append(buffer)
        self.graph.tensors.append(tensor)
        return number

    def constant(self, values: Any, dtype: str = "int32", **more: Any) -> int:
        """Add a constant with these contents."""
        array = np.asarray(values, dtype)
        return self.tensor(array.shape, dtype=dtype, data=array, **more)

    def operator(self, op: str, inputs: list[int], outputs: list[int], **options: Any) -> None:
        """Add an operator; options are named as the schema's Python classes name them."""
        code = getattr(schema.BuiltinOperator, op)
        codes = [c.builtinCode for c in self.model.operatorCodes]
        if code not in codes:
            entry = schema.OperatorCodeT()
            entry.builtinCode, entry.deprecatedBuiltinCode = code, min(code, 127)
            entry.version = 1
            self.model.operatorCodes.append(entry)
            codes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex = codes.index(code)
        operator.inputs, operator.outputs = list(inputs), list(outputs)
        table = OPTIONS.get(op) or "".join(word.capitalize() for word in op.split("_")) + "Options"
        if table != "NONE" and hasattr(schema.BuiltinOptions, table):
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, table)
            operator.builtinOptions = getattr(schema, table + "T")()
            for name, value in options.items():
                assert hasattr(operator.builtinOptions, name), name
                setattr(operator.builtinOptions, name, value)
        self.graph.operators.append(operator)

    def finish(self, inputs: list[int], outputs: list[int]) -> bytes:
        """The file."""
        self.graph.inputs, self.graph.outputs = list(inputs), list(outputs)
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def activation(name: str) -> int:
    """The schema's number of a fused activation."""
    return int(getattr(schema.ActivationFunctionType, name))


def padding(name: str) -> int:
    """The schema's number of a padding."""
    return int(getattr(schema.Padding, name))


def litert(model: bytes) -> Interpreter:
    """LiteRT's reference kernels, one thread, no delegate, all tensors kept."""
    interpreter = Interpreter(
        model_content=model,
        num_threads=1,
        experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()
    return interpreter


def run_litert(interpreter: Interpreter, inputs: dict[int, np.ndarray]) -> dict[int, np.ndarray]:
    """Outputs by tensor number, of one sample of inputs by tensor number."""
    for number, array in inputs.items():
        interpreter.set_tensor(number, array)
    interpreter.invoke()
    return {
        detail["index"]: interpreter.get_tensor(detail["index"])
        for detail in interpreter.get_output_details()
    }


def random_inputs(interpreter: Interpreter, rng: np.random.Generator) -> dict[int, np.ndarray]:
    """One sample for every input; codes with many extremes, floats over several magnitudes."""
    made = {}
    for detail in interpreter.get_input_details():
        shape, dtype = tuple(detail["shape"]), detail["dtype"]
        if dtype == np.int8:
            array = rng.integers(-128, 128, shape)
            if rng.random() < 0.2:
                array = rng.choice([-128, 127], shape)
        else:
            array = rng.normal(0, 10 ** rng.uniform(-2, 3), shape)
        made[detail["index"]] = np.asarray(array).astype(dtype)
    return made
