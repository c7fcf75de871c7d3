"""A program as it lies in a board's SPI flash, for the boot loader (`weft.boards.boot`).

The image is pages of 256 bytes. The first begins with a tag that says which hardware the program
is for. Each of the others begins with a request of the link's own protocol (`weft.boards.protocol`)
that writes words into the core's memories, CRCs and all; the last one writes the program's digest,
and so says that all of it is there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np

from weft.boards.protocol import (
    CRC_BYTES,
    HEADER_BYTES,
    IDENTITY_SPACE,
    Command,
    digest_bytes,
    encode_request,
)
from weft.compiler.program import Program

PAGE = 256
TAG_BYTES = 8
#: Raised with every change of the image or of the protocol's requests.
FORMAT = 1
#: What fits a page with the sync byte, the header and two CRCs.
PAGE_WORDS = (PAGE - 1 - HEADER_BYTES - 2 * CRC_BYTES) // 4


def tag(config_digest: str) -> bytes:
    """What an image for a configuration begins with."""
    text = f"weft program image {FORMAT} for {config_digest}"
    return hashlib.sha256(text.encode()).digest()[:TAG_BYTES]


def flash_image(program: Program) -> bytes:
    """The image of a program: a whole number of pages."""
    digest = np.frombuffer(digest_bytes("digest", program.digest), "<u4")
    pages = [tag(program.config.digest)]
    pages += [_page(*run) for run in _runs(program.load_words())]
    pages.append(_page(IDENTITY_SPACE, 0, digest))
    return b"".join(page.ljust(PAGE, b"\0") for page in pages)


def _page(space: int, address: int, data: np.ndarray) -> bytes:
    return encode_request(
        Command.WRITE, 0, count=len(data), space=space, address=address, payload=data.tobytes()
    )


def _runs(words: np.ndarray) -> Iterator[tuple[int, int, np.ndarray]]:
    """Split `LOAD_WORD` writes into pages: one space, consecutive addresses."""
    address, space = words["address"].astype(np.int64), words["space"]
    breaks = np.flatnonzero((np.diff(address) != 1) | (np.diff(space.astype(int)) != 0)) + 1
    for part in np.split(words, breaks):
        for start in range(0, len(part), PAGE_WORDS):
            page = part[start : start + PAGE_WORDS]
            yield int(page["space"][0]), int(page["address"][0]), page["data"].astype("<u4")
