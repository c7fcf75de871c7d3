"""The interpreter: runs a program's memory images as the instruction set defines them.

It decodes what the gateware decodes and knows nothing of the network, so that an
error of the compiler shows here and an error of the gateware does not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from weft.compiler.program import Program
from weft.hw.config import Space
from weft.hw.isa import (
    DIGIT_BITS,
    LOOPS,
    PAIR_SHIFT,
    Elementwise,
    Instruction,
    groups_of_tile,
    results,
    tiles_of_word,
)
from weft.sim.engine import RunResult

#: Steps of an instruction that are worked on together.
_MOST_STEPS = 1 << 18


class Machine:
    """The memories of a core, and how an instruction changes them."""

    def __init__(self, program: Program):
        self.config = config = program.config
        self.activation = np.zeros((config.activation_depth, config.rows), np.int8)
        images = program.images
        weights: np.ndarray = images.get(Space.WEIGHT, np.zeros((0, config.multipliers), np.uint8))
        if config.copies:
            weights = np.pad(weights, ((0, config.weight_depth - len(weights)), (0, 0)))
        self.weight = weights.view(np.int8).reshape(-1, config.rows, config.columns)
        parameters = (
            images[Space.PARAMETER].view("<i4").reshape(-1, config.lanes, config.parameter_words)
        )
        self.parameters = parameters.astype(np.int64)
        tables = images.get(Space.TABLE, np.zeros((0, 1), np.uint8))
        self.tables = tables.view(np.int8).reshape(-1, 256)
        self.program = program.instructions
        self.words = images[Space.PROGRAM].view("<u4").reshape(-1)
        self.inputs = [program.placements[name] for name in program.core_inputs]
        self._copy: tuple[slice, np.ndarray] | None = None

    def run(self) -> None:
        """Runs the program from its first instruction to its end."""
        for instruction in self.program:
            self._execute(instruction)
            if instruction.end:
                return
        raise ValueError("the program has no end")

    def _execute(self, ins: Instruction) -> None:
        if ins.copied:
            self._end_copy()
        if ins.copy_words:
            self._start_copy(ins)
        turns = {loop: getattr(ins, f"last_{loop}") + 1 for loop in LOOPS}
        totals = self._pairs if ins.pair else self._window if ins.window else self._steps
        codes = [
            self._requantize(ins, tile, totals(ins, turns, tile)) for tile in range(turns["tile"])
        ]
        self._store(ins, np.stack(codes))
        if ins.release:
            # The next inputs may be there or not: other codes show who still reads these.
            for place in self.inputs:
                self.activation[place.base : place.base + place.words] ^= -1

    def _start_copy(self, ins: Instruction) -> None:
        """Until it is waited for, what is copied may be there or not: other weights show it."""
        if self._copy is not None:
            raise ValueError("a copy starts while another one may be under way")
        words = self.words[ins.copy_source : ins.copy_source + ins.copy_words]
        data = words.reshape(-1, self.config.tile_words).view(np.int8)
        tiles = data[:, : self.config.multipliers].reshape(-1, *self.weight.shape[1:])
        rows = slice(ins.copy_row, ins.copy_row + len(tiles))
        self._copy = rows, tiles
        self.weight[rows] = ~tiles

    def _end_copy(self) -> None:
        if self._copy is not None:
            rows, tiles = self._copy
            self.weight[rows] = tiles
            self._copy = None

    def _steps(self, ins: Instruction, turns: Mapping[str, int], tile: int) -> np.ndarray:
        """Totals (pixels, columns) of a tile, pixel by pixel on the first path."""
        config = self.config
        steps = math.prod(turns[loop] for loop in ("digit", "ky", "kx", "block"))
        weight = self.weight[_weight_index(ins, turns)[tile]].astype(np.int64)
        weight = weight.reshape(steps, config.rows, config.columns)
        digit = np.arange(steps) * turns["digit"] // steps
        scale = np.int64(1) << (DIGIT_BITS * (turns["digit"] - 1 - digit))
        totals = []
        # As many image rows at a time as memory has room for.
        together = max(1, _MOST_STEPS // (steps * turns["ox"]))
        for first in range(0, turns["oy"], together):
            rows = np.arange(first, min(first + together, turns["oy"]))
            words = self._words(ins, turns, tile, rows).reshape(-1, steps, config.rows)
            products = np.einsum("psr,src->psc", words, weight)
            if ins.peak:
                totals.append(products.max(axis=1))
            else:
                totals.append((products * scale[None, :, None]).sum(axis=1))
        return np.concatenate(totals)

    def _window(self, ins: Instruction, turns: Mapping[str, int], tile: int) -> np.ndarray:
        """Totals (pixels, columns) of a tile on the second path, taps by slices."""
        config = self.config
        span = config.span
        words = self._words(ins, turns, tile, np.arange(turns["oy"]))
        words = words.reshape(turns["oy"], turns["ox"], turns["ky"], config.rows)
        weight = self.weight[_weight_index(ins, turns)[tile]]
        weight = weight.reshape(turns["ky"], config.rows, config.columns)
        part = tile % config.tiles_per_word
        entered = words[..., part * config.columns : (part + 1) * config.columns]
        if config.interleave:
            total = np.zeros((turns["oy"], turns["ox"], config.columns), np.int64)
            for ky in range(turns["ky"]):
                for tap in range(span):
                    moved = np.roll(entered[:, :, ky], tap, axis=1)
                    total = total + moved * weight[ky, span - 1 - tap]
            return total[:, ins.skip_x :: ins.every_x + 1].reshape(-1, config.columns)
        image, weight = entered[:, :, 0], weight[0]
        total = np.zeros(image.shape, np.int64)
        for line in range(config.window):
            for tap in range(span):
                # Before the first line and tap lies whatever was there: nothing is stored
                # where a weight other than zero would meet it.
                moved = np.roll(image, (line, tap), axis=(0, 1))
                total = total + moved * weight[line * span + tap]
        shown = total[ins.skip_y :: ins.every_y + 1, ins.skip_x :: ins.every_x + 1]
        return shown.reshape(-1, config.columns)

    def _pairs(self, ins: Instruction, turns: Mapping[str, int], tile: int) -> np.ndarray:
        """Totals (pixels, 2 * columns) of a tile whose words come from two tensors in turns."""
        config = self.config
        words = self._words(ins, turns, tile, np.arange(turns["oy"])).reshape(-1, config.rows)
        weight = self.weight[_weight_index(ins, turns)[tile].reshape(-1)]
        parts = words.reshape(len(words), config.tiles_per_word, config.columns)
        part = 2 * (tile % tiles_of_word(ins, config))
        # The later part waits for a step. Before the first step lies whatever was there.
        now, later = parts[:, part], np.roll(parts[:, part + 1], 1, axis=0)
        second = np.arange(len(words))[:, None] % 2 == 1
        entry, lines = np.where(second, now, later), np.where(second, later, now)
        chosen = weight[np.arange(len(words)) % len(weight)]
        total: np.ndarray = np.zeros(entry.shape, np.int64)
        for line in range(config.window):
            for tap in range(config.span):
                moved = np.roll(lines if line else entry, 2 * line + tap, axis=0)
                total = total + moved * chosen[:, line * config.span + tap]
        pixels = total.reshape(turns["oy"], turns["ox"], 2 * config.columns)
        shown = pixels[ins.skip_y :: ins.every_y + 1, ins.skip_x :: ins.every_x + 1]
        return shown.reshape(-1, 2 * config.columns)

    def _words(
        self, ins: Instruction, turns: Mapping[str, int], tile: int, rows: np.ndarray
    ) -> np.ndarray:
        """The activation word of every step of a tile in some rows `oy`.

        Axes are the loops from ``oy`` inward, then lanes.
        """
        source, y, x = self._walk(ins, turns, tile, rows)
        inside = (y >= 0) & (y < ins.height) & (x >= 0) & (x < ins.width)
        address = source % (1 << (self.config.activation_depth - 1).bit_length())
        words = self.activation[np.where(inside, address, 0)]
        return np.where(inside[..., None], words, np.int8(ins.fill)).astype(np.int64)

    def _walk(
        self, ins: Instruction, turns: Mapping[str, int], tile: int, rows: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Source word and coordinates of these steps; axes along which y and x stay have size 1."""
        loops = [loop for loop in reversed(LOOPS) if loop != "tile"]
        turn = [rows if loop == "oy" else np.arange(turns[loop]) for loop in loops]
        index = dict(zip(loops, np.ix_(*turn), strict=True))
        index["tile"] = np.array(tile)
        # A loop's own stride: its move, and the way that the loops inside it have gone.
        source, gone = np.array(ins.source), 0
        for loop in LOOPS:
            stride = getattr(ins, f"source_{loop}") + gone
            source = source + index[loop] * stride
            gone += (turns[loop] - 1) * stride
        if ins.share:
            source = source + tile // tiles_of_word(ins, self.config)
        y = ins.origin_y + index["oy"] * ins.stride_y + index["ky"] * ins.step_y
        x = ins.origin_x + index["ox"] * ins.stride_x + index["kx"] * ins.step_x
        return source, y, x

    def _requantize(self, ins: Instruction, tile: int, total: np.ndarray) -> np.ndarray:
        config = self.config
        groups = groups_of_tile(ins, config)
        rows = slice(ins.parameter + tile * groups, ins.parameter + (tile + 1) * groups)
        fields = self.parameters[rows].reshape(-1, config.parameter_words).T
        if ins.elementwise:
            total = self._pair(ins, total)
        total = total + fields[0]
        bits = config.value_bits if ins.elementwise else config.accumulator_bits
        if (total < -(1 << bits - 1)).any() or (total >= 1 << bits - 1).any():
            raise OverflowError(f"a sum does not fit {bits} bits")
        if config.multiplier_bits:
            result = self._multiplied(ins, total, fields[1] & 0xFFFFFFFF, fields[2])
        else:
            result = _rounded(total, fields[1])
        code = np.clip(result + ins.zero_point, ins.low, ins.high).astype(np.int8)
        return self.tables[ins.table - 1][code.astype(np.int64) + 128] if ins.table else code

    def _pair(self, ins: Instruction, total: np.ndarray) -> np.ndarray:
        """What is made of the two activations in a total."""
        second = (total & 0xFF ^ 0x80) - 0x80
        first = (second - total >> PAIR_SHIFT) - ins.zero_0
        second = second - ins.zero_1
        bits = self.config.multiplier_bits
        match Elementwise(ins.elementwise):
            case Elementwise.MULTIPLY:
                return first * second
            case operation:
                product = (second << 20) * ins.factor
                scaled = _divided(product, bits, ins.factor_shift, bool(ins.single))
                return (first << 19) + (scaled if operation == Elementwise.ADD else -scaled)

    def _multiplied(
        self, ins: Instruction, total: np.ndarray, multiplier: np.ndarray, shift: np.ndarray
    ) -> np.ndarray:
        left, right = np.maximum(shift, 0), np.maximum(-shift, 0)
        value = np.clip(total << left, -(1 << 31), (1 << 31) - 1)
        return _divided(value * multiplier, self.config.multiplier_bits, right, bool(ins.single))

    def _store(self, ins: Instruction, codes: np.ndarray) -> None:
        """`codes`: (tiles, pixels, columns)."""
        config = self.config
        oy, ox = np.indices(results(ins)).reshape(2, -1)
        # target_oy leads from one row's start to the next, target_ox along the row.
        pixel = ins.target + oy * ins.target_oy + ox * ins.target_ox
        first = ins.target_group * config.lanes
        depth = 1 << (config.activation_depth - 1).bit_length()
        for tile in range(len(codes)):
            count = width = codes.shape[2]
            if tile == len(codes) - 1:
                count = (ins.last_group + 1) * config.lanes
            for column in range(count):
                word, lane = divmod(first + tile * width + column, config.rows)
                self.activation[(pixel + word) % depth, lane] = codes[tile, :, column]


def _rounded(value: np.ndarray, shift: np.ndarray | int) -> np.ndarray:
    """``round(value / 2**shift)``, ties away from zero."""
    divisor = np.int64(1) << np.asarray(shift, np.int64)
    return np.sign(value) * ((2 * np.abs(value) + divisor) // (2 * divisor))


def _divided(product: np.ndarray, bits: int, right: np.ndarray | int, single: bool) -> np.ndarray:
    """A product over ``2**(bits + right)``, rounded once upward, or upward and then away."""
    if single:
        half = np.int64(1) << np.asarray(bits - 1 + right, np.int64)
        return (product + half) >> bits + right
    return _rounded((product + (np.int64(1) << bits - 1)) >> bits, right)


def _weight_index(ins: Instruction, turns: Mapping[str, int]) -> np.ndarray:
    """The tile of weights of every step: array (tiles, digits, ky, kx, blocks)."""
    shape = [turns[loop] for loop in ("tile", "digit", "ky", "kx", "block")]
    different = [
        1 if ins.hold_tiles else shape[0],
        shape[1],
        *([1, 1] if ins.hold_taps else shape[2:4]),
        shape[4],
    ]
    index = np.arange(int(np.prod(different))).reshape(different)
    return ins.weight + np.broadcast_to(index, shape)


def run(program: Program, inputs: Mapping[str, np.ndarray]) -> RunResult:
    """Runs every sample: int8 arrays (N, H, W, C) by tensor name, in and out."""
    machine = Machine(program)
    count = program.check_inputs(inputs)
    samples = []
    for sample in range(count):
        for name in program.core_inputs:
            write_tensor(machine, program, name, inputs[name][sample])
        machine.run()
        samples.append({name: read_tensor(machine, program, name) for name in program.core_outputs})
    outputs = {name: np.stack([sample[name] for sample in samples]) for name in samples[0]}
    return RunResult(outputs)


def write_tensor(machine: Machine, program: Program, name: str, codes: np.ndarray) -> None:
    """Place a tensor (H, W, C) in the activation memory."""
    place = program.placements[name]
    words = place.pack(codes, program.config.rows)
    machine.activation[place.base : place.base + place.words] = words


def read_tensor(machine: Machine, program: Program, name: str) -> np.ndarray:
    """Return a tensor (H, W, C) as it is in the activation memory."""
    place = program.placements[name]
    words = machine.activation[place.base : place.base + place.words]
    return words.reshape(place.height, place.width, -1)[..., : place.channels].copy()
