"""The link as Verilog: frames in, replies and the core's ports out, with stalls on both sides."""

import numpy as np
import pytest
from blocks import SIMULATORS, play

from weft.boards.link import Link
from weft.boards.protocol import (
    Answer,
    Command,
    decode_reply,
    encode_reply,
    encode_request,
)
from weft.hw.ports import LoadWord

DIGEST = "0123456789abcdef"
ANSWER = 0x44332211
#: Cycles that the link may take for a byte, its CRC included, and then some for stalls.
SPACING = 40


def frames(rng):
    """Requests with the words a WRITE carries, and a frame with a damaged CRC in the middle."""
    words = rng.integers(0, 1 << 32, 5, dtype=np.uint32)
    broken = bytearray(encode_request(Command.STATUS, 3))
    broken[-1] ^= 0x10
    return words, [
        encode_request(Command.IDENTIFY, 1),
        encode_request(
            Command.WRITE, 2, count=5, space=1, address=77, payload=words.astype("<u4").tobytes()
        ),
        bytes(broken),
        encode_request(Command.READ, 4, count=3, address=9),
        encode_request(Command.START, 5),
        encode_request(Command.STATUS, 6),
    ]


@pytest.mark.parametrize("simulator", SIMULATORS)
@pytest.mark.parametrize("seed", range(2))
def test_frames(simulator, seed):
    rng = np.random.default_rng(seed)
    words, requests = frames(rng)
    sent = b"".join(requests)
    cycles = SPACING * (len(sent) + 250)
    valid, payload = np.zeros(cycles, int), np.zeros(cycles, int)
    # A byte stays for a cycle: the link is always ready when its last byte is that long ago.
    places = SPACING * np.arange(1, len(sent) + 1) + rng.integers(0, SPACING // 4, len(sent))
    for start in np.cumsum([len(request) for request in requests])[:-1]:
        places[start:] += SPACING * 30  # the reply of the request before
    valid[places], payload[places] = 1, list(sent)

    seen = play(
        Link(config_digest=DIGEST, timeout=1 << 20),
        {
            "rx__valid": valid,
            "rx__payload": payload,
            "tx__ready": (stalls := rng.random(cycles) < 0.5),
            "load__ready": np.ones(cycles, int),
            "read__ready": np.ones(cycles, int),
            "data__valid": np.ones(cycles, int),
            "data__payload": np.full(cycles, ANSWER),
        },
        simulator=simulator,
    )
    moved = seen["tx__valid"].astype(bool) & stalls
    replies = split(bytes(seen["tx__payload"][moved].astype(np.uint8)))
    assert [reply.status for reply in replies] == [
        Answer.OK, Answer.OK, Answer.BAD_HEADER, Answer.OK, Answer.OK, Answer.OK,
    ]  # fmt: skip
    assert replies[0].payload[4:12].hex() == DIGEST
    assert replies[3].payload == 3 * ANSWER.to_bytes(4, "little")
    assert replies[5].started == 5

    loads = [
        LoadWord.from_bits(int(bits)) for bits in seen["load__payload"][seen["load__valid"] == 1]
    ]
    assert [(word.space, word.address, word.data) for word in loads] == [
        (1, 77 + index, int(word)) for index, word in enumerate(words)
    ]
    addresses = seen["read__payload"][seen["read__valid"] == 1]
    assert addresses.tolist() == [9, 10, 11]
    assert seen["start"].sum() == 1


def split(received):
    """The replies in a stream of bytes, which has nothing else."""
    replies = []
    while received:
        for length in range(len(encode_reply(0, 0)), len(received) + 1):
            reply = decode_reply(received[:length])
            if reply is not None:
                break
        replies.append(reply)
        received = received[length:]
    return replies
