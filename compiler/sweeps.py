"""Sweeps: a pass cut into what one instruction each can do, with its tiles of weights.

On the first path a tile is R input channels by C output channels of one tap; tiles join a
sweep while the words they read move on evenly. On the second path, for kernels that keep
channels apart, a tile holds all the taps of C channels, or those of one image row.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from weft.compiler.passes import Pass
from weft.compiler.sweep_pairs import fits_pairs, pair_weights
from weft.hw.config import Config
from weft.hw.isa import DIGIT_BITS, PAIR_LEAD, widths


@dataclass(frozen=True, eq=False, kw_only=True)
class Sweep:
    """What one instruction computes.

    Parameters
    ----------
    first_channel, channels : int
        Of the pass's results.
    digits : int8 array, shape (digits, tiles, kh, kw, run, rows, columns)
        Tile t reads `run` words of a pixel from block ``first_block + t * tile_step`` on, or,
        with `share`, from block ``first_block + t // tiles_per_word``.
    count, stride : (vertical, horizontal)
        Turns of the pixel loops, and how far they go in the source.
    alternate : bool
        Digits, not taps, go from the pass's first source to its second.
    transposed : bool
        Rows and columns of the image have changed places: so have the two of `count`, `stride`,
        `skip` and `every`, and the kernel's.
    window : bool
        The second path; `skip` and `every` are then as in an instruction.
    pair : bool
        Its way with words of two tensors in turns. A tile has two of a word's parts then.
    """

    first_channel: int
    channels: int
    digits: np.ndarray
    count: tuple[int, int]
    stride: tuple[int, int]
    first_block: int = 0
    tile_step: int = 0
    share: bool = False
    alternate: bool = False
    transposed: bool = False
    window: bool = False
    pair: bool = False
    skip: tuple[int, int] = (0, 0)
    every: tuple[int, int] = (0, 0)

    @property
    def tiles(self) -> int:
        """Number of tiles."""
        return self.digits.shape[1]

    def tile_channels(self, config: Config) -> int:
        """Result channels of a tile."""
        return config.columns * (2 if self.pair else 1)

    @property
    def steps(self) -> int:
        """Steps that it takes."""
        return math.prod(self.count) * math.prod(self.digits.shape[:5])


def sweeps(step: Pass, config: Config) -> Iterator[Sweep]:
    """Cuts a pass for a configuration."""
    if _fits_window(step, config):
        yield _interleaved(step, config) if config.interleave else _window(step, config)
        return
    plain = list(_first_path(step, config))
    if fits_pairs(step, config):
        pairs = _pairs(step, config)
        if pairs.steps < sum(sweep.steps for sweep in plain):
            yield pairs
            return
    yield from plain


def _first_path(step: Pass, config: Config) -> Iterator[Sweep]:
    tiles = list(_tiles(step, config))
    at = 0
    while at < len(tiles):
        even, move = _even(tiles[at:], config)
        sharing = _sharing(tiles[at:], config)
        count = max(even, sharing)
        members = tiles[at : at + count]
        planes = digits(np.stack([tile.weights for tile in members]))
        if step.pair and config.shared_elementwise and planes[:, 0, ..., 0, 0].size == 1:
            # Lanes that take turns need two steps; the first adds nothing.
            planes = np.concatenate([np.zeros_like(planes), planes])
        alternate = len(step.sources) == 2 and _alternates(planes)
        if alternate:
            planes = np.stack([planes[0, :, :, :1], planes[1, :, :, 1:]])
        yield Sweep(
            first_channel=members[0].first,
            channels=sum(tile.channels for tile in members),
            digits=planes,
            alternate=alternate,
            count=step.count,
            stride=step.stride,
            first_block=members[0].block,
            tile_step=0 if sharing > even else move,
            share=sharing > even,
        )
        at += count


@dataclass(frozen=True, eq=False)
class _Tile:
    """Result channels from `first` on; `weights` (kh, kw, run, rows, columns) from `block` on."""

    first: int
    channels: int
    block: int
    weights: np.ndarray

    @property
    def run(self) -> int:
        return self.weights.shape[2]


def _tiles(step: Pass, config: Config) -> Iterator[_Tile]:
    """Tiles of the first path, without the words in which they have only zeros."""
    rows, columns = config.rows, config.columns
    kh, kw, *_, outputs = step.kernel.shape
    inputs = step.kernel.shape[2]
    first = 0
    while first < outputs:
        channels = min(columns, outputs - first)
        if step.peak:
            # A maximum must not meet the zero sums of words that hold none of its channels:
            # its tiles end where words end.
            channels = min(channels, rows - first % rows)
        # Channelwise, the words that may be used are known.
        end = first + channels if step.channelwise else inputs
        start = first // rows * rows if step.channelwise else 0
        blocks = -(-(end - start) // rows)
        weights = np.zeros((kh, kw, blocks * rows, columns), np.int64)
        part = step.dense(slice(first, first + channels), slice(start, end))
        weights[:, :, : end - start, :channels] = part
        weights = weights.reshape(kh, kw, blocks, rows, columns)
        used = np.flatnonzero(weights.any(axis=(0, 1, 3, 4)))
        low, high = (int(used[0]), int(used[-1])) if len(used) else (0, 0)
        yield _Tile(first, channels, start // rows + low, weights[:, :, low : high + 1])
        first += channels


def _alternates(planes: np.ndarray) -> bool:
    """Whether the first digit is of the first source alone, and the second of the second."""
    return len(planes) == 2 and not planes[0, :, :, 1:].any() and not planes[1, :, :, :1].any()


def _even(tiles: Sequence[_Tile], config: Config) -> tuple[int, int]:
    """How many tiles from the first on read words at an even distance, and that distance."""
    move = tiles[1].block - tiles[0].block if len(tiles) > 1 else 0
    count = _while(tiles, config, lambda index: tiles[0].block + index * move)
    return count, move if count > 1 else 0


def _sharing(tiles: Sequence[_Tile], config: Config) -> int:
    """How many tiles from the first on share words in order, each word by as many as it can."""
    if config.tiles_per_word == 1 or tiles[0].first % config.rows:
        return 0
    return _while(tiles, config, lambda index: tiles[0].block + index // config.tiles_per_word)


def _while(tiles: Sequence[_Tile], config: Config, expected) -> int:
    count = 1
    while (
        count < len(tiles)
        and tiles[count].block == expected(count)
        and tiles[count].run == tiles[0].run
        and tiles[count - 1].channels == config.columns
    ):
        count += 1
    return count


def _fits_window(step: Pass, config: Config) -> bool:
    """Whether the second path can do it, in fewer steps than the first."""
    if not config.window or not step.channelwise or step.peak:
        return False
    if len(step.sources) > 1 or step.pixel_steps is not None:
        return False
    if config.interleave:
        return _fits_interleave(step, config)
    kh, kw, _ = step.kernel.shape
    span = config.span
    lines, pixels = _padded_image(step)
    return (
        kh <= config.window
        and kw <= span
        and max(kh, kw, *step.stride) <= 1 << widths(config)["skip_y"][0]
        and step.dilation == (1, 1)
        and 3 <= pixels <= config.line_depth
        and lines * pixels < step.count[0] * step.count[1] * kh * kw
        and step.kernel.min() >= -128
        and step.kernel.max() <= 127
    )


def _padded_image(step: Pass) -> tuple[int, int]:
    """Rows and columns of the source, padding included, that the results depend on."""
    rows, columns = (
        (count - 1) * stride + size
        for count, stride, size in zip(step.count, step.stride, step.kernel.shape[:2], strict=True)
    )
    return rows, columns


def _window(step: Pass, config: Config) -> Sweep:
    kh, kw, channels = step.kernel.shape
    span = config.span
    tiles = -(-channels // config.columns)
    weights = np.zeros((tiles * config.columns, config.rows), np.int64)
    for ky in range(kh):
        for kx in range(kw):
            # The newest line enters first, and within it the newest pixel.
            row = (kh - 1 - ky) * span + kw - 1 - kx
            weights[:channels, row] = step.kernel[ky, kx]
    weights = weights.reshape(tiles, config.columns, config.rows).swapaxes(1, 2)
    return Sweep(
        first_channel=0,
        channels=channels,
        digits=digits(weights[:, None, None, None]),
        count=_padded_image(step),
        stride=(1, 1),
        tile_step=int(config.tiles_per_word == 1),
        share=config.tiles_per_word > 1,
        window=True,
        skip=(kh - 1, kw - 1),
        every=(step.stride[0] - 1, step.stride[1] - 1),
    )


def _pairs(step: Pass, config: Config) -> Sweep:
    channels = step.kernel.shape[-1]
    tiles = -(-channels // (2 * config.columns))
    weights = np.zeros((tiles, 1, 2, 1, config.rows, config.columns), np.int8)
    weights[...] = pair_weights(step, config)
    return Sweep(
        first_channel=0,
        channels=channels,
        digits=weights[None],
        count=(step.count[0], step.count[1] + PAIR_LEAD),
        stride=step.stride,
        share=True,
        window=True,
        pair=True,
        skip=(0, PAIR_LEAD),
    )


def _fits_interleave(step: Pass, config: Config) -> bool:
    """The same where the image's rows come in turns; its longer side may lie along them."""
    kh, kw, _ = step.kernel.shape
    least = min(_interleave_cycles(step, config, transposed) for transposed in (False, True))
    return (
        max(kh, kw) <= config.interleave
        and max(kh, kw, *step.stride) <= 1 << widths(config)["skip_x"][0]
        and step.dilation == (1, 1)
        and least < step.count[0] * step.count[1] * max(kh * kw, config.groups)
        and step.kernel.min() >= -128
        and step.kernel.max() <= 127
    )


def _interleave_cycles(step: Pass, config: Config, transposed: bool) -> int:
    """Cycles for a tile. Only results need as many steps as there are groups."""
    lines, pixels = _along(step.count, transposed)
    entered = _along(_padded_image(step), transposed)[1]
    hidden = (entered - pixels) * config.interleave
    return lines * (hidden + pixels * max(config.interleave, config.groups))


def _along(pair: tuple[int, int], transposed: bool) -> tuple[int, int]:
    return pair[::-1] if transposed else pair


def _interleaved(step: Pass, config: Config) -> Sweep:
    transposed = _interleave_cycles(step, config, True) < _interleave_cycles(step, config, False)
    kernel = step.kernel.swapaxes(0, 1) if transposed else step.kernel
    kh, kw, channels = kernel.shape
    tiles = -(-channels // config.columns)
    weights = np.zeros((tiles * config.columns, config.interleave, config.rows), np.int64)
    for kx in range(kw):
        # The newest pixel meets the span's last row.
        weights[:channels, :kh, config.span - kw + kx] = kernel[:, kx].T
    weights = weights.reshape(tiles, config.columns, config.interleave, config.rows)
    stride = _along(step.stride, transposed)
    return Sweep(
        first_channel=0,
        channels=channels,
        digits=digits(weights.transpose(0, 2, 3, 1)[:, :, None, None]),
        count=(_along(step.count, transposed)[0], _along(_padded_image(step), transposed)[1]),
        stride=(stride[0], 1),
        tile_step=int(config.tiles_per_word == 1),
        share=config.tiles_per_word > 1,
        transposed=transposed,
        window=True,
        skip=(0, kw - 1),
        every=(0, stride[1] - 1),
    )


def digits(values: np.ndarray) -> np.ndarray:
    """Values as digits in base 2**DIGIT_BITS, the most significant first: int8 array.

    The first axis is new; every digit is in [-128, 127].
    """
    base = 1 << DIGIT_BITS
    result: list[np.ndarray] = []
    while values.min(initial=0) < -128 or values.max(initial=0) > 127:
        digit = (values + base // 2) % base - base // 2
        result.insert(0, digit.astype(np.int8))
        values = (values - digit) >> DIGIT_BITS
    return np.stack([values.astype(np.int8), *result])
