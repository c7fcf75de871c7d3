"""Seeded damage to the bytes of a `.tflite` file, for fuzzing its reader."""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np

#: Numbers at which readers go wrong, as 32-bit words: integers, floats, huge lengths.
EXTREMES = (
    0, 1, 2, 3, 127, 128, 255, 256, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000,
    0xFFFFFFFF, 0xFFFFFFFE, 0x40000000, 0x3FFFFFFF,
    0x7F800000, 0xFF800000, 0x7FC00000, 0x7F7FFFFF, 0x00000001, 0x80000001, 0x3F800000,
)  # fmt: skip

Mutation = Callable[[bytearray, np.random.Generator], None]


def _word_at(data: bytearray, rng: np.random.Generator) -> int:
    """Where a word lies that may be an offset, a length or a small number, not a weight."""
    words = np.frombuffer(bytes(data[: len(data) // 4 * 4]), "<u4")
    places = np.flatnonzero(words < len(data))
    return 4 * int(rng.choice(places)) if len(places) else 0


def _part(data: bytearray, rng: np.random.Generator, longest: int = 64) -> slice:
    start = int(rng.integers(len(data)))
    return slice(start, start + int(rng.integers(1, longest + 1)))


def flip_bits(data: bytearray, rng: np.random.Generator) -> None:
    for _ in range(rng.integers(1, 9)):
        data[rng.integers(len(data))] ^= 1 << int(rng.integers(8))


def flip_bits_of_words(data: bytearray, rng: np.random.Generator) -> None:
    for _ in range(rng.integers(1, 4)):
        data[_word_at(data, rng) + int(rng.integers(4))] ^= 1 << int(rng.integers(8))


def set_bytes(data: bytearray, rng: np.random.Generator) -> None:
    for _ in range(rng.integers(1, 9)):
        data[rng.integers(len(data))] = int(rng.integers(256))


def cut(data: bytearray, rng: np.random.Generator) -> None:
    del data[int(rng.integers(len(data))) :]


def remove_part(data: bytearray, rng: np.random.Generator) -> None:
    del data[_part(data, rng)]


def double_part(data: bytearray, rng: np.random.Generator) -> None:
    part = _part(data, rng)
    data[part.start : part.start] = data[part]


def copy_part(data: bytearray, rng: np.random.Generator) -> None:
    source, target = _part(data, rng), int(rng.integers(len(data)))
    copied = data[source][: len(data) - target]
    data[target : target + len(copied)] = copied


def zero_part(data: bytearray, rng: np.random.Generator) -> None:
    part = _part(data, rng)
    data[part] = bytes(len(data[part]))


def point_anywhere(data: bytearray, rng: np.random.Generator) -> None:
    """A word becomes an offset, forward or back, to somewhere in the file or just outside."""
    at = _word_at(data, rng)
    target = int(rng.integers(-8, len(data) + 8))
    struct.pack_into("<I", data, at, (target - at) % 2**32)


def copy_word(data: bytearray, rng: np.random.Generator) -> None:
    """A word becomes another one: a shape, an index or a length of another tensor."""
    source, target = _word_at(data, rng), _word_at(data, rng)
    data[target : target + 4] = data[source : source + 4]


def lengthen(data: bytearray, rng: np.random.Generator) -> None:
    """A word grows: a length beyond what is there, a dimension more."""
    at = _word_at(data, rng)
    word = struct.unpack_from("<I", data, at)[0]
    grown = (word + 1, 2 * word, word + 1000, word * 2**10, len(data), 2**28, 2**31 - 1, 2**32 - 1)
    struct.pack_into("<I", data, at, int(rng.choice(grown)) % 2**32)


def set_extreme(data: bytearray, rng: np.random.Generator) -> None:
    struct.pack_into("<I", data, _word_at(data, rng), int(rng.choice(EXTREMES)))


def nudge(data: bytearray, rng: np.random.Generator) -> None:
    """A byte of a small number changes a little: a stride, a padding, an axis, a code."""
    at = _word_at(data, rng) + int(rng.integers(4))
    data[at] = (data[at] + int(rng.integers(-3, 4))) % 256


#: After these every part lies where it lay, so that one wrong number is met in its place.
IN_PLACE: tuple[Mutation, ...] = (
    flip_bits, flip_bits_of_words, set_bytes, copy_part, zero_part, point_anywhere, copy_word,
    lengthen, set_extreme, nudge,
)  # fmt: skip

MOVING: tuple[Mutation, ...] = (cut, remove_part, double_part)


def mutate(data: bytes, seed: int) -> bytes:
    """The file after one to three mutations; most bytes of it are as they were."""
    rng = np.random.default_rng(seed)
    result = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 3))):
        mutations = IN_PLACE if rng.random() < 0.9 else MOVING
        if len(result) >= 4:
            mutations[rng.integers(len(mutations))](result, rng)
    return bytes(result)
