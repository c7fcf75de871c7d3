"""The memories against arrays that are written and read as their docstrings say."""

import numpy as np
import pytest
from blocks import play
from numpy.testing import assert_array_equal

from weft.hw.bank import Bank
from weft.hw.config import Config, Space
from weft.hw.memory import ActivationMemory, ParameterMemory, WeightMemory

CYCLES = 1500
ACTIVATION = [  # rows, columns, lanes, simulator
    (8, 8, 8, "verilator"),
    (8, 4, 2, "icarus"),
    (8, 4, 2, "amaranth"),
    (6, 6, 6, "icarus"),
    (12, 4, 4, "icarus"),
    (5, 3, 1, "icarus"),
    (1, 1, 1, "icarus"),
]
WEIGHT = [
    ((4, 6, 2), "verilator"),
    ((4, 8, 4), "icarus"),
    ((4, 6, 2), "amaranth"),
    ((5, 3, 1), "icarus"),
    ((6, 3, 3), "icarus"),
    ((1, 1, 1), "icarus"),
]


def config_of(rows, columns, lanes, **depths):
    return Config(
        rows=rows,
        columns=columns,
        lanes=lanes,
        **{
            "activation_depth": 11,
            "weight_depth": 9,
            "parameter_depth": 7,
            "accumulator_bits": 27,
            **depths,
        },
    )


def image_of(rng, config, space):
    shape = (config.depth(space), config.row_bytes(space))
    return rng.integers(0, 256, shape, np.uint8)


def packed(rows):
    return [int.from_bytes(row.tobytes(), "little") for row in rows]


@pytest.mark.parametrize(("rows", "columns", "lanes", "simulator"), ACTIVATION)
@pytest.mark.parametrize("seed", range(1))
def test_activation(rows, columns, lanes, simulator, seed):
    rng = np.random.default_rng(seed)
    config = config_of(rows, columns, lanes)
    depth, words = config.activation_depth, -(-rows // 4)
    image = image_of(rng, config, Space.ACTIVATION)
    store, load = rng.random(CYCLES) < 0.4, rng.random(CYCLES) < 0.4
    load &= ~store
    row = rng.integers(0, depth, CYCLES)
    load_row = rng.integers(0, depth, CYCLES)
    group = rng.integers(0, rows // lanes, CYCLES)
    word = rng.integers(0, words, CYCLES)
    stored = rng.integers(0, 256, (CYCLES, lanes), np.uint8)
    loaded = rng.integers(0, 256, (CYCLES, 4), np.uint8)
    # Never the row that is written in the same cycle: that is undefined.
    read = (np.where(store, row, load_row) + rng.integers(1, depth, CYCLES)) % depth

    memory = image.copy()
    expected = []
    for t in range(CYCLES):
        expected.append(memory[read[t]].copy())
        if store[t]:
            memory[row[t], group[t] * lanes :][:lanes] = stored[t]
        if load[t]:
            here = memory[load_row[t], 4 * word[t] : 4 * word[t] + 4]
            here[:] = loaded[t, : len(here)]
    seen = play(
        ActivationMemory(config, image),
        {
            "store_enable": store,
            "store_address": row,
            "store_group": group,
            "store_data": packed(stored),
            "load_enable": load,
            "load_row": load_row,
            "load_word": word,
            "load_data": packed(loaded),
            "read_address": read,
        },
        simulator=simulator,
    )
    assert list(seen["read_data"][Bank.latency :]) == packed(expected)[: -Bank.latency]


def load_stimulus(rng, config, space, image):
    """Every word of an image in order of rows, with pauses, then reads of every row."""
    used = -(-image.shape[1] // 4)
    padded = np.zeros((len(image), 4 * used), np.uint8)
    padded[:, : image.shape[1]] = image
    words = padded.view("<u4").reshape(-1)
    times = np.flatnonzero(rng.random(3 * len(words)) < 0.6)[: len(words)]
    assert len(times) == len(words)
    begin = 3 * len(words) + 1
    cycles = begin + 200
    stimulus = {
        "load_enable": np.zeros(cycles, int),
        "load_row": np.zeros(cycles, int),
        "load_word": np.zeros(cycles, int),
        "load_data": rng.integers(0, 1 << 32, cycles),
        "read_address": rng.integers(0, len(image), cycles),
    }
    stimulus["load_enable"][times] = 1
    stimulus["load_row"][times] = np.repeat(np.arange(len(image)), used)
    stimulus["load_word"][times] = np.tile(np.arange(used), len(image))
    stimulus["load_data"][times] = words
    return stimulus, begin


@pytest.mark.parametrize("source", ["load", "init"])
@pytest.mark.parametrize(("shape", "simulator"), WEIGHT)
@pytest.mark.parametrize("seed", range(1))
def test_weight(shape, simulator, seed, source):
    rows, columns, lanes = shape
    rng = np.random.default_rng(seed)
    config = config_of(rows, columns, lanes)
    image = image_of(rng, config, Space.WEIGHT)
    stimulus, begin = load_stimulus(rng, config, Space.WEIGHT, image)
    if source == "init":
        stimulus = {"read_address": stimulus["read_address"]}
    memory = WeightMemory(config, image if source == "init" else None)
    seen = play(memory, stimulus, simulator=simulator)

    data = b"".join(int(value).to_bytes(rows * columns, "little") for value in seen["read_data"])
    tiles = np.frombuffer(data, np.uint8).reshape(-1, rows, columns)
    asked = stimulus["read_address"][begin:]
    expected = image.reshape(-1, rows, columns)[asked]
    count = len(asked) - Bank.latency - rows - config.groups
    aligned = np.zeros_like(expected[:count])
    for r in range(rows):
        for c in range(columns):
            late = begin + Bank.latency + r + c // lanes
            aligned[:, r, c] = tiles[late : late + count, r, c]
    assert_array_equal(aligned, expected[:count])


#: Ends of the fields that a row of the parameter memory has beside the bias.
SHIFTS = {0: (0, 32), 16: (-31, 31), 31: (-31, 31)}


@pytest.mark.parametrize("source", ["load", "init"])
@pytest.mark.parametrize(
    ("lanes", "bits", "multiplier_bits", "simulator"),
    [(3, 16, 0, "verilator"), (1, 32, 0, "icarus"), (4, 27, 0, "icarus"), (3, 32, 31, "verilator"),
     (2, 20, 16, "icarus"), (2, 20, 16, "amaranth")],
)  # fmt: skip
def test_parameter(lanes, bits, multiplier_bits, simulator, source):
    rng = np.random.default_rng(0)
    config = config_of(lanes, lanes, lanes, accumulator_bits=bits, multiplier_bits=multiplier_bits)
    size = (config.parameter_depth, lanes)
    half = 1 << (bits - 1)
    values = {"bias": rng.integers(-half, half, size)}
    if multiplier_bits:
        values["multiplier"] = rng.integers(0, (1 << multiplier_bits) + 1, size)
    values["shift"] = rng.integers(*SHIFTS[multiplier_bits], size)
    words = np.stack([value.astype(np.uint32) for value in values.values()], axis=-1)
    image = words.astype("<u4").reshape(len(words), -1).view(np.uint8)
    stimulus, begin = load_stimulus(rng, config, Space.PARAMETER, image)
    if source == "init":
        stimulus = {"read_address": stimulus["read_address"]}
    memory = ParameterMemory(config, image if source == "init" else None)
    seen = play(memory, stimulus, simulator=simulator)

    asked = stimulus["read_address"][begin : -Bank.latency]
    for name, value in values.items():
        signed = value.min() < 0
        got = [
            fields(row, memory.fields[name], lanes, signed)
            for row in seen[name][begin + Bank.latency :]
        ]
        assert_array_equal(got, value[asked], err_msg=name)


def fields(value, width, count, signed):
    half = 1 << (width - 1) if signed else 0
    raw = (int(value) >> width * i & ((1 << width) - 1) for i in range(count))
    return [(field ^ half) - half for field in raw]
