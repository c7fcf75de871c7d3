"""Float TFLite models as float graphs: what becomes of them."""

import re
from pathlib import Path

import numpy as np
import pytest
from tflite_floats import Floats
from tflite_writer import ModelWriter, activation

from weft.compiler.float_graph import FloatGraph
from weft.compiler.tflite_file import read_tflite_file
from weft.compiler.tflite_float import is_float_model, load_tflite_float
from weft.compiler.tflite_float_operators import FLOAT_OPERATORS
from weft.compiler.tflite_float_samples import input_codes, real_inputs


def load(writer: ModelWriter, inputs: list[int], outputs: list[int], folder) -> FloatGraph:
    path = folder / "model.tflite"
    path.write_bytes(writer.finish(inputs, outputs))
    return load_tflite_float(path)


def ops(graph: FloatGraph) -> list[str]:
    return [node.op for node in graph.nodes]


# What becomes of a model ------------------------------------------------------------------


def test_names_shapes_and_layout_are_the_files(tmp_path):
    w = Floats()
    x = w.real(1, 6, 5, 2, name="serving_default_image:0")
    y = w.conv(x, w.values(np.ones((3, 3, 3, 2))), (1, 6, 5, 3))
    z = w.made("RESHAPE", [y], 1, 15, 6, newShape=[1, 15, 6])
    graph = load(w, [x], [y, z], tmp_path)
    assert graph.inputs == ["serving_default_image:0"]
    assert graph.outputs == [f"tensor{y}", f"tensor{z}"]
    given, made, seen = (graph.tensors[name] for name in (*graph.inputs, *graph.outputs))
    assert (given.file_shape, given.shape, given.order) == ((1, 6, 5, 2), (6, 5, 2), None)
    assert (made.file_shape, made.shape, made.memory) == ((1, 6, 5, 3), (6, 5, 3), "")
    assert (seen.file_shape, seen.shape, seen.memory) == ((1, 15, 6), (6, 5, 3), f"tensor{y}")
    assert graph.nodes[0].attributes == {
        "stride": (1, 1), "dilation": (1, 1), "padding": (1, 1, 1, 1), "groups": 1,
    }  # fmt: skip
    assert graph.nodes[0].constants["weights"].shape == (3, 3, 3, 2)


@pytest.mark.parametrize(
    ("name", "op", "attributes"),
    [
        ("RELU", "Clamp", {"low": 0.0, "high": None}),
        ("RELU6", "Clamp", {"low": 0.0, "high": 6.0}),
        ("RELU_N1_TO_1", "Clamp", {"low": -1.0, "high": 1.0}),
        ("TANH", "Unary", {"function": "Tanh"}),
    ],
)
def test_a_fused_activation_is_a_node_of_its_own(name, op, attributes, tmp_path):
    w = Floats()
    x = w.real(1, 4, 4, 1)
    weights = w.values(np.ones((2, 1, 1, 1)))
    y = w.conv(x, weights, (1, 4, 4, 2), fusedActivationFunction=activation(name))
    first, last = load(w, [x], [y], tmp_path).nodes
    assert (first.op, first.output) == ("Conv2D", f"tensor{y}/linear")
    assert (last.op, last.attributes, last.output) == (op, attributes, f"tensor{y}")


def test_constants_fold_into_the_layer_before(tmp_path):
    w = Floats()
    x = w.real(1, 4, 4, 1)
    y = w.conv(x, w.values(np.full((2, 1, 1, 1), 3.0)), (1, 4, 4, 2))
    z = w.made("MUL", [y, w.values([2.0, 5.0])], 1, 4, 4, 2)
    z = w.made("SUB", [z, w.values(1.0)], 1, 4, 4, 2)
    (node,) = load(w, [x], [z], tmp_path).nodes
    assert node.constants["weights"].reshape(-1).tolist() == [6, 15]
    assert node.constants["bias"].tolist() == [-1, 4]  # (0, 1) * (2, 5) - 1
    assert node.output == f"tensor{z}"


def test_constants_do_not_fold_where_somebody_else_reads(tmp_path):
    w = Floats()
    x = w.real(1, 4, 4, 1)
    y = w.conv(x, w.values(np.ones((2, 1, 1, 1))), (1, 4, 4, 2))
    z = w.made("SUB", [w.values(1.0), y], 1, 4, 4, 2)
    graph = load(w, [x], [y, z], tmp_path)
    assert ops(graph) == ["Conv2D", "Conv2D"]
    last = graph.nodes[1]
    assert last.attributes["groups"] == 2
    assert last.constants["weights"].reshape(-1).tolist() == [-1, -1]
    assert last.constants["bias"].tolist() == [1, 1]


def test_dynamic_range_weights_are_dequantised(tmp_path):
    w = Floats()
    x = w.real(1, 4)
    codes = np.array([[1, 2, -3, 4], [127, -128, 0, 1]])
    per_channel = w.constant(codes, "int8", scale=[0.5, 0.25])
    per_tensor = w.constant(codes, "int8", scale=0.125)
    y = w.made("FULLY_CONNECTED", [x, per_channel, -1], 1, 2)
    z = w.made("FULLY_CONNECTED", [x, per_tensor, -1], 1, 2)
    graph = load(w, [x], [y, z], tmp_path)
    weights = [node.constants["weights"] for node in graph.nodes]
    assert np.array_equal(weights[0], codes * [[0.5], [0.25]])
    assert np.array_equal(weights[1], codes * 0.125)


def test_float16_weights_are_read_through_dequantize(tmp_path):
    w = Floats()
    x = w.real(1, 3)
    half = w.tensor((2, 3), dtype="float16", data=np.array([[1, 2, 3], [0.1, 4, 5]], np.float16))
    weights = w.made("DEQUANTIZE", [half], 2, 3)
    y = w.made("FULLY_CONNECTED", [x, weights, -1], 1, 2)
    (node,) = load(w, [x], [y], tmp_path).nodes
    assert node.constants["weights"][1, 0] == np.float16(0.1)


def test_a_padding_value_is_kept(tmp_path):
    w = Floats()
    x = w.real(1, 2, 2, 1)
    pads = w.constant([[0, 0], [1, 1], [0, 2], [0, 0]])
    y = w.made("PADV2", [x, pads, w.values(-1.5)], 1, 4, 4, 1)
    (node,) = load(w, [x], [y], tmp_path).nodes
    assert node.attributes == {"pads": ((1, 1), (0, 2), (0, 0)), "value": -1.5}


def test_mean_is_a_pool_over_everything(tmp_path):
    w = Floats()
    x = w.real(1, 3, 4, 2)
    y = w.made("MEAN", [x, w.constant([1, 2])], 1, 2)
    graph = load(w, [x], [y], tmp_path)
    assert graph.nodes[0].op == "AveragePool"
    assert graph.nodes[0].attributes["kernel"] == (3, 4)
    assert graph.tensors[f"tensor{y}"].file_shape == (1, 2)


def test_an_output_without_a_batch_gets_one(tmp_path):
    w = Floats()
    x = w.real(1, 4, 3)
    y = w.made("SQUEEZE", [w.made("TANH", [x], 1, 4, 3)], 4, 3)
    assert load(w, [x], [y], tmp_path).tensors[f"tensor{y}"].file_shape == (1, 4, 3)


# INT8 models as real values ---------------------------------------------------------------


def int8_layer() -> tuple[ModelWriter, int, int]:
    w = ModelWriter()
    x, y = w.tensor((1, 2), 0.5, 3, name="x"), w.tensor((1, 1), 2.0, -7)
    weights = w.constant([[10, -4]], "int8", scale=0.25)
    bias = w.constant([6], "int32", scale=0.125)
    w.operator(
        "FULLY_CONNECTED", [x, weights, bias], [y], fusedActivationFunction=activation("RELU")
    )
    return w, x, y


def test_an_int8_layer_becomes_real(tmp_path):
    w, x, y = int8_layer()
    dense, relu = load(w, [x], [y], tmp_path).nodes
    assert dense.constants["weights"].tolist() == [[2.5, -1.0]]
    assert dense.constants["bias"].tolist() == [0.75]  # 6 * 0.5 * 0.25
    assert relu.op == "Clamp"


def test_int8_samples_are_codes_and_others_are_real(tmp_path):
    w, x, y = int8_layer()
    load(w, [x], [y], tmp_path)
    meaning = input_codes(read_tflite_file(tmp_path / "model.tflite"))
    codes = np.array([[3, 5], [-128, 127]], np.int8)
    expected = [[0, 1], [-65.5, 62]]
    for key in ("inputs", "x"):
        assert real_inputs(meaning, {key: codes})[key].tolist() == expected
        real = codes.astype(np.float32)
        assert real_inputs(meaning, {key: real})[key] is real


def test_edges_of_codes_are_views(tmp_path):
    w = Floats()
    x, codes, y = w.real(1, 8), w.tensor((1, 8), 0.1), w.real(1, 8)
    more = w.tensor((1, 8), 0.2)
    w.operator("QUANTIZE", [x], [codes])
    w.operator("TANH", [codes], [more])
    w.operator("DEQUANTIZE", [more], [y])
    graph = load(w, [x], [y], tmp_path)
    assert ops(graph) == ["Unary"]
    assert graph.nodes[0].inputs == (f"tensor{x}",)
    assert graph.tensors[f"tensor{y}"].memory == f"tensor{more}"


def test_which_models_are_float(tmp_path):
    w = Floats()
    x = w.real(1, 4)
    y = w.made("FULLY_CONNECTED", [x, w.constant(np.ones((2, 4)), "int8", scale=0.5), -1], 1, 2)
    load(w, [x], [y], tmp_path)
    assert is_float_model(read_tflite_file(tmp_path / "model.tflite"))
    w, x, y = int8_layer()
    load(w, [x], [y], tmp_path)
    assert not is_float_model(read_tflite_file(tmp_path / "model.tflite"))


def test_every_operator_is_on_the_page():
    page = Path(__file__).parents[2] / "docs" / "tflite.md"
    section = page.read_text().split("## Float models")[1]
    assert FLOAT_OPERATORS.keys() - set(re.findall(r"\w+", section)) == set()
