"""Scheduling: sweeps of passes, placed in memory, as instructions with their weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from weft.compiler.copies import CopyPlan
from weft.compiler.passes import Pair, Pass
from weft.compiler.program import Placement
from weft.compiler.sweeps import Sweep, sweeps
from weft.hw.config import MULTIPLIER_BITS, Config
from weft.hw.isa import PAIR_LEAD, Instruction, bits, instruction_words

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
    parameters : list of tuples of int64 arrays of `lanes`
        Bias, multiplier where the configuration has one, and shift.
    tables : list of int8 array of 256
    copied : list of int8 array, shape (rows, columns)
        Tiles in the program memory, behind the instructions.
    """

    config: Config
    instructions: list[Instruction] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    new_tiles: list[int] = field(default_factory=list)
    weights: list[np.ndarray] = field(default_factory=list)
    parameters: list[tuple[np.ndarray, ...]] = field(default_factory=list)
    tables: list[np.ndarray] = field(default_factory=list)
    copied: list[np.ndarray] = field(default_factory=list)
    _known: dict[bytes, int] = field(default_factory=dict)

    def add(self, step: Pass, placements: Mapping[str, Placement]) -> None:
        """Appends the instructions of a pass."""
        for sweep in sweeps(step, self.config):
            self._add_sweep(step, sweep, placements)

    def _add_sweep(self, step: Pass, sweep: Sweep, placements: Mapping[str, Placement]) -> None:
        config = self.config
        sweep = _in_one_row(step, sweep, placements)
        before = len(self.weights)
        weights, hold_taps, hold_tiles = _shared(sweep.digits)
        stored = sweep.channels - (sweep.tiles - 1) * sweep.tile_channels(config)
        self.instructions.append(
            Instruction(
                **_source(step, sweep, placements, config),
                **_target(step, sweep, placements, config),
                fill=step.fill,
                weight=self._weights(weights),
                hold_taps=int(hold_taps),
                hold_tiles=int(hold_tiles),
                parameter=len(self.parameters),
                last_group=-(-stored // config.lanes) - 1,
                zero_point=step.zero_point,
                low=step.low,
                high=step.high,
                peak=int(step.peak),
                share=int(sweep.share),
                window=int(sweep.window),
                pair=int(sweep.pair),
                skip_y=sweep.skip[0],
                skip_x=sweep.skip[1],
                every_y=sweep.every[0],
                every_x=sweep.every[1],
                table=self._table(step.table),
                single=int(step.single),
                **_pair(step.pair, config),
            )
        )
        self.names.append(step.name)
        self.new_tiles.append(len(self.weights) - before)
        fields = (
            _padded(values[sweep.first_channel :][: sweep.channels], sweep, config)
            for values in parameters(step, config)
        )
        self.parameters.extend(zip(*fields, strict=True))

    @property
    def program_words(self) -> int:
        """32-bit words of the program memory: instructions and tiles to be copied."""
        config = self.config
        instructions = len(self.instructions) * instruction_words(config)
        return instructions + len(self.copied) * config.tile_words

    @property
    def weight_rows(self) -> int:
        """Rows of the weight memory, those to which tiles are copied included."""
        copies = (
            instruction.copy_row + instruction.copy_words // self.config.tile_words
            for instruction in self.instructions
        )
        return max(len(self.weights), *copies)

    def follow(self, plan: CopyPlan) -> None:
        """Takes over the instructions of a plan, and moves the weights to where it wants them."""
        origins = [index for index, _ in plan.origins]
        self.instructions = plan.instructions
        self.names = [self.names[index] for index in origins]
        # A layer's weights are counted with the first piece of its instruction.
        self.new_tiles = [0 if first else self.new_tiles[index] for index, first in plan.origins]
        tiles = self.weights
        self.weights = [tiles[at] for at in plan.permanent]
        self.copied = [tiles[at] for at in plan.copied]

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


def parameters(step: Pass, config: Config) -> tuple[np.ndarray, ...]:
    """What the parameter memory holds for each of a pass's channels, field by field."""
    if not config.multiplier_bits:
        return step.bias, step.shift
    if step.multiplier is None:  # a factor of exactly 1
        one = np.full(len(step.bias), 1 << config.multiplier_bits)
        return step.bias, one, -step.shift
    return step.bias, step.multiplier >> MULTIPLIER_BITS - config.multiplier_bits, -step.shift


def _pair(pair: Pair | None, config: Config) -> dict[str, int]:
    """Fields that say what is made of two activations."""
    if pair is None:
        return {}
    return {
        "elementwise": int(pair.operation),
        "zero_0": pair.zero_points[0],
        "zero_1": pair.zero_points[1],
        "factor": pair.multiplier >> MULTIPLIER_BITS - config.multiplier_bits,
        "factor_shift": pair.shift,
    }


def _in_one_row(step: Pass, sweep: Sweep, placements: Mapping[str, Placement]) -> Sweep:
    """Pairs as if the image had one row: of every row two turns have no results."""
    height, width = step.count
    whole = all(
        (placements[name].height, placements[name].width) == step.count
        for name in (*step.sources, step.target)
    )
    return replace(sweep, count=(1, height * width + PAIR_LEAD)) if sweep.pair and whole else sweep


def _source(
    step: Pass, sweep: Sweep, placements: Mapping[str, Placement], config: Config
) -> dict[str, int]:
    """Fields that say which words are read."""
    source = placements[step.sources[0]]
    row, pixel = source.width * source.blocks, source.blocks
    origin, size = step.origin, (source.height, source.width)
    if sweep.transposed:
        row, pixel = pixel, row
        origin, size = origin[::-1], size[::-1]
    stride_y, stride_x = sweep.stride
    along_y, along_x = stride_y * row, stride_x * pixel
    if step.pixel_steps is not None:
        along_y, along_x = (pixels * source.blocks for pixels in step.pixel_steps)
        stride_y = stride_x = 0
    step_y, step_x = step.dilation
    words_kx, words_digit = step_x * pixel, 0
    if len(step.sources) == 2:
        words_kx = placements[step.sources[1]].base - source.base
        step_x = 0
    if sweep.alternate:
        words_kx, words_digit = 0, words_kx
    if sweep.pair:
        size = (sweep.count[0], sweep.count[1] - PAIR_LEAD)
    digits, _, kh, kw, run = sweep.digits.shape[:5]
    turns = {
        "block": run, "kx": kw, "ky": kh, "digit": digits,
        "ox": sweep.count[1], "oy": sweep.count[0], "tile": sweep.tiles,
    }  # fmt: skip
    words = {
        "block": 1, "kx": words_kx, "ky": step_y * row, "digit": words_digit,
        "ox": along_x, "oy": along_y, "tile": sweep.tile_step,
    }  # fmt: skip
    # A loop's move takes back what the loops inside it have gone.
    wrap = _wrap(config)
    moves, gone = {}, 0
    for loop, count in turns.items():
        moves[f"source_{loop}"] = (words[loop] - gone) % wrap
        gone += (count - 1) * words[loop]
    first = source.base + origin[0] * row + origin[1] * pixel + sweep.first_block
    return {
        **{f"last_{loop}": count - 1 for loop, count in turns.items()},
        **moves,
        "source": first % wrap,
        "origin_y": origin[0],
        "origin_x": origin[1],
        "stride_y": stride_y,
        "stride_x": stride_x,
        "step_y": step_y,
        "step_x": step_x,
        "height": size[0],
        "width": size[1],
    }


def _target(
    step: Pass, sweep: Sweep, placements: Mapping[str, Placement], config: Config
) -> dict[str, int]:
    """Fields that say where results go."""
    target = placements[step.target]
    y, x = step.target_origin
    down, along = step.target_step
    word, lane = divmod(step.first_channel + sweep.first_channel, config.rows)
    wrap = _wrap(config)
    moves = (down * target.width, along)
    move_oy, move_ox = moves[::-1] if sweep.transposed else moves
    return {
        "target": (target.base + (y * target.width + x) * target.blocks + word) % wrap,
        "target_ox": move_ox * target.blocks % wrap,
        "target_oy": move_oy * target.blocks % wrap,
        "target_group": lane // config.lanes,
    }


def _wrap(config: Config) -> int:
    """Addresses of activation words count modulo this."""
    return 1 << bits(config.activation_depth)


def _shared(digits: np.ndarray) -> tuple[np.ndarray, bool, bool]:
    """Tiles to store, in the order of reading, one of each where all taps or all tiles agree."""
    tiles = digits.swapaxes(0, 1)
    hold_taps = tiles.shape[2] * tiles.shape[3] > 1 and (tiles == tiles[:, :, :1, :1]).all()
    tiles = tiles[:, :, :1, :1] if hold_taps else tiles
    hold_tiles = len(tiles) > 1 and (tiles == tiles[:1]).all()
    return (tiles[:1] if hold_tiles else tiles), bool(hold_taps), bool(hold_tiles)


def _padded(values: np.ndarray, sweep: Sweep, config: Config) -> np.ndarray:
    """One value per result channel of every tile, in rows of `lanes`."""
    result = np.zeros(sweep.tiles * sweep.tile_channels(config), np.int64)
    result[: len(values)] = values
    return result.reshape(-1, config.lanes)
