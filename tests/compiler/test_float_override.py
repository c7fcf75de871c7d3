"""A float model with tensors given instead of computed."""

import numpy as np
import pytest
from float_models import FloatModel

from weft.compiler.float_override import OverridingRunner
from weft.compiler.float_run import run_float
from weft.compiler.onnx_reader import load_onnx

X = np.random.default_rng(0).normal(0, 1, (5, 2, 4, 4)).astype(np.float32)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Two branches behind one tensor, and a flattened end."""
    made = FloatModel(np.random.default_rng(1), (2, 4, 4))
    a = made.node("Conv", ["x", made.weights(3, 2, 3, 3), made.weights(3)], "a", pads=[1] * 4)
    b = made.node("Conv", [a, made.weights(3, 3, 1, 1), made.weights(3)], "b")
    c = made.node("Add", [a, b], "c")
    flat = made.node("Flatten", [c])
    made.node("Gemm", [flat, made.weights(4, 48), made.weights(4)], "y", transB=1)
    return made.save(tmp_path_factory.mktemp("override") / "m.onnx", {"y": (4,)})


@pytest.fixture(scope="module")
def runner(model):
    return OverridingRunner(load_onnx(model), ["x", "a", "b", "c", "y"], ["y"])


@pytest.fixture(scope="module")
def exact(model):
    return run_float(model, {"x": X}, ["a", "b", "c", "y"])


def test_nothing_given(runner, exact):
    outputs, computed = runner.outputs({"x": X}, {}), runner.computed({"x": X}, {})
    np.testing.assert_allclose(outputs["y"], exact["y"], rtol=1e-4, atol=1e-5)
    for name, values in exact.items():
        np.testing.assert_allclose(computed[name], values, rtol=1e-4, atol=1e-5)
    assert (computed["x"] == X).all()


def test_a_given_tensor_reaches_everything_behind_it(runner, exact):
    given = exact["a"] + 1
    outputs, computed = (run({"x": X}, {"a": given}) for run in (runner.outputs, runner.computed))
    np.testing.assert_allclose(computed["a"], exact["a"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(computed["c"], given + computed["b"], rtol=1e-4, atol=1e-5)
    assert np.abs(computed["b"] - exact["b"]).max() > 0.1
    assert np.abs(outputs["y"] - exact["y"]).max() > 0.1


def test_all_given_each_layer_computes_from_its_own_inputs(runner, exact):
    computed = runner.computed({"x": X}, {"x": X * 2, "a": exact["a"], "b": exact["b"] * 0})
    np.testing.assert_allclose(computed["b"], exact["b"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(computed["c"], exact["a"], rtol=1e-4, atol=1e-5)
    assert np.abs(computed["a"] - exact["a"]).max() > 0.1


def test_a_given_output_is_shown(runner, exact):
    given = {"y": exact["y"] * 0}
    computed = runner.computed({"x": X}, given)
    assert not runner.outputs({"x": X}, given)["y"].any()
    np.testing.assert_allclose(computed["y"], exact["y"], rtol=1e-4, atol=1e-5)
