"""How often the last bits of TFLite's kernels show, on random scales.

Usage: ``python bench/kernels.py``. It prints a table and writes results/kernels.json beside
this file, in a few seconds. Where versions of TFLite, or TFLite Micro and LiteRT, multiply scales
or compute functions in other types, it counts the models whose multipliers and whose codes differ.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from weft.compiler.scaling import multiply
from weft.compiler.tflite_arithmetic import (
    product_factor,
    quantize_multiplier,
    short_rescale_factor,
)
from weft.compiler.tflite_tables import leaky_relu, logistic, tanh

RESULTS = Path(__file__).parent / "results"
MODELS = 8000
TABLES = 2000

Row = dict[str, int]


def leaky_relus(count: int = MODELS) -> Row:
    """LEAKY_RELU whose factors are float32, as in LiteRT, or float64, as in TFLite Micro now."""
    rng = np.random.default_rng(0)
    row = {"models": count, "other multipliers": 0, "other codes": 0, "codes": 0}
    for _ in range(count):
        scale = np.float32(2 ** rng.uniform(-8, -2))
        # At one scale a slope such as 0.3 makes ties, which the last bit decides.
        output = scale if rng.random() < 0.3 else np.float32(scale * 2 ** rng.uniform(-4, 4))
        alpha = np.float32(rng.choice([0.01, 0.1, 0.2, 0.3, rng.uniform(0, 2)]))
        codes = np.arange(-128, 128) - int(rng.integers(-128, 128))
        zero_point = int(rng.integers(-128, 128))
        short = [short_rescale_factor(scale, output, slope) for slope in (1.0, float(alpha))]
        wide = [float(scale) * slope / float(output) for slope in (1.0, float(alpha))]
        made = [
            np.clip(leaky_relu(codes, *factors, "double") + zero_point, -128, 127)
            for factors in (short, wide)
        ]
        _count(row, short, wide, made)
    return row


def products(count: int = MODELS // 10) -> Row:
    """MUL whose factor is float32, as in LiteRT, or float64, as in TFLite Micro."""
    rng = np.random.default_rng(1)
    row = {"models": count, "other multipliers": 0, "other codes": 0, "codes": 0}
    sums = np.unique(np.multiply.outer(np.arange(-255, 256), np.arange(-255, 256)))
    for _ in range(count):
        one, two = (np.float32(2 ** rng.uniform(-8, -2)) for _ in range(2))
        output = np.float32(one * two * 2 ** rng.uniform(4, 9))
        factors = [product_factor(kind, one, two, output) for kind in ("litert", "double")]
        made = [
            np.clip(multiply(sums, *quantize_multiplier(factor), "double"), -128, 127)
            for factor in factors
        ]
        _count(row, factors[:1], factors[1:], made)
    return row


def curves(
    function: Callable[..., np.ndarray], exponents: tuple[float, float], count: int = TABLES
) -> Row:
    """LOGISTIC or TANH in fixed point and in float32, at input scales of 2**exponents."""
    rng = np.random.default_rng(2)
    row = {"models": count, "other codes": 0, "codes": 0, "entries": 0, "largest": 0}
    for _ in range(count):
        scale = np.float32(2 ** rng.uniform(*exponents))
        codes = np.arange(-128, 128) - int(rng.integers(-128, 128))
        one, two = (
            np.clip(function(codes, scale, arithmetic), -128, 127)
            for arithmetic in ("double", "litert")
        )
        apart = np.abs(one - two)
        row["entries"] += apart.size
        row["other codes"] += bool(apart.any())
        row["codes"] += int((apart > 0).sum())
        row["largest"] = max(row["largest"], int(apart.max()))
    return row


def _count(row: Row, one: list[float], two: list[float], made: list[np.ndarray]) -> None:
    pairs = [[quantize_multiplier(factor) for factor in factors] for factors in (one, two)]
    row["other multipliers"] += pairs[0] != pairs[1]
    row["other codes"] += not np.array_equal(*made)
    row["codes"] += int((made[0] != made[1]).sum())


def measure() -> dict[str, Row]:
    """Everything that kernels.json holds: for each operator, counts of models and of codes."""
    return {
        "LEAKY_RELU": leaky_relus(),
        "MUL": products(),
        "LOGISTIC, scales up to 1/4": curves(logistic, (-8, -2)),
        "TANH, scales up to 1/4": curves(tanh, (-8, -2)),
        "LOGISTIC, scales from 1/4": curves(logistic, (-2, 2)),
        "TANH, scales from 1/4": curves(tanh, (-2, 2)),
    }


def main(arguments: list[str]) -> int:
    """Print and write the results."""
    if arguments:
        print(__doc__, file=sys.stderr)
        return 2
    found = measure()
    (RESULTS / "kernels.json").write_text(json.dumps(found, indent=2) + "\n")
    for name, row in found.items():
        print(f"{name}: {', '.join(f'{key} {number:,}' for key, number in row.items())}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
