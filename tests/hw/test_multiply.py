"""Wide products against Python's integers."""

import numpy as np
import pytest
from blocks import PLAYERS, play

from weft.hw.multiply import Multiply


def numbers(rng, width, count):
    """Of all sizes, and the ends."""
    size = rng.integers(1, width + 1, count)
    values = rng.integers(-(1 << size - 1), 1 << size - 1)
    ends = rng.choice([-(1 << width - 1), (1 << width - 1) - 1, -1, 0, 1], count)
    return np.where(rng.random(count) < 0.2, ends, values)


@pytest.mark.parametrize("simulator", PLAYERS)
@pytest.mark.parametrize(
    ("a_width", "b_width"),
    [(32, 33), (32, 32), (9, 32), (32, 14), (32, 18), (17, 17), (33, 33)],
)
def test_product(simulator, a_width, b_width):
    rng = np.random.default_rng(0)
    count = 1000
    a, b = numbers(rng, a_width, count), numbers(rng, b_width, count)
    seen = play(
        Multiply(a_width=a_width, b_width=b_width),
        {"a": a, "b": b},
        simulator=simulator,
    )["product"]
    expected = [int(x) * int(y) for x, y in zip(a, b, strict=True)]
    assert [int(value) for value in seen[Multiply.latency :]] == expected[: -Multiply.latency]
