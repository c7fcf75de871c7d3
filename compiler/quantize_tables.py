"""Unary functions as tables of 256 codes, computed in float64."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from weft.compiler.fixed_point import to_codes

Function = Callable[[float, Mapping[str, Any]], float]


def _sigmoid(x: float, _: Mapping[str, Any]) -> float:
    if x >= 0:
        return 1 / (1 + math.exp(-x))
    return math.exp(x) / (1 + math.exp(x))


def _hard_sigmoid(x: float, attributes: Mapping[str, Any]) -> float:
    alpha, beta = attributes.get("alpha", 0.2), attributes.get("beta", 0.5)
    return min(max(alpha * x + beta, 0.0), 1.0)


def _leaky_relu(x: float, attributes: Mapping[str, Any]) -> float:
    return x if x >= 0 else attributes.get("alpha", 0.01) * x


def _clamp(x: float, attributes: Mapping[str, Any]) -> float:
    low, high = attributes.get("low"), attributes.get("high")
    x = x if low is None else max(x, low)
    return x if high is None else min(x, high)


#: Real functions by the names that `network.Table.function` may hold.
FUNCTIONS: dict[str, Function] = {
    "Clamp": _clamp,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": lambda x, _: x * min(max(x / 6 + 0.5, 0.0), 1.0),
    "LeakyRelu": _leaky_relu,
    "Sigmoid": _sigmoid,
    "Tanh": lambda x, _: math.tanh(x),
}


def make_table(
    function: str, attributes: Mapping[str, Any], input_scale: float, output_scale: float
) -> np.ndarray:
    """Table of `function` between tensors of zero point 0: int8, index is code + 128."""
    real = [FUNCTIONS[function](code * input_scale, attributes) for code in range(-128, 128)]
    return to_codes(np.array(real), output_scale)
