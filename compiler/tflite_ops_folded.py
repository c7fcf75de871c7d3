"""SHAPE and PACK: with STRIDED_SLICE, how a model computes the shape for a RESHAPE.

A network's shapes are constants, so all of it is computed while reading.
"""

from __future__ import annotations

import numpy as np

from weft.compiler.tflite_operators import Call, contents, folded, operator
from weft.compiler.tflite_views import Constant, FloatInput, FloatOutput, NodeError


@operator("SHAPE", options=("out_type",))
def shape(call: Call) -> Constant:
    """The shape of a tensor."""
    value = call.value(0)
    if isinstance(value, FloatInput):
        dims = value.shape
    else:
        dims = value.codes.shape if isinstance(value, FloatOutput) else call.view().shape
    return folded(call, np.array(dims, call.output.dtype))


@operator("PACK", options=("values_count", "axis"))
def pack(call: Call) -> Constant:
    """Constants side by side along a new axis."""
    if not all(isinstance(value, Constant) for value in call.inputs):
        raise NodeError(
            "it packs tensors that the network computes",
            "use RESHAPE and CONCATENATION instead",
        )
    arrays = [contents(call.constant(index, "input")) for index in range(len(call.inputs))]
    if any(array.dtype.kind != "i" or array.dtype.itemsize < 4 for array in arrays):
        raise NodeError("it packs constants that are no shapes", "fold them when converting")
    return folded(call, np.stack(arrays, call.option("axis")))
