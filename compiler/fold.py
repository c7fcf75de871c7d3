"""Folded inputs: the pixels that a first layer's stride skips, as channels of one pixel.

An image of few channels fills few of the array's rows. Where the only reader of an input is a
convolution with a stride, the host may put each stride by stride block of pixels into one
(space to depth): the convolution becomes one of stride 1 with fewer taps and more channels,
and computes the same sums of the same products.
"""

from __future__ import annotations

import numpy as np

from weft.compiler.network import Conv2D, Network, Tensor
from weft.hw.config import Config


def input_folds(network: Network, config: Config) -> dict[str, tuple[int, int]]:
    """Blocks of pixels (rows, columns) by the input tensor they are folded in, where it pays."""
    kept = {port.tensor for port in network.outputs}
    result = {}
    for port in network.inputs:
        readers = [node for node in network.nodes if port.tensor in node.inputs]
        if len(readers) == 1 and port.tensor not in kept and isinstance(readers[0], Conv2D):
            tensor, node = network.tensors[port.tensor], readers[0]
            if _can_fold(tensor, node) and _pays(tensor, node, config.rows):
                result[port.tensor] = node.stride
    return result


def folded(tensor: Tensor, block: tuple[int, int]) -> tuple[int, int, int]:
    """Shape (H, W, C) of a folded tensor; a last block may lie partly outside the image."""
    height, width, channels = tensor.shape
    return -(-height // block[0]), -(-width // block[1]), channels * block[0] * block[1]


def fold_kernel(
    kernel: np.ndarray, block: tuple[int, int], padding: tuple[int, int]
) -> tuple[np.ndarray, tuple[int, int]]:
    """The kernel over a folded image, and where its first window begins in that.

    Parameters
    ----------
    kernel : int64 array, shape (kh, kw, inputs, outputs)
    block : (rows, columns)
        The convolution's stride.
    padding : (top, left)
    """
    kh, kw, inputs, outputs = kernel.shape
    y, inner_y = np.divmod(np.arange(kh) - padding[0], block[0])
    x, inner_x = np.divmod(np.arange(kw) - padding[1], block[1])
    origin = int(y.min()), int(x.min())
    size = int(y.max()) - origin[0] + 1, int(x.max()) - origin[1] + 1
    result = np.zeros((*size, *block, inputs, outputs), np.int64)
    at_y, at_x = (y - origin[0])[:, None], (x - origin[1])[None, :]
    result[at_y, at_x, inner_y[:, None], inner_x[None, :]] = kernel
    return result.reshape(*size, block[0] * block[1] * inputs, outputs), origin


def _can_fold(tensor: Tensor, node: Conv2D) -> bool:
    plain = node.groups == 1 and node.dilation == (1, 1) and node.stride != (1, 1)
    # A block must not be larger than the image.
    return plain and node.stride[0] <= tensor.shape[0] and node.stride[1] <= tensor.shape[1]


def _pays(tensor: Tensor, node: Conv2D, rows: int) -> bool:
    """Fewer words to read for a result, and no more words to hold the image."""
    _, kh, kw, channels = node.weights.shape
    taps = [
        len(np.unique((np.arange(size) - before) // stride))
        for size, before, stride in zip((kh, kw), node.padding[:2], node.stride, strict=True)
    ]
    height, width, deep = folded(tensor, node.stride)
    plain, more = -(-channels // rows), -(-deep // rows)
    held = tensor.shape[0] * tensor.shape[1] * plain
    return taps[0] * taps[1] * more < kh * kw * plain and height * width * more <= held
