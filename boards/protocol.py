"""The frames between host and core: one definition for the gateware and the driver.

A request is a sync byte, a header and its CRC; a WRITE goes on with its words and a
second CRC, so that a damaged address can never be written to. A reply is a sync byte,
a head, its words and one CRC. CRCs are CRC-32 as in zlib, little-endian like every
other number. ::

    request  A5 | command  sequence  count  space  address x3 | crc x4 [ | word x4 ... | crc x4 ]
    reply    A5 | status   sequence  count  flags  started [ | word x4 ... ] | crc x4

`count` is the number of words, 1 to 255, in the reply too. Every request may be
repeated: a START whose sequence number is that of the last accepted one is answered and
not obeyed again. Any other START has in its address which one was the last (`after`), and
is not obeyed where that is not so: somebody else has started the core since, and its inputs
may be overwritten. Each reply carries the flags and the sequence number of the last START,
so that a core that was reset in the middle of an inference cannot go unnoticed. While the
core is busy it takes no words, save those of the next input where RELEASED says so.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, IntFlag

from amaranth.lib import data

VERSION = 2
SYNC = 0xA5
CRC_BYTES = 4
#: The words of an IDENTIFY reply: version, configuration digest (2), program digest (2).
IDENTITY_WORDS = 5
DIGEST_BYTES = 8
MAX_WORDS = 255


class Command(IntEnum):
    """What a request asks for."""

    IDENTIFY = 1
    WRITE = 2
    READ = 3
    START = 4
    STATUS = 5


class Answer(IntEnum):
    """What became of a request."""

    OK = 0
    BAD_HEADER = 1
    BAD_PAYLOAD = 2
    UNKNOWN_COMMAND = 3
    BUSY = 4
    BAD_COUNT = 5
    #: To a START: there was another one, or an IDENTIFY, since the one that it names.
    LOST = 6


def after(started: int | None) -> int:
    """The address of a START after another one, by its sequence number; None if there is none."""
    return 0 if started is None else 1 << 8 | started


class Flag(IntFlag):
    """State of the core, in every reply."""

    BUSY = 1
    #: A START was accepted since the last reset or IDENTIFY.
    STARTED = 2
    #: The program digest describes what is in the memories.
    LOADED = 4
    #: There was an IDENTIFY since the last reset.
    SESSION = 8
    #: The core is busy and has read its inputs: words for the activation memory may come. Only
    #: with `Config.stream`.
    RELEASED = 16


#: The space of a WRITE that sets the program digest; all others are the core's own.
IDENTITY_SPACE = 7

#: A request's header, first byte lowest.
Header = data.StructLayout({"command": 8, "sequence": 8, "count": 8, "space": 8, "address": 24})
HEADER_BYTES = 7
#: Bytes of a request up to its words, the sync byte included.
REQUEST_BYTES = 1 + HEADER_BYTES + CRC_BYTES
#: Bytes of a reply's head, the sync byte included.
HEAD_BYTES = 6


@dataclass(frozen=True)
class Reply:
    """A reply whose CRC was right."""

    status: int
    sequence: int
    flags: Flag
    started: int
    payload: bytes


def digest_bytes(name: str, digest: str) -> bytes:
    """Bytes of a digest; `name` is for the error.

    Raises
    ------
    ValueError
        If it is not 16 hexadecimal digits.
    """
    try:
        value = bytes.fromhex(digest)
    except (TypeError, ValueError):
        value = b""
    if len(value) != DIGEST_BYTES:
        raise ValueError(f"{name} must be {2 * DIGEST_BYTES} hexadecimal digits, not {digest!r}")
    return value


def with_crc(block: bytes) -> bytes:
    """A block and its CRC, as it goes over the line."""
    return block + zlib.crc32(block).to_bytes(CRC_BYTES, "little")


def encode_request(
    command: int,
    sequence: int,
    *,
    count: int = 0,
    space: int = 0,
    address: int = 0,
    payload: bytes | None = None,
) -> bytes:
    """Make the bytes of a request."""
    fields = {"command": command, "sequence": sequence, "count": count}
    header = Header.const({**fields, "space": space, "address": address}).as_bits()
    frame = bytes([SYNC]) + with_crc(header.to_bytes(HEADER_BYTES, "little"))
    return frame if payload is None else frame + with_crc(payload)


def hidden_request(sent: bytes, start: int = 0) -> int | None:
    """Where, from `start` on, a whole header with a right CRC begins; None where none does.

    A link that has missed the beginning of a frame hunts for a sync byte in the rest of it, and
    would obey what it finds.
    """
    while 0 <= (start := sent.find(SYNC, start)) <= len(sent) - REQUEST_BYTES:
        header = sent[start + 1 : start + REQUEST_BYTES]
        if header == with_crc(header[:HEADER_BYTES]):
            return start
        start += 1
    return None


def encode_reply(
    status: int, sequence: int, *, flags: int = 0, started: int = 0, payload: bytes = b""
) -> bytes:
    """Make the bytes of a reply, as the gateware does."""
    block = bytes([status, sequence, len(payload) // 4, flags, started]) + payload
    return bytes([SYNC]) + with_crc(block)


def reply_length(head: Sequence[int]) -> int:
    """Bytes of a whole reply from its first `HEAD_BYTES`."""
    return HEAD_BYTES + 4 * head[3] + CRC_BYTES


def decode_reply(frame: bytes) -> Reply | None:
    """Take a whole reply apart; None where its CRC is wrong."""
    block, crc = frame[1:-CRC_BYTES], frame[-CRC_BYTES:]
    if zlib.crc32(block) != int.from_bytes(crc, "little"):
        return None
    status, sequence, _count, flags, started = block[:5]
    return Reply(status, sequence, Flag(flags & 31), started, block[5:])
