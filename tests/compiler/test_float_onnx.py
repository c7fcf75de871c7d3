"""A float graph as ONNX: every tensor by its own name, as the file has it."""

import numpy as np
import onnx
import pytest
from float_models import random_model

from weft.compiler.float_graph import FloatGraph, FloatNode, FloatTensor
from weft.compiler.float_onnx import float_onnx
from weft.compiler.float_run import FloatRunner, run_float
from weft.compiler.onnx_reader import load_onnx


@pytest.mark.parametrize("seed", range(30))
def test_tensors_are_those_of_the_file(seed, tmp_path):
    """Of ONNX files too, whose layouts and permutations are less plain than TFLite's."""
    path = tmp_path / "model.onnx"
    inputs = random_model(seed, path)
    graph = load_onnx(path)
    model = float_onnx(graph)
    onnx.checker.check_model(model, full_check=True)
    assert [value.name for value in model.graph.input] == graph.inputs
    assert [value.name for value in model.graph.output] == graph.outputs
    names = [
        name for name in graph.tensors
        if name not in graph.inputs and not name.endswith(("/permuted", "/cropped"))
    ]  # fmt: skip
    expected, made = run_float(path, inputs, names), run_float(model, inputs, names)
    for name in names:
        assert made[name].shape == expected[name].shape
        np.testing.assert_allclose(made[name], expected[name], rtol=1e-4, atol=1e-5, err_msg=name)


def test_the_batch_is_open():
    graph = FloatGraph("g", inputs=["x"], outputs=["y"])
    for name in "xy":
        graph.tensors[name] = FloatTensor(name, (2, 2, 3), (1, 2, 2, 3))
    graph.nodes.append(FloatNode("Clamp", "clip", ("x",), "y", {"low": None, "high": 1.0}))
    x = np.random.default_rng(0).normal(0, 2, (40, 2, 2, 3)).astype(np.float32)
    batches = [batch["y"] for batch in FloatRunner(float_onnx(graph), ["y"]).run({"x": x})]
    assert [len(batch) for batch in batches] == [32, 8]
    assert np.array_equal(np.concatenate(batches), np.minimum(x, 1))


def test_an_output_may_look_at_memory_of_another_name():
    graph = FloatGraph("g", inputs=["x"], outputs=["x", "seen", "turned"])
    graph.tensors["x"] = FloatTensor("x", (1, 2, 3), (1, 2, 3))
    graph.tensors["seen"] = FloatTensor("seen", (1, 2, 3), (1, 6), memory="x")
    order = np.arange(6).reshape(2, 3).T.reshape(-1)
    graph.tensors["turned"] = FloatTensor("turned", (1, 2, 3), (1, 3, 2), order, memory="x")
    x = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    made = run_float(float_onnx(graph), {"x": x}, ["seen", "turned"])
    assert np.array_equal(made["seen"], x.reshape(2, 6))
    assert np.array_equal(made["turned"], x.transpose(0, 2, 1))


def test_a_damaged_model_is_named_by_its_graph():
    graph = FloatGraph("the model", inputs=["x"], outputs=["y"])
    for name in "xy":
        graph.tensors[name] = FloatTensor(name, (1, 1, 2), (1, 2))
    node = FloatNode("Unary", "u", ("x",), "y", {"function": "NoSuchFunction"})
    graph.nodes.append(node)
    with pytest.raises(Exception, match="the model cannot be run by ONNX Runtime"):
        FloatRunner(float_onnx(graph), ["y"])
