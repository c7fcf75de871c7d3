"""Pools and means."""

from __future__ import annotations

import numpy as np

from weft.compiler.onnx_layout import (
    NCHW,
    Roles,
    file_order,
    find_roles,
    image_shape,
    is_image,
    lift,
    lift_axis,
    normal_axis,
    unlift,
)
from weft.compiler.onnx_operators import Call, operator
from weft.compiler.onnx_values import NodeError, Value, View
from weft.compiler.onnx_windows import Window, read_window


def _pooled(call: Call) -> tuple[View, Window, tuple[int, int]]:
    view = call.view()
    rank = len(view.shape)
    if rank not in (3, 4):
        raise NodeError(f"it works on {rank - 2} spatial dimensions", "use 1-D or 2-D pools only")
    if not call.attributes["kernel_shape"]:
        raise NodeError("attribute kernel_shape is missing", "export the model again")
    height, width, _ = image_shape(lift(view.order), NCHW)
    window = read_window(call, (height, width), call.attributes["kernel_shape"], rank)
    if not window.covers((height, width)):
        raise NodeError(
            "some of its windows lie in the padding alone", "pad less than the kernel's size"
        )
    return view, window, (height, width)


@operator(
    "MaxPool",
    auto_pad="NOTSET", ceil_mode=0, dilations=(), kernel_shape=(), pads=(), strides=(),
    storage_order=0,  # orders the indices, which are refused
)  # fmt: skip
def max_pool(call: Call) -> Value:
    """The maximum over the elements of a window inside the image."""
    if any(call.outputs[1:]):
        raise NodeError("its second output (Indices) is used", "export the model without indices")
    view, window, size = _pooled(call)
    memory = call.build.image(view, NCHW)
    shape = (*window.output(size), view.shape[1])
    made = call.build.image_view(call.output, shape, NCHW, len(view.shape))
    attributes = {
        "kernel": window.kernel,
        "stride": window.stride,
        "dilation": window.dilation,
        "padding": window.padding,
    }
    call.build.add_node("MaxPool", call.name, (memory,), call.output, attributes)
    return made


@operator(
    "AveragePool",
    auto_pad="NOTSET", ceil_mode=0, count_include_pad=0, dilations=(), kernel_shape=(), pads=(),
    strides=(),
)  # fmt: skip
def average_pool(call: Call) -> Value:
    """The mean over a window, padding counted or not."""
    view, window, size = _pooled(call)
    count_pad = bool(call.attributes["count_include_pad"])
    if count_pad and window.partial:
        raise NodeError(
            "ceil_mode with count_include_pad counts only a part of the padding",
            "use one of the two, or pad with a Pad node before it",
        )
    dilated = any(d > 1 and k > 1 for d, k in zip(window.dilation, window.kernel, strict=True))
    if dilated and any(window.padding) and not count_pad:
        raise NodeError(
            "it is dilated and padded without count_include_pad",
            "use count_include_pad=1, or no dilation",
        )
    memory = call.build.image(view, NCHW)
    channels = view.shape[1]
    shape = (*window.output(size), channels)
    made = call.build.image_view(call.output, shape, NCHW, len(view.shape))
    if dilated:
        _as_conv(call, memory, window, channels)
    else:
        attributes = {
            "kernel": window.kernel,
            "stride": window.stride,
            "padding": window.padding,
            "count_include_pad": count_pad,
        }
        call.build.add_node("AveragePool", call.name, (memory,), call.output, attributes)
    return made


def _as_conv(call: Call, memory: str, window: Window, channels: int) -> None:
    """A dilated mean is a depthwise convolution with equal weights."""
    kh, kw = window.kernel
    call.build.add_node(
        "Conv2D",
        call.name,
        (memory,),
        call.output,
        {
            "stride": window.stride,
            "dilation": window.dilation,
            "padding": window.padding,
            "groups": channels,
        },
        constants={
            "weights": np.full((channels, kh, kw, 1), 1 / (kh * kw)),
            "bias": np.zeros(channels),
        },
    )


@operator("GlobalAveragePool", "GlobalMaxPool")
def global_pool(call: Call) -> Value:
    """The mean or maximum over all positions."""
    view = call.view()
    rank = len(view.shape)
    if rank not in (3, 4):
        raise NodeError(f"it works on {rank - 2} spatial dimensions", "use 1-D or 2-D pools only")
    kernel = image_shape(lift(view.order), NCHW)[:2]
    memory = call.build.image(view, NCHW)
    made = call.build.image_view(call.output, (1, 1, view.shape[1]), NCHW, rank)
    attributes: dict[str, object] = {
        "kernel": kernel,
        "stride": kernel,
        "padding": (0, 0, 0, 0),
    }
    if call.op == "GlobalAveragePool":
        attributes["count_include_pad"] = False
        call.build.add_node("AveragePool", call.name, (memory,), call.output, attributes)
    else:
        attributes["dilation"] = (1, 1)
        call.build.add_node("MaxPool", call.name, (memory,), call.output, attributes)
    return made


@operator("ReduceMean", axes=(), keepdims=1, noop_with_empty_axes=0)
def reduce_mean(call: Call) -> Value:
    """The mean over one or two axes, which become height and width."""
    view = call.view()
    rank = len(view.shape)
    axes = call.integers(1, "axes") or list(call.attributes["axes"])
    if not axes and call.attributes["noop_with_empty_axes"]:
        return call.build.reviewed(call.output, view, view.order)
    if not axes:
        raise NodeError("it is a mean over all axes, the batch axis too", "name the axes")
    if len(axes) != len({normal_axis(axis, rank) for axis in axes}):
        raise NodeError("its axes repeat", "name each axis once")
    reduced = {normal_axis(axis, rank) for axis in axes}
    lifted = {lift_axis(axis, rank) for axis in reduced}
    roles = _mean_roles(call, view, lifted)
    size = image_shape(lift(view.order), roles)
    kernel = tuple(n if axis in lifted else 1 for n, axis in zip(size[:2], roles[:2], strict=True))
    memory = call.build.image(view, roles)
    shape = (size[0] // kernel[0], size[1] // kernel[1], size[2])
    order = unlift(file_order(shape, roles), rank)
    if not call.attributes["keepdims"]:
        order = order.squeeze(tuple(reduced))
    made = call.build.add_tensor(call.output, shape, order)
    attributes = {
        "kernel": kernel,
        "stride": kernel,
        "padding": (0, 0, 0, 0),
        "count_include_pad": False,
    }
    call.build.add_node("AveragePool", call.name, (memory,), call.output, attributes)
    return made


def _mean_roles(call: Call, view: View, reduced: set[int]) -> Roles:
    """Roles that keep the channel out of the mean, without a move where possible."""
    order, shape = lift(view.order), call.build.shape(view)
    keepers = [axis for axis in (1, 3, 2) if axis not in reduced]
    if not keepers:
        raise NodeError(
            "it is a mean over the channels as well", "reduce over height and width only"
        )
    choices = [find_roles(order, shape, channel) for channel in keepers]
    return next((roles for roles in choices if is_image(order, shape, roles)), choices[0])
