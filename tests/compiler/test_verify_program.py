"""The verifier: every way of being wrong is rejected by name, and what it lets pass runs."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from random_networks import random_inputs, random_network

from weft.compiler.compile import compile_network, fit
from weft.compiler.network import Add, Conv2D, MaxPool, Network, Port, Requantize, Tensor
from weft.compiler.program import Program
from weft.compiler.verify_program import verify
from weft.compiler.words import turns_of, words_read, words_written
from weft.errors import InputError
from weft.hw.config import Config, Space
from weft.hw.isa import LOOPS, Instruction, encode, instruction_words
from weft.sim import interpreter


def program(**changes) -> Program:
    """A convolution and a maximum on a 4 x 4 array, with room to spare."""
    shapes = {"a": (5, 5, 6), "b": (5, 5, 9), "c": (2, 2, 9)}
    weights = np.random.default_rng(0).integers(-128, 128, (9, 3, 3, 6), np.int8)
    requantize = Requantize(np.full(9, 8, np.int32))
    nodes = [
        Conv2D("conv", ("a",), "b", weights, np.zeros(9, np.int32), requantize,
               padding=(1, 1, 1, 1)),
        MaxPool("pool", ("b",), "c", (2, 2), (2, 2)),
    ]  # fmt: skip
    ports = {n: Port(n, n, s, "int8") for n, s in shapes.items()}
    network = Network(
        "net", {n: Tensor(n, s, 1.0) for n, s in shapes.items()}, nodes, [ports["a"]], [ports["c"]]
    )
    config = Config(rows=4, columns=4, lanes=2, activation_depth=200, weight_depth=100,
                    parameter_depth=40, program_depth=200, tables=3)  # fmt: skip
    return compile_network(network, replace(config, **changes))


def corrupted(index=0, **values) -> Program:
    """The program with other fields in one instruction."""
    made = program()
    instructions = made.instructions
    instructions[index] = replace(instructions[index], **values)
    return with_instructions(made, instructions)


def with_instructions(made: Program, instructions) -> Program:
    words = np.array([encode(ins, made.config) for ins in instructions], "<u4").reshape(-1, 1)
    made.images = {**made.images, Space.PROGRAM: words.view(np.uint8)}
    return made


def rejected(made: Program) -> str:
    with pytest.raises(InputError) as caught:
        verify(made)
    text = str(caught.value)
    assert text.startswith("the program is not valid: ")
    assert "\n" not in text
    return text.removeprefix("the program is not valid: ")


def test_what_was_compiled_is_valid():
    made = program()
    verify(made)
    assert [ins.last_tile for ins in made.instructions] == [2, 2]
    assert {space: len(image) for space, image in made.images.items()} == {
        Space.PROGRAM: 2 * instruction_words(made.config), Space.WEIGHT: 57, Space.PARAMETER: 12,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("index", "values", "fault"),
    [
        (0, {"weight": 4}, "instruction 0 reads weight tile 57 of 57"),
        (0, {"last_digit": 1}, "instruction 0 reads weight tile 107 of 57"),
        (0, {"last_tile": 3}, "instruction 0 reads weight tile 71 of 57"),
        (0, {"parameter": 7}, "instruction 0 reads parameter row 12 of 12"),
        (1, {"table": 1}, "instruction 1 uses table 0 of 0"),
        (1, {"table": 3}, "instruction 1 uses table 2 of 0"),
        (0, {"low": 10, "high": 9}, "instruction 0 clamps to an empty range, 10 to 9"),
        (1, {"peak": 1, "last_digit": 1, "weight": 0}, "instruction 1 takes a maximum over digits"),
        (1, {"source": 199}, "instruction 1 reads activation word 255 of 200"),
        (0, {"target": 190}, "instruction 0 writes activation word 255 of 200"),
        (0, {"source": 120}, "instruction 0 reads activation word 132 before it is written"),
        (0, {"origin_y": 2, "stride_y": 255}, "instruction 0 reaches y from 2 to 1024"),
        (0, {"height": 512 + 500, "origin_y": -20}, "too far for 1024 coordinates"),
        (0, {"end": 1}, "exactly the last instruction must be marked as the end"),
        (1, {"end": 0}, "exactly the last instruction must be marked as the end"),
        (0, {"last_ox": 511, "last_oy": 511, "last_block": 511, "hold_taps": 1},
         "steps, over 1073741824"),
    ],
)  # fmt: skip
def test_one_thing_wrong(index, values, fault):
    assert fault in rejected(corrupted(index, **values))


def test_one_word_that_nobody_wrote():
    """All others that the instruction reads are the input's."""
    made = program()
    place, first = made.placements["a"], made.instructions[0]
    word = place.base + place.words
    fault = f"instruction 0 reads activation word {word} before it is written"
    assert rejected(corrupted(source=first.source + 1)) == fault


def test_too_many_coordinates():
    made = program(activation_depth=1 << 13)
    instructions = made.instructions
    instructions[0] = replace(instructions[0], last_oy=4095, last_ky=4095, last_tile=0)
    fault = "instruction 0 visits 16777216 coordinates along y, over 4194304"
    assert fault in rejected(with_instructions(made, instructions))


def test_millions_of_steps():
    """462 million MACs in one layer, 29 million steps in one instruction."""
    shape, shapes = (112, 112, 64), {}
    for name in "ab":
        shapes[name] = Tensor(name, shape, 1.0)
    weights = np.random.default_rng(0).integers(-128, 128, (64, 3, 3, 64), np.int8)
    node = Conv2D("conv", ("a",), "b", weights, np.zeros(64, np.int32),
                  Requantize(np.full(64, 12, np.int32)), padding=(1, 1, 1, 1))  # fmt: skip
    ports = [Port(name, name, shape, "int8") for name in "ab"]
    network = Network("net", shapes, [node], ports[:1], ports[1:])
    made = compile_network(network, fit(network, Config(rows=4, columns=4)))
    (ins,) = made.instructions
    assert math.prod(getattr(ins, f"last_{loop}") + 1 for loop in LOOPS) == 28_901_376


@pytest.mark.parametrize("seed", range(20))
def test_words_read_and_written(seed):
    """The sets are those of every single step, of instructions that make no sense as well."""
    print("seed", seed)
    rng = np.random.default_rng(seed)
    plain = Config(rows=4, columns=2, lanes=2)
    pairs = Config(rows=16, columns=2, lanes=2, window=4, pairs=1)
    for number in range(20):
        config = (plain, pairs)[number % 2]
        ins = Instruction(
            **{f"last_{loop}": int(rng.integers(3)) for loop in LOOPS},
            **{f"source_{loop}": int(rng.integers(-40, 40)) for loop in LOOPS},
            **{f"stride_{axis}": int(rng.integers(4)) for axis in "yx"},
            **{f"step_{axis}": int(rng.integers(4)) for axis in "yx"},
            **{f"origin_{axis}": int(rng.integers(-3, 3)) for axis in "yx"},
            height=int(rng.integers(1, 6)), width=int(rng.integers(1, 6)),
            source=int(rng.integers(64)), target=int(rng.integers(64)),
            target_oy=int(rng.integers(40)), target_ox=int(rng.integers(40)),
            target_group=int(rng.integers(config.rows // 2)), share=int(rng.integers(2)),
            pair=int(rng.integers(2)) * config.pairs,
        )  # fmt: skip
        turns = turns_of(ins)
        # A tile of pairs has two parts of a word, and the last one here the first of them alone.
        lanes = 4 if ins.pair else 2
        tiles = config.rows // lanes
        read = set(np.flatnonzero(words_read(ins, turns, config, 64)))
        assert read == step_by_step(ins, turns, 64, tiles)
        assert set(np.flatnonzero(words_written(ins, turns, config, 64))) == {
            (ins.target + oy * ins.target_oy + ox * ins.target_ox
             + (2 * ins.target_group + lanes * tile + lane) // config.rows) % 64
            for oy in range(turns["oy"]) for ox in range(turns["ox"])
            for tile in range(turns["tile"])
            for lane in range(2 if tile == turns["tile"] - 1 else lanes)
        }  # fmt: skip


def step_by_step(ins, turns, depth, tiles_per_word) -> set[int]:
    """Words read: the source moves when a loop steps, those inside it having returned."""
    result, source = set(), ins.source
    for index in itertools.product(*(range(turns[loop]) for loop in reversed(LOOPS))):
        at = dict(zip(reversed(LOOPS), index, strict=True))
        y = ins.origin_y + at["oy"] * ins.stride_y + at["ky"] * ins.step_y
        x = ins.origin_x + at["ox"] * ins.stride_x + at["kx"] * ins.step_x
        if 0 <= y < ins.height and 0 <= x < ins.width:
            moved = at["tile"] // tiles_per_word if ins.share else 0
            result.add((source + moved) % depth)
        ends = [loop for loop in LOOPS if at[loop] + 1 < turns[loop]]
        if ends:
            source += getattr(ins, f"source_{ends[0]}")
    return result


def test_lane_and_column_groups():
    # Three groups leave one of the two bits' values unused.
    config = {"rows": 6, "columns": 6}
    made = program(**config)
    for name, fault in (
        ("last_group", "stores column group 3 of 3"),
        ("target_group", "writes lane group 3 of 3"),
    ):
        instructions = made.instructions
        instructions[0] = replace(instructions[0], **{name: 3})
        assert fault in rejected(with_instructions(program(**config), instructions))


def windowed(**parts: int) -> Program:
    """A depthwise convolution on the second path."""
    shapes = {"a": (7, 7, 5), "b": (7, 7, 5)}
    weights = np.random.default_rng(0).integers(-128, 128, (5, 3, 3, 1), np.int8)
    requantize = Requantize(np.full(5, 8, np.int32))
    node = Conv2D("conv", ("a",), "b", weights, np.zeros(5, np.int32), requantize,
                  padding=(1, 1, 1, 1), groups=5)  # fmt: skip
    ports = {n: Port(n, n, s, "int8") for n, s in shapes.items()}
    tensors = {n: Tensor(n, s, 1.0) for n, s in shapes.items()}
    network = Network("net", tensors, [node], [ports["a"]], [ports["b"]])
    parts = parts or {"rows": 12, "window": 3, "line_depth": 12}
    config = Config(columns=4, activation_depth=200, **parts)
    made = compile_network(network, config)
    assert made.instructions[0].window == 1
    return made


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"last_kx": 1}, "uses the second path with more than one step a pixel"),
        ({"last_block": 1}, "uses the second path with more than one step a pixel"),
        ({"peak": 1}, "uses the second path with more than one step a pixel"),
        ({"last_ox": 12}, "uses the second path with lines of 13 pixels"),
        ({"last_ox": 1, "skip_x": 0}, "uses the second path with lines of 2 pixels"),
        ({"window": 0}, "leaves out results on the first path"),
        ({"skip_y": 9}, "has no results"),
        ({"skip_x": 9}, "has no results"),
    ],
)
def test_second_path(values, fault):
    made = windowed()
    assert fault in rejected(with_instructions(made, [replace(made.instructions[0], **values)]))


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"last_ky": 1}, "uses the second path with other than 3 steps a pixel"),
        ({"last_kx": 1}, "uses the second path with other than 3 steps a pixel"),
        ({"peak": 1}, "uses the second path with other than 3 steps a pixel"),
        ({"window": 0}, "leaves out results on the first path"),
        ({"skip_x": 9}, "has no results"),
    ],
)
def test_second_path_with_rows_in_turns(values, fault):
    made = windowed(rows=4, window=1, interleave=3)
    assert fault in rejected(with_instructions(made, [replace(made.instructions[0], **values)]))


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"window": 0}, "takes words in turns on the first path"),
        ({"last_kx": 0}, "takes words in turns with other than two steps a pixel"),
        ({"last_ky": 1}, "takes words in turns with other than two steps a pixel"),
        ({"peak": 1}, "takes words in turns with other than two steps a pixel"),
        ({"skip_x": 1}, "has results of words that come later"),
        ({"parameter": 1}, "reads parameter row 2 of 2"),
    ],
)
def test_words_of_two_tensors_in_turns(values, fault):
    shapes = dict.fromkeys("abc", (5, 5, 8))
    requantize = Requantize(np.full(8, 1, np.int32))
    node = Add("add", ("a", "b"), "c", left=(0, 0), requantize=requantize)
    ports = {n: Port(n, n, s, "int8") for n, s in shapes.items()}
    tensors = {n: Tensor(n, s, 1.0) for n, s in shapes.items()}
    network = Network("net", tensors, [node], [ports["a"], ports["b"]], [ports["c"]])
    config = Config(rows=16, columns=4, window=3, pairs=1, activation_depth=200)
    made = compile_network(network, config)
    assert made.instructions[0].pair == 1
    assert fault in rejected(with_instructions(made, [replace(made.instructions[0], **values)]))


@pytest.mark.parametrize("shift", [-1, 32, 2**31 - 1])
def test_shift(shift):
    made = program()
    parameters = made.images[Space.PARAMETER].copy()
    parameters.view("<i4")[1, 3] = shift
    made.images = {**made.images, Space.PARAMETER: parameters}
    assert "instruction 0 shifts by" in rejected(made)


@pytest.mark.parametrize(
    ("multiplier", "shift", "fault"),
    [
        (1 << 16, 0, ""),
        ((1 << 16) + 1, 0, "instruction 0 multiplies by 65537, over 2**16"),
        (1 << 13, 1, ""),
        ((1 << 13) - 1, 1, "instruction 0 shifts left what it multiplies by less than 8192"),
        (1, 0, ""),
        (0, 30, ""),
        (1 << 16, 31, "instruction 0 shifts by"),
    ],
)
def test_multiplier(multiplier, shift, fault):
    made = program(multiplier_bits=16)
    parameters = made.images[Space.PARAMETER].copy()
    parameters.view("<i4")[1, 4:] = multiplier, shift
    made.images = {**made.images, Space.PARAMETER: parameters}
    if fault:
        assert fault in rejected(made)
    else:
        verify(made)


def test_order_of_instructions():
    made = program()
    first, second = made.instructions
    swapped = [replace(second, end=0), replace(first, end=1)]
    assert rejected(with_instructions(made, swapped)).startswith(
        "instruction 0 reads activation word"
    )


def test_no_instructions():
    made = program()
    words = instruction_words(made.config)
    fault = f"the program image holds no instructions of {words} words"
    image = made.images[Space.PROGRAM]
    for bad in (None, image[:0], image[:-1], image[:5]):
        made.images = {s: i for s, i in made.images.items() if s is not Space.PROGRAM}
        if bad is not None:
            made.images[Space.PROGRAM] = bad
        assert rejected(made) == fault


def test_second_half_is_missing():
    made = program()
    words = instruction_words(made.config)
    made.images = {**made.images, Space.PROGRAM: made.images[Space.PROGRAM][:words]}
    assert rejected(made) == "exactly the last instruction must be marked as the end"


@pytest.mark.parametrize("space", [Space.WEIGHT, Space.PARAMETER])
def test_truncated_image(space):
    made = program()
    made.images = {**made.images, space: made.images[space][:-1]}
    assert f"of {len(made.images[space])}" in rejected(made)
    made.images = {s: i for s, i in made.images.items() if s is not space}
    assert "of 0" in rejected(made)


@pytest.mark.parametrize("space", [Space.WEIGHT, Space.PARAMETER, Space.PROGRAM])
def test_wrong_rows(space):
    made = program()
    image = made.images[space]
    made.images = {**made.images, space: image[:, :-1]}
    size = image.shape[1] - 1
    assert rejected(made) == f"the {space.name.lower()} image has rows of ({size},) bytes"
    made.images = {**made.images, space: image.reshape(-1)}
    assert rejected(made) == f"the {space.name.lower()} image has rows of () bytes"


def test_image_larger_than_its_memory():
    made = program()
    made.images = {**made.images, Space.WEIGHT: np.zeros((101, 16), np.uint8)}
    assert rejected(made) == "the weight image has 101 rows and the memory 100"


def test_all_faults_at_once():
    made = corrupted(1, low=5, high=-5, table=2, source=199)
    assert rejected(made).count("; ") == 2


@pytest.mark.parametrize("name", ["a", "c"])
@pytest.mark.parametrize("values", [{"base": 190}, {"base": -1}, {"height": 300}, None])
def test_placement(name, values):
    made = program()
    place = made.placements[name]
    made.placements = {k: v for k, v in made.placements.items() if k != name}
    if values:
        made.placements[name] = replace(place, **values)
    assert rejected(made) == f"tensors {name} do not lie in the activation memory"


def test_output_that_nothing_writes():
    made = program()
    made.placements = {**made.placements, "c": replace(made.placements["c"], base=150)}
    assert rejected(made) == "output c is not written"


@pytest.mark.parametrize("seed", range(12))
def test_flipped_bits(seed):
    """A damaged program image is rejected, or it runs to its end."""
    rng = np.random.default_rng(seed)
    network = random_network(rng, size=800, max_nodes=3, max_side=5)
    array = Config(rows=6, columns=2, window=seed % 3, line_depth=16)
    made = compile_network(network, fit(network, array))
    inputs = random_inputs(rng, network, 1)
    original = made.images[Space.PROGRAM]
    accepted = 0
    for _ in range(25):
        damaged = original.copy()
        for bit in rng.integers(0, 8 * damaged.size, int(rng.integers(1, 4))):
            damaged.flat[bit // 8] ^= np.uint8(1 << bit % 8)
        made.images = {**made.images, Space.PROGRAM: damaged}
        try:
            verify(made)
        except InputError as error:
            assert str(error).startswith("the program is not valid: ")  # noqa: PT017
            continue
        accepted += 1
        try:
            interpreter.run(made, inputs)
        except OverflowError as error:  # other weights, other sums: the gateware would wrap
            assert "a sum does not fit" in str(error)  # noqa: PT017
    assert accepted > 0
