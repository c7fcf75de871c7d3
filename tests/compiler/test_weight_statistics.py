"""Kurtosis, skew, sparsity and spread of weights, and what they foretell."""

import numpy as np
import pytest

from weft.compiler.weight_statistics import Statistics, weight_hints, weight_statistics


@pytest.mark.parametrize(
    ("kind", "kurtosis", "skew"),
    [("normal", 0, 0), ("uniform", -1.2, 0), ("laplace", 3, 0), ("exponential", 6, 2)],
)
def test_moments_of_known_distributions(kind, kurtosis, skew):
    values = getattr(np.random.default_rng(0), kind)(size=(64, 100, 100))
    found = weight_statistics(values)
    assert found.kurtosis == pytest.approx(kurtosis, abs=0.1)
    assert found.skew == pytest.approx(skew, abs=0.05)
    assert found.sparsity == 0


def test_moments_by_hand():
    """Values 0, 0, 0 and 4: mean 1, variance 3, third moment 6, fourth 21."""
    found = weight_statistics(np.array([[0.0, 0.0], [0.0, 4.0]]))
    assert found == Statistics(
        kurtosis=pytest.approx(21 / 9 - 3), skew=pytest.approx(6 / 3**1.5), sparsity=0.75, spread=1
    )


def test_spread_leaves_channels_of_zeros_out():
    weights = np.array([[0.5, -8.0], [0.25, 0.0], [0.0, 0.0], [1.0, -2.0]])
    assert weight_statistics(weights).spread == 32


@pytest.mark.parametrize("value", [0.0, 0.1])
def test_equal_weights(value):
    found = weight_statistics(np.full((3, 7), value))
    assert (found.kurtosis, found.skew, found.spread) == (0, 0, 1)
    assert found.sparsity == (value == 0)


def hints(kurtosis=0.0, skew=0.0, sparsity=0.0, spread=1.0, per_channel=False):
    return weight_hints(Statistics(kurtosis, skew, sparsity, spread), per_channel)


def test_hints():
    assert hints(kurtosis=9.9, skew=-1.9, sparsity=0.89, spread=15) == ()
    assert hints(kurtosis=12.3) == (
        "a few weights are far larger than the rest (kurtosis 12) and make their scale coarse: "
        "give each channel a scale (--per-channel), or clip them (--repair clip)",
    )
    assert hints(kurtosis=12.3, per_channel=True) == (
        "a few weights are far larger than the rest (kurtosis 12) and make their scale coarse: "
        "clip them (--repair clip)",
    )
    assert hints(spread=40) == (
        "the largest weights of its output channels differ by a factor of 40: give each channel "
        "a scale (--per-channel) or make them alike (--repair equalize)",
    )
    assert hints(spread=40, per_channel=True) == ()
    assert hints(sparsity=0.95) == (
        "95% of the weights are zero: look whether the layer was trained",
    )
    assert hints(skew=-2.5) == (
        "the weights lean to one side (skew -2.5), where symmetric codes use one half: correct "
        "what their rounding moves (--repair bias)",
    )
