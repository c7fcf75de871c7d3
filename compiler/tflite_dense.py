"""Geometry of FULLY_CONNECTED, whatever its numbers are."""

from __future__ import annotations

import math
from dataclasses import dataclass

from weft.compiler.tflite_operators import Call
from weft.compiler.tflite_views import NodeError
from weft.compiler.tflite_windows import Pair

DENSE_OPTIONS = ("fused_activation_function", "weights_format", "keep_num_dims",
                 "asymmetric_quantize_inputs", "quantized_bias_type")  # fmt: skip


@dataclass(frozen=True)
class Rows:
    """The rows of as many elements as the weights have columns that an input is.

    Parameters
    ----------
    shape : tuple of int
        Of the output, in the file.
    pixels : (height, width) or None
        Of an image whose pixels are the rows: the input's own where they are its pixels.
        None for a single row.
    """

    shape: tuple[int, ...]
    pixels: Pair | None


def check_format(call: Call) -> None:
    """Refuse weights that are stored in an order of their own."""
    if call.option("weights_format") != "DEFAULT":
        raise NodeError(
            f"its weights are stored as {call.option('weights_format')}",
            "convert with weights in the default format",
        )


def dense_rows(call: Call, weights: tuple[int, ...]) -> Rows:
    """How weights (units, features) see the input."""
    given = call.view().shape
    units, features = weights
    size = math.prod(given)
    if size % features:
        raise NodeError(
            f"its weights of shape {list(weights)} do not fit an input of {size} elements",
            "convert the model again",
        )
    rows = size // features
    shape: tuple[int, ...] = (rows, units)
    if call.option("keep_num_dims"):
        if given[-1:] != (features,):
            raise NodeError(
                f"it keeps the dimensions of {list(given)}, "
                f"whose last is not the weights' {features}",
                "convert the model again",
            )
        shape = (*given[:-1], units)
    if rows == 1:
        return Rows(shape, None)
    plain = len(given) >= 3 and given[-1] == features and math.prod(given[:-3]) == 1
    return Rows(shape, (given[-3], given[-2]) if plain else (1, rows))
