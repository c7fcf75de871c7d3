"""How words and addresses are split into frames: each has one space and consecutive addresses."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from weft.boards.protocol import MAX_WORDS, hidden_request, with_crc

#: Words per frame: a longer one wins little and is lost more often.
FRAME_WORDS = 128


def runs(words: np.ndarray) -> Iterator[tuple[int, int, np.ndarray]]:
    """Split words to write into the space, the first address and the uint32 data of each frame.

    Parameters
    ----------
    words : LOAD_WORD array
    """
    address, space = words["address"].astype(np.int64), words["space"]
    breaks = np.flatnonzero((np.diff(address) != 1) | (np.diff(space.astype(int)) != 0)) + 1
    for part in np.split(words, breaks):
        for start in range(0, len(part), FRAME_WORDS):
            frame = part[start : start + FRAME_WORDS]
            yield from _without_requests(
                int(frame["space"][0]), int(frame["address"][0]), frame["data"]
            )


def _without_requests(
    space: int, address: int, data: np.ndarray
) -> Iterator[tuple[int, int, np.ndarray]]:
    """A frame, cut through every request that its words and their CRC hold, by chance or malice.

    Otherwise a link that has missed the frame's beginning would obey it.
    """
    at = hidden_request(with_crc(np.ascontiguousarray(data, "<u4").tobytes()))
    if at is None:
        yield space, address, data
        return
    # The next word begins within the request: it is longer than two.
    cut = at // 4 + 1
    yield from _without_requests(space, address, data[:cut])
    yield from _without_requests(space, address + cut, data[cut:])


def ranges(addresses: np.ndarray) -> Iterator[tuple[int, int]]:
    """Split addresses to read into the first address and the number of words of each frame."""
    breaks = np.flatnonzero(np.diff(addresses.astype(np.int64)) != 1) + 1
    for part in np.split(addresses, breaks):
        for start in range(0, len(part), FRAME_WORDS):
            frame = part[start : start + FRAME_WORDS]
            if len(frame):
                yield int(frame[0]), len(frame)


assert FRAME_WORDS <= MAX_WORDS
