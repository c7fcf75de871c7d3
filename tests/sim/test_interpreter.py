"""The interpreter against the instruction set's own words: the seven loops, spelled out."""

from dataclasses import replace

import numpy as np
import pytest
from random_networks import random_inputs, random_network, single_operator

from weft.compiler.compile import compile_network, fit
from weft.compiler.network import Network, Port, Tensor
from weft.compiler.program import Placement, Program
from weft.hw.config import Config, Space
from weft.hw.isa import DIGIT_BITS, LOOPS, Instruction, encode
from weft.sim import interpreter


class Spelled:
    """One instruction, step by step, as `weft.hw.isa` writes it down."""

    def __init__(self, ins: Instruction, program: Program, activation: np.ndarray):
        self.ins, self.config, self.activation = ins, program.config, activation
        self.before = activation.copy()
        rows, columns = self.config.rows, self.config.columns
        self.tiles = program.images[Space.WEIGHT].view(np.int8).reshape(-1, rows, columns)
        self.parameters = program.images[Space.PARAMETER].view("<i4").reshape(-1, 2).tolist()
        self.tables = program.images.get(Space.TABLE, np.zeros((0, 1), np.uint8)).view(np.int8)
        self.wrap = 1 << (self.config.activation_depth - 1).bit_length()
        self.source, self.weight = ins.source, ins.weight
        # Groups go to consecutive lane groups: count them from the memory's first.
        self.lane_groups = self.config.rows // self.config.lanes
        self.group = ins.target * self.lane_groups + ins.target_group
        self.groups = 2 if ins.pair else self.config.groups
        self.sharing = self.config.tiles_per_word // (2 if ins.pair else 1)

    def run(self) -> None:
        ins = self.ins
        for tile in range(ins.last_tile + 1):
            first = self.weight
            totals = (
                self.pairs(tile) if ins.pair
                else self.windows(tile) if ins.window
                else self.pixels(tile)
            )  # fmt: skip
            for (oy, ox), total in totals.items():
                self.store(tile, oy * ins.target_oy + ox * ins.target_ox, total)
            self.group += self.groups
            if ins.hold_tiles:
                self.weight = first

    def word(self, y: int, x: int) -> np.ndarray:
        ins = self.ins
        inside = 0 <= y < ins.height and 0 <= x < ins.width
        word = self.before[self.source % self.wrap] if inside else ins.fill
        return np.broadcast_to(word, self.config.rows).astype(np.int64)

    def move(self, **index) -> None:
        """The innermost loop that still has turns to go moves."""
        for loop in LOOPS:
            if index[loop] < getattr(self.ins, f"last_{loop}"):
                self.source += getattr(self.ins, f"source_{loop}")
                if loop == "tile" and self.ins.share:
                    self.source += (index["tile"] + 1) % self.sharing == 0
                return

    def pixels(self, tile: int) -> dict:
        ins, first, totals = self.ins, self.weight, {}
        for oy, ox in np.ndindex(ins.last_oy + 1, ins.last_ox + 1):
            total, sums, self.weight = 0, [], first
            for digit in range(ins.last_digit + 1):
                total, digit_weight = total << DIGIT_BITS, self.weight
                for ky, kx in np.ndindex(ins.last_ky + 1, ins.last_kx + 1):
                    self.weight = digit_weight if ins.hold_taps else self.weight
                    for block in range(ins.last_block + 1):
                        y = ins.origin_y + oy * ins.stride_y + ky * ins.step_y
                        x = ins.origin_x + ox * ins.stride_x + kx * ins.step_x
                        sums.append(self.word(y, x) @ self.tiles[self.weight])
                        total = total + sums[-1]
                        self.weight += 1
                        self.move(block=block, kx=kx, ky=ky, digit=digit, ox=ox, oy=oy, tile=tile)
            totals[oy, ox] = np.max(sums, axis=0) if ins.peak else total
        return totals

    def windows(self, tile: int) -> dict:
        ins, columns, totals = self.ins, self.config.columns, {}
        span = self.config.rows // self.config.window
        part = tile % self.config.tiles_per_word * columns
        image = np.zeros((ins.last_oy + 1, ins.last_ox + 1, columns), np.int64)
        for y, x in np.ndindex(image.shape[:2]):
            image[y, x] = self.word(ins.origin_y + y, ins.origin_x + x)[part : part + columns]
            self.move(block=0, kx=0, ky=0, digit=0, ox=x, oy=y, tile=tile)
            (oy, rest_y), (ox, rest_x) = (
                divmod(y - ins.skip_y, ins.every_y + 1), divmod(x - ins.skip_x, ins.every_x + 1)
            )  # fmt: skip
            if oy < 0 or ox < 0 or rest_y or rest_x:
                continue
            totals[oy, ox] = np.zeros(columns, np.int64)
            for line, tap in np.ndindex(self.config.window, span):
                weights = self.tiles[self.weight, line * span + tap]
                if y >= line and x >= tap:
                    totals[oy, ox] += image[y - line, x - tap] * weights
                else:
                    assert not weights.any()
        self.weight += 1
        return totals

    def pairs(self, tile: int) -> dict:
        """Total n is made of what entered in the steps before it."""
        ins, columns, config = self.ins, self.config.columns, self.config
        part = tile % self.sharing * 2 * columns
        halves, entry, lines, totals = np.zeros((0, 2, columns), np.int64), [], [], {}
        first = self.weight
        for oy, ox in np.ndindex(ins.last_oy + 1, ins.last_ox + 1):
            self.weight = first
            found = []
            for kx in range(2):
                self.weight = first if ins.hold_taps else self.weight
                x = ins.origin_x + ox * ins.stride_x + kx * ins.step_x
                word = self.word(ins.origin_y + oy * ins.stride_y, x)[part : part + 2 * columns]
                self.move(block=0, kx=kx, ky=0, digit=0, ox=ox, oy=oy, tile=tile)
                halves = np.concatenate([halves, word.reshape(1, 2, columns)])
                before = halves[-2, 1] if len(halves) > 1 else None
                entry.append(halves[-1, 0] if kx else before)
                lines.append(before if kx else halves[-1, 0])
                total = np.zeros(columns, np.int64)
                for line, tap in np.ndindex(config.window, config.span):
                    weights = self.tiles[self.weight, line * config.span + tap]
                    ago = 2 * line + tap
                    stream = lines if line else entry
                    if ox >= ins.skip_x and weights.any():
                        total += stream[len(stream) - 1 - ago] * weights
                found.append(total)
                self.weight += 1
            if ox >= ins.skip_x:
                totals[oy, ox - ins.skip_x] = np.concatenate(found)
        return totals

    def store(self, tile: int, pixel: int, total: np.ndarray) -> None:
        ins, lanes = self.ins, self.config.lanes
        for column in range(self.groups * lanes):
            group, lane = divmod(column, lanes)
            if tile == ins.last_tile and group > ins.last_group:
                continue
            row = ins.parameter + tile * self.groups + group
            bias, shift = self.parameters[row * lanes + lane]
            value = int(total[column]) + bias
            value = (abs(value) + ((1 << shift) >> 1) >> shift) * (1 if value >= 0 else -1)
            code = min(max(value + ins.zero_point, ins.low), ins.high)
            if ins.table:
                code = int(self.tables[256 * (ins.table - 1) + code + 128, 0])
            word, place = divmod(self.group + group, self.lane_groups)
            self.activation[(pixel + word) % self.wrap, place * lanes + lane] = code


def random_array(rng) -> Config:
    lanes, window = (int(n) for n in rng.integers([1, 0], [3, 3]))
    columns = lanes * int(rng.integers(1, 4))
    rows = lanes * int(rng.integers(1, 4))
    if window:
        rows = columns * int(rng.integers(6 // columns + 1, 8))
    return Config(rows=rows, columns=columns, lanes=lanes, window=window)


@pytest.mark.parametrize("seed", range(0, 60, 10))
def test_random_programs(seed):
    """Instruction by instruction, the whole activation memory."""
    for number in range(seed, seed + 10):
        rng = np.random.default_rng(number)
        network = random_network(rng, size=500, max_nodes=4, max_side=4)
        array = random_array(rng)
        program = compile_network(network, fit(network, array))
        machine = interpreter.Machine(program)
        machine.activation[:] = rng.integers(-128, 128, machine.activation.shape)
        expected = machine.activation.copy()
        for ins in program.instructions:
            Spelled(ins, program, expected).run()
            machine._execute(ins)
            np.testing.assert_array_equal(machine.activation, expected, str(ins))


@pytest.mark.parametrize("seed", range(4))
def test_sums_of_two_tensors(seed):
    """The same on arrays that take words of two tensors in turns."""
    print("seed", seed)
    seen = 0
    for number in range(20):
        rng = np.random.default_rng([seed, number])
        network = single_operator(rng, "Add", size=2000)
        columns = int(rng.integers(1, 4))
        config = Config(rows=12 * columns, columns=columns, window=3, pairs=1)
        program = compile_network(network, fit(network, config))
        machine = interpreter.Machine(program)
        machine.activation[:] = rng.integers(-128, 128, machine.activation.shape)
        expected = machine.activation.copy()
        for ins in program.instructions:
            Spelled(ins, program, expected).run()
            machine._execute(ins)
            np.testing.assert_array_equal(machine.activation, expected, str(ins))
            seen += ins.pair
    assert seen


def single(ins: Instruction, config: Config, weights, bias=0, shift=0) -> Program:
    """A program of one instruction; tensor a is the first word, b the second."""
    parameters = np.zeros((config.groups, config.lanes, 2), "<i4")
    parameters[..., 0], parameters[..., 1] = bias, shift
    network = Network("n", {n: Tensor(n, (1, 1, config.rows), 1.0) for n in "ab"})
    ports = [Port(n, n, (1, 1, config.rows), "int8") for n in "ab"]
    network.inputs, network.outputs = ports[:1], ports[1:]
    images = {
        Space.PROGRAM: encode(ins, config).astype("<u4").reshape(-1, 1).view(np.uint8),
        Space.WEIGHT: np.array(weights, np.int8).reshape(-1, config.multipliers).view(np.uint8),
        Space.PARAMETER: parameters.reshape(config.groups, -1).view(np.uint8),
    }
    placements = {n: Placement(i, 1, 1, config.rows, 1) for i, n in enumerate("ab")}
    return Program(config, network, images, placements)


CONFIG = Config(rows=2, columns=2, activation_depth=4, accumulator_bits=16)
IDENTITY = [[1, 0], [0, 1]]


def result(program, codes):
    inputs = {"a": np.array(codes, np.int8).reshape(-1, 1, 1, 2)}
    return interpreter.run(program, inputs).outputs["b"].reshape(-1, 2).tolist()


def test_rounding_is_away_from_zero():
    program = single(Instruction(target=1, end=1), CONFIG, IDENTITY, shift=1)
    assert result(program, [[1, -1], [3, -3], [127, -128]]) == [[1, -1], [2, -2], [64, -64]]


def test_zero_point_and_clamp():
    ins = Instruction(target=1, end=1, zero_point=10, low=0, high=100)
    assert result(single(ins, CONFIG, IDENTITY), [[-10, -11], [90, 91]]) == [[0, 0], [100, 100]]


def test_digits():
    ins = Instruction(target=1, end=1, last_digit=1)
    program = single(ins, CONFIG, [[[1, 0], [0, 0]], [[-28, 0], [0, 1]]], shift=1)
    assert result(program, [[1, 5], [-1, -5]]) == [[50, 3], [-50, -3]]


def test_addresses_wrap_at_a_power_of_two():
    """A step of 3 in a memory of 3 words, whose addresses count to 4, is one back."""
    config = replace(CONFIG, activation_depth=3)
    ins = Instruction(last_ox=1, target=2, target_ox=3, end=1)
    assert result(single(ins, config, IDENTITY), [[5, -7]]) == [[5, -7]]


def test_fill_outside_the_image():
    ins = Instruction(target=1, end=1, origin_x=-1, fill=-7)
    assert result(single(ins, CONFIG, IDENTITY), [[1, 2]]) == [[-7, -7]]


@pytest.mark.parametrize(
    ("bias", "code", "fits"),
    [(32767 - 127, 127, True), (32768 - 127, 127, False), (-32768 + 128, -128, True),
     (-32769 + 128, -128, False)],
)  # fmt: skip
def test_a_sum_beyond_the_accumulator_is_an_error(bias, code, fits):
    program = single(Instruction(target=1, end=1), CONFIG, IDENTITY, bias=bias, shift=15)
    if fits:
        result(program, [[code, 0]])
        return
    with pytest.raises(OverflowError, match="a sum does not fit 16 bits"):
        result(program, [[code, 0]])


def test_a_program_without_end():
    program = single(Instruction(target=1), CONFIG, IDENTITY)
    with pytest.raises(ValueError, match="the program has no end"):
        result(program, [[1, 2]])


@pytest.mark.parametrize("seed", range(5))
def test_samples_do_not_depend_on_each_other(seed):
    rng = np.random.default_rng(seed)
    network = random_network(rng, size=1000)
    program = compile_network(network, fit(network, Config(rows=4, columns=4)))
    inputs = random_inputs(rng, network, 4)
    together = interpreter.run(program, inputs).outputs
    for sample in range(4):
        alone = interpreter.run(program, {n: x[sample : sample + 1] for n, x in inputs.items()})
        for name, codes in alone.outputs.items():
            np.testing.assert_array_equal(codes[0], together[name][sample])
