"""Folded inputs: blocks of pixels as channels of one pixel, so that few channels fill the array.

An image of one or three channels fills as many of the array's rows, and leaves the others idle.
Where the only reader of an input is a convolution or a matrix product, the host may lay blocks
of neighbouring pixels side by side in one word (space to depth). Blocks may overlap, so that
more windows lie in a single one. The convolution becomes a few of them, one for every *phase*:
results whose windows lie alike in their blocks. They compute the same sums of the same products.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from operator import le

import numpy as np

from weft.compiler.network import Conv2D, FullyConnected, Network, Node, Tensor
from weft.hw.config import Config

#: Cycles that an instruction costs beside its steps, roughly: its fetch. Phases are not free.
_INSTRUCTION = 26

#: Cycles that count for a word of the folded image: of two folds the smaller is better.
_WORD = 1 / 8

#: Words of a block, unless it is what a stride steps over.
_MOST_WORDS = 2

#: How much larger than the image the folded one may be: the host loads it.
_MOST_GROWTH = 2

#: More phases than this are not worth their instructions.
_MOST_PHASES = 16


@dataclass(frozen=True)
class Fold:
    """How an image lies in blocks: pairs for (y, x).

    Of its `count` pixels, pixel Y holds the pixels ``Y * step - before + i`` of the image, with i
    from 0 to ``size - 1``, and likewise X: channel ``(i * size[1] + j) * C + c`` of it is channel
    c. What lies outside the image has the code of its real zero.
    """

    size: tuple[int, int]
    step: tuple[int, int]
    before: tuple[int, int]
    count: tuple[int, int]

    def shape(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """Shape (H, W, C) of a folded image of that shape."""
        return *self.count, shape[2] * math.prod(self.size)

    def apply(self, codes: np.ndarray, fill: int) -> np.ndarray:
        """Fold an image: int8 arrays (H, W, C)."""
        places = [
            np.arange(count)[:, None] * step + np.arange(size)
            for count, step, size in zip(self.count, self.step, self.size, strict=True)
        ]
        ends = [int(place[-1, -1]) + 1 for place in places]
        whole = np.full((*ends, codes.shape[2]), fill, np.int8)
        top, left = self.before
        # A last block may end before the image does: strides skip what is behind it.
        part = whole[top : top + codes.shape[0], left : left + codes.shape[1]]
        part[...] = codes[: part.shape[0], : part.shape[1]]
        blocks = whole[places[0][:, None, :, None], places[1][None, :, None, :]]
        return blocks.reshape(*self.count, -1)


@dataclass(frozen=True, eq=False)
class Phase:
    """Results whose windows lie alike in their blocks, as a convolution of the folded image.

    Parameters
    ----------
    first, every : (int, int)
        The first of these results, and how far the next one is.
    count : (int, int)
    origin, stride, dilation : (int, int)
        In the folded image.
    kernel : int64 array, shape (kh, kw, folded channels, outputs)
    """

    first: tuple[int, int]
    every: tuple[int, int]
    count: tuple[int, int]
    origin: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    kernel: np.ndarray


@dataclass(frozen=True)
class Windows:
    """Where the windows of a layer lie in its image: pairs for (y, x)."""

    size: tuple[int, int]
    stride: tuple[int, int]
    before: tuple[int, int]
    count: tuple[int, int]


def input_folds(network: Network, config: Config) -> dict[str, Fold]:
    """Folds of input tensors, where they pay."""
    kept = {port.tensor for port in network.outputs}
    result = {}
    for port in network.inputs:
        readers = [node for node in network.nodes if port.tensor in node.inputs]
        if len(readers) != 1 or port.tensor in kept:
            continue
        tensor, node = network.tensors[port.tensor], readers[0]
        windows = windows_of(tensor, node, network.tensors[node.output])
        if windows is not None:
            made = network.tensors[node.output].shape
            room = _room(network, node, config) - _words(made, config)
            fold = best_fold(tensor.shape, windows, made[2], config, room)
            if fold is not None:
                result[port.tensor] = fold
    return result


def _room(network: Network, node: Node, config: Config) -> int:
    """Words that the other layers need at least: so many the memory has in any case."""
    tensors = network.tensors
    return max(
        (
            sum(_words(tensors[name].shape, config) for name in {*other.inputs, other.output})
            for other in network.nodes
            if other is not node
        ),
        default=0,
    )


def _words(shape: tuple[int, int, int], config: Config) -> int:
    return shape[0] * shape[1] * -(-shape[2] // config.rows)


def windows_of(tensor: Tensor, node, made: Tensor) -> Windows | None:
    """The windows of a layer that may read a folded image; None if it cannot."""
    if isinstance(node, FullyConnected):
        return Windows(tensor.shape[:2], (1, 1), (0, 0), (1, 1))
    if isinstance(node, Conv2D) and node.groups == 1 and node.dilation == (1, 1):
        return Windows(node.weights.shape[1:3], node.stride, node.padding[:2], made.shape[:2])
    return None


def best_fold(
    shape: tuple[int, int, int], windows: Windows, outputs: int, config: Config, room: int = 0
) -> Fold | None:
    """The fold with which a layer takes the fewest cycles; None if that is without one.

    Parameters
    ----------
    shape : (H, W, C)
    windows : Windows
    outputs : int
        Its channels.
    config : Config
    room : int
        Words that blocks of several words may take in all.
    """
    tiles = -(-outputs // config.columns)
    plain_words = -(-shape[2] // config.rows)
    steps = max(math.prod(windows.size) * plain_words, config.groups)
    best: tuple[_Axis, _Axis] | None = None
    least: float = math.prod(windows.count) * steps * tiles + _INSTRUCTION
    least += _words(shape, config) * _WORD
    plain = _words(shape, config)
    room = min(room, _MOST_GROWTH * plain)
    most = max(_MOST_WORDS * config.rows // shape[2], math.prod(windows.stride))
    for y, x in product(*(_axes(windows, axis, shape[axis], most) for axis in (0, 1))):
        held = shape[2] * y.size * x.size
        whole = (y.size, x.size) == windows.stride
        if held > _MOST_WORDS * config.rows and not whole:
            continue
        words = -(-held // config.rows)
        # Blocks of several words hold most pixels more than once.
        if y.count * x.count * words > (room if words > 1 and not whole else plain):
            continue
        phase_count = len(y.taps) * len(x.taps)
        if phase_count > _MOST_PHASES or y.reads * x.reads * words * tiles >= least:
            continue
        cycles: float = sum(
            n * m * max(a * b * words, config.groups) for (n, a), (m, b) in product(y.taps, x.taps)
        )
        cycles = cycles * tiles + phase_count * _INSTRUCTION
        cycles += y.count * x.count * words * _WORD
        if cycles < least:
            best, least = (y, x), cycles
    if best is None:
        return None
    y, x = best
    return Fold((y.size, x.size), (y.step, x.step), (y.before, x.before), (y.count, x.count))


@dataclass(frozen=True)
class _Axis:
    """A fold along one axis, and for each of its phases (results, blocks of a window)."""

    size: int
    step: int
    before: int
    count: int
    taps: tuple[tuple[int, int], ...]

    @property
    def reads(self) -> int:
        """Blocks that all results take together."""
        return sum(results * taken for results, taken in self.taps)


@lru_cache(maxsize=64)
def _axes(windows: Windows, axis: int, length: int, most: int) -> tuple[_Axis, ...]:
    """Folds along an axis, of at most `most` pixels, none of them worse than another."""
    found: list[_Axis] = []
    stride, results = windows.stride[axis], windows.count[axis]
    # A block of more pixels than all phases look at helps nobody.
    most = min(most, length, windows.size[axis] + _MOST_PHASES * stride)
    for size in range(1, most + 1):
        axes = []
        for step in range(1, size + 1):
            if min(step // math.gcd(step, stride), results) > _MOST_PHASES:
                continue
            # Blocks before the first one hold nothing of the image, or no window takes them.
            for before in range(min(size - step, windows.before[axis]), size):
                if before >= size - step or before >= windows.before[axis]:
                    axes.append(_axis(windows, axis, length, (size, step, before)))
        found += _best(axes)
    return tuple(found)


def _best(axes: list[_Axis]) -> Iterator[_Axis]:
    """Those that no other one equals in reads, in phases and in blocks, or beats."""
    kept: list[tuple[int, int, int]] = []
    for axis in sorted(axes, key=_costs):
        costs = _costs(axis)
        if not any(all(map(le, other, costs)) for other in kept):
            kept.append(costs)
            yield axis


def _costs(axis: _Axis) -> tuple[int, int, int]:
    return axis.reads, len(axis.taps), axis.count


def _axis(windows: Windows, axis: int, length: int, fold: tuple[int, int, int]) -> _Axis:
    """The fold (size, step, before), with the blocks that hold something which a window takes."""
    size, step, before = fold
    taps = []
    last = 0
    for first, results, _ in _phases(windows, axis, step, before):
        taken = reach(size, step, first % step, windows.size[axis])
        taps.append((results, taken))
        apart = windows.stride[axis] // math.gcd(step, windows.stride[axis])
        end = first // step + (results - 1) * apart + (taken - 1) * (size // step)
        last = max(last, end)
    return _Axis(size, step, before, min(last + 1, -(-(length + before) // step)), tuple(taps))


def _phases(windows: Windows, axis: int, step: int, before: int) -> Iterator[tuple[int, int, int]]:
    """For every phase where its first window begins, how many results it has, and its number."""
    stride, count = windows.stride[axis], windows.count[axis]
    period = step // math.gcd(step, stride)
    for phase in range(min(period, count)):
        first = phase * stride - windows.before[axis] + before
        yield first, -(-(count - phase) // period), phase


def reach(size: int, step: int, offset: int, window: int) -> int:
    """Blocks, `size` // `step` apart, that a window takes which begins `offset` into one."""
    apart = size // step * step
    return 1 + max(0, -(-(offset + window - size) // apart))


def phases(fold: Fold, windows: Windows, kernel: np.ndarray) -> Iterator[Phase]:
    """The convolutions of a folded image that together are one.

    Parameters
    ----------
    kernel : int64 array, shape (kh, kw, inputs, outputs)
    """
    along = [list(_phases(windows, axis, fold.step[axis], fold.before[axis])) for axis in (0, 1)]
    (step_y, step_x), (stride_y, stride_x) = fold.step, windows.stride
    common_y, common_x = math.gcd(step_y, stride_y), math.gcd(step_x, stride_x)
    for (y, rows, first_y), (x, columns, first_x) in product(*along):
        yield Phase(
            first=(first_y, first_x),
            every=(step_y // common_y, step_x // common_x),
            count=(rows, columns),
            origin=(y // step_y, x // step_x),
            stride=(stride_y // common_y, stride_x // common_x),
            dilation=(fold.size[0] // step_y, fold.size[1] // step_x),
            kernel=_folded_kernel(fold, kernel, (y % step_y, x % step_x)),
        )


def _folded_kernel(fold: Fold, kernel: np.ndarray, offset: tuple[int, int]) -> np.ndarray:
    """The kernel over blocks, of a window that begins at `offset` in its first block."""
    window, (inputs, outputs) = kernel.shape[:2], kernel.shape[2:]
    taps, blocks, inside = [], [], []
    for axis in (0, 1):
        size, step = fold.size[axis], fold.step[axis]
        apart = size // step * step
        at = np.arange(window[axis]) + offset[axis]
        # The first of the blocks that hold a pixel.
        block = np.maximum(0, -(-(at - size + 1) // apart))
        taps.append(reach(size, step, offset[axis], window[axis]))
        blocks.append(block)
        inside.append(at - block * apart)
    result = np.zeros((*taps, *fold.size, inputs, outputs), np.int64)
    result[blocks[0][:, None], blocks[1], inside[0][:, None], inside[1]] = kernel
    return result.reshape(*taps, math.prod(fold.size) * inputs, outputs)
