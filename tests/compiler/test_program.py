"""A program's words: what goes in at the load port and comes out at the read port."""

import numpy as np
import pytest
from random_networks import random_inputs, random_network

from weft.compiler.compile import compile_network, fit
from weft.compiler.network import Network, Port, Softmax
from weft.compiler.program import LOAD_WORD, Placement, Program
from weft.hw.config import Config, Space

ARRAYS = [(1, 1), (3, 5), (4, 4), (8, 8), (6, 9), (10, 2)]


def compiled(seed, rows, columns) -> Program:
    network = random_network(np.random.default_rng(seed), size=2500, max_side=6)
    return compile_network(network, fit(network, Config(rows=rows, columns=columns)))


def memory(config: Config, space: Space, words) -> np.ndarray:
    """Rows of a memory after load words: uint8 (depth, bytes)."""
    per_row = config.row_words(space)
    content = np.zeros((config.depth(space), per_row), "<u4")
    for word in words[words["space"] == space]:
        content[divmod(int(word["address"]), per_row)] = word["data"]
    return content.view(np.uint8)[:, : config.row_bytes(space)]


@pytest.mark.parametrize("shape", ARRAYS)
def test_load_words_fill_the_memories(shape):
    program = compiled(1, *shape)
    words = program.load_words()
    assert words.dtype == LOAD_WORD
    for space, image in program.images.items():
        loaded = memory(program.config, space, words)
        np.testing.assert_array_equal(loaded[: len(image)], image)
        # A byte row takes one load word, as its memory is no wider.
        expected = len(image) * -(-program.config.row_bytes(space) // 4)
        assert (words["space"] == space).sum() == expected


@pytest.mark.parametrize("shape", ARRAYS)
@pytest.mark.parametrize("seed", range(3))
def test_what_is_written_is_read(shape, seed):
    program = compiled(seed, *shape)
    config = program.config
    rng = np.random.default_rng(seed)
    codes = {n: x[0] for n, x in random_inputs(rng, program.network, 1).items()}
    content = memory(config, Space.ACTIVATION, program.input_words(codes))
    names = program.core_inputs
    rows = np.zeros((config.activation_depth, 4 * config.row_words(Space.ACTIVATION)), np.uint8)
    rows[:, : config.rows] = content
    rows[:, config.rows :] = rng.integers(0, 256, rows[:, config.rows :].shape)  # not looked at
    words = rows.view("<u4").reshape(-1)[program.output_addresses(names)]
    decoded = program.decode(words, names)
    assert list(decoded) == names
    for name in names:
        assert decoded[name].dtype == np.int8
        np.testing.assert_array_equal(decoded[name], codes[name])


def test_layout():
    """As `Placement` has it."""
    program = compiled(0, 4, 4)
    program.placements = {"x": Placement(base=5, height=2, width=3, channels=6, blocks=2)}
    program.network = Network("n", inputs=[Port("x", "x", (2, 3, 6), "int8")])
    x = np.arange(36, dtype=np.int8).reshape(2, 3, 6)
    words = program.input_words({"x": x})
    y, across, c = 1, 2, 5
    address = 5 + (y * 3 + across) * 2 + c // 4
    (word,) = words[words["address"] == address]
    assert word["data"] >> 8 * (c % 4) & 0xFF == x[y, across, c]
    assert sorted(words["address"]) == list(range(5, 17))


def test_digest():
    program, other = compiled(2, 4, 4), compiled(2, 4, 4)
    assert program.digest == other.digest
    assert len(program.digest) == 16
    for space, image in program.images.items():
        changed = image.copy()
        changed.flat[-1] ^= 1
        other.images = {**program.images, space: changed}
        assert other.digest != program.digest, space
    other.images = program.images
    other.config = Config(rows=4, columns=4, activation_depth=5)
    assert other.digest != program.digest


def test_instructions_end_once():
    program = compiled(3, 4, 4)
    assert [ins.end for ins in program.instructions[:-1]] == [0] * (len(program.instructions) - 1)
    assert program.instructions[-1].end == 1


def test_ports():
    ports = [Port(n, n, (1, 1, 4), "int8") for n in "abcd"]
    network = Network("n", nodes=[Softmax("s", ("b",), "c")], inputs=ports[:1], outputs=ports[2:])
    program = Program(Config(rows=4, columns=4), network, {}, {})
    assert program.core_inputs == ["a"]
    assert program.core_outputs == ["b", "d"]
    assert len(program.load_words()) == 0
