"""AVERAGE_POOL_2D, MAX_POOL_2D and MEAN on real values."""

from __future__ import annotations

from weft.compiler.tflite_float_operators import FloatCall, float_operator
from weft.compiler.tflite_views import NodeError, View, image_axis
from weft.compiler.tflite_windows import image_input, pair, window


@float_operator(
    "AVERAGE_POOL_2D", "MAX_POOL_2D",
    options=("padding", "stride_w", "stride_h", "filter_width", "filter_height",
             "fused_activation_function"),
)  # fmt: skip
def pool(call: FloatCall) -> View:
    """Over the elements of each window that lie inside the image."""
    height, width, channels = image_input(call)
    kernel = pair(call, "filter_height", "filter_width")
    stride = pair(call, "stride_h", "stride_w")
    size, padding = window(call, (height, width), kernel, stride)
    attributes: dict[str, object] = {"kernel": kernel, "stride": stride, "padding": padding}
    inputs, shape = (call.build.image(call.view()),), (1, *size, channels)
    if call.op == "AVERAGE_POOL_2D":
        attributes["count_include_pad"] = False
        return call.emit("AveragePool", inputs, shape, attributes=attributes)
    attributes["dilation"] = (1, 1)
    return call.emit("MaxPool", inputs, shape, attributes=attributes)


@float_operator("MEAN", options=("keep_dims",))
def mean(call: FloatCall) -> View:
    """Over height, width or both: a pool over all of them."""
    view = call.view()
    axes = {axis + len(view.shape) if axis < 0 else axis for axis in call.integers(1, "axes")}
    places = {image_axis(axis, view.shape) for axis in axes}
    if 2 in places:
        raise NodeError("it averages over the channels", "average over height and width only")
    keep = call.option("keep_dims")
    shape = tuple(
        1 if axis in axes else n for axis, n in enumerate(view.shape) if keep or axis not in axes
    )
    memory = call.build.image(view)
    height, width, channels = call.build.network.tensors[memory].shape
    kernel = (height if 0 in places else 1, width if 1 in places else 1)
    attributes = {
        "kernel": kernel,
        "stride": kernel,
        "padding": (0, 0, 0, 0),
        "count_include_pad": False,
    }
    image = (height // kernel[0], width // kernel[1], channels)
    return call.emit("AveragePool", (memory,), shape, image, attributes=attributes)
