"""All lanes' elementwise units, shared or not, and the way around them."""

import numpy as np
import pytest
from blocks import play
from numpy.testing import assert_array_equal

from weft.hw.config import Config
from weft.hw.elementwise_lanes import ElementwiseLanes
from weft.hw.isa import Elementwise as Operation

ARRAYS = {
    "shared": Config(rows=8, columns=4, multiplier_bits=31, elementwise=1),
    "a result in every step": Config(
        rows=16, columns=4, window=3, pairs=1, multiplier_bits=31, elementwise=1
    ),
    "one group, odd": Config(rows=3, columns=3, multiplier_bits=31, elementwise=1),
    "two groups": Config(rows=4, columns=4, lanes=2, multiplier_bits=31, elementwise=1),
}


@pytest.mark.parametrize("operation", list(Operation), ids=lambda operation: operation.name)
@pytest.mark.parametrize("array", ARRAYS)
def test_lanes(array, operation):
    print("seed 0")
    rng = np.random.default_rng(0)
    config = ARRAYS[array]
    count, lanes = 1000, config.lanes
    x = rng.integers(-128, 128, (2, count, lanes))
    values = x[1] - 256 * x[0]
    if operation == Operation.NONE:
        values = rng.integers(-(2**31), 2**31, (count, lanes))
    biases = rng.integers(-(2**31), 2**31, (count, lanes))
    valid = rng.integers(0, 2, count)
    if config.shared_elementwise and operation != Operation.NONE:
        valid[1::2] = 0
    unit = ElementwiseLanes(config)
    constants = {"operation": operation, "zero_0": 3, "zero_1": -5, "factor": 1 << 30}
    seen = play(
        unit,
        {
            "values": [packed(row) for row in values],
            "biases": [packed(row) for row in biases],
            "valid": valid,
            **{name: np.full(count, int(value)) for name, value in constants.items()},
        },
    )["results"]
    d0, d1 = x[0] - 3, x[1] + 5
    expected = {
        Operation.NONE: values,
        Operation.ADD: (d0 + d1) << 19,
        Operation.SUBTRACT: (d0 - d1) << 19,
        Operation.MULTIPLY: d0 * d1,
    }[operation]
    shown = np.array([unpacked(value, lanes) for value in seen])
    if operation == Operation.NONE:  # around the units
        assert_array_equal(shown[1:], wrapped(values + biases)[1:])
        return
    there = valid[: -unit.latency].astype(bool)
    there[:2] = False  # the constants have just come
    wanted = wrapped(expected[: -unit.latency] + biases[unit.latency :])
    assert_array_equal(shown[unit.latency :][there], wanted[there])


def wrapped(sums):
    return sums.astype(np.int64).astype("<i4")


def packed(row):
    return int.from_bytes(row.astype("<i4").tobytes(), "little")


def unpacked(value, lanes):
    return np.frombuffer(int(value).to_bytes(4 * lanes, "little"), "<i4")
