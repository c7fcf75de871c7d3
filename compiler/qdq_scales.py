"""Scales of weights, back from the multipliers that were made of them."""

from __future__ import annotations

import numpy as np

from weft.compiler.network import Conv2D, FullyConnected
from weft.compiler.quantize_affine_weights import product_scales
from weft.errors import RefusedError

#: How many float32 numbers either side of the quotient are tried: its two roundings leave two.
_NEIGHBOURS = 4


def weight_scales(node: Conv2D | FullyConnected, given: float, made: float) -> np.ndarray:
    """float32 scales of which reading the file makes this very multiplier: one, or per channel.

    Parameters
    ----------
    node : Conv2D or FullyConnected
    given, made : float
        Scales of its input and output.

    Raises
    ------
    RefusedError
        If there are none: the multiplier was not made as ONNX Runtime multiplies.
    """
    requantize = node.requantize
    assert requantize.multiplier is not None  # the caller looks at its rounding
    exact = np.ldexp(requantize.multiplier.astype(np.float64), requantize.shift - 31)
    wanted = exact.astype(np.float32)
    around = [(exact * made / given).astype(np.float32)]
    for direction in (-np.inf, np.inf):
        scale = around[0]
        for _ in range(_NEIGHBOURS):
            scale = np.nextafter(scale, np.float32(direction))
            around.append(scale)
    found = np.zeros_like(wanted)
    for scale in reversed(around):
        factor = product_scales(given, scale) / np.float32(made)
        found = np.where((factor == wanted) & (wanted == exact), scale, found)
    if not (found > 0).all():
        raise RefusedError(
            f"node {node.name!r} has a multiplier that no float32 scale of weights gives; "
            "only networks with ONNX Runtime's multipliers can be written as ONNX"
        )
    return found
