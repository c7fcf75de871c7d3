"""Operators that move values or look at them differently: read as those of INT8 models."""

from __future__ import annotations

from dataclasses import replace

from weft.compiler import (  # noqa: F401  registers the operators
    tflite_ops_folded,
    tflite_ops_moves,
    tflite_ops_slices,
    tflite_ops_views,
)
from weft.compiler.tflite_float_operators import FLOAT_OPERATORS, FloatCall, float_operator
from weft.compiler.tflite_operators import OPERATORS
from weft.compiler.tflite_views import NodeError, Value

#: Moves whose handlers need nothing but shapes.
SHARED = (
    "PAD", "CONCATENATION", "TRANSPOSE", "SLICE", "STRIDED_SLICE", "SPLIT", "SPLIT_V", "UNPACK",
    "RESHAPE", "SQUEEZE", "EXPAND_DIMS", "SHAPE", "PACK",
)  # fmt: skip

FLOAT_OPERATORS.update({name: OPERATORS[name] for name in SHARED})


@float_operator("PADV2")
def pad(call: FloatCall) -> Value:
    """PAD with a value of its own."""
    value = call.real(2, "padding value")
    if value.size != 1:
        raise NodeError(
            f"its padding value has shape {list(value.shape)}", "pad with a single number"
        )
    zeros = replace(call, operator=replace(call.operator, op="PAD"))
    (made,) = OPERATORS["PAD"].handler(zeros)
    call.build.set_last(value=float(value.reshape(-1)[0]))
    return made
