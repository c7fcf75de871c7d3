"""The instruction set: what is encoded is decoded, and the gateware can rely on the layout."""

from dataclasses import fields, replace

import numpy as np
import pytest

from weft.hw.config import Config
from weft.hw.isa import (
    EARLY,
    LATE,
    LOOPS,
    Instruction,
    bits,
    decode,
    encode,
    fetch_cycles,
    instruction_words,
    layout,
    results,
    widths,
)
from weft.hw.latency import LIMITS


def random_config(rng) -> Config:
    lanes, window = int(rng.integers(1, 5)), int(rng.integers(0, 3))
    depth = lambda most: int(rng.integers(1, 1 << int(rng.integers(1, most))))  # noqa: E731
    columns = lanes * int(rng.integers(1, 6))
    rows = lanes * int(rng.integers(1, 6)) if not window else columns * int(rng.integers(6, 9))
    return Config(
        rows=rows,
        columns=columns,
        lanes=lanes,
        window=window,
        activation_depth=depth(21),
        weight_depth=depth(21),
        parameter_depth=depth(21),
        program_depth=depth(21),
        tables=int(rng.integers(0, 9)),
    )


def random_instruction(rng, config: Config) -> Instruction:
    values = {}
    for name, (width, signed) in widths(config).items():
        low = -(1 << (width - 1)) if signed else 0
        extremes = (low, low + (1 << width) - 1)
        drawn = int(rng.integers(low, low + (1 << width)))
        values[name] = drawn if rng.random() < 0.5 else extremes[int(rng.integers(2))]
    return Instruction(**values)


@pytest.mark.parametrize("seed", range(40))
def test_round_trip(seed):
    rng = np.random.default_rng(seed)
    config = random_config(rng)
    instruction = random_instruction(rng, config)
    words = encode(instruction, config)
    assert words.dtype == np.uint32
    assert len(words) == instruction_words(config)
    assert decode(words, config) == instruction


@pytest.mark.parametrize("seed", range(40))
def test_layout(seed):
    config = random_config(np.random.default_rng(seed))
    placed = layout(config)
    assert sorted(f.name for f in placed) == sorted(widths(config))
    taken = np.zeros((instruction_words(config), 32), int)
    for field in placed:
        assert field.offset + field.width <= 32
        taken[field.word, field.offset : field.offset + field.width] += 1
    assert taken.max() == 1
    # Widest first leaves few bits free.
    assert taken.sum() > 20 * instruction_words(config)


@pytest.mark.parametrize("seed", range(10))
def test_no_field_disturbs_another(seed):
    rng = np.random.default_rng(seed)
    config = random_config(rng)
    instruction = random_instruction(rng, config)
    other = random_instruction(rng, config)
    for field in layout(config):
        changed = replace(instruction, **{field.name: getattr(other, field.name)})
        differing = encode(changed, config) ^ encode(instruction, config)
        mask = np.zeros_like(differing)
        mask[field.word] = ((1 << field.width) - 1) << field.offset
        assert not (differing & ~mask).any()


CONFIG = Config(rows=4, columns=4, activation_depth=1000, parameter_depth=9)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"source": 1024}, "source must fit 10 bits, not 1024"),
        ({"source": -1}, "source must fit 10 bits, not -1"),
        ({"fill": 128}, "fill must fit 8 signed bits, not 128"),
        ({"low": -129}, "low must fit 8 signed bits, not -129"),
        ({"origin_y": -1025}, "origin_y must fit 11 signed bits, not -1025"),
        ({"last_digit": 4}, "last_digit must fit 2 bits, not 4"),
        ({"last_tile": 16}, "last_tile must fit 4 bits, not 16"),
        ({"stride_x": 256}, "stride_x must fit 8 bits, not 256"),
        ({"table": 2}, "table must fit 1 bits, not 2"),
        ({"end": 2}, "end must fit 1 bits, not 2"),
    ],
)
def test_value_that_does_not_fit(values, message):
    with pytest.raises(ValueError, match=message):
        encode(Instruction(**values), CONFIG)


@pytest.mark.parametrize(
    "name",
    ["share", "window", "pair", "skip_y", "skip_x", "every_y", "every_x", "single", "elementwise",
     "zero_0", "zero_1", "factor", "factor_shift"],
)  # fmt: skip
def test_field_that_the_configuration_has_not(name):
    with pytest.raises(ValueError, match=f"{name} must be 0 on this configuration"):
        encode(Instruction(**{name: 1}), CONFIG)


def test_every_field_is_placed_where_all_is_there():
    config = Config(rows=16, columns=4, window=3, pairs=1, multiplier_bits=31, elementwise=1,
                    copies=1, stream=1)  # fmt: skip
    assert {f.name for f in layout(config)} == {f.name for f in fields(Instruction)}
    assert {f.name for f in fields(Instruction)} > set(LATE)


@pytest.mark.parametrize(
    ("values", "shape"),
    [
        ({"last_oy": 4, "last_ox": 6}, (5, 7)),
        ({"last_oy": 4, "last_ox": 6, "skip_y": 2, "skip_x": 6}, (3, 1)),
        ({"last_oy": 4, "last_ox": 6, "skip_x": 1, "every_y": 1, "every_x": 2}, (3, 2)),
    ],
)
def test_results(values, shape):
    assert results(Instruction(**values)) == shape


def test_kernels_larger_than_a_small_memory_fit():
    tiny = Config(rows=4, columns=4, activation_depth=2)
    instruction = Instruction(last_kx=511, last_ky=511, origin_y=-512, origin_x=-512)
    assert decode(encode(instruction, tiny), tiny) == instruction


@pytest.mark.parametrize(("count", "width"), [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (256, 8)])
def test_bits(count, width):
    assert bits(count) == width


@pytest.mark.parametrize(
    "config", [Config(rows=4, columns=4), Config(rows=16, columns=8, window=3)]
)
def test_what_is_prepared_comes_first_and_costs_nothing(config):
    assert fetch_cycles(config) == instruction_words(config)
    words = {field.name: field.word for field in layout(config)}
    early = max(words[name] for name in EARLY)
    assert early + LIMITS < fetch_cycles(config)


def test_a_short_instruction_waits_for_what_is_prepared():
    config = Config(rows=1, columns=1, activation_depth=3, weight_depth=2, parameter_depth=2,
                    tables=0)  # fmt: skip
    words = {field.name: field.word for field in layout(config)}
    last = max(words[f"last_{loop}"] for loop in LOOPS)
    assert fetch_cycles(config) == 1 + last + LIMITS > instruction_words(config)
