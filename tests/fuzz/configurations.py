"""Random configurations: any shape of array, both paths, any parts, any depths."""

from __future__ import annotations

from math import gcd

from fuzz.choices import Choices
from weft.hw.config import Config

#: Sides of an array at the most.
LARGEST_SIDE = 16


def configuration(choices: Choices) -> Config:
    """Draw a configuration whose memories hold small networks, mostly."""
    kind = ("plain", "window", "interleave", "pairs")[choices.number(0, 3)]
    rows, columns, window, interleave = _array(choices, kind)
    lanes = choices.choice([n for n in range(1, 17) if gcd(rows, columns) % n == 0][::-1])
    multiplies = kind == "pairs" or choices.number(0, 1)
    single_port = kind != "pairs" and choices.number(0, 3) == 3
    stream = not single_port and choices.number(0, 3) == 3
    return Config(
        rows=rows,
        columns=columns,
        lanes=columns if kind == "pairs" else lanes,
        accumulator_bits=choices.choice([32, 32, 32, 30, 24, 22, 20]),
        activation_depth=choices.choice([1500, 1024, 601, 4097]),
        weight_depth=choices.choice([2100, 4096, 1025]),
        parameter_depth=choices.choice([600, 1024, 301]),
        program_depth=choices.choice([1100, 2048, 4099]),
        tables=choices.choice([1, 2, 3, 0]),
        window=window,
        interleave=interleave,
        pairs=int(kind == "pairs"),
        line_depth=choices.choice([128, 33, 20]),
        multiplier_bits=choices.choice([31, 31, 20, 16, 9]) if multiplies else 0,
        elementwise=int(multiplies),
        table_multipliers=choices.choice([0, 0, rows * columns // 2]),
        copies=int(choices.number(0, 3) == 3),
        single_port=int(single_port),
        stream=int(stream),
    )


def _array(choices: Choices, kind: str) -> tuple[int, int, int, int]:
    """Rows, columns, image rows at once, image rows in turns."""
    if kind == "plain":
        return choices.number(1, LARGEST_SIDE), choices.number(1, LARGEST_SIDE), 0, 0
    if kind == "interleave":
        rows = choices.number(3, LARGEST_SIDE)
        return rows, choices.choice(_divisors(rows)), 1, choices.number(2, rows)
    if kind == "window":
        rows = choices.choice([9, 12, 16, 15, 18, choices.number(3, LARGEST_SIDE)])
        return rows, choices.choice(_divisors(rows)), choices.number(1, rows // 3), 0
    rows = choices.choice([12, 14, 16, 20, 24])  # three image rows of four taps, and more
    return rows, choices.choice(_divisors(rows // 2)), choices.number(3, rows // 4), 0


def _divisors(number: int) -> list[int]:
    return [n for n in range(1, number + 1) if number % n == 0]
