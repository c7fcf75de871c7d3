"""`.tflite` files as plain data, and what is said of files that are none."""

from __future__ import annotations

import re
import time
from pathlib import Path

import numpy as np
import pytest
import tflite
from ai_edge_litert import schema_py_generated as schema
from tflite_tiny import SCALE, TINY, WEIGHTS, classifier, file_of

from weft.compiler.tflite_file import TfliteModel, read_tflite_file
from weft.compiler.tflite_schema import ENUMS, OPTIONS_OF, SIZES, TABLES, Field, names_of

MODELS = Path(__file__).parents[2] / "../shared/models"
PUBLISHED = sorted(MODELS.glob("*/*.tflite"))


def read(tmp_path: Path, data: bytes) -> TfliteModel:
    path = tmp_path / "model.tflite"
    path.write_bytes(data)
    return read_tflite_file(path)


# What is read ---------------------------------------------------------------------------


def test_tensors(tmp_path):
    tensors = read(tmp_path, file_of(classifier())).tensors
    image, weights, bias, shape = tensors[0], tensors[3], tensors[4], tensors[9]
    assert (image.number, image.name, image.shape, image.dtype) == (
        0, "tensor0", (1, 4, 4, 2), "int8",
    )  # fmt: skip
    assert image.data is None
    assert not image.is_variable
    assert image.scale.tolist() == [np.float32(SCALE)]
    assert (image.scale.dtype, image.zero_point.dtype) == (np.float32, np.int64)
    assert weights.scale.tolist() == [np.float32(WEIGHTS)] * 4
    assert weights.zero_point.tolist() == [0] * 4
    assert weights.axis == 0
    assert (weights.data.dtype, weights.data.shape) == (np.int8, (4, 3, 3, 2))
    assert not weights.data.flags.writeable
    assert (bias.data.dtype, bias.data.tolist()) == (np.int32, [-1, 0, 1, 2])
    assert tensors[5].axis == 3
    assert (shape.scale, shape.zero_point, shape.data.tolist()) == (None, None, [-1, 16])


def test_operators(tmp_path):
    model = read(tmp_path, file_of(classifier()))
    assert [operator.op for operator in model.operators] == [
        "CONV_2D", "DEPTHWISE_CONV_2D", "AVERAGE_POOL_2D", "RESHAPE", "FULLY_CONNECTED", "SOFTMAX",
    ]  # fmt: skip
    convolution, _, pool, reshape, *_, softmax = model.operators
    assert (convolution.inputs, convolution.outputs) == ((0, 3, 4), (1,))
    assert convolution.options == {
        "padding": "SAME", "stride_w": 1, "stride_h": 1, "fused_activation_function": "RELU",
        "dilation_w_factor": 1, "dilation_h_factor": 1, "quantized_bias_type": "FLOAT32",
    }  # fmt: skip
    assert pool.options["padding"] == "VALID"
    assert reshape.options == {"new_shape": ()}
    assert softmax.options == {"beta": 1.0}
    assert (model.inputs, model.outputs, model.description) == ((0,), (11,), "test")


def test_left_out_input_and_vector_option(tmp_path):
    writer = TINY["floats_outside"]()
    writer.operator("SQUEEZE", [5], [writer.tensor((2,), SCALE)], squeezeDims=[0, -1])
    operators = read(tmp_path, file_of(writer)).operators
    assert operators[3].inputs[2] == -1
    assert operators[-1].options == {"squeeze_dims": (0, -1)}


def test_options_left_out_are_the_defaults(tmp_path):
    writer = classifier()
    for operator in writer.graph.operators:
        operator.builtinOptionsType, operator.builtinOptions = 0, None
    options = read(tmp_path, file_of(writer)).operators[0].options
    assert options == {
        "padding": "SAME", "stride_w": 0, "stride_h": 0, "fused_activation_function": "NONE",
        "dilation_w_factor": 1, "dilation_h_factor": 1, "quantized_bias_type": "FLOAT32",
    }  # fmt: skip


def test_operator_without_options_has_none(tmp_path):
    logistic = read(tmp_path, file_of(TINY["branches"]())).operators[-2]
    assert (logistic.op, logistic.options) == ("LOGISTIC", {})


@pytest.mark.parametrize(("deprecated", "code"), [(3, 3), (3, 0), (0, 3)])
def test_larger_of_the_two_codes_counts(tmp_path, deprecated, code):
    writer = classifier()
    entry = writer.model.operatorCodes[0]
    entry.deprecatedBuiltinCode, entry.builtinCode, entry.version = deprecated, code, 5
    operator = read(tmp_path, file_of(writer)).operators[0]
    assert (operator.op, operator.version) == ("CONV_2D", 5)


def test_new_and_custom_operators(tmp_path):
    writer = classifier()
    outputs = [writer.tensor((1, 3), SCALE) for _ in range(2)]
    writer.operator("GELU", [10], [outputs[0]], approximate=True)
    writer.operator("ABS", [10], [outputs[1]])
    entry = writer.model.operatorCodes[-1]
    entry.deprecatedBuiltinCode = entry.builtinCode = 32
    entry.customCode = "a\nb"
    writer.graph.operators[-1].builtinOptionsType = 0
    writer.graph.operators[-1].builtinOptions = None
    *_, gelu, custom = read(tmp_path, file_of(writer)).operators
    assert (gelu.op, gelu.options) == ("GELU", {"approximate": True})
    assert (custom.op, custom.options) == (r"CUSTOM(a\nb)", {})


def test_scalar_tensor_and_scale_0_of_an_empty_channel(tmp_path):
    writer = TINY["branches"]()
    number = writer.constant([0, 0, 5], "int8", scale=[0.0, 0.0, 1.0])
    tensors = read(tmp_path, file_of(writer)).tensors
    axis = next(tensor for tensor in tensors if tensor.shape == ())
    assert (axis.data.shape, int(axis.data)) == ((), 3)
    assert tensors[number].scale.tolist() == [0, 0, 1]


def test_empty_tensor_is_a_constant(tmp_path):
    writer = classifier()
    number = writer.tensor((0, 3), dtype="float32")
    data = read(tmp_path, file_of(writer)).tensors[number].data
    assert (data.shape, data.dtype, data.flags.writeable) == ((0, 3), np.float32, False)


def test_bytes_of_types_that_numpy_has_not(tmp_path):
    writer = classifier()
    number = writer.constant([1, 2], "int8")
    writer.graph.tensors[number].type = schema.TensorType.INT4
    writer.graph.tensors[number].shape = [3]
    tensor = read(tmp_path, file_of(writer)).tensors[number]
    assert (tensor.dtype, tensor.shape, tensor.data.tolist()) == ("int4", (3,), [1, 2])


def test_names_are_one_line_of_text(tmp_path):
    writer = classifier()
    for number, name in enumerate((b"a\nb", b"\xff\xfea", "ä\u202eb".encode())):
        writer.graph.tensors[number].name = name
    names = [tensor.name for tensor in read(tmp_path, file_of(writer)).tensors[:3]]
    assert names == [r"a\nb", r"\xff\xfea", r"ä\u202eb"]


def test_a_batch_of_any_size_has_the_size_in_shape(tmp_path):
    writer = classifier()
    writer.graph.tensors[0].shapeSignature = [-1, 4, 4, 2]
    assert read(tmp_path, file_of(writer)).tensors[0].shape == (1, 4, 4, 2)


@pytest.mark.skipif(not PUBLISHED, reason="no ../shared/models")
@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.stem)
def test_published_models_are_quick(path):
    read_tflite_file(path)
    start = time.process_time()
    model = read_tflite_file(path)
    assert time.process_time() - start < 0.2
    assert model.tensors[model.inputs[0]].shape[0] == 1
    assert all(tensor.name for tensor in model.tensors)


# The schema -----------------------------------------------------------------------------


class Slots:
    """Stands in for a FlatBuffers builder and keeps what it is told."""

    def __init__(self):
        self.calls: list[tuple[str, tuple]] = []

    def __getattr__(self, name):
        return lambda *arguments: self.calls.append((name, arguments))


_PREPENDS = {
    "Bool": "bool", "Int8": "byte", "Uint8": "ubyte", "Int32": "int", "Uint32": "uint",
    "Int64": "long", "Uint64": "ulong", "Float32": "float", "UOffsetTRelative": None,
}  # fmt: skip


@pytest.mark.parametrize("table", sorted(TABLES.keys() - {"NONE"}))
def test_tables_are_those_of_the_package(table):
    slots = Slots()
    getattr(tflite, f"{table}Start")(slots)
    newer = table == "Tensor"  # its external_buffer
    assert TABLES[table][1] == slots.calls[0][1][0] + newer
    for field in TABLES[table][0]:
        if field.name != "external_buffer":
            _check_field(table, field)


def _check_field(table: str, field: Field) -> None:
    accessor = "".join(word[:1].upper() + word[1:] for word in field.name.split("_"))
    assert hasattr(getattr(tflite, table), accessor)
    slots = Slots()
    getattr(tflite, f"{table}Add{accessor}")(slots, 0)
    (name, (slot, _, _)), *_ = slots.calls
    type_ = _PREPENDS[re.fullmatch("Prepend(.*)Slot", name)[1]]
    if field.kind == "union":
        assert (slot, type_) == (field.slot + 1, None)
        return
    assert slot == field.slot
    if field.kind == "scalar":
        assert ENUMS.get(field.of, field.of) == type_
    elif field.kind != "ignored":
        assert type_ is None
    if field.kind == "scalars":
        getattr(tflite, f"{table}Start{accessor}Vector")(slots, 1)
        assert slots.calls[-1][1][0] == SIZES[field.of] == field.size


def test_every_operator_is_in_the_package():
    operators = names_of("BuiltinOperator").values()
    options = names_of("BuiltinOptions").values()
    assert set(OPTIONS_OF) <= set(operators)
    assert {name for name in OPTIONS_OF.values() if name} <= set(options)
