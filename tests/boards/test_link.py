import random
import re

import pytest

from weft.boards.link import Link
from weft.boards.protocol import (
    IDENTITY_SPACE,
    VERSION,
    Answer,
    Command,
    Flag,
    after,
    decode_reply,
    encode_reply,
    encode_request,
)


@pytest.fixture
def line(standin, simulated):
    return simulated.link(standin.Standin(standin.CONFIG), standin.CONFIG)


def ask(line, frame):
    """Answer to a frame, or None."""
    line.write(frame)
    reply = line.read(4096, 1)
    return decode_reply(reply) if reply else None


def write(sequence, address, payload, space=0):
    return encode_request(
        Command.WRITE, sequence, count=len(payload) // 4, space=space, address=address,
        payload=payload,
    )  # fmt: skip


def read(sequence, address, count):
    return encode_request(Command.READ, sequence, count=count, address=address)


def test_identifies(line, standin):
    reply = ask(line, encode_request(Command.IDENTIFY, 9))
    assert (reply.status, reply.sequence, reply.flags) == (Answer.OK, 9, Flag.SESSION)
    assert reply.payload[:4] == bytes([VERSION, 0, 0, 0])
    assert reply.payload[4:12].hex() == standin.CONFIG.digest
    assert reply.payload[12:] == bytes(8)


def test_knows_the_program_it_was_built_with(standin, simulated):
    line = simulated.link(
        standin.Standin(standin.CONFIG), standin.CONFIG, program_digest="0123456789abcdef"
    )
    for sequence in range(2):  # reading it must not spoil it
        reply = ask(line, encode_request(Command.IDENTIFY, sequence))
        assert reply.flags & Flag.LOADED
        assert reply.payload[12:].hex() == "0123456789abcdef"


def test_a_write_to_other_than_activations_voids_the_program(line):
    digest = bytes(range(8))
    assert ask(line, write(1, 0, digest, IDENTITY_SPACE)).flags & Flag.LOADED
    assert ask(line, write(2, 0, bytes(4))).flags & Flag.LOADED
    assert not ask(line, write(3, 0, bytes(4), space=1)).flags & Flag.LOADED
    assert ask(line, encode_request(Command.IDENTIFY, 4)).payload[12:] == digest


@pytest.mark.parametrize("seed", range(3))
def test_reads_what_was_written(line, seed):
    rng = random.Random(seed)
    payload = rng.randbytes(4 * rng.randrange(1, 20))
    assert ask(line, write(1, 5, payload)).status == Answer.OK
    reply = ask(line, read(2, 5, len(payload) // 4))
    assert reply.payload == payload
    line.write(read(3, 5, 1))
    assert line.read(4096, 1) == encode_reply(0, 3, flags=0, started=0, payload=payload[:4])


def test_starts_once_per_sequence_number(line):
    assert ask(line, encode_request(Command.START, 7)).started == 7
    line.drain(0)
    assert ask(line, write(8, 0, bytes([1, 2, 3, 4]))).status == Answer.OK
    again = ask(line, encode_request(Command.START, 7))
    assert (again.status, again.flags) == (Answer.OK, Flag.STARTED)
    status = ask(line, encode_request(Command.STATUS, 9))
    assert int.from_bytes(status.payload, "little") == 32
    assert ask(line, encode_request(Command.START, 10, address=after(7))).started == 10


def test_a_start_says_which_one_was_the_last(line):
    start = Command.START
    # Before any, or with another host's IDENTIFY behind it, there is none to name.
    assert ask(line, encode_request(start, 1, address=after(3))).status == Answer.LOST
    assert ask(line, encode_request(start, 2)).status == Answer.OK
    line.drain(0)
    for address in (0, 2, after(1), after(3), after(2 | 0x80)):
        refused = ask(line, encode_request(start, 3, address=address))
        assert (refused.status, refused.started) == (Answer.LOST, 2)
        assert refused.flags == Flag.STARTED
    assert ask(line, encode_request(start, 4, address=after(2))).status == Answer.OK
    line.drain(0)
    # One that is repeated is answered, and not weighed again.
    assert ask(line, encode_request(start, 4, address=after(2))).status == Answer.OK
    ask(line, encode_request(Command.IDENTIFY, 5))
    assert ask(line, encode_request(start, 6, address=after(4))).status == Answer.LOST
    assert ask(line, encode_request(start, 7)).started == 7


@pytest.mark.parametrize(
    ("frame", "answer"),
    [
        (encode_request(99, 1), Answer.UNKNOWN_COMMAND),
        (encode_request(Command.READ, 1), Answer.BAD_COUNT),
        (encode_request(Command.WRITE, 1), Answer.BAD_COUNT),
    ],
)
def test_refuses(line, frame, answer):
    reply = ask(line, frame)
    assert (reply.status, reply.payload) == (answer, b"")


def test_a_busy_core_is_left_alone(standin, simulated):
    line = simulated.link(standin.Standin(standin.CONFIG, hangs=True), standin.CONFIG)
    assert ask(line, encode_request(Command.START, 1)).flags & Flag.BUSY
    # A payload that holds a whole request must not be obeyed.
    assert ask(line, write(2, 0, encode_request(Command.STATUS, 3))).status == Answer.BUSY
    assert ask(line, read(4, 0, 1)).status == Answer.BUSY
    assert ask(line, encode_request(Command.START, 5)).status == Answer.BUSY
    assert ask(line, encode_request(Command.START, 1)).status == Answer.OK


def test_the_next_input_may_come_when_the_core_says_so(standin, simulated):
    core = standin.Standin(standin.CONFIG, hangs=True, releases=3000)
    line = simulated.link(core, standin.CONFIG, streams=True)
    first = ask(line, encode_request(Command.START, 1))
    assert first.flags & (Flag.BUSY | Flag.RELEASED) == Flag.BUSY
    assert ask(line, write(2, 0, bytes(8))).status == Answer.BUSY
    line.drain(0)  # cycles go by
    while not ask(line, encode_request(Command.STATUS, 3)).flags & Flag.RELEASED:
        line.drain(0)
    reply = ask(line, write(4, 0, bytes(8)))
    assert (reply.status, reply.flags & Flag.BUSY) == (Answer.OK, Flag.BUSY)
    # Neither weights nor a reading, nor another start.
    assert ask(line, write(5, 0, bytes(8), space=1)).status == Answer.BUSY
    assert ask(line, read(6, 0, 1)).status == Answer.BUSY
    assert ask(line, encode_request(Command.START, 7)).status == Answer.BUSY
    assert ask(line, encode_request(Command.STATUS, 8)).flags & Flag.RELEASED


def test_a_core_that_does_not_stream_says_nothing_of_it(standin, simulated):
    core = standin.Standin(standin.CONFIG, hangs=True, releases=0)
    line = simulated.link(core, standin.CONFIG)
    ask(line, encode_request(Command.START, 1))
    assert not ask(line, encode_request(Command.STATUS, 2)).flags & Flag.RELEASED
    assert ask(line, write(3, 0, bytes(8))).status == Answer.BUSY


@pytest.mark.parametrize("seed", range(8))
def test_damage_is_told_and_a_damaged_header_changes_nothing(line, seed):
    rng = random.Random(seed)
    ask(line, write(1, 0, bytes(64)))
    frame = bytearray(write(2, 3, b"\xff" * 8))
    place = rng.randrange(1, len(frame))
    frame[place] ^= 1 << rng.randrange(8)
    reply = ask(line, bytes(frame))
    assert reply.status == (Answer.BAD_HEADER if place < 12 else Answer.BAD_PAYLOAD)
    line.drain(0)
    memory = ask(line, read(3, 0, 16)).payload
    assert place >= 12 or memory == bytes(64)
    assert memory[:12] == bytes(12)


@pytest.mark.parametrize("seed", range(4))
def test_finds_back_after_garbage_and_cut_frames(line, seed):
    rng = random.Random(seed)
    frame = write(1, 0, rng.randbytes(16))
    line.write(rng.randbytes(rng.randrange(40)) + frame[: rng.randrange(len(frame))])
    line.drain(0)
    reply = ask(line, encode_request(Command.STATUS, 2))
    assert (reply.status, reply.sequence) == (Answer.OK, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"config_digest": "12", "timeout": 1},
            "config_digest must be 16 hexadecimal digits, not '12'",
        ),
        (
            {"config_digest": "0" * 16, "timeout": 0},
            "timeout must be a positive integer, not 0",
        ),
    ],
)
def test_parameters_are_checked(options, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Link(**options)
