"""Rounding weights for a layer's output, and the rows that its outputs see."""

import numpy as np
import pytest

from weft.compiler.fixed_point import to_codes
from weft.compiler.network import Conv2D, FullyConnected, Requantize
from weft.compiler.patches import patches, rows_of
from weft.compiler.round_weights import round_weights
from weft.sim import golden

LIMITS = (-128, 127)


def layer(seed, groups=1):
    """Weights, scales, and inputs of which neighbours go together, as pixels do."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(groups, 6, 18))
    inputs = rng.normal(size=(groups, 200, 18)).cumsum(axis=2)
    return weights, np.full((groups, 6), 0.25), inputs


def output_error(weights, codes, scales, inputs):
    difference = codes * scales[:, :, None] - weights
    return np.square(inputs @ np.swapaxes(difference, 1, 2)).sum()


def moments_of(inputs):
    return np.swapaxes(inputs, 1, 2) @ inputs


@pytest.mark.parametrize("groups", [1, 4])
@pytest.mark.parametrize("seed", range(5))
def test_the_output_is_nearer_than_with_the_nearest_weights(seed, groups):
    weights, scales, inputs = layer(seed, groups)
    codes = round_weights(weights, scales, moments_of(inputs), 200, LIMITS)
    nearest = to_codes(weights, 0.25)
    assert codes.dtype == np.int8
    error = output_error(weights, codes, scales, inputs)
    assert error < 0.5 * output_error(weights, nearest, scales, inputs)
    assert np.abs(codes - weights / 0.25).max() < 6


def test_each_group_is_a_layer_of_its_own():
    weights, scales, inputs = layer(0, groups=3)
    together = round_weights(weights, scales, moments_of(inputs), 200, LIMITS)
    for g in range(3):
        part = slice(g, g + 1)
        alone = round_weights(weights[part], scales[part], moments_of(inputs[part]), 200, LIMITS)
        np.testing.assert_array_equal(together[part], alone)


def test_few_samples_do_not_deceive():
    """Of 9 samples of independent inputs, what 18 of these have in common is chance."""
    rng = np.random.default_rng(0)
    weights, scales, _ = layer(0)
    seen, other = rng.normal(size=(1, 9, 18)), rng.normal(size=(1, 5000, 18))
    nearest = output_error(weights, to_codes(weights, 0.25), scales, other)
    errors = [
        output_error(
            weights, round_weights(weights, scales, moments_of(seen), n, LIMITS), scales, other
        )
        for n in (9, 9000)
    ]
    assert errors[0] < 1.4 * nearest
    assert errors[1] > 2 * nearest


def test_inputs_that_do_not_go_together_give_the_nearest():
    weights, scales, _ = layer(0)
    moments = np.diag(np.arange(1.0, 19.0))[None]
    codes = round_weights(weights, scales, moments, 200, LIMITS)
    np.testing.assert_array_equal(codes, to_codes(weights, 0.25))


def test_inputs_that_are_always_zero_give_the_nearest():
    weights, scales, inputs = layer(0)
    inputs[:, :, 5] = 0
    codes = round_weights(weights, scales, moments_of(inputs), 200, LIMITS)
    assert (codes[:, :, 5] == to_codes(weights, 0.25)[:, :, 5]).all()
    codes = round_weights(weights, scales, np.zeros((1, 18, 18)), 200, LIMITS)
    np.testing.assert_array_equal(codes, to_codes(weights, 0.25))


def test_codes_stay_within_their_limits():
    weights, scales, inputs = layer(0)
    codes = round_weights(10 * weights, scales, moments_of(inputs), 200, (-20, 19))
    assert (codes.min(), codes.max()) == (-20, 19)


def conv(rng, groups, **window):
    weights = rng.integers(-128, 128, (8, 3, 2, 4 // groups)).astype(np.int8)
    parts = {"weights": weights, "bias": np.zeros(8, np.int32)}
    return Conv2D("n", ("x",), "y", **parts, requantize=REQUANTIZE, groups=groups, **window)


REQUANTIZE = Requantize(np.zeros(1, np.int32))


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize(
    "window",
    [{}, {"stride": (2, 3)}, {"dilation": (2, 1)}, {"padding": (1, 2, 0, 3), "stride": (2, 1)}],
    ids=["plain", "stride", "dilation", "padding"],
)
def test_products_of_rows_are_what_golden_adds_up(groups, window):
    rng = np.random.default_rng(0)
    node = conv(rng, groups, **window)
    values = rng.integers(-128, 128, (3, 9, 8, 4)).astype(np.int8)
    expected = golden.accumulate(node, values)
    assert_products(node, values, expected)


def test_products_of_a_fully_connected_node():
    rng = np.random.default_rng(0)
    weights = rng.integers(-128, 128, (5, 24)).astype(np.int8)
    node = FullyConnected(
        "n", ("x",), "y", weights=weights, bias=np.zeros(5, np.int32), requantize=REQUANTIZE
    )
    values = rng.integers(-128, 128, (7, 2, 3, 4)).astype(np.int8)
    assert_products(node, values, golden.accumulate(node, values))


def assert_products(node, values, expected):
    rows = np.concatenate(list(patches(node, values.astype(np.float64))), axis=1)
    products = rows @ np.swapaxes(rows_of(node).astype(np.float64), 1, 2)
    found = products.transpose(1, 0, 2).reshape(expected.shape)
    np.testing.assert_array_equal(found, expected)


def test_rows_come_in_parts(monkeypatch):
    rng = np.random.default_rng(0)
    node = conv(rng, 1)
    values = rng.normal(size=(1, 9, 8, 4))
    (whole,) = patches(node, values)
    monkeypatch.setattr("weft.compiler.patches.ELEMENTS", 400)
    parts = list(patches(node, values))
    assert len(parts) > 1
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole)
