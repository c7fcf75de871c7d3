"""What each output of a convolution or fully connected node sees of its input, as rows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from weft.compiler.network import Conv2D, FullyConnected

#: Elements of the rows that are made at once.
ELEMENTS = 1 << 22


def groups_of(node: Conv2D | FullyConnected) -> int:
    """Parts of the channels that do not see each other."""
    return node.groups if isinstance(node, Conv2D) else 1


def rows_of(node: Conv2D | FullyConnected) -> np.ndarray:
    """The node's weights as (groups, outputs of a group, elements seen): a view."""
    return node.weights.reshape(groups_of(node), len(node.bias) // groups_of(node), -1)


def patches(node: Conv2D | FullyConnected, values: np.ndarray) -> Iterator[np.ndarray]:
    """Rows (groups, rows, elements seen) whose products with `rows_of` the node adds up.

    Parameters
    ----------
    values : array, shape (N, H, W, C)
        Real values, or codes less their zero point: padding is 0.
    """
    if isinstance(node, FullyConnected):
        yield values.reshape(1, len(values), -1)
        return
    top, left, bottom, right = node.padding
    kernel = node.weights.shape[1:3]
    reach = tuple((k - 1) * d + 1 for k, d in zip(kernel, node.dilation, strict=True))
    (sy, sx), (dy, dx) = node.stride, node.dilation
    for image in values:
        padded = np.pad(image, ((top, bottom), (left, right), (0, 0)))
        view = np.lib.stride_tricks.sliding_window_view(padded, reach, axis=(0, 1))
        view = view[::sy, ::sx, :, ::dy, ::dx]  # (OH, OW, C, kh, kw)
        step = max(1, ELEMENTS // (view.shape[1] * view[0, 0].size))
        for start in range(0, len(view), step):
            part = view[start : start + step]
            rows = part.reshape(*part.shape[:2], node.groups, -1, *kernel)
            rows = rows.transpose(2, 0, 1, 4, 5, 3)  # groups, OH, OW, kh, kw, channels
            yield rows.reshape(node.groups, part.shape[0] * part.shape[1], -1)
