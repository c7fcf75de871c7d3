"""What lowerings of all kinds of nodes share."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from weft.compiler.fold import Fold, input_folds
from weft.compiler.network import Network, Node, Requantize, Scaling, Tensor
from weft.compiler.passes import Pass
from weft.hw.config import Config

Shape = tuple[int, int, int]


class LoweringError(Exception):
    """A node that the hardware cannot compute."""

    def __init__(self, reason: str, remedy: str):
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy


class Context:
    """The network that is lowered, for which configuration, and its tensors so far.

    Parameters
    ----------
    network : Network
    config : Config
        Memory depths do not matter.

    Attributes
    ----------
    folds : dict of name to Fold
        Inputs that the host folds: `weft.compiler.fold`.
    tensors : dict of name to Tensor
        As they lie in memory: the network's, folded ones in their folded shape, and
        temporary ones.
    """

    def __init__(self, network: Network, config: Config):
        self.network = network
        self.config = config
        self.folds: dict[str, Fold] = input_folds(network, config)
        self.tensors = dict(network.tensors)
        for name, fold in self.folds.items():
            tensor = self.tensors[name]
            self.tensors[name] = replace(tensor, shape=fold.shape(tensor.shape))

    def source(self, node: Node, index: int = 0) -> Tensor:
        """The node's input tensor."""
        return self.tensors[node.inputs[index]]

    def target(self, node: Node) -> Tensor:
        """The node's output tensor."""
        return self.tensors[node.output]

    def temporary(self, like: Tensor, name: str, shape: Shape | None = None) -> Tensor:
        """A new tensor of the same or another shape."""
        while name in self.tensors:
            name += "'"
        self.tensors[name] = replace(like, name=name, shape=shape or like.shape)
        return self.tensors[name]


def identity(channels: int) -> np.ndarray:
    """A kernel of one tap that leaves channels as they are."""
    return np.ones((1, 1, channels), np.int64)


def zeros(channels: int) -> np.ndarray:
    """A zero for every channel."""
    return np.zeros(channels, np.int64)


def too_far(shift: int) -> tuple[str, str]:
    """Reason and remedy of a shift beyond the requantizer."""
    return (
        f"it shifts by {shift}, and the requantizer by 31 at the most",
        "give its output a finer scale",
    )


def scaled(context: Context, scaling: Scaling, kernel: np.ndarray, bias: np.ndarray) -> dict:
    """What a pass needs of a scaling; a left shift without multiplier goes into the kernel."""
    shift = np.broadcast_to(np.asarray(scaling.shift, np.int64), bias.shape)
    if scaling.rounding == "shift":
        if shift.max(initial=0) > 31:
            raise LoweringError(*too_far(shift.max()))
        left = np.maximum(-shift, 0)
        return {"kernel": kernel << left, "bias": bias << left, "shift": np.maximum(shift, 0)}
    if not context.config.multiplier_bits:
        raise LoweringError(
            "its scales are not powers of two, and this configuration's requantizer only shifts",
            "use a configuration whose requantizer multiplies",
        )
    multiplier = np.broadcast_to(np.asarray(scaling.multiplier, np.int64), bias.shape)
    # Below -31 TFLite's own conversion gives up and multiplies by zero.
    multiplier = np.where(shift < -31, 0, multiplier)
    shift = np.maximum(shift, -31)
    if shift.max(initial=0) > 30:
        raise LoweringError(
            f"it multiplies by 2^{shift.max()}, and the requantizer by 2^30 at the most",
            "give its output a coarser scale",
        )
    # The hardware saturates what it shifts to the left (`weft.hw.requantize_multiplier`). TFLite's
    # own multipliers have 29 bits at the least.
    if np.any((shift > 0) & (multiplier > 0) & (multiplier < 1 << 28)):
        raise LoweringError(
            "it has a multiplier below 2^28 and a left shift, which could saturate",
            "double the multiplier until it has 31 bits, and shift less",
        )
    return {
        "kernel": kernel, "bias": bias, "shift": -shift, "multiplier": multiplier,
        "single": scaling.rounding == "single",
    }  # fmt: skip


def requantized(
    context: Context, requantize: Requantize, kernel: np.ndarray, bias: np.ndarray
) -> dict:
    """What a pass needs of a node's requantize."""
    return {
        **scaled(context, requantize, kernel, bias),
        "zero_point": requantize.zero_point, "low": requantize.low, "high": requantize.high,
    }  # fmt: skip


def copy(node: Node, source: Tensor, target: Tensor, kernel: np.ndarray | None = None) -> Pass:
    """A pass that leaves codes as they are, or moves channels by `kernel`."""
    kernel = identity(source.shape[2]) if kernel is None else kernel
    channels = kernel.shape[-1]
    return Pass(
        name=node.name, sources=(source.name,), target=target.name, kernel=kernel,
        bias=zeros(channels), shift=zeros(channels), count=target.shape[:2],
    )  # fmt: skip
