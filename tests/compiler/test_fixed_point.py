"""Fixed-point types: rounding, the finest that fit, and the notations people know."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.compiler.fixed_point import (
    FRACTION_LIMITS,
    FixedType,
    absmax_fraction,
    absmax_scale,
    fraction_bits,
    largest_fraction,
    parse_type,
    round_half_away,
    to_codes,
)
from weft.errors import InputError


@pytest.mark.parametrize(
    ("value", "held"),
    [(2.1, 2.125), (16.25, 15.875), (0.03125, 0), (-16.5, -16), (-0.0625, -0.125)],
)
@pytest.mark.parametrize("notation", ["Q4.3", "sfix8_En3", "scale 2^-3"])
def test_worked_values_with_three_fraction_bits(value, held, notation):
    scale = parse_type(notation).scale
    assert to_codes(value, scale) * scale == held


def test_ties_go_away_from_zero():
    values = [0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 0.49999997]
    assert round_half_away(values).tolist() == [1, 2, 3, -1, -2, -3, 0]


@pytest.mark.parametrize(
    ("low", "high", "fraction"),
    [
        (0, 15.875, 3), (0, 15.93, 3), (0, 15.94, 2), (-16, 0, 3), (-16.06, 1, 3), (-16.07, 1, 2),
        (0, 1, 6), (-1, 0, 7), (0, 0, 7), (0, 1000, -3), (0, 1e-30, 24),
    ],
)  # fmt: skip
def test_finest_scale_that_does_not_overflow(low, high, fraction):
    assert largest_fraction(low, high) == fraction


def test_fraction_bits_of_powers_of_two_only():
    assert [fraction_bits(s) for s in (0.125, 1.0, 4.0, 0.1, 0.75)] == [3, 0, -2, None, None]


# Absolute maximum ---------------------------------------------------------------------


def test_absmax_multiplies_by_127_over_the_largest():
    weights = np.array([-0.31, 0.127, 0.5, -0.508])
    assert 1 / absmax_scale(weights) == 127 / 0.508
    assert to_codes(weights, absmax_scale(weights)).tolist() == [-78, 32, 125, -127]
    assert absmax_scale(np.zeros(3)) == 1


@pytest.mark.parametrize(
    ("low", "high", "fraction"),
    [(-1, 1, 6), (-128, 0, -1), (-127, 3, 0), (0, 15.875, 3), (0, 15.9, 2), (0, 0, 7)],
)
def test_absmax_power_of_two_holds_the_largest_in_127_steps(low, high, fraction):
    assert absmax_fraction(low, high) == fraction
    largest = max(-low, high)
    assert largest * 2.0**fraction <= 127
    if largest:
        assert 2.0**-fraction / 2 < absmax_scale(largest)


# Notations ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fraction", "q", "sfix", "power"),
    [
        (3, "Q4.3", "sfix8_En3", "2^-3"), (7, "Q0.7", "sfix8_En7", "2^-7"),
        (0, "Q7.0", "sfix8", "2^0"), (-2, "Q9.-2", "sfix8_E2", "2^2"),
        (12, "Q-5.12", "sfix8_En12", "2^-12"),
    ],
)  # fmt: skip
def test_three_notations(fraction, q, sfix, power):
    kind = FixedType(fraction)
    assert (kind.q, kind.sfix, kind.power) == (q, sfix, power)
    assert str(kind) == f"{q} ({sfix}, scale {power})"


@given(st.integers(*FRACTION_LIMITS))
def test_every_notation_is_read_back(fraction):
    kind = FixedType(fraction)
    for text in (kind.q, kind.sfix, kind.power, f"scale {kind.power}", f" 2**{-fraction} "):
        assert parse_type(text) == kind


def test_a_bias_has_32_bits():
    assert str(FixedType(10, 32)) == "Q21.10 (sfix32_En10, scale 2^-10)"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("int8", "'int8' is no fixed-point type; write it as Q4.3, sfix8_En3 or 2^-3, which are"),
        ("0.125", "'0.125' is no fixed-point type"),
        ("UQ4.4", "type 'UQ4.4' is unsigned, and types are fixed as signed ones; write it as Q4.3"),
        ("ufix8_En4", "type 'ufix8_En4' is unsigned, and types are fixed as signed ones"),
        ("3^-3", "'3^-3' is no fixed-point type"),
        ("Q5.3", "type 'Q5.3' has 9 bits, because Qm.n leaves the sign out; write Q4.3 for 8"),
        ("Q8.7", "type 'Q8.7' has 16 bits; tensors have 8"),
        ("sfix16_En3", "type 'sfix16_En3' has 16 bits; tensors have 8"),
        ("2^30", "type '2^30' has scale 2^30; give one from 2^-24 to 2^24"),
    ],
)
def test_other_types_are_refused(text, message):
    with pytest.raises(InputError, match=re.escape(message)):
        parse_type(text)
