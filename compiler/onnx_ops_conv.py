"""Convolutions."""

from __future__ import annotations

import numpy as np

from weft.compiler.onnx_layout import NCHW, image_shape, lift
from weft.compiler.onnx_operators import Call, channel_scales, finite, operator
from weft.compiler.onnx_values import Constant, NodeError, Value
from weft.compiler.onnx_windows import Window, read_window


@operator("Conv", auto_pad="NOTSET", dilations=(), group=1, kernel_shape=(), pads=(), strides=())
def conv(call: Call) -> Value:
    """Conv in one or two dimensions; one dimension is a row."""
    view = call.view()
    rank = len(view.shape)
    if rank not in (3, 4):
        raise NodeError(
            f"it works on {rank - 2} spatial dimensions", "use 1-D or 2-D convolutions only"
        )
    kernels = call.constant(1, "weight")
    weights = _weights(call, kernels, view.shape)
    bias = _bias(call, len(weights))
    height, width, _ = image_shape(lift(view.order), NCHW)
    window = read_window(call, (height, width), kernels.array.shape[2:], rank)
    shape = (*window.output((height, width)), len(weights))
    made = call.build.image_view(call.output, shape, NCHW, rank)
    memory, window, sources = _absorb_pad(call, call.build.image(view, NCHW), window)
    call.build.add_node(
        "Conv2D",
        call.name,
        (memory,),
        call.output,
        {
            "stride": window.stride,
            "dilation": window.dilation,
            "padding": window.padding,
            "groups": call.attributes["group"],
        },
        constants={"weights": weights, "bias": bias},
        scales=call.scales(weights=kernels, bias=call.optional(2, "bias")),
        sources=sources,
    )
    return made


def _weights(call: Call, kernels: Constant, shape: tuple[int, ...]) -> np.ndarray:
    """As (O, kh, kw, I / groups)."""
    weights = finite(kernels, "weight")
    groups, declared = call.attributes["group"], call.attributes["kernel_shape"]
    if weights.ndim != len(shape):
        raise NodeError(
            f"its weight of rank {weights.ndim} does not fit a tensor of rank {len(shape)}",
            "export the model again",
        )
    if declared and declared != weights.shape[2:]:
        raise NodeError(
            f"kernel_shape {list(declared)} is not its weight's {list(weights.shape[2:])}",
            "export the model again",
        )
    if 0 in weights.shape or groups < 1 or len(weights) % groups:
        raise NodeError(
            f"group {groups} does not divide its {len(weights)} outputs", "export the model again"
        )
    if weights.shape[1] * groups != shape[1]:
        raise NodeError(
            f"its weight takes {weights.shape[1] * groups} channels, the tensor has {shape[1]}",
            "export the model again",
        )
    channel_scales(kernels, 0, "weight")
    if weights.ndim == 3:
        weights = weights[:, :, None, :]
    return np.ascontiguousarray(weights.transpose(0, 2, 3, 1))


def _bias(call: Call, outputs: int) -> np.ndarray:
    constant = call.optional(2, "bias")
    if constant is None:
        return np.zeros(outputs)
    bias = finite(constant, "bias")
    if bias.shape != (outputs,):
        raise NodeError(
            f"its bias has shape {list(bias.shape)}, not [{outputs}]", "export the model again"
        )
    return bias


def _absorb_pad(call: Call, memory: str, window: Window) -> tuple[str, Window, tuple[str, ...]]:
    """Take a Pad with zeros before a convolution as the convolution's own padding."""
    pad = call.build.maker(memory)
    if pad is None or pad.op != "Pad" or call.build.is_annotated(memory):
        return memory, window, ()
    (top, bottom), (left, right), channels = pad.attributes["pads"]
    if pad.attributes["value"] != 0 or any(channels):
        return memory, window, ()
    t, le, b, r = window.padding
    wider = Window(
        window.kernel, window.stride, window.dilation, (t + top, le + left, b + bottom, r + right)
    )
    return pad.inputs[0], wider, (*pad.sources, pad.name)


@operator(
    "ConvTranspose",
    auto_pad="NOTSET", dilations=(), group=1, kernel_shape=(), output_padding=(),
    output_shape=(), pads=(), strides=(),
)  # fmt: skip
def conv_transpose(call: Call) -> Value:
    """Refused."""
    raise NodeError(
        "a transposed convolution is not implemented",
        "end the model before it, or replace it by a Conv",
    )
