"""Weights and biases as integers where scales are any numbers: multipliers instead of shifts.

All products of scales are float32, operation by operation as ONNX Runtime computes them, so
that a factor is the very number it multiplies accumulators by.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from weft.compiler.fixed_point import round_half_away
from weft.compiler.float_graph import FloatNode
from weft.compiler.network import Tensor
from weft.compiler.quantize_weights import Method, WeightsError, check_given
from weft.errors import Problem

#: Largest weight code chosen freely: symmetric, so that -128 is not used.
LARGEST_CODE = 127

#: Scales of weights tried by "mse", as parts of the one that holds the largest weight.
_RATIOS = np.linspace(1.0, 0.5, 33)

#: A bias whose scale is that of the products but for float32's rounding keeps its codes.
_SAME_SCALE = 1e-5


@dataclass(frozen=True, eq=False)
class AffineWeights:
    """int8 weights in the float ones' shape, int32 bias, real factors: one per channel or one."""

    weights: np.ndarray
    bias: np.ndarray
    factors: np.ndarray


def affine_weights(
    node: FloatNode, given: Tensor, made: Tensor, method: Method, per_channel: bool
) -> AffineWeights:
    """Integers of `node` between two tensors of any scale and zero point.

    Raises
    ------
    WeightsError
        Where codes do not fit 8 bits, or biases or sums 32 bits.
    """
    weights = node.constants["weights"]
    rows = weights.reshape(len(weights), -1)
    if "weights" in node.scales:
        check_given(node, rows)
    scales = _scales(node, rows, (given.scale, made.scale), method, per_channel)
    products = product_scales(given.scale, scales)
    if not (np.isfinite(products).all() and (products > 0).all()):
        raise _error(node, "its scales are too far apart", "quantize the model again")
    codes = round_half_away(rows / scales[:, None])
    if "weights" not in node.scales:
        codes = np.clip(codes, -LARGEST_CODE, LARGEST_CODE)
    bias = _bias(node, products.astype(np.float64))
    _check(node, given, codes, bias)
    return AffineWeights(
        codes.astype(np.int8).reshape(weights.shape),
        bias.astype(np.int32),
        factors(products, made.scale),
    )


def product_scales(given: float, weights: np.ndarray) -> np.ndarray:
    """Scale of accumulators, float32: a float32 product."""
    with np.errstate(all="ignore"):
        return np.float32(given) * np.asarray(weights, np.float32)


def factors(products: np.ndarray, made: float) -> np.ndarray:
    """What accumulators of these scales are multiplied by, float32; one where all are the same."""
    with np.errstate(all="ignore"):
        quotients = np.atleast_1d(products) / np.float32(made)
    return quotients[:1] if (quotients == quotients[0]).all() else quotients


def _scales(
    node: FloatNode,
    rows: np.ndarray,
    around: tuple[float, float],
    method: Method,
    per_channel: bool,
) -> np.ndarray:
    """A scale for each row: the file's, or chosen; numbers that float32 holds."""
    given, made = around
    known = node.scales.get("weights")
    if known is not None:
        return np.broadcast_to(known.scale.reshape(-1), len(rows)).astype(np.float64)
    groups = rows if per_channel else rows.reshape(1, -1)
    bias = node.constants["bias"]
    chosen = np.array([_chosen(group, method) for group in groups])
    # A bias of some 30 bits needs coarser products, and finer ones than this are all zero.
    needed = np.maximum(np.abs(bias), made) / given / 2.0**30
    needed = needed if per_channel else needed.max(initial=0, keepdims=True)
    scales = np.maximum(chosen, needed).astype(np.float32).astype(np.float64)
    scales = np.where(scales > 0, scales, 1.0)  # nothing but zeros
    return np.broadcast_to(scales, len(rows))


def _chosen(weights: np.ndarray, method: Method) -> float:
    """Symmetric scale of one group: the whole range, or least squared error; 0 for zeros."""
    largest = float(np.abs(weights).max(initial=0))
    if method == "minmax" or largest == 0:
        return largest / LARGEST_CODE

    def squared_error(scale: float) -> float:
        codes = np.clip(round_half_away(weights / scale), -LARGEST_CODE, LARGEST_CODE)
        return float(((codes * scale - weights) ** 2).sum())

    return min((float(ratio * largest / LARGEST_CODE) for ratio in _RATIOS), key=squared_error)


def _bias(node: FloatNode, products: np.ndarray) -> np.ndarray:
    """Whole numbers in float64, of any size."""
    bias, known = node.constants["bias"], node.scales.get("bias")
    if known is not None and (abs(known.scale.reshape(-1) / products - 1) <= _SAME_SCALE).all():
        return round_half_away(bias / known.scale)
    return round_half_away(bias / products)


def _check(node: FloatNode, given: Tensor, codes: np.ndarray, bias: np.ndarray) -> None:
    reach = max(128 + given.zero_point, 127 - given.zero_point)
    sums = np.abs(bias) + reach * np.abs(codes).sum(axis=1)
    if np.abs(bias).max(initial=0) > 2**31 - 1:
        channel = int(np.abs(bias).argmax())
        raise _error(
            node,
            f"the bias of channel {channel} does not fit 32 bits",
            "reduce that bias, or give its input a coarser scale",
        )
    if sums.max(initial=0) > 2**31 - 1:
        raise _error(
            node,
            f"the sum of channel {int(sums.argmax())} can leave 32 bits",
            "give its weights or its input a coarser scale",
        )


def _error(node: FloatNode, reason: str, remedy: str) -> WeightsError:
    return WeightsError(Problem(node.name, node.op, reason, remedy))
