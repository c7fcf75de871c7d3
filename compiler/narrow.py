"""Multipliers of fewer bits than a model's own: cheaper, and no longer its arithmetic."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from weft.compiler.network import Network, Scaling
from weft.hw.config import MULTIPLIER_BITS


def narrow_multipliers(network: Network, bits: int) -> Network:
    """The network with every multiplier rounded to its `bits` most significant bits.

    What it computes differs from the model it was made of; all engines agree on it.
    """
    if bits >= MULTIPLIER_BITS:
        return network
    nodes = []
    for node in network.nodes:
        changes: dict[str, Any] = {}
        requantize = getattr(node, "requantize", None)
        if requantize is not None:
            changes["requantize"] = _narrow(requantize, bits)
        scalings = getattr(node, "scalings", None)
        if scalings is not None:
            changes["scalings"] = tuple(_narrow(scaling, bits) for scaling in scalings)
        nodes.append(replace(node, **changes))
    return replace(network, nodes=nodes)


def _narrow(scaling: Scaling, bits: int) -> Scaling:
    if scaling.multiplier is None:
        return scaling
    unit = 1 << MULTIPLIER_BITS - bits
    multiplier = (np.asarray(scaling.multiplier, np.int64) + unit // 2) // unit * unit
    carried = multiplier >> MULTIPLIER_BITS
    return replace(
        scaling,
        multiplier=(multiplier >> carried).astype(np.int32),
        shift=np.asarray(scaling.shift + carried, np.int32),
    )
