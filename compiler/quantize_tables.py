"""Unary functions as tables of 256 codes, computed in float64."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from weft.compiler.fixed_point import to_codes
from weft.compiler.network import Tensor

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
    function: str, attributes: Mapping[str, Any], given: Tensor, made: Tensor, *, even: bool = False
) -> np.ndarray:
    """Table of `function` from one tensor's codes to another's: int8, index is code + 128.

    With `even` it is as ONNX Runtime computes it: values in float32, ties to even.
    """
    values = [(code - given.zero_point) * given.scale for code in range(-128, 128)]
    if even:
        values = [float(np.float32(value)) for value in values]
    real = np.array([FUNCTIONS[function](value, attributes) for value in values])
    if not even:
        return to_codes(real, made.scale, made.zero_point)
    with np.errstate(over="ignore"):
        quotients = np.float32(real) / np.float32(made.scale)
    codes = np.rint(quotients).astype(np.float64) + made.zero_point
    return np.clip(codes, -128, 127).astype(np.int8)
