"""Weights and biases of a convolution or fully connected node as integers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from weft.compiler.fixed_point import (
    fraction_bits,
    largest_fraction,
    round_half_away,
    to_codes,
)
from weft.compiler.float_graph import FloatNode
from weft.errors import Problem

#: Largest shift the requantizer takes.
MAX_SHIFT = 31

#: Largest shift chosen freely: finer weights would add bits to the accumulator that
#: do not reach the output.
WANTED_SHIFT = 16

#: Fraction bits tried beyond those that hold every weight, by the mean-square error.
EXTRA_FRACTION = 4

Method = Literal["minmax", "mse"]


@dataclass(frozen=True, eq=False)
class QuantizedWeights:
    """int8 weights in the float ones' shape, int32 bias and int32 shift per channel."""

    weights: np.ndarray
    bias: np.ndarray
    shift: np.ndarray


class WeightsError(Exception):
    """Weights that no scale fits; carries the `Problem`."""

    def __init__(self, problem: Problem):
        self.problem = problem
        super().__init__(str(problem))


def coarsest_weight_fraction(node: FloatNode) -> int | None:
    """Least fraction bits the weights will have; None where they are all zero."""
    given = node.scales.get("weights")
    if given is not None:
        known = [fraction_bits(float(scale)) for scale in given.scale.reshape(-1)]
        return min((value for value in known if value is not None), default=None)
    return _chosen_fraction(node.constants["weights"], "minmax")


def quantize_weights(
    node: FloatNode,
    input_fraction: int,
    output_fraction: int,
    method: Method,
    per_channel: bool,
    *,
    zero_point: int = 0,
) -> QuantizedWeights:
    """Integers of `node` between tensors with these fraction bits.

    Parameters
    ----------
    zero_point : int
        Of the input: codes less it are what weights multiply.

    Raises
    ------
    WeightsError
        Where no allowed shift exists, or a bias leaves 32 bits.
    """
    weights, bias = node.constants["weights"], node.constants["bias"]
    rows = weights.reshape(len(weights), -1)
    farthest = max(127 - zero_point, 128 + zero_point)
    difference = input_fraction - output_fraction  # shift = difference + weight fraction
    if "weights" in node.scales:
        check_given(node, rows)
        fractions = _given_fractions(node, len(rows))
    else:
        groups = rows if per_channel else rows[None]
        chosen = [_chosen_fraction(group, method) for group in groups]
        wanted = [WANTED_SHIFT - difference if f is None else f for f in chosen]
        capped = np.minimum(wanted, WANTED_SHIFT - difference)
        fractions = np.broadcast_to(capped, len(rows)).astype(np.int64)
        lowest = np.minimum(fractions, -difference)  # a shift of 0
        fractions = _fit(
            rows, bias, fractions, lowest,
            input_fraction=input_fraction, per_channel=per_channel, farthest=farthest,
        )  # fmt: skip
    shift = fractions + difference
    codes, integers = _integers(rows, bias, fractions, input_fraction)
    _check(node, shift, codes, integers, farthest)
    return QuantizedWeights(
        codes.astype(np.int8).reshape(weights.shape),
        integers.astype(np.int32),
        shift.astype(np.int32),
    )


def _chosen_fraction(weights: np.ndarray, method: Method) -> int | None:
    """Fraction bits for `weights`; None where all are zero and any number will do."""
    if not weights.any():
        return None
    widest = largest_fraction(float(weights.min()), float(weights.max()))
    if method == "minmax":
        return widest

    def squared_error(fraction: int) -> float:
        scale = 2.0**-fraction
        return float(((weights - to_codes(weights, scale) * scale) ** 2).sum())

    return min(range(widest, widest + EXTRA_FRACTION + 1), key=squared_error)


def _given_fractions(node: FloatNode, channels: int) -> np.ndarray:
    """Take the file's own scales; that they are powers of two has been checked."""
    scales = np.broadcast_to(node.scales["weights"].scale.reshape(-1), channels)
    return np.array([fraction_bits(float(scale)) for scale in scales], np.int64)


def check_given(node: FloatNode, rows: np.ndarray) -> None:
    """Refuse the file's own codes where they have more than 8 bits."""
    scales = node.scales["weights"].scale.reshape(-1, 1)
    codes = round_half_away(rows / scales)
    low, high = codes.min(initial=0), codes.max(initial=0)
    if low < -128 or high > 127:
        reason = f"its weights less their zero point lie between {low:.0f} and {high:.0f}, "
        remedy = "quantize weights to 8 bits, symmetrically (zero point 0)"
        raise WeightsError(Problem(node.name, node.op, reason + "beyond 8 bits", remedy))


def _fit(
    rows: np.ndarray,
    bias: np.ndarray,
    fractions: np.ndarray,
    lowest: np.ndarray,
    *,
    input_fraction: int,
    per_channel: bool,
    farthest: int,
) -> np.ndarray:
    """Lower `fractions`, but not below `lowest`, where an accumulator could leave 32 bits."""
    while (fractions > lowest).any():
        codes, integers = _integers(rows, bias, fractions, input_fraction)
        large = _largest_accumulator(codes, integers, farthest) > 2**31 - 1
        if not large.any():
            break
        lowered = np.maximum(fractions - (large if per_channel else large.any()), lowest)
        if (lowered == fractions).all():
            break
        fractions = lowered
    return fractions


def _integers(
    rows: np.ndarray, bias: np.ndarray, fractions: np.ndarray, input_fraction: int
) -> tuple[np.ndarray, np.ndarray]:
    """Codes of the weights, and whole-numbered float64 biases of any size."""
    codes = to_codes(rows, np.ldexp(1.0, -fractions)[:, None])
    return codes, round_half_away(bias * np.ldexp(1.0, fractions + input_fraction))


def _largest_accumulator(codes: np.ndarray, integers: np.ndarray, farthest: int) -> np.ndarray:
    return np.abs(integers) + farthest * np.abs(codes.astype(np.float64)).sum(axis=1)


def _check(
    node: FloatNode, shift: np.ndarray, codes: np.ndarray, integers: np.ndarray, farthest: int
) -> None:
    if shift.min() < 0:
        reason = "its output's scale is finer than that of its products"
        remedy = "give its output a coarser scale"
    elif shift.max() > MAX_SHIFT:
        reason = f"its output's scale is more than 2**{MAX_SHIFT} times that of its products"
        remedy = "give its output a finer scale or its weights a coarser one"
    elif np.abs(integers).max(initial=0) > 2**31 - 1:
        channel = int(np.abs(integers).argmax())
        reason = f"the bias of channel {channel} does not fit 32 bits"
        remedy = "reduce that bias, or give its input a coarser scale"
    elif _largest_accumulator(codes, integers, farthest).max(initial=0) > 2**31 - 1:
        channel = int(_largest_accumulator(codes, integers, farthest).argmax())
        reason = f"the sum of channel {channel} can leave 32 bits"
        remedy = "give its weights or its input a coarser scale"
    else:
        return
    raise WeightsError(Problem(node.name, node.op, reason, remedy))
