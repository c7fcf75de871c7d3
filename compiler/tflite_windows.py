"""Sizes and paddings of convolution and pooling windows, as TFLite derives them."""

from __future__ import annotations

from weft.compiler.tflite_operators import Call
from weft.compiler.tflite_views import NodeError

Pair = tuple[int, int]

#: As far as a window may reach, dilation included: more is a broken file.
LARGEST_REACH = 1 << 12


def image_input(call: Call) -> tuple[int, int, int]:
    """Height, width and channels of an input that must be (1, H, W, C)."""
    shape = call.view().shape
    if len(shape) != 4:
        raise NodeError(
            f"its input has shape {list(shape)}, not (1, height, width, channels)",
            "reshape to four dimensions before it",
        )
    if shape[0] != 1:
        raise NodeError(f"its input is a batch of {shape[0]}", "keep the batch at 1")
    return shape[1], shape[2], shape[3]


def pair(call: Call, first: str, second: str) -> Pair:
    """Two options that must be positive: (vertical, horizontal)."""
    values = call.option(first), call.option(second)
    if min(values) < 1:
        raise NodeError(f"its {first} and {second} are {values[0]} and {values[1]}",
                        "make both at least 1")  # fmt: skip
    return values


def window(
    call: Call, size: Pair, kernel: Pair, stride: Pair, dilation: Pair = (1, 1)
) -> tuple[Pair, tuple[int, int, int, int]]:
    """Output height and width, and padding (top, left, bottom, right).

    SAME makes ``ceil(size / stride)`` outputs and puts the smaller half of the padding first.
    """
    padding = call.option("padding")
    if padding not in ("SAME", "VALID"):
        raise NodeError(f"its padding is {padding}", "use SAME or VALID")
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    if max(reach) > LARGEST_REACH:
        raise NodeError(f"its window reaches over {max(reach)} pixels", "use a smaller one")
    spare = 0 if padding == "SAME" else 1
    height, width = (
        (n + s - 1 - spare * (r - 1)) // s for n, s, r in zip(size, stride, reach, strict=True)
    )
    if height < 1 or width < 1:
        raise NodeError(
            f"its window of {reach[0]} x {reach[1]} does not fit an image of {size[0]} x {size[1]}",
            "use a smaller window or SAME padding",
        )
    down, across = (
        max(0, (out - 1) * s + r - n)
        for out, s, r, n in zip((height, width), stride, reach, size, strict=True)
    )
    return (height, width), (down // 2, across // 2, down - down // 2, across - across // 2)
