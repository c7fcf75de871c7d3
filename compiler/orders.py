"""Orders of elements: which element of a memory stands at each place of a tensor."""

from __future__ import annotations

import numpy as np

#: Numbers to compare with at a time: all at once would take as much memory as the order itself.
_BLOCK = 1 << 16


def in_order(order: np.ndarray) -> bool:
    """Whether an order, of any shape, is 0, 1, 2 and so on."""
    flat = order.reshape(-1)
    return all(
        np.array_equal(part := flat[start : start + _BLOCK], np.arange(start, start + part.size))
        for start in range(0, flat.size, _BLOCK)
    )
