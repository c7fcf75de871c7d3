"""ADD, SUB and MUL of two tensors, or of a tensor and a constant."""

from __future__ import annotations

import numpy as np

from weft.compiler.multipliers import sum_factors
from weft.compiler.network import Add, Mul
from weft.compiler.tflite_arithmetic import product_factor, scaling
from weft.compiler.tflite_builder import quantization
from weft.compiler.tflite_operators import Call, contents, operator
from weft.compiler.tflite_views import Constant, NodeError, Shape3, View, image_shape


@operator("ADD", "SUB", options=("fused_activation_function", "pot_scale_int16"))
def add(call: Call) -> View:
    """Both operands scaled to twice the larger scale, in 20 more bits, then added."""
    (one, _), (two, _) = _operand_scale(call, 0), _operand_scale(call, 1)
    output, _ = call.output_scale()
    *operands, to_output = sum_factors(float(one), float(two), float(output))
    if to_output >= 1:
        raise NodeError(
            f"its output's scale {output:.4g} is too fine for its inputs' {one:.4g} and {two:.4g}",
            "quantise the model again",
        )
    requantize = call.requantize(to_output, call.option("fused_activation_function"))
    inputs, made = _operands(call)
    call.build.add_node(
        Add(
            call.node_name(), inputs, made.memory,
            left=(20, 20), requantize=requantize,
            signs=(1, -1 if call.op == "SUB" else 1),
            scalings=(scaling(operands[0], call.rounding), scaling(operands[1], call.rounding)),
        )
    )  # fmt: skip
    return made


@operator("MUL", options=("fused_activation_function",))
def mul(call: Call) -> View:
    """Product of the codes without their zero points."""
    factor = product_factor(
        call.arithmetic, _operand_scale(call, 0)[0], _operand_scale(call, 1)[0],
        call.output_scale()[0],
    )  # fmt: skip
    requantize = call.requantize(factor, call.option("fused_activation_function"))
    inputs, made = _operands(call)
    call.build.add_node(Mul(call.node_name(), inputs, made.memory, requantize=requantize))
    return made


def _operand_scale(call: Call, index: int) -> tuple[np.float32, int]:
    value = call.value(index)
    return quantization(value.tensor) if isinstance(value, Constant) else call.scale(index)


def _operands(call: Call) -> tuple[tuple[str, str], View]:
    """Memory of both operands, and of the output.

    Views of one shape may lie in memory as they please, if they lie alike; otherwise
    each is brought to its own (H, W, C), and one of them to be repeated.
    """
    values = call.value(0), call.value(1)
    shapes = [_shape(call, index) for index in (0, 1)]
    try:
        shape = np.broadcast_shapes(*shapes)
    except ValueError:
        raise NodeError(
            f"its inputs of shapes {list(shapes[0])} and {list(shapes[1])} do not fit each other",
            "convert the model again",
        ) from None
    if all(isinstance(value, Constant) for value in values):
        raise NodeError("both its inputs are constants", "fold them when converting")
    if all(isinstance(value, View) for value in values) and shapes[0] == shapes[1]:
        image = call.build.shape(call.view(0))
    else:
        image = image_shape(shape)
    names = _memory(call, 0, image, shape), _memory(call, 1, image, shape)
    return names, call.make(shape, image)


def _shape(call: Call, index: int) -> tuple[int, ...]:
    value = call.value(index)
    return value.tensor.shape if isinstance(value, Constant) else call.view(index).shape


def _memory(call: Call, index: int, image: Shape3, shape: tuple[int, ...]) -> str:
    """Name of an operand that is the output's size, or that can be repeated to it."""
    value = call.value(index)
    if isinstance(value, Constant):
        codes = contents(value.tensor)
        small = image_shape((1,) * (len(shape) - codes.ndim) + codes.shape)
        if not _repeats(small, image):
            small = image
        return call.build.constant(value.tensor, _fill(codes, small))
    view = call.view(index)
    if view.shape == shape:
        return call.build.image(view, image)
    small = image_shape((1,) * (len(shape) - len(view.shape)) + view.shape)
    if not _repeats(small, image):
        raise NodeError(
            f"its input of shape {list(view.shape)} would be repeated to {list(shape)}",
            "broadcast over all of height and width, over channels, or from one element",
        )
    return call.build.image(view, small)


def _repeats(small: Shape3, image: Shape3) -> bool:
    height, width, channels = image
    return small in (image, (1, 1, 1), (1, 1, channels), (height, width, 1))


def _fill(codes: np.ndarray, shape: Shape3) -> np.ndarray:
    """Codes repeated to (H, W, C); their own axes are its last ones."""
    while codes.ndim > 3:
        codes = codes[0]
    return np.ascontiguousarray(np.broadcast_to(codes, shape))
