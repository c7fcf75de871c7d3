"""Windows of convolutions, pools and means: their sizes and paddings as TFLite derives them."""

from __future__ import annotations

from dataclasses import dataclass

from weft.compiler.tflite_operators import Call
from weft.compiler.tflite_views import NodeError, Shape3, image_axis, image_shape
from weft.compiler.window_limits import Pair, too_large_pool, too_many_taps, too_much_padding

#: As far as a window may reach, dilation included: more is a broken file.
LARGEST_REACH = 1 << 12

#: The options that `pool_window` takes care of, and the fused activation.
POOL_OPTIONS = ("padding", "stride_w", "stride_h", "filter_width", "filter_height",
                "fused_activation_function")  # fmt: skip


@dataclass(frozen=True)
class Window:
    """A window that slides over an image.

    Parameters
    ----------
    size : (height, width)
        Of the output.
    kernel, stride, dilation : (vertical, horizontal)
    padding : (top, left, bottom, right)
    """

    size: Pair
    kernel: Pair
    stride: Pair
    dilation: Pair
    padding: tuple[int, int, int, int]


def image_input(call: Call) -> Shape3:
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
    call: Call, image: Shape3, kernel: Pair, stride: Pair, dilation: Pair = (1, 1)
) -> Window:
    """The window of these sizes on an image (H, W, C), padded as the operator's option says.

    SAME makes ``ceil(size / stride)`` outputs and puts the smaller half of the padding first.
    """
    size = image[:2]
    padding = call.option("padding")
    if padding not in ("SAME", "VALID"):
        raise NodeError(f"its padding is {padding}", "use SAME or VALID")
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    if max(reach) > LARGEST_REACH:
        raise NodeError(f"its window reaches over {max(reach)} pixels", "use a smaller one")
    _check(too_many_taps(kernel))
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
    around = (down // 2, across // 2, down - down // 2, across - across // 2)
    _check(too_much_padding(image, around))
    return Window((height, width), kernel, stride, dilation, around)


def pool_window(call: Call) -> Window:
    """The window of AVERAGE_POOL_2D and MAX_POOL_2D."""
    image = image_input(call)
    kernel = pair(call, "filter_height", "filter_width")
    found = window(call, image, kernel, pair(call, "stride_h", "stride_w"))
    _check(too_large_pool(kernel, image[2]))
    return found


@dataclass(frozen=True)
class MeanWindow:
    """What MEAN averages over: a window as large as the image, or one row or column of it.

    Parameters
    ----------
    places : tuple of int
        Height (0), width (1) or both.
    kernel : (height, width)
        Elements that it averages over.
    image : (H, W, C)
        Of the output.
    shape : tuple of int
        Of the output, in the file.
    """

    places: tuple[int, ...]
    kernel: Pair
    image: Shape3
    shape: tuple[int, ...]


def mean_window(call: Call) -> MeanWindow:
    """Of the axes that a MEAN takes."""
    given = call.view().shape
    axes = {axis + len(given) if axis < 0 else axis for axis in call.integers(1, "axes")}
    places = {image_axis(axis, given) for axis in axes}
    if 2 in places:
        raise NodeError("it averages over the channels", "average over height and width only")
    keep = call.option("keep_dims")
    shape = tuple(
        1 if axis in axes else n for axis, n in enumerate(given) if keep or axis not in axes
    )
    height, width, channels = image_shape(given)
    kernel = (height if 0 in places else 1, width if 1 in places else 1)
    _check(too_large_pool(kernel, channels))
    image = (height // kernel[0], width // kernel[1], channels)
    return MeanWindow(tuple(sorted(places)), kernel, image, shape)


def _check(problem: tuple[str, str] | None) -> None:
    if problem is not None:
        raise NodeError(*problem)
