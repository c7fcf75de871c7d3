"""The host's arithmetic at a network's edges, against worked values and golden."""

from types import SimpleNamespace

import numpy as np
import pytest

from weft.compiler.edges import (
    decode_outputs,
    dequantize_output,
    encode_inputs,
    quantize_input,
    run_model,
    softmax,
)
from weft.compiler.network import Network, Port, Softmax, Table, Tensor
from weft.compiler.softmax import exponential_table
from weft.errors import InputError
from weft.sim import golden

X = Tensor("x", (1, 1, 4), 2.0**-3)
PORT = Port("input", "x", (4,))


def test_worked_values():
    values = np.array([[2.1, 16.25, 0.03125, -16.25]], np.float32)
    codes = quantize_input(PORT, X, values)
    assert codes.tolist() == [[[[17, 127, 0, -128]]]]
    assert dequantize_output(PORT, X, codes).tolist() == [[2.125, 15.875, 0, -16]]


def test_ties_go_away_from_zero_and_zero_points_are_added():
    tensor = Tensor("x", (1, 1, 4), 0.5, -10)
    codes = quantize_input(PORT, tensor, np.array([[0.25, -0.25, 0.75, 0]], np.float32))
    assert codes.tolist() == [[[[-9, -11, -8, -10]]]]
    assert dequantize_output(PORT, tensor, codes).tolist() == [[0.5, -0.5, 1, 0]]


@pytest.mark.parametrize("seed", range(3))
def test_layout_there_and_back(seed):
    rng = np.random.default_rng(seed)
    order = np.arange(24).reshape(2, 3, 4).transpose(2, 0, 1).reshape(-1)
    port = Port("image", "x", (4, 2, 3), "int8", order)
    tensor = Tensor("x", (2, 3, 4), 1.0)
    array = rng.integers(-128, 128, (5, 4, 2, 3)).astype(np.int8)
    codes = quantize_input(port, tensor, array)
    np.testing.assert_array_equal(codes, array.transpose(0, 2, 3, 1))
    np.testing.assert_array_equal(dequantize_output(port, tensor, codes), array)


def test_a_batch_of_one_in_every_sample():
    """TFLite's own shape begins with the batch, which may be left out: N samples of 1 x 4."""
    port, array = Port("input", "x", (1, 4)), np.arange(12, dtype=np.float32).reshape(3, 1, 4) / 8
    expected = quantize_input(PORT, X, array[:, 0])
    np.testing.assert_array_equal(quantize_input(port, X, array), expected)
    np.testing.assert_array_equal(quantize_input(port, X, array[:, 0]), expected)
    assert dequantize_output(port, X, expected).shape == (3, 1, 4)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 5)), "input 'input' has shape 2 x 5 where N x 4 was expected; reshape"),
        (np.zeros(4), "input 'input' has shape 4 where N x 4 was expected; add the axis"),
        (np.array([[0, np.inf, 0, 0]]), r"input 'input' holds inf at index \(0, 1\), and 1 values"),
        (np.zeros((1, 4), complex), "input 'input' has dtype complex128; convert it to float32"),
    ],
)
def test_bad_arrays_are_named(array, message):
    with pytest.raises(InputError, match=message):
        quantize_input(PORT, X, array)


# Softmax ------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_softmax_equals_golden_s(seed):
    rng = np.random.default_rng(seed)
    scale = 2.0 ** -int(rng.integers(-3, 12)) if seed % 2 else float(10 ** rng.uniform(-10, 1))
    beta = float(np.float32(rng.uniform(0.1, 4))) if seed % 3 else 1.0
    codes = rng.integers(-128, 128, (20, 1, 1, int(rng.integers(1, 200)))).astype(np.int8)
    codes[::3] //= 16
    np.testing.assert_array_equal(exponential_table(scale), golden.exponentials(scale))
    np.testing.assert_array_equal(softmax(codes, scale, beta), golden.softmax(codes, scale * beta))


@pytest.mark.parametrize("scale", [0.0, 1e-30, 2.0**-60, 2.0**-57, 2.0**-26, 2.0**-27, 1e20])
def test_softmax_equals_golden_s_at_any_scale(scale):
    np.testing.assert_array_equal(exponential_table(scale), golden.exponentials(scale))


@pytest.mark.parametrize("seed", range(5))
def test_softmax_is_the_real_one_rounded(seed):
    rng = np.random.default_rng(seed)
    codes = rng.integers(-128, 128, (50, 10)).astype(np.int8)
    wide = codes.astype(float)
    powers = np.exp((wide - wide.max(-1, keepdims=True)) / 16)
    real = np.minimum(256 * powers / powers.sum(-1, keepdims=True), 255)
    assert np.abs(softmax(codes, 1 / 16) + 128.0 - real).max() < 0.51


def test_exponentials_end_where_31_is_reached():
    table = exponential_table(1.0)
    assert table[0] == 2**31 - 1
    assert not table[32:].any()
    np.testing.assert_allclose(table[:16] / 2**31, np.exp(-np.arange(16.0)), atol=2e-7)


def test_a_port_for_every_tensor():
    """Softmax over pixels with beta, codes and reals of one tensor, an input shown as it is."""
    order = np.arange(12).reshape(2, 2, 3).transpose(2, 0, 1).reshape(-1)
    tensors = {name: Tensor(name, (2, 2, 3), 0.25, -3) for name in "xh"}
    tensors["y"] = Tensor("y", (2, 2, 3), 1 / 256, -128)
    nodes = [Table("t", ("x",), "h", np.arange(-128, 128, dtype=np.int8)[::-1]),
             Softmax("s", ("h",), "y", beta=0.3)]  # fmt: skip
    outputs = [Port("p", "y", (2, 2, 3)), Port("codes", "y", (3, 2, 2), "int8", order, 9),
               Port("same", "x", (12,)), Port("logits", "h", (2, 6), "int8")]  # fmt: skip
    made = Network("n", tensors, nodes, [Port("in", "x", (12,), "int8")], outputs)
    array = np.random.default_rng(3).integers(-128, 128, (5, 12)).astype(np.int8)
    codes = encode_inputs(made, {"in": array})
    shown = golden.run_network(made, codes)
    del shown["y"]  # a core has no softmax
    result = decode_outputs(made, shown)
    expected = golden.softmax(shown["h"], 0.25 * 0.3)
    np.testing.assert_array_equal(result["p"], (expected.astype(np.float32) + 128) / 256)
    np.testing.assert_array_equal(result["codes"], expected.transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(result["same"], (array.astype(np.float32) + 3) / 4)
    np.testing.assert_array_equal(result["logits"].reshape(5, 12), ~array)


# Whole networks -----------------------------------------------------------------------


def network():
    tensors = {
        "x": Tensor("x", (1, 1, 3), 0.25),
        "h": Tensor("h", (1, 1, 3), 0.125),
        "y": Tensor("y", (1, 1, 3), 1 / 256, -128),
    }
    negate = np.clip(-np.arange(-128, 128), -128, 127).astype(np.int8)
    nodes = [Table("t", ("x",), "h", negate), Softmax("s", ("h",), "y")]
    return Network("n", tensors, nodes, [Port("in", "x", (3,))], [Port("out", "y", (3,))])


@pytest.mark.parametrize("names", [["h"], ["h", "y"], ["y"]])
def test_run_model_with_engines_that_show_more_or_less(names):
    program = SimpleNamespace(network=network())

    def engine(program, inputs):
        tensors = golden.run_network(program.network, inputs, keep=True)
        return SimpleNamespace(outputs={name: tensors[name] for name in names})

    arrays = {"in": np.array([[1.0, 0.0, -1.0], [5.0, 5.0, 5.0]], np.float32)}
    outputs = run_model(program, engine, arrays)
    codes = golden.run_network(network(), encode_inputs(network(), arrays))
    np.testing.assert_array_equal(outputs["out"], (codes["y"][:, 0, 0] + 128.0) / 256)
    np.testing.assert_array_equal(outputs["out"], decode_outputs(network(), codes)["out"])
    assert outputs["out"].dtype == np.float32


def test_a_missing_input_is_named():
    with pytest.raises(InputError, match="no array for input 'in'; give one for every input"):
        encode_inputs(network(), {"x": np.zeros((1, 3))})
