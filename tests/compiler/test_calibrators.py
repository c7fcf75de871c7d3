"""Calibrators: which type each chooses, from the definition of each."""

import numpy as np
import pytest

from weft.compiler.calibrate_entropy import CELLS, divergence, magnitude_cells
from weft.compiler.calibrators import CALIBRATORS, Calibrator, parse_calibrator
from weft.compiler.collect_bits import BitCollector
from weft.compiler.collect_histogram import HistogramCollector
from weft.compiler.collect_range import RangeCollector
from weft.compiler.fixed_point import largest_fraction, round_half_away, to_codes
from weft.errors import InputError


def normal(count=20_000, seed=0, *outliers):
    values = np.random.default_rng(seed).normal(0, 1, count)
    return np.append(values, outliers).astype(np.float32)


def chosen(text, values, kind=BitCollector):
    collector = kind()
    collector.update(np.asarray(values, np.float32))
    return parse_calibrator(text).choose(collector)


@pytest.mark.parametrize("name", CALIBRATORS)
def test_a_clean_range_needs_no_clipping(name):
    assert chosen(name, np.linspace(-1, 0.99, 4001)) == (6 if name == "absmax" else 7)


@pytest.mark.parametrize("name", CALIBRATORS)
def test_all_zeros(name):
    assert chosen(name, np.zeros(10)) == 7


@pytest.mark.parametrize("kind", [RangeCollector, HistogramCollector, BitCollector])
def test_minmax_and_absmax_from_any_collector(kind):
    values = [-16.0, 3.5]
    assert (chosen("minmax", values, kind), chosen("absmax", values, kind)) == (3, 2)


def test_what_one_outlier_does():
    values = normal(20_000, 0, 60.0)
    found = {name: chosen(name, values) for name in CALIBRATORS}
    assert found == {
        "minmax": 1, "absmax": 1, "percentile": 5, "mse": 1, "entropy": 5, "msb": 5,
    }  # fmt: skip


@pytest.mark.parametrize("percent", [50, 90, 99, 99.9, 100])
def test_percentile_is_the_finest_type_that_clips_no_more(percent):
    values = normal(10_000, 1, 30.0).astype(np.float64)
    fraction = chosen(f"percentile:{percent}", values)

    def clipped(fraction):
        codes = round_half_away(values * 2.0**fraction)
        return ((codes > 127) | (codes < -128)).mean() * 100

    assert clipped(fraction) <= 100 - percent + 1e-9
    assert clipped(fraction + 1) > 100 - percent


@pytest.mark.parametrize("seed", range(4))
def test_mse_has_the_least_squared_error(seed):
    values = np.random.default_rng(seed).laplace(0, 1 + seed, 3000).astype(np.float32)
    errors = {
        fraction: ((values - to_codes(values, 2.0**-fraction) * 2.0**-fraction) ** 2).sum()
        for fraction in range(-8, 12)
    }
    assert chosen("mse", values) == min(errors, key=errors.get)


# Most significant bits ----------------------------------------------------------------


def test_msb_slides_the_window_while_it_gains():
    # 1,000 values at 2^-6, ten at 1 and one at 64: 100 %, 99.9 % and 99 % of them.
    values = [2.0**-6] * 1000 + [1.0] * 10 + [64.0]
    assert chosen("msb:100", values) == 0
    assert chosen("msb:99.9", values) == 6  # one of 1,011 above; 1 and 2^-6 inside
    assert chosen("msb:98", values) == 6  # finer gains nothing


def test_msb_does_not_give_up_large_values_for_nothing():
    assert chosen("msb:50", [1.0] * 4 + [1.9] * 4) == 6
    assert chosen("percentile:50", [1.0] * 4 + [1.9] * 4) == 6
    assert chosen("msb:50", [4.0] + [1.0] * 4) == 4
    assert chosen("percentile:50", [4.0] + [1.0] * 4) == 6


# Entropy ------------------------------------------------------------------------------


def test_cells_are_those_of_the_values():
    values = np.random.default_rng(0).uniform(-1, 1, 200_000).astype(np.float32)
    collector = HistogramCollector()
    collector.update(values)
    cells = magnitude_cells(collector, 1.0)
    assert cells.shape == (CELLS,)
    assert cells.sum() == pytest.approx(values.size)
    exact = np.histogram(np.abs(values), 64, (0, 1))[0]
    np.testing.assert_allclose(cells.reshape(64, -1).sum(axis=1), exact, rtol=0.02)


def test_divergence_of_what_levels_hold_is_zero():
    even = np.repeat(np.arange(1.0, 129), CELLS // 128)
    assert divergence(even, CELLS) == pytest.approx(0, abs=1e-12)
    steep = np.tile([3.0, 1.0], CELLS // 2)
    # Each pair of cells becomes 2 and 2: sum p ln(p/q) = 0.75 ln 1.5 + 0.25 ln 0.5.
    assert divergence(steep, CELLS) == pytest.approx(0.75 * np.log(1.5) + 0.25 * np.log(0.5))


def test_entropy_clips_a_long_tail():
    rng = np.random.default_rng(0)
    tail = np.concatenate([rng.normal(0, 1, 100_000), rng.uniform(20, 30, 20)])
    assert chosen("minmax", tail) == 2
    assert chosen("entropy", tail) > 2


# Names --------------------------------------------------------------------------------


def test_names_and_parameters():
    assert str(parse_calibrator("percentile")) == "percentile:99.99"
    assert parse_calibrator("percentile:99.5") == Calibrator("percentile", 99.5)
    assert str(parse_calibrator("msb")) == "msb:99.9"
    assert str(parse_calibrator("mse")) == "mse"
    assert parse_calibrator(Calibrator("mse")) == Calibrator("mse")
    weights = {name: parse_calibrator(name).weights for name in CALIBRATORS}
    assert weights == dict.fromkeys(CALIBRATORS, "minmax") | {"mse": "mse"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("best", "calibrator must be one of minmax, absmax, percentile, mse, entropy, msb, not"),
        ("mse:3", "calibrator 'mse' takes no parameter; leave ':3' out"),
        ("percentile:", "parameter of calibrator 'percentile' is a percentage above 0 and up to"),
        ("percentile:101", "as in percentile:99.99, not '101'"),
        ("msb:nan", "as in msb:99.9, not 'nan'"),
        ("msb:0", "as in msb:99.9, not '0'"),
    ],
)
def test_other_names_are_refused(text, message):
    with pytest.raises(InputError, match=message):
        parse_calibrator(text)


def test_finest_type_is_bounded():
    assert chosen("percentile:1", normal()) <= largest_fraction(-5, 5) + 8
