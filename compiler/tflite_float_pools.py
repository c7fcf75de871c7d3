"""AVERAGE_POOL_2D, MAX_POOL_2D and MEAN on real values."""

from __future__ import annotations

from weft.compiler.tflite_float_operators import FloatCall, float_operator
from weft.compiler.tflite_views import View
from weft.compiler.tflite_windows import POOL_OPTIONS, mean_window, pool_window


@float_operator("AVERAGE_POOL_2D", "MAX_POOL_2D", options=POOL_OPTIONS)
def pool(call: FloatCall) -> View:
    """Over the elements of each window that lie inside the image."""
    window = pool_window(call)
    inputs = (call.build.image(call.view()),)
    shape = (1, *window.size, call.view().shape[3])
    attributes: dict[str, object] = {
        "kernel": window.kernel,
        "stride": window.stride,
        "padding": window.padding,
    }
    if call.op == "AVERAGE_POOL_2D":
        attributes["count_include_pad"] = False
        return call.emit("AveragePool", inputs, shape, attributes=attributes)
    attributes["dilation"] = window.dilation
    return call.emit("MaxPool", inputs, shape, attributes=attributes)


@float_operator("MEAN", options=("keep_dims",))
def mean(call: FloatCall) -> View:
    """Over height, width or both: a pool over all of them."""
    window = mean_window(call)
    attributes = {
        "kernel": window.kernel,
        "stride": window.kernel,
        "padding": (0, 0, 0, 0),
        "count_include_pad": False,
    }
    inputs = (call.build.image(call.view()),)
    return call.emit("AveragePool", inputs, window.shape, window.image, attributes=attributes)
