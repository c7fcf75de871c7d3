import zlib

import numpy as np
import pytest

from weft.boards.frames import FRAME_WORDS, ranges, runs
from weft.boards.protocol import Command, encode_request, hidden_request, with_crc
from weft.compiler.program import LOAD_WORD

#: Obeyed by any link that takes it for a request.
START = encode_request(Command.START, 5)


def words(data, address=0, space=1):
    """Words to write, of bytes."""
    result = np.zeros(len(data) // 4, LOAD_WORD)
    result["data"] = np.frombuffer(data[: 4 * len(result)], "<u4")
    result["space"] = space
    result["address"] = address + np.arange(len(result))
    return result


def written(frames):
    """Space, address and data of each word of some frames."""
    return [
        (space, address + n, int(word))
        for space, address, data in frames
        for n, word in enumerate(data)
    ]


def wanted(data):
    return [(int(w["space"]), int(w["address"]), int(w["data"])) for w in data]


@pytest.mark.parametrize("seed", range(4))
def test_runs_hold_every_word_once(seed):
    rng = np.random.default_rng(seed)
    data = np.concatenate([
        words(rng.bytes(4 * int(rng.integers(1, 400))), int(rng.integers(1000)), int(space))
        for space in rng.integers(0, 4, 5)
    ])  # fmt: skip
    frames = list(runs(data))
    assert written(frames) == wanted(data)
    assert max(len(part) for _, _, part in frames) <= FRAME_WORDS


@pytest.mark.parametrize("seed", range(4))
def test_ranges_hold_every_address_once(seed):
    rng = np.random.default_rng(seed)
    addresses = np.flatnonzero(rng.random(900) < 0.95)
    frames = list(ranges(addresses))
    assert [a + n for a, count in frames for n in range(count)] == addresses.tolist()
    assert max(count for _, count in frames) <= FRAME_WORDS


def test_no_frame_holds_a_whole_request():
    for at in range(40):
        data = words(bytes(at) + START + START + bytes(8))
        assert hidden_request(with_crc(data["data"].tobytes())) == at
        frames = list(runs(data))
        assert len(frames) >= 3
        assert written(frames) == wanted(data)
        for _, _, part in frames:
            assert hidden_request(with_crc(part.tobytes())) is None


def forged(tail, crc):
    """Four bytes and a tail with a given CRC-32, which is linear but for a constant."""
    zero = zlib.crc32(bytes(4) + tail)
    basis = {}  # highest bit of what flips, to (what flips, by which bits)
    for bit in range(32):
        made = 1 << bit
        flips = zlib.crc32(made.to_bytes(4, "little") + tail) ^ zero
        while flips and flips.bit_length() in basis:
            known, by = basis[flips.bit_length()]
            flips, made = flips ^ known, made ^ by
        basis[flips.bit_length()] = flips, made
    left, chosen = zero ^ crc, 0
    while left:
        known, by = basis[left.bit_length()]
        left, chosen = left ^ known, chosen ^ by
    return chosen.to_bytes(4, "little") + tail


def test_a_request_that_ends_in_the_crc_of_the_words():
    payload = forged(START[:8], int.from_bytes(START[8:], "little"))
    assert with_crc(payload)[4:] == START
    frames = list(runs(words(payload)))
    assert [len(part) for _, _, part in frames] == [2, 1]
    assert written(frames) == wanted(words(payload))


def test_a_request_that_the_header_has_part_in():
    frame = encode_request(Command.WRITE, 1, count=1, payload=START[:4])
    assert hidden_request(frame, start=1) is None
    assert hidden_request(frame[:3] + START + frame[3:], start=1) == 3
    assert hidden_request(START, start=1) is None
    assert hidden_request(START) == 0
    assert hidden_request(START[:-1]) is None
