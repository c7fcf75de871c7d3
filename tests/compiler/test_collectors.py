"""Collectors: what they count, against the values themselves."""

import pickle

import numpy as np
import pytest

from weft.compiler.collect_bits import LOWEST_BIT, LOWEST_POWER, BitCollector
from weft.compiler.collect_histogram import HistogramCollector
from weft.compiler.collect_range import RangeCollector
from weft.compiler.fixed_point import round_half_away, to_codes

KINDS = [RangeCollector, HistogramCollector, BitCollector]
DISTRIBUTIONS = ("normal", "relu", "laplace", "outlier", "pixels", "codes", "tiny", "zeros")


def values_of(name: str, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    normal = rng.normal(0, 1, 5000)
    made = {
        "normal": normal,
        "relu": np.maximum(normal, 0),
        "laplace": rng.laplace(0, 1, 5000),
        "outlier": np.append(normal, [60.0]),
        "pixels": rng.integers(0, 17, 500),
        # Ties, and the limits of saturation themselves.
        "codes": np.concatenate([np.arange(-300, 300) / 2, [-128.5, 127.5, -128, -0.0]]),
        "tiny": rng.normal(0, 1e-42, 100),
        "zeros": np.zeros(7),
    }[name]
    return made.astype(np.float32)


def seen(kind, values):
    collector = kind()
    for part in np.array_split(values, 3):
        collector.update(part)
    return collector


def state(collector):
    """All that a collector knows, as plain data."""
    return {
        key: state(value) if hasattr(value, "update") else np.asarray(value).tolist()
        for key, value in vars(collector).items()
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_merged_parts_are_the_whole(kind, seed):
    # Multiples of 1/16: their sums do not depend on the order.
    values = np.round(values_of("laplace", seed) * 16) / 16
    whole, one, two, empty = kind(), kind(), kind(), kind()
    whole.update(values)
    one.update(values[:300])
    two.update(values[300:])
    two.merge(empty)
    one.merge(pickle.loads(pickle.dumps(two)))
    assert state(one) == state(whole)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
@pytest.mark.parametrize("fraction", [-1, 0, 1, 3, 5, 9])
def test_shares_and_ratio_are_those_of_the_values(name, fraction):
    values, scale = values_of(name).astype(np.float64), 2.0**-fraction
    codes = round_half_away(values / scale)
    held = to_codes(values, scale) * scale
    collector = seen(BitCollector, values)
    shares = collector.shares(scale)
    assert shares.saturated == ((codes > 127) | (codes < -128)).mean()
    assert shares.vanished == ((values != 0) & (codes == 0)).mean()
    inexact = (values / scale) % 1 != 0
    assert shares.imprecise == pytest.approx((inexact & (codes != 0)).mean())
    error = ((values - held) ** 2).sum()
    assert collector.histogram.squared_error(scale) == pytest.approx(error, rel=1e-9)
    expected = 10 * np.log10((values**2).sum() / error) if error and values.any() else np.inf
    assert collector.sqnr(scale) == pytest.approx(expected)


@pytest.mark.parametrize("zero_point", [-128, 0, 11])
@pytest.mark.parametrize("scale", [0.011, 0.03, 0.3])
def test_other_scales_are_close(scale, zero_point):
    values = values_of("normal").astype(np.float64)
    codes = round_half_away(values / scale) + zero_point
    error = ((values - (np.clip(codes, -128, 127) - zero_point) * scale) ** 2).sum()
    collector = seen(BitCollector, values)
    shares = collector.shares(scale, zero_point)
    assert shares.imprecise is None
    assert shares.saturated == pytest.approx(((codes > 127) | (codes < -128)).mean(), abs=0.003)
    assert shares.vanished == pytest.approx((codes == zero_point).mean(), abs=0.003)
    assert collector.histogram.squared_error(scale, zero_point) == pytest.approx(error, rel=0.07)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_most_and_least_significant_bits(name):
    values = values_of(name)
    collector = seen(BitCollector, values)
    assert collector.zeros == (values == 0).sum()
    for counts, some in (
        (collector.positive, values[values > 0]), (collector.negative, values[values < 0])
    ):  # fmt: skip
        # Values below 2^-126 have no place of their own.
        powers = np.maximum(np.frexp(some)[1] - 1, LOWEST_POWER)
        assert counts.shape == (255,)
        assert counts.tolist() == np.bincount(powers - LOWEST_POWER, minlength=255).tolist()
    places = [float(v).hex() for v in np.abs(values[values != 0])]
    assert collector.lowest.tolist() == np.bincount(
        [lowest_bit(place) - LOWEST_BIT for place in places], minlength=collector.lowest.size
    ).tolist()  # fmt: skip


def lowest_bit(text: str) -> int:
    """Power of two of the last set bit, from C's notation: 0x1.8p+3."""
    mantissa, exponent = text[2:].split("p")
    whole, _, digits = mantissa.partition(".")
    number = int(whole + digits, 16)
    return (number & -number).bit_length() - 1 - 4 * len(digits) + int(exponent)


def test_worked_histogram():
    collector = seen(BitCollector, np.array([2.1, 16.25, 0.03125, -16, -0.5, 0, 3], np.float32))
    at = {power: power - LOWEST_POWER for power in (-5, -1, 1, 4)}
    assert [collector.positive[i] for i in at.values()] == [1, 0, 2, 1]
    assert [collector.negative[i] for i in at.values()] == [0, 1, 0, 1]
    shares = collector.shares(2.0**-3)
    assert shares.saturated == 1 / 7  # 16.25, and not -16
    assert shares.vanished == 1 / 7  # 0.03125
    assert shares.imprecise == pytest.approx(1 / 7)  # 2.1
    assert seen(BitCollector, np.array([0.5, 16])).sqnr(0.125) == pytest.approx(
        10 * np.log10(256.25 / 0.125**2)
    )


def test_memory_does_not_grow_with_the_data():
    small, large = (
        seen(BitCollector, values_of("normal")[:9]),
        seen(BitCollector, values_of("relu")),
    )
    assert abs(len(pickle.dumps(small)) - len(pickle.dumps(large))) < 100
