"""TFLite's numbers: from the scales in a file to integer multipliers, shifts and clamps.

Every formula uses the floating-point types that the kernels use, operation by operation,
so that the integers come out the same. Sources: the reference kernels of TFLite Micro and
of LiteRT, checked against LiteRT's reference kernels by running them; ``docs/tflite.md``
lists where the two differ.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from weft.compiler import multipliers
from weft.compiler.network import Requantize, Scaling
from weft.compiler.tflite_views import NodeError

#: How a model is computed: TFLite Micro's kernels, the same built with one rounding, or
#: LiteRT's reference kernels.
Arithmetic = Literal["double", "single", "litert"]

#: How one operator rounds.
Rounds = Literal["double", "single"]


def rounding_of(arithmetic: Arithmetic, op: str) -> Rounds:
    """How an operator rounds: LiteRT's reference rounds once in FULLY_CONNECTED alone."""
    if arithmetic == "litert":
        return "single" if op == "FULLY_CONNECTED" else "double"
    return arithmetic


def scaling(factors: np.ndarray | float, rounding: Rounds) -> Scaling:
    """Real factors as integers, one for each channel or one for all.

    Raises
    ------
    NodeError
        If a factor is too large for a shift of 30, or no number.
    """
    try:
        return multipliers.scaling(factors, rounding)
    except multipliers.FactorError as error:
        raise NodeError(str(error), "quantise the model again") from None


def quantize_multiplier(factor: float) -> tuple[int, int]:
    """One factor's multiplier and shift; raises as `scaling` does."""
    try:
        return multipliers.quantize_multiplier(factor)
    except multipliers.FactorError as error:
        raise NodeError(str(error), "quantise the model again") from None


def requantize(
    factors: np.ndarray | float, rounding: Rounds, zero_point: int, limits: tuple[int, int]
) -> Requantize:
    """From an accumulator to codes of a tensor with this zero point; raises as `scaling` does."""
    try:
        return multipliers.requantize(factors, rounding, zero_point, limits)
    except multipliers.FactorError as error:
        raise NodeError(str(error), "quantise the model again") from None


# Real factors from scales ---------------------------------------------------------------
# float32 where the kernels multiply float32, float64 where they widen first.


def convolution_factors(
    x: np.float32, weights: np.ndarray, output: np.float32, channels: int
) -> np.ndarray:
    """Of each output channel, in float64: CONV_2D, and FULLY_CONNECTED per channel."""
    factors = np.float64(x) * weights.astype(np.float64) / np.float64(output)
    return np.broadcast_to(factors, (channels,))


def dense_factor(x: np.float32, weights: np.float32, output: np.float32) -> float:
    """FULLY_CONNECTED with one scale: the product of the scales is a float32."""
    with np.errstate(all="ignore"):
        product = np.float32(x) * np.float32(weights)
    return float(np.float64(product) / np.float64(output))


def product_factor(
    arithmetic: Arithmetic, one: np.float32, two: np.float32, output: np.float32
) -> float:
    """MUL: float64 in TFLite Micro, float32 in LiteRT."""
    wide = np.float32 if arithmetic == "litert" else np.float64
    with np.errstate(all="ignore"):
        return float(wide(one) * wide(two) / wide(output))


def rescale_factor(x: np.float32, output: np.float32) -> float:
    """QUANTIZE from int8 to int8, and MEAN before it divides: float64."""
    return float(np.float64(x) / np.float64(output))


def short_rescale_factor(x: np.float32, output: np.float32, slope: float = 1.0) -> float:
    """RELU and its kin, LEAKY_RELU: float32."""
    with np.errstate(all="ignore"):
        return float(np.float32(x) * np.float32(slope) / np.float32(output))


# Clamps ---------------------------------------------------------------------------------

#: Real limits of the fused activations, and of the operators of the same names.
LIMITS: dict[str, tuple[float | None, float | None]] = {
    "NONE": (None, None),
    "RELU": (0.0, None),
    "RELU_N1_TO_1": (-1.0, 1.0),
    "RELU6": (0.0, 6.0),
    "RELU_0_TO_1": (0.0, 1.0),
}


def activation_range(activation: str, scale: np.float32, zero_point: int) -> tuple[int, int]:
    """The codes between which an activation clamps.

    Raises
    ------
    NodeError
        For TANH and SIGN_BIT, and where a limit is beyond int32 codes.
    """
    if activation not in LIMITS:
        raise NodeError(
            f"its fused activation {activation} is not there in integers",
            "convert the model with it as an operator of its own",
        )
    low, high = (_code(limit, scale, zero_point) for limit in LIMITS[activation])
    return max(-128, -128 if low is None else low), min(127, 127 if high is None else high)


def _code(limit: float | None, scale: np.float32, zero_point: int) -> int | None:
    if limit is None:
        return None
    with np.errstate(all="ignore"):
        steps = float(np.float32(limit) / np.float32(scale))
    if not abs(steps) <= 2.0**31:
        raise NodeError(
            f"its activation's limit {limit:g} is beyond int32 at scale {scale:.4g}",
            "quantise the model again",
        )
    return zero_point + int(math.copysign(math.floor(abs(steps) + 0.5), steps))
