"""What is said of files that are no `.tflite` file, are damaged, hostile or too much for weft."""

from __future__ import annotations

import struct
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from tflite_tiny import SCALE, TINY, classifier, file_of
from tflite_writer import ModelWriter

from weft.compiler.tflite_file import TfliteModel, read_tflite_file
from weft.errors import InputError, RefusedError


def read(tmp_path: Path, data: bytes) -> TfliteModel:
    path = tmp_path / "model.tflite"
    path.write_bytes(data)
    return read_tflite_file(path)


# Files that are none --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"TFL3", "is not a TensorFlow Lite model: it does not say TFL3 at byte 4; check its name"),
        (b"\x08\x03\x12\x07pytorch" * 9, "is not a TensorFlow Lite model"),
        (b"\x08\0\0\0TFL3", "damaged: the model lies outside of the file, which may be cut short"),
        (b"\xff\xff\xff\xffTFL3", "is damaged: the model lies outside of the file"),
        (b"\x08\0\0\0TFL3" + bytes(99), "is damaged: the model has no valid table of fields"),
        (b"\x09\0\0\0TFL3" + bytes(99), "is damaged: the model is not aligned"),
    ],
)
def test_other_files(tmp_path, data, message):
    with pytest.raises(InputError, match=f"model.tflite .*{message}"):
        read(tmp_path, data)


def test_file_cut_anywhere(tmp_path):
    data = file_of(TINY["floats_outside"]())
    for length in range(0, len(data) - 8, 3):  # the last bytes fill up a string
        with pytest.raises(InputError, match=r"^[^\n]*model\.tflite is [^\n]+; [^\n]+$"):
            read(tmp_path, data[:length])


# Damage ---------------------------------------------------------------------------------


_DAMAGE = [
    ("graph.tensors.0.shape", [1] * 9, "tensor 0 'tensor0' has 9 dimensions, of 8 at most"),
    ("graph.tensors.0.shape", [1, -4, 4, 2], r"'tensor0' has the impossible shape \(1, -4, 4, 2\)"),
    ("graph.tensors.0.shape", [1, 0], r"input tensor 0 'tensor0' has the empty shape \(1, 0\)"),
    ("graph.tensors.1.shape", [0], r"CONV_2D writes tensor 1 'tensor1', which has the empty shape"),
    ("graph.tensors.3.shape", [0], r"of shape \(0,\) and type int8 takes 0 bytes, its buffer 1"),
    ("graph.tensors.0.shape", [0, 2**16, 2**16], r"65536, 65536\), more than 2\^31 elements"),
    (
        "graph.tensors.0.shape", [2**16, 2**16],
        r"'tensor0' has the shape \(65536, 65536\), more than 2\^31 elements",
    ),
    ("graph.tensors.0.buffer", 99, "tensor 0 'tensor0' is in buffer 99, there are 8"),
    (
        "graph.tensors.3.shape", [4, 3, 3, 3],
        r"tensor 3 'tensor3' of shape \(4, 3, 3, 3\) and type int8 takes 108 bytes, "
        "its buffer 1 has 72",
    ),
    ("graph.tensors.3.type", schema.TensorType.INT16, "type int16 takes 144 bytes, its buffer 1"),
    ("graph.tensors.3.type", schema.TensorType.INT4, "type int4 takes 36 bytes, its buffer 1"),
    ("graph.tensors.3.quantization.zeroPoint", [0], "has 4 scales, but 1 zero points"),
    ("graph.tensors.3.quantization.quantizedDimension", 4, "is quantized along dimension 4"),
    ("graph.tensors.3.quantization.quantizedDimension", -1, "is quantized along dimension -1"),
    ("graph.tensors.3.quantization.quantizedDimension", 1, "has 4 scales along dimension 1"),
    ("graph.tensors.3.quantization.scale", [1.0, np.nan, 1.0, 1.0], "has the scale nan"),
    ("graph.tensors.3.quantization.scale", [1.0, -1.0, 1.0, 1.0], "has the scale -1.0"),
    ("graph.tensors.0.quantization.scale", [0.0], "tensor 0 'tensor0' has the scale 0.0"),
    ("graph.tensors.0.quantization.scale", [np.inf], "tensor 0 'tensor0' has the scale inf"),
    ("graph.tensors.0.quantization.zeroPoint", [128], "has the int8 zero point 128"),
    ("graph.tensors.4.quantization.zeroPoint", [0, 0, 0, 2**31], "the int32 zero point 2147483648"),
    ("graph.operators.0.opcodeIndex", 6, "operator 0 has operator code 6, there are 6"),
    ("graph.operators.0.inputs", [99, 3, 4], "input of operator 0 CONV_2D is tensor 99, there are"),
    ("graph.operators.0.inputs", [-2, 3, 4], "an input of operator 0 CONV_2D is tensor -2"),
    ("graph.operators.0.outputs", [-1], "an output of operator 0 CONV_2D is tensor -1"),
    (
        "graph.operators.0.inputs", [2, 3, 4],
        "operator 0 CONV_2D reads tensor 2 'tensor2' before anything has made it",
    ),
    (
        "graph.operators.1.outputs", [1],
        "operator 1 DEPTHWISE_CONV_2D writes tensor 1 'tensor1', which has its contents already",
    ),
    ("graph.operators.1.outputs", [0], "writes tensor 0 'tensor0', which has its contents already"),
    ("graph.operators.1.outputs", [3], "writes tensor 3 'tensor3', which has its contents already"),
    ("graph.operators.5.builtinOptions.beta", np.inf, "operator 5 SOFTMAX has the option beta ="),
    (
        "graph.operators.0.builtinOptionsType", schema.BuiltinOptions.Conv3DOptions,
        "operator 0 CONV_2D has the options of another operator, Conv3DOptions",
    ),
    (
        "graph.operators.0.builtinOptionsType", 0,
        r"subgraphs\[0\].operators\[0\].builtin_options is there, but not which kind it is",
    ),
    ("graph.inputs", [0, 0], "its graph has one tensor as several inputs"),
    ("graph.inputs", [], "its graph has no input"),
    ("graph.inputs", [3], "input tensor 3 'tensor3' has its contents already"),
    ("graph.outputs", None, "its graph has no output"),
    ("graph.outputs", [-1], "its output is tensor -1, there are 14"),
    ("model.subgraphs", [], "it holds no graph"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "message"), _DAMAGE, ids=lambda part: str(part)[:50])
def test_damage(tmp_path, path, value, message):
    writer = classifier()
    data = _edited(writer, path, value)
    expected = f"model.tflite is damaged: .*{message}.*; copy it again, or convert the model again$"
    with pytest.raises(InputError, match=expected):
        read(tmp_path, data)


def _edited(writer: ModelWriter, path: str, value: Any) -> bytes:
    """The file after one value in the model is another: 'graph.tensors.0.shape'."""
    *holders, last = path.split(".")
    thing: Any = writer
    for name in holders:
        thing = thing[int(name)] if name.isdigit() else getattr(thing, name)
    assert hasattr(thing, last), path
    setattr(thing, last, value)
    builder = flatbuffers.Builder(1024)
    builder.Finish(writer.model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def test_output_that_nothing_makes(tmp_path):
    writer = classifier()
    number = writer.tensor((1, 3), SCALE)
    data = _edited(writer, "graph.outputs", [number])
    with pytest.raises(InputError, match="damaged: nothing makes the output tensor 14 'tensor14'"):
        read(tmp_path, data)


_REFUSED = [
    (
        "model.version", 2,
        ": its format has version 2, weft reads version 3; convert the model again",
    ),
    (
        "model.subgraphs", [classifier().graph] * 2,
        r"it holds 2 graphs, weft takes one: convert the model without control flow \(IF, WHILE, "
        r"CALL\) and with one signature",
    ),
    (
        "graph.tensors.3.sparsity", schema.SparsityParametersT(),
        "tensor 3 'tensor3' is sparse; convert the model without pruning's packing",
    ),
    (
        "graph.tensors.3.variantTensors", [schema.VariantSubTypeT()],
        "tensor 3 'tensor3' is a variant; convert the model without tensor lists",
    ),
    ("graph.tensors.3.externalBuffer", 1, "'tensor3' has its contents outside of the model's tab"),
    ("model.buffers.1.offset", 4096, "'tensor3' has its contents outside of the model's tables; "),
    (
        "graph.tensors.0.shapeSignature", [-1, -1, -1, 2],
        "input tensor 0 'tensor0' has dimensions of any size; convert the model with a fixed",
    ),
    (
        "model.operatorCodes.0.builtinCode", 250,
        "operator 0 has the code 250, which weft does not know; convert the model again, with an "
        "older converter",
    ),
    (
        "graph.operators.0.builtinOptions.padding", 7,
        r"damaged, or newer than weft knows: subgraphs\[0\].operators\[0\].builtin_options.padding "
        "is 7, which no Padding has; convert the model again, with an older converter",
    ),
    ("graph.tensors.0.type", 40, r"subgraphs\[0\].tensors\[0\].type is 40, which no TensorType"),
    ("graph.operators.0.outputs", [], "operator 0 CONV_2D makes nothing; convert the model with"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "message"), _REFUSED, ids=lambda part: str(part)[:50])
def test_refused(tmp_path, path, value, message):
    data = _edited(classifier(), path, value)
    with pytest.raises(RefusedError, match=f"model.tflite.*{message}"):
        read(tmp_path, data)


def test_custom_quantization(tmp_path):
    writer = classifier()
    quantization = writer.graph.tensors[3].quantization
    quantization.detailsType = schema.QuantizationDetails.CustomQuantization
    quantization.details = schema.CustomQuantizationT()
    message = "'tensor3' has CustomQuantization; convert the model with plain int8 quantization"
    with pytest.raises(RefusedError, match=message):
        read(tmp_path, file_of(writer))


def test_options_of_a_newer_schema(tmp_path):
    writer = classifier()
    operator = writer.graph.operators[0]
    operator.builtinOptionsType = 200
    data = file_of(writer)
    with pytest.raises(RefusedError, match="builtin_options is of kind 200, which no BuiltinOpt"):
        read(tmp_path, data)


def test_field_of_a_newer_schema(tmp_path):
    """A table with one slot more, as a later schema would write it."""
    options = schema.ReshapeOptionsT()
    options.Pack = _with_one_field_more
    writer = classifier()
    writer.graph.operators[3].builtinOptions = options
    message = r"operators\[3\].builtin_options has a field that no ReshapeOptions has"
    with pytest.raises(RefusedError, match=message):
        read(tmp_path, file_of(writer))


def _with_one_field_more(builder: flatbuffers.Builder) -> int:
    builder.StartObject(2)
    builder.PrependInt32Slot(1, 5, 0)
    return builder.EndObject()


# Hostile files --------------------------------------------------------------------------


def _hostile(tensors: int, shape: int, inputs: int) -> bytes:
    """A file whose tensors are all one table, whose operators all have one list of inputs."""
    builder = flatbuffers.Builder(1024)
    dimensions = builder.CreateNumpyVector(np.ones(shape, np.int32))
    schema.TensorStart(builder)
    schema.TensorAddShape(builder, dimensions)
    tensor = schema.TensorEnd(builder)
    numbers = builder.CreateNumpyVector(np.zeros(inputs, np.int32))
    schema.OperatorStart(builder)
    schema.OperatorAddInputs(builder, numbers)
    schema.OperatorAddOutputs(builder, numbers)
    operator = schema.OperatorEnd(builder)

    def same(offset: int) -> int:
        builder.StartVector(4, tensors, 4)
        for _ in range(tensors):
            builder.PrependUOffsetTRelative(offset)
        return builder.EndVector()

    all_tensors, all_operators = same(tensor), same(operator)
    schema.SubGraphStart(builder)
    schema.SubGraphAddTensors(builder, all_tensors)
    schema.SubGraphAddOperators(builder, all_operators)
    schema.SubGraphAddInputs(builder, numbers)
    schema.SubGraphAddOutputs(builder, numbers)
    graph = schema.SubGraphEnd(builder)
    builder.StartVector(4, 1, 4)
    builder.PrependUOffsetTRelative(graph)
    graphs = builder.EndVector()
    schema.BufferStart(builder)
    buffer = schema.BufferEnd(builder)
    builder.StartVector(4, 1, 4)
    builder.PrependUOffsetTRelative(buffer)
    buffers = builder.EndVector()
    schema.ModelStart(builder)
    schema.ModelAddVersion(builder, 3)
    schema.ModelAddSubgraphs(builder, graphs)
    schema.ModelAddBuffers(builder, buffers)
    builder.Finish(schema.ModelEnd(builder), b"TFL3")
    return bytes(builder.Output())


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((2000, 2000, 1), "its parts are larger than the file, they overlap"),
        ((2000, 0, 2000), "its parts are larger than the file, they overlap"),
        ((100000, 0, 1), "its parts are larger than the file, they overlap"),
    ],
)
def test_few_bytes_that_stand_for_many(tmp_path, sizes, message):
    data = _hostile(*sizes)
    start = time.process_time()
    with pytest.raises(InputError, match=message):
        read(tmp_path, data)
    assert time.process_time() - start < 1


def test_one_huge_table_of_fields_for_all_tensors(tmp_path):
    data = bytearray(_hostile(10000, 0, 1))
    data += bytes(-len(data) % 4)
    position = schema.Model.GetRootAs(data).Subgraphs(0).Tensors(0)._tab.Pos
    struct.pack_into("<i", data, position, position - len(data))
    data += struct.pack("<HH", 65534, 4) + bytes(65530)
    start = time.process_time()
    with pytest.raises(InputError, match="its parts are larger than the file, they overlap"):
        read(tmp_path, bytes(data))
    assert time.process_time() - start < 1


def test_too_many_tables(tmp_path):
    data = _hostile(100000, 0, 1) + bytes(4 << 20)
    with pytest.raises(InputError, match="it has more than 131072 tables"):
        read(tmp_path, data)


def test_too_many_tensors(tmp_path):
    data = _hostile(20000, 0, 1) + bytes(1 << 20)
    message = "it holds 20000 tensors, weft takes 16384; split the model"
    with pytest.raises(RefusedError, match=message):
        read(tmp_path, data)


def test_vectors_of_impossible_length(tmp_path):
    """Every word that may be a length becomes a huge one."""
    data = file_of(TINY["floats_outside"]())
    start = time.process_time()
    for at in range(8, len(data) - 3, 4):
        damaged = bytearray(data)
        struct.pack_into("<I", damaged, at, 0x7FFFFFF0)
        with suppress(InputError, RefusedError):
            read(tmp_path, bytes(damaged))
    assert time.process_time() - start < 10
