"""The array's products, skew and latency."""

import numpy as np
import pytest
from blocks import play
from numpy.testing import assert_array_equal

from weft.hw.array import Array, Row, sum_bits
from weft.hw.config import Config

SHAPES = [(1, 1, 1), (3, 2, 1), (5, 3, 1), (8, 4, 4), (8, 4, 2), (4, 8, 4), (4, 8, 1)]
CASES = [
    *((shape, "icarus") for shape in SHAPES),
    *((shape, "verilator") for shape in ((5, 3, 1), (4, 8, 2))),
    ((4, 4, 2), "amaranth"),
]
CYCLES = 300


@pytest.mark.parametrize(("shape", "simulator"), CASES)
@pytest.mark.parametrize("seed", range(1))
def test_products(shape, simulator, seed):
    rows, columns, lanes = shape
    config = Config(rows=rows, columns=columns, lanes=lanes)
    array = Array(config)
    rng = np.random.default_rng(seed)
    words = codes(rng, (CYCLES, rows))
    tiles = codes(rng, (CYCLES, rows, columns))
    group = np.arange(columns) // lanes

    # Weights of row r and group g come r + g cycles behind their word.
    weights = codes(rng, tiles.shape)
    for row in range(rows):
        for column in range(columns):
            late = row + group[column]
            weights[late:, row, column] = tiles[: CYCLES - late, row, column]
    seen = play(
        array,
        {"word": packed(words), "weights": packed(weights.reshape(CYCLES, -1))},
        simulator=simulator,
    )

    width = sum_bits(rows)
    expected = np.einsum("tr,trc->tc", words.astype(np.int64), tiles.astype(np.int64))
    count = CYCLES - array.latency - config.groups
    sums = np.array([fields(value, width, columns) for value in seen["sums"]])
    aligned = np.stack(
        [sums[array.latency + group[c] :][:count, c] for c in range(columns)], axis=1
    )
    assert_array_equal(aligned, expected[:count])


def test_the_largest_sums():
    """Every row adds the largest product, and the smallest: none overflows on the way down."""
    rows, cycles = 4, 40
    array = Array(Config(rows=rows, columns=1))
    words, weights = np.full((2, cycles, rows), -128, np.int8)
    weights[cycles // 2 :] = 127
    seen = play(array, {"word": packed(words), "weights": packed(weights)}, simulator="amaranth")
    sums = [fields(value, sum_bits(rows), 1)[0] for value in seen["sums"]]
    assert max(sums) == rows * 128 * 128
    assert min(sums) == rows * -128 * 127


@pytest.mark.parametrize("seed", range(1))
def test_row_adds_to_the_sums_above(seed):
    rng = np.random.default_rng(seed)
    columns, width = 3, 19
    activations, weights = codes(rng, (CYCLES, columns)), codes(rng, (CYCLES, columns))
    above = rng.integers(-(1 << 16), 1 << 16, (CYCLES, columns))
    mask = (1 << width) - 1
    seen = play(
        Row(columns=columns, width=width, above=width),
        {
            "activations": packed(activations),
            "weights": packed(weights),
            "sums_in": [
                sum((int(value) & mask) << width * i for i, value in enumerate(row))
                for row in above
            ],
        },
        simulator="icarus",
    )
    sums = np.array([fields(value, width, columns) for value in seen["sums_out"]])
    products = activations.astype(np.int64) * weights
    late = Row.latency
    assert_array_equal(sums[late:], above[late - 1 : -1] + products[:-late])


def codes(rng, shape):
    """Uniform codes, a third of them extremes."""
    extremes = rng.choice(np.array([-128, 127, 0], np.int8), shape)
    return np.where(rng.random(shape) < 1 / 3, extremes, rng.integers(-128, 128, shape, np.int8))


def packed(rows):
    return [int.from_bytes(row.tobytes(), "little") for row in rows]


def fields(value, width, count):
    """Signed fields of a wide value."""
    half = 1 << (width - 1)
    raw = (int(value) >> width * i & (2 * half - 1) for i in range(count))
    return [(field ^ half) - half for field in raw]
