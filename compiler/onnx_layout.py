"""Index orders: how a file's layout looks at memory that is (H, W, C).

An order is an int64 array of the file's shape whose entries are flat indices into
memory. Reshape and Transpose act on it as on data, so that no layout needs a special
case. `Roles` say which axes of a file's shape of rank 4 are H, W and C.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from weft.compiler.onnx_values import NodeError
from weft.compiler.orders import in_order

Roles = tuple[int, int, int]
Shape3 = tuple[int, int, int]

NCHW: Roles = (2, 3, 1)
NHWC: Roles = (1, 2, 3)
_ALL: tuple[Roles, ...] = (NCHW, NHWC, (3, 2, 1), (2, 1, 3), (1, 3, 2), (3, 1, 2))

#: More elements than any network for such a chip has in one tensor.
LARGEST = 1 << 24

#: And in all tensors together: reading takes up to 32 bytes for each.
LARGEST_SUM = 1 << 25


def check_size(shape: tuple[int, ...]) -> None:
    """Refuse a shape that is empty or far beyond any chip before memory is asked for it."""
    size = math.prod(int(n) for n in shape)
    if any(n < 1 for n in shape):
        raise NodeError(f"its result would have the shape {list(shape)}", "give it a larger input")
    if size > LARGEST:
        raise NodeError(
            f"its result would have {size} elements, more than {LARGEST}", "use a smaller input"
        )


def lift(order: np.ndarray) -> np.ndarray:
    """See an order of rank 1 to 4 as one of rank 4: (N, C) is (N, C, 1, 1), (N, C, L) (N, C, 1, L).

    Raises
    ------
    NodeError
        If the rank is higher.
    """
    if order.ndim > 4:
        raise NodeError(
            f"a tensor of rank {order.ndim} is more than height, width and channels",
            "reshape it to at most 4 dimensions",
        )
    if order.ndim == 3:
        return order[:, :, None, :]
    return order.reshape(order.shape + (1,) * (4 - order.ndim))


def unlift(order: np.ndarray, rank: int) -> np.ndarray:
    """Undo `lift` for an order made in its place."""
    if rank == 3:
        return order[:, :, 0, :]
    return order.reshape(order.shape[:rank])


def lift_axis(axis: int, rank: int) -> int:
    """Where `lift` puts an axis."""
    return 3 if rank == 3 and axis == 2 else axis


def normal_axis(axis: int, rank: int) -> int:
    """Count an axis from the front; refuse the batch axis and what does not exist."""
    if not -rank <= axis < rank:
        raise NodeError(f"axis {axis} does not exist in rank {rank}", "correct the axis")
    axis %= rank
    if axis == 0:
        raise NodeError("it works along the batch axis", "leave axis 0 alone: samples are separate")
    return axis


def image_shape(order: np.ndarray, roles: Roles) -> Shape3:
    """The (H, W, C) of a rank-4 order."""
    h, w, c = (order.shape[axis] for axis in roles)
    return h, w, c


def image_order(order: np.ndarray, roles: Roles) -> np.ndarray:
    """Flat memory indices in (H, W, C) order of a rank-4 order."""
    return order.transpose(0, *roles).reshape(-1)


def file_order(shape: Shape3, roles: Roles) -> np.ndarray:
    """The rank-4 order of a tensor that lies in memory exactly as (H, W, C)."""
    check_size(shape)
    memory = np.arange(math.prod(shape), dtype=np.int64).reshape(1, *shape)
    return memory.transpose(np.argsort((0, *roles)))


def is_image(order: np.ndarray, shape: Shape3, roles: Roles) -> bool:
    """Whether memory of `shape` already is the (H, W, C) of these roles."""
    if image_shape(order, roles) != shape:
        return False
    return in_order(image_order(order, roles))


def find_roles(order: np.ndarray, shape: Shape3, channel: int | None = None) -> Roles:
    """The roles under which memory needs no move, else the first possible ones.

    Parameters
    ----------
    order : rank-4 order
    shape : the memory's (H, W, C)
    channel : int or None
        The axis that must be C; None for any.
    """
    candidates = list(_with_channel(channel))
    return next((roles for roles in candidates if is_image(order, shape, roles)), candidates[0])


def _with_channel(channel: int | None) -> Iterator[Roles]:
    return (roles for roles in _ALL if channel is None or roles[2] == channel)
