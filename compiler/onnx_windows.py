"""Geometry of sliding windows, for convolutions and pools."""

from __future__ import annotations

from dataclasses import dataclass, replace

from weft.compiler.onnx_layout import check_size
from weft.compiler.onnx_operators import Call, positive
from weft.compiler.onnx_values import NodeError

Pair = tuple[int, int]


@dataclass(frozen=True)
class Window:
    """Kernel, stride, dilation (vertical, horizontal) and padding (top, left, bottom, right).

    `partial` says that ceil_mode needed windows beyond the padding that the file asks for.
    """

    kernel: Pair
    stride: Pair
    dilation: Pair
    padding: tuple[int, int, int, int]
    partial: bool = False

    def output(self, size: Pair) -> Pair:
        """Height and width of the result on an image of `size`."""
        h, w = (
            (size[i] + self.padding[i] + self.padding[i + 2] - self._extent(i)) // self.stride[i]
            + 1
            for i in (0, 1)
        )
        return h, w

    def covers(self, size: Pair) -> bool:
        """Whether every window has an element inside the image."""
        return all(self._covers(axis, size) for axis in (0, 1))

    def _covers(self, axis: int, size: Pair) -> bool:
        step = self.dilation[axis]
        for index in range(self.output(size)[axis]):
            start = index * self.stride[axis] - self.padding[axis]
            skipped = -(min(start, 0) // step)  # taps in front of the image
            if skipped >= self.kernel[axis] or start + skipped * step >= size[axis]:
                return False
        return True

    def _extent(self, axis: int) -> int:
        return (self.kernel[axis] - 1) * self.dilation[axis] + 1


def read_window(call: Call, size: Pair, kernel: tuple[int, ...], rank: int) -> Window:
    """The window that a node's attributes describe on an image of `size`.

    Parameters
    ----------
    call : Call
        With attributes auto_pad, pads, strides, and dilations and ceil_mode where they exist.
    size : (H, W)
    kernel : tuple of int
        As in the file: one value for rank 3, two for rank 4.
    rank : int
        Of the tensor in the file.
    """
    count = rank - 2
    kernel = positive(kernel, count, "kernel_shape")
    stride = positive(call.attributes["strides"], count, "strides")
    dilation = positive(call.attributes.get("dilations", ()), count, "dilations")
    pads = call.attributes["pads"] or (0,) * 2 * count
    if len(pads) != 2 * count or any(pad < 0 for pad in pads):
        raise NodeError(
            f"attribute pads must be {2 * count} integers from 0, not {list(pads)}",
            "crop with a Slice instead",
        )
    if count == 1:
        kernel, stride, dilation = ((1, *values) for values in (kernel, stride, dilation))
        pads = (0, pads[0], 0, pads[1])
    window = Window(
        (kernel[0], kernel[1]),
        (stride[0], stride[1]),
        (dilation[0], dilation[1]),
        (pads[0], pads[1], pads[2], pads[3]),
    )
    window = _auto_pad(call, window, size)
    if call.attributes.get("ceil_mode", 0):
        window = _round_up(window, size)
    if any(n < 1 for n in window.output(size)):
        raise NodeError(
            f"its window {list(window.kernel)} is larger than the padded image {list(size)}",
            "use a larger input or a smaller kernel",
        )
    check_size(window.kernel)
    check_size(window.output(size))
    return window


def _auto_pad(call: Call, window: Window, size: Pair) -> Window:
    mode = call.attributes["auto_pad"]
    if mode == "NOTSET":
        return window
    if mode not in ("SAME_UPPER", "SAME_LOWER", "VALID"):
        raise NodeError(f"auto_pad {mode!r} does not exist", "export the model again")
    if any(window.padding):
        raise NodeError(f"it has both auto_pad {mode} and pads", "remove one of the two")
    if mode == "VALID":
        return window
    before, after = [], []
    for axis in (0, 1):
        outputs = -(-size[axis] // window.stride[axis])
        extent = (window.kernel[axis] - 1) * window.dilation[axis] + 1
        total = max((outputs - 1) * window.stride[axis] + extent - size[axis], 0)
        small, large = total // 2, total - total // 2
        before.append(small if mode == "SAME_UPPER" else large)
        after.append(large if mode == "SAME_UPPER" else small)
    return replace(window, padding=(before[0], before[1], after[0], after[1]))


def _round_up(window: Window, size: Pair) -> Window:
    """Pad at the bottom and right until rounding down gives the size of rounding up.

    A window that would start beyond the image and its padding in front does not count.
    """
    after = list(window.padding[2:])
    for axis in (0, 1):
        before, stride = window.padding[axis], window.stride[axis]
        extent = (window.kernel[axis] - 1) * window.dilation[axis] + 1
        spare = size[axis] + before + after[axis] - extent
        outputs = -(-spare // stride) + 1
        if (outputs - 1) * stride >= size[axis] + before:
            outputs -= 1
        after[axis] = max(after[axis], (outputs - 1) * stride + extent - size[axis] - before)
    padding = (window.padding[0], window.padding[1], after[0], after[1])
    return replace(window, padding=padding, partial=padding != window.padding)
