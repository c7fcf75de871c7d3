"""Passes: what the lowering makes of a network, and the scheduler turns into instructions.

A pass slides one integer kernel over one tensor (or two of the same shape) and writes
part of another. The kernel says everything: depthwise and grouped layers, pooling,
residual adds and moves are kernels with mostly zeros, and the scheduler skips the
activation words in which a tile of the kernel is zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from weft.hw.isa import Elementwise


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two activations made one value: see `weft.hw.isa`.

    Parameters
    ----------
    operation : Elementwise
    zero_points : (int, int)
    multiplier, shift : int
        Scale of the second operand of a sum, as TFLite writes it; the shift is to the right.
    """

    operation: Elementwise
    zero_points: tuple[int, int]
    multiplier: int = 0
    shift: int = 0


@dataclass(frozen=True, eq=False, kw_only=True)
class Pass:
    """One sweep of the array.

    Parameters
    ----------
    name : str
        The node it belongs to.
    sources : tuple of one or two tensor names
        Two tensors of one shape take the kernel's horizontal axis: kernel ``[:, i]`` is
        for source i, and the kernel is 1 x 1.
    target : str
    kernel : int64 array, shape (kh, kw, source channels, result channels) or (kh, kw, channels)
        Without the axis of source channels every channel meets itself alone. Values are not
        limited to 8 bits: the scheduler splits wide ones into digits.
    bias, shift : int64 arrays, shape (result channels,)
        The shift is to the right; with a multiplier it may be negative, to the left.
    multiplier : int64 array, shape (result channels,), optional
        TFLite's 31-bit multipliers; without them the result is only shifted.
    single : bool
        Round once where something is multiplied, instead of twice.
    pair : Pair, optional
        What is made of the two activations that the sum then carries, ``x1 - 256 * x0``.
    count : (rows, columns) of results
    origin : coordinates of the first window's corner in the source
    stride, dilation : (vertical, horizontal)
    pixel_steps : (int, int), optional
        Instead of `stride`: pixels of the source, in memory order, from one result to the
        next along y and along x.
    target_origin, target_step : coordinates of the first result in the target, and from one
        result to the next
    first_channel : int
        Channel of the target for result channel 0; a multiple of the requantize lanes.
    fill : int
        Code outside the source.
    zero_point, low, high : int
    peak : bool
        Maximum over the kernel's non-zero (then 1) entries instead of a sum.
    table : int8 array of 256, optional
        Applied to the clamped code.
    """

    name: str
    sources: tuple[str, ...]
    target: str
    kernel: np.ndarray
    bias: np.ndarray
    shift: np.ndarray
    count: tuple[int, int]
    origin: tuple[int, int] = (0, 0)
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    pixel_steps: tuple[int, int] | None = None
    target_origin: tuple[int, int] = (0, 0)
    target_step: tuple[int, int] = (1, 1)
    first_channel: int = 0
    fill: int = 0
    zero_point: int = 0
    low: int = -128
    high: int = 127
    peak: bool = False
    multiplier: np.ndarray | None = None
    single: bool = False
    pair: Pair | None = None
    table: np.ndarray | None = None

    @property
    def channelwise(self) -> bool:
        """Every result channel depends on the same channel of the source alone."""
        return self.kernel.ndim == 3

    def dense(self, outputs: slice, inputs: slice) -> np.ndarray:
        """Part of the kernel, shape (kh, kw, inputs, outputs)."""
        if not self.channelwise:
            return self.kernel[:, :, inputs, outputs]
        channels = np.arange(self.kernel.shape[2])
        same = channels[inputs][:, None] == channels[outputs]
        return self.kernel[:, :, None, outputs] * same

    @cached_property
    def accumulator_bits(self) -> int:
        """Width of a two's complement accumulator that no int8 input can overflow.

        Partial sums may wrap: addition modulo 2**n is exact once the final sum fits.
        """
        per_channel = self.kernel.reshape(-1, self.kernel.shape[-1])
        total, magnitude = per_channel.sum(axis=0), np.abs(per_channel).sum(axis=0)
        positive, negative = (magnitude + total) // 2, (magnitude - total) // 2
        most = 127 * positive + 128 * negative + self.bias
        least = -128 * positive - 127 * negative + self.bias
        extreme = max(int(most.max(initial=0)), -int(least.min(initial=0)) - 1, 0)
        return extreme.bit_length() + 1
