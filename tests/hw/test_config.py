"""The configuration refuses what cannot be built, and its digest tells configurations apart."""

import re
from dataclasses import asdict, fields, replace

import pytest

from weft.hw import config as module
from weft.hw.config import Config, Space

CONFIG = Config(rows=24, columns=12)


def test_lanes_default_to_the_largest():
    assert [Config(rows=r, columns=c).lanes for r, c in ((8, 12), (16, 16), (3, 5))] == [4, 16, 1]


POSITIVE = ("rows", "columns", "lanes", "accumulator_bits", "activation_depth", "weight_depth",
            "parameter_depth", "program_depth", "line_depth")  # fmt: skip


@pytest.mark.parametrize("name", POSITIVE)
@pytest.mark.parametrize("value", [-1, 2.0, "8", None])
def test_not_a_positive_integer(name, value):
    with pytest.raises(ValueError, match=f"^{name} must be a positive integer, not {value!r}$"):
        Config(**{"rows": 8, "columns": 8, name: value})


@pytest.mark.parametrize("name", [name for name in POSITIVE if name != "lanes"])
def test_zero(name):
    with pytest.raises(ValueError, match=f"^{name} must be a positive integer, not 0$"):
        Config(**{"rows": 8, "columns": 8, name: 0})


@pytest.mark.parametrize("name", ["tables", "window"])
@pytest.mark.parametrize("value", [-1, 1.5, "1"])
def test_not_an_integer_from_0(name, value):
    with pytest.raises(ValueError, match=f"^{name} must be an integer from 0, not {value!r}$"):
        Config(**{"rows": 8, "columns": 8, name: value})


@pytest.mark.parametrize(
    ("rows", "columns", "window"), [(8, 8, 3), (9, 6, 3), (9, 9, 4), (2, 2, 1)]
)
def test_window(rows, columns, window):
    message = (
        "window needs rows that are a multiple of columns, and at least three of them per image "
        f"row, not {rows} x {columns} with {window}"
    )
    with pytest.raises(ValueError, match=message):
        Config(rows=rows, columns=columns, window=window)


@pytest.mark.parametrize(
    ("rows", "columns", "tiles"), [(8, 8, 1), (16, 4, 4), (6, 4, 1), (4, 8, 1)]
)
def test_tiles_per_word(rows, columns, tiles):
    assert Config(rows=rows, columns=columns).tiles_per_word == tiles


@pytest.mark.parametrize("lanes", [3, 8, 12, 5])
def test_lanes_must_divide(lanes):
    message = f"lanes must divide the array's 8 rows and 12 columns, not {lanes}"
    with pytest.raises(ValueError, match=message):
        Config(rows=8, columns=12, lanes=lanes)


@pytest.mark.parametrize("bits", [1, 15, 33])
def test_accumulator_bits(bits):
    with pytest.raises(ValueError, match=f"accumulator_bits must be from 16 to 32, not {bits}"):
        Config(rows=8, columns=8, accumulator_bits=bits)


@pytest.mark.parametrize("bits", [-1, 32, 31.0])
def test_multiplier_bits(bits):
    with pytest.raises(ValueError, match="multiplier_bits must be "):
        Config(rows=8, columns=8, multiplier_bits=bits)


def test_elementwise_is_there_or_not():
    with pytest.raises(ValueError, match="elementwise must be 0 or 1, not 2"):
        Config(rows=8, columns=8, elementwise=2)


def test_stream():
    with pytest.raises(ValueError, match="stream must be 0 or 1, not 2"):
        Config(rows=8, columns=8, stream=2)
    message = (
        "stream needs an activation memory that is written while it is read: leave single_port out"
    )
    with pytest.raises(ValueError, match=f"^{message}$"):
        Config(rows=8, columns=8, stream=1, single_port=1)


def test_digest_is_stable():
    # Bitstreams and programs made earlier are recognised by it: a change needs a new FORMAT.
    assert module.FORMAT == 6
    assert CONFIG.digest == "13b985c64668ae7e"
    assert Config(**asdict(CONFIG)).digest == CONFIG.digest


@pytest.mark.parametrize("name", [field.name for field in fields(Config)])
def test_digest_knows_every_size(name):
    other = {"lanes": 2, "window": 2, "accumulator_bits": 24, "rows": 36, "columns": 24}.get(name)
    if name == "interleave":
        window = replace(CONFIG, rows=24, columns=12, window=1)
        assert replace(window, interleave=3).digest != window.digest
        return
    if name == "pairs":
        window = Config(rows=16, columns=8, window=3)
        assert replace(window, pairs=1).digest != window.digest
        return
    changed = replace(CONFIG, **{name: other or getattr(CONFIG, name) + 1})
    assert changed.digest != CONFIG.digest


def test_digest_knows_the_format(monkeypatch):
    before = CONFIG.digest
    monkeypatch.setattr(module, "FORMAT", module.FORMAT + 1)
    assert CONFIG.digest != before


def test_sizes():
    config = Config(rows=6, columns=9, lanes=3, tables=2)
    assert (config.groups, config.multipliers) == (3, 54)
    assert [config.row_bytes(space) for space in Space] == [6, 54, 24, 1, 4]
    assert [config.row_words(space) for space in Space] == [2, 16, 8, 1, 1]
    assert [config.depth(space) for space in Space] == [4096, 4096, 1024, 512, 1024]


def test_sizes_with_a_multiplier():
    config = Config(rows=6, columns=9, lanes=3, multiplier_bits=31, accumulator_bits=24)
    assert (config.parameter_words, config.value_bits) == (3, 24)
    assert config.row_bytes(Space.PARAMETER) == 36
    assert config.row_words(Space.PARAMETER) == 16
    assert replace(config, elementwise=1).value_bits == 32


@pytest.mark.parametrize(
    ("rows", "window", "interleave"), [(4, 0, 3), (8, 2, 3), (4, 1, 5), (4, 1, 1)]
)
def test_interleave(rows, window, interleave):
    message = (
        "interleave needs a window of 1, and from 2 to as many image rows as the array has rows, "
        f"not {interleave} with {rows} rows and window {window}"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        Config(rows=rows, columns=4, window=window, interleave=interleave)


@pytest.mark.parametrize(
    ("rows", "columns", "window"), [(16, 8, 0), (16, 8, 2), (9, 3, 3), (12, 12, 3), (15, 5, 3)]
)
def test_pairs(rows, columns, window):
    message = (
        "pairs needs a window of three image rows or more, four rows or more for each, and an even "
        f"number of tiles in a word, not {rows} x {columns} with window {window}"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        Config(rows=rows, columns=columns, window=window, pairs=1)


@pytest.mark.parametrize("parts", [{"lanes": 4}, {"single_port": 1}])
def test_pairs_have_results_in_every_step(parts):
    message = (
        "pairs has results in every step: lanes must take all columns at once, and the activation "
        "memory be written while it is read"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        Config(rows=16, columns=8, window=3, pairs=1, **parts)


def test_span():
    assert Config(rows=16, columns=8, window=4).span == 4
    assert Config(rows=4, columns=4, window=1, interleave=3).span == 3
