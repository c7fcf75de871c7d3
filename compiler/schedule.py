"""Scheduling: passes, placed in memory, as instructions with their tiles of weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from weft.compiler.passes import Pass
from weft.compiler.program import Placement
from weft.hw.config import Config
from weft.hw.isa import DIGIT_BITS, Instruction

#: Digits that the instruction set can count.
MAX_DIGITS = 4


@dataclass
class Schedule:
    """Instructions and memory rows so far; the images grow as instructions are added.

    Attributes
    ----------
    instructions : list of Instruction
    names : list of str
        The pass each instruction belongs to.
    new_tiles : list of int
        How many tiles of weights each instruction added.
    weights : list of int8 array, shape (rows, columns)
        Tiles.
    parameters : list of (bias, shift), int64 arrays of `lanes`
    tables : list of int8 array of 256
    """

    config: Config
    instructions: list[Instruction] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    new_tiles: list[int] = field(default_factory=list)
    weights: list[np.ndarray] = field(default_factory=list)
    parameters: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)
    tables: list[np.ndarray] = field(default_factory=list)
    _known: dict[bytes, int] = field(default_factory=dict)

    def add(self, step: Pass, placements: Mapping[str, Placement]) -> None:
        """Appends the instructions of a pass."""
        for part in _split(step, self.config):
            self._add_part(step, part, placements)

    def _add_part(self, step: Pass, part: _Part, placements: Mapping[str, Placement]) -> None:
        config = self.config
        before = len(self.weights)
        kh, kw = step.kernel.shape[:2]
        source = placements[step.sources[0]]
        target = placements[step.target]
        digits = _digits(part.tiles)

        # (tiles, digits, kh, kw, run, rows, columns), one of each where all are the same.
        shared = np.stack(digits, axis=1)
        hold_taps = kh * kw > 1 and (shared == shared[:, :, :1, :1]).all()
        hold_tiles = len(shared) > 1 and (shared == shared[:1]).all()
        shared = shared[:, :, :1, :1] if hold_taps else shared
        shared = shared[:1] if hold_tiles else shared

        # Words from one turn of a loop to the next, before the inner loops are taken back.
        row, pixel = source.width * source.blocks, source.blocks
        if step.pixel_steps is None:
            along_y, along_x = step.stride[0] * row, step.stride[1] * pixel
            stride_y, stride_x = step.stride
        else:
            along_y, along_x = (pixels * source.blocks for pixels in step.pixel_steps)
            stride_y = stride_x = 0
        step_y, step_x = step.dilation
        words_kx = step_x * pixel
        if len(step.sources) == 2:
            words_kx = placements[step.sources[1]].base - source.base
            step_x = 0
        turns = {
            "block": part.run, "kx": kw, "ky": kh, "digit": len(digits),
            "ox": step.count[1], "oy": step.count[0], "tile": len(part.tiles),
        }  # fmt: skip
        words = {
            "block": 1, "kx": words_kx, "ky": step_y * row, "digit": 0,
            "ox": along_x, "oy": along_y, "tile": part.tile_step,
        }  # fmt: skip
        depth = 1 << (config.activation_depth - 1).bit_length()
        moves, inner = {}, 0
        for loop, count in turns.items():
            moves[f"source_{loop}"] = (words[loop] - inner) % depth
            inner += (count - 1) * words[loop]

        first = source.base + step.origin[0] * row + step.origin[1] * pixel + part.first_block
        place = (
            target.base
            + (step.target_origin[0] * target.width + step.target_origin[1]) * target.blocks
        )
        word, lane = divmod(step.first_channel + part.first_channel, config.rows)
        stored = part.channels - (len(part.tiles) - 1) * config.columns
        self.instructions.append(
            Instruction(
                **{f"last_{loop}": count - 1 for loop, count in turns.items()},
                **moves,
                source=first % depth,
                origin_y=step.origin[0],
                origin_x=step.origin[1],
                stride_y=stride_y,
                stride_x=stride_x,
                step_y=step_y,
                step_x=step_x,
                height=source.height,
                width=source.width,
                fill=step.fill,
                weight=self._weights(shared),
                hold_taps=int(hold_taps),
                hold_tiles=int(hold_tiles),
                parameter=len(self.parameters),
                target=(place + word) % depth,
                target_ox=target.blocks % depth,
                target_oy=(target.width * target.blocks) % depth,
                target_group=lane // config.lanes,
                last_group=-(-stored // config.lanes) - 1,
                zero_point=step.zero_point,
                low=step.low,
                high=step.high,
                peak=int(step.peak),
                table=self._table(step.table),
            )
        )
        self.names.append(step.name)
        self.new_tiles.append(len(self.weights) - before)
        bias, shift = (
            _padded(values[part.first_channel :][: part.channels], len(part.tiles), config)
            for values in (step.bias, step.shift)
        )
        self.parameters.extend(zip(bias, shift, strict=True))

    def _weights(self, tiles: np.ndarray) -> int:
        """Address of tiles in the weight memory; equal ones are stored once."""
        key = tiles.tobytes()
        if key not in self._known:
            self._known[key] = len(self.weights)
            self.weights.extend(tiles.reshape(-1, self.config.rows, self.config.columns))
        return self._known[key]

    def _table(self, table: np.ndarray | None) -> int:
        if table is None:
            return 0
        for index, known in enumerate(self.tables):
            if np.array_equal(known, table):
                return index + 1
        self.tables.append(table)
        return len(self.tables)


@dataclass(frozen=True)
class _Part:
    """Tiles that one instruction can work through.

    `tiles`: int64 array (tiles, kh, kw, run, rows, columns). Tile t reads `run` words from
    block ``first_block + t * tile_step`` on.
    """

    first_channel: int
    channels: int
    first_block: int
    tile_step: int
    run: int
    tiles: np.ndarray


def _split(step: Pass, config: Config) -> Iterator[_Part]:
    """Groups tiles whose source words move evenly from one tile to the next."""
    rows, columns = config.rows, config.columns
    kh, kw, inputs, outputs = step.kernel.shape
    blocks = -(-inputs // rows)
    kernel = np.zeros((kh, kw, blocks * rows, outputs), np.int64)
    kernel[:, :, :inputs] = step.kernel
    kernel = kernel.reshape(kh, kw, blocks, rows, outputs)

    spans = []
    for first, channels in _tile_channels(step, config):
        tile = np.zeros((kh, kw, blocks, rows, columns), np.int64)
        tile[..., :channels] = kernel[..., first : first + channels]
        used = np.flatnonzero(tile.any(axis=(0, 1, 3, 4)))
        low, high = (int(used[0]), int(used[-1])) if len(used) else (0, 0)
        spans.append((first, channels, low, high - low + 1, tile))

    at = 0
    while at < len(spans):
        first, _, low, run, _ = spans[at]
        end, move = at + 1, 0
        while end < len(spans):
            following = spans[end]
            if end == at + 1:
                move = following[2] - low
            even = following[2] == low + (end - at) * move and following[3] == run
            if not even or spans[end - 1][1] != columns or move < 0:
                break
            end += 1
        if end == at + 1:
            move = 0
        members = spans[at:end]
        tiles = np.stack([tile[:, :, start : start + run] for _, _, start, _, tile in members])
        channels = sum(member[1] for member in members)
        yield _Part(first, channels, low, move, run, tiles)
        at = end


def _tile_channels(step: Pass, config: Config) -> Iterator[tuple[int, int]]:
    """First channel and number of channels of each tile.

    A maximum must not meet the zero sums of words that hold none of its channels: its
    tiles end where words end.
    """
    channels = step.kernel.shape[3]
    first = 0
    while first < channels:
        count = min(config.columns, channels - first)
        if step.peak:
            count = min(count, config.rows - first % config.rows)
        yield first, count
        first += count


def _digits(tiles: np.ndarray) -> list[np.ndarray]:
    """Values as digits in base 2**DIGIT_BITS, most significant first: int8 arrays."""
    base = 1 << DIGIT_BITS
    result: list[np.ndarray] = []
    while True:
        if ((tiles >= -128) & (tiles <= 127)).all():
            return [tiles.astype(np.int8), *result]
        digit = (tiles + base // 2) % base - base // 2
        result.insert(0, digit.astype(np.int8))
        tiles = (tiles - digit) >> DIGIT_BITS


def _padded(values: np.ndarray, tiles: int, config: Config) -> np.ndarray:
    """One value per column of every tile, in rows of `lanes`."""
    result = np.zeros(tiles * config.columns, np.int64)
    result[: len(values)] = values
    return result.reshape(-1, config.lanes)
