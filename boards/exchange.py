"""Requests to a link, each repeated until it is answered, over a port that may go away."""

from __future__ import annotations

import random
import time
from typing import NoReturn

from weft.boards.protocol import (
    HEAD_BYTES,
    SYNC,
    Answer,
    Command,
    Flag,
    Reply,
    after,
    decode_reply,
    encode_request,
    hidden_request,
    reply_length,
)
from weft.boards.transport import GoneError, SerialTransport, Transport
from weft.errors import InputError, RefusedError

DEFAULT_BAUD = 1_000_000
#: Requests are repeated so often before the link is given up.
ATTEMPTS = 8
#: Longer than the gateware waits for the rest of a request.
QUIET = 0.15


class LinkError(RefusedError):
    """The board does not answer, or not as it should."""


class SilentError(LinkError):
    """The board gives no good answer, however often it is asked."""


class ResetError(LinkError):
    """The board has lost what it was doing: it was reset, or somebody else used it."""


class Exchange:
    """One request at a time and its answer.

    A port that went away is opened again by the next request.

    Parameters
    ----------
    port : str or Transport
        A serial port's name, or any stream of bytes to a link; such a stream cannot come back.
    baud : int
    timeout : float
        Seconds to wait for an answer, beyond the time the bytes themselves take.

    Attributes
    ----------
    name : str
        What messages call the port.
    known : bool
        The board has been identified since the port was opened: it may not forget that.

    Raises
    ------
    WeftError
        If the port cannot be opened.
    """

    def __init__(self, port: str | Transport, *, baud: int, timeout: float):
        for what, value in (("baud", baud), ("timeout", timeout)):
            if not value > 0:
                raise InputError(f"{what} must be a positive number, not {value!r}")
        self._port = port
        self._baud = baud
        self._timeout = timeout
        # A host that was killed and comes back must not repeat its last START by chance.
        self._sequence = random.SystemRandom().randrange(256)
        self._started: int | None = None
        self.known = False
        self._transport: Transport | None = None
        self.name = self._open().name

    def _open(self) -> Transport:
        if self._transport is None:
            self.known = False
            self._started = None
            port = self._port
            if isinstance(port, Transport):
                self._transport = port
            else:
                self._transport = SerialTransport(port, baud=self._baud, timeout=self._timeout)
        return self._transport

    def close(self) -> None:
        """Let go of the port; harmless when done twice."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def start(self) -> None:
        """Have the core start; from now on every answer must be of that run."""
        if (self._sequence + 1) & 0xFF == self._started:
            self._sequence += 1  # the same number again would pass for a repetition
        self.request(Command.START, address=after(self._started))

    def identify(self, words: int) -> Reply:
        """Ask for the identity, with which a session begins and no run is under way."""
        self._started = None
        reply = self.request(Command.IDENTIFY, words=words)
        self.known = True
        return reply

    def request(
        self,
        command: Command,
        *,
        count: int = 0,
        space: int = 0,
        address: int = 0,
        payload: bytes | None = None,
        words: int = 0,
    ) -> Reply:
        """Send a request until it is answered; `words` is the length of a good answer.

        Raises
        ------
        GoneError
            If the port goes away.
        ResetError
            If the board does not know any more what it was doing.
        SilentError
            If there is no good answer.
        LinkError
            If the board refuses.
        """
        try:
            return self._request(
                self._open(), command, words,
                count=count, space=space, address=address, payload=payload,
            )  # fmt: skip
        except GoneError:
            self.close()
            raise

    def _request(
        self, transport: Transport, command: Command, words: int, **fields: int | bytes | None
    ) -> Reply:
        frame = self._next_frame(command, **fields)
        trouble = "nothing answers"
        for attempt in range(ATTEMPTS):
            if attempt:
                transport.drain(QUIET)
            transport.write(frame)
            reply, trouble = self._receive(transport, len(frame), words)
            if reply is not None:
                if command == Command.START and reply.status == Answer.OK:
                    self._started = self._sequence
                self._check_run(reply)
                if reply.status != Answer.OK:
                    self._refuse(command, reply.status)
                return reply
            if attempt == 1 and not self.known and trouble == "nothing answers":
                break  # the first request of all: the wrong port, most likely
        raise SilentError(
            f"no good answer to {command.name} from {self.name} ({trouble}); check "
            f"that this port is the board's, that it is flashed, and its {self._baud} baud"
        )

    def _next_frame(self, command: Command, **fields: int | bytes | None) -> bytes:
        """A request with a new sequence number.

        Where a header's CRC and the words behind it make a request of their own, the next number
        has another CRC. Words that hold one by themselves do so under every number.
        """
        for _ in range(256):
            self._sequence = (self._sequence + 1) & 0xFF
            frame = encode_request(command, self._sequence, **fields)  # type: ignore[arg-type]
            if hidden_request(frame, start=1) is None:
                break
        return frame

    def _receive(self, transport: Transport, sent: int, words: int) -> tuple[Reply | None, str]:
        """Wait for the answer to the current request; what is wrong where there is none."""
        wait = self._timeout + 10 * (sent + HEAD_BYTES + 4 * words + 4) / self._baud
        end = time.monotonic() + wait
        trouble = "nothing answers"
        buffer = b""
        while True:
            missing = HEAD_BYTES - len(buffer)
            if missing <= 0:
                missing = reply_length(buffer) - len(buffer)
            if missing > 0:
                got = transport.read(missing, max(0.0, end - time.monotonic()))
                buffer += got
                if len(got) < missing:
                    return None, "an answer was cut off" if buffer else trouble
            start = buffer.find(bytes([SYNC]))
            if start:
                buffer = buffer[start:] if start > 0 else b""
                continue
            if len(buffer) < HEAD_BYTES or len(buffer) < reply_length(buffer):
                continue
            reply = decode_reply(buffer)
            if reply is None:
                return None, "an answer was damaged"
            if reply.status in (Answer.BAD_HEADER, Answer.BAD_PAYLOAD):
                return None, "a request was damaged"
            if reply.sequence == self._sequence:
                good = reply.status != Answer.OK or len(reply.payload) == 4 * words
                return (reply, "") if good else (None, "an answer had the wrong length")
            # A late answer to a request that was given up.
            trouble, buffer = "an answer was out of sequence", b""

    def _check_run(self, reply: Reply) -> None:
        """Refuse an answer of a board that has forgotten the session or the run."""
        started = reply.started if reply.flags & Flag.STARTED else None
        # Whoever has not identified the board knows of no START.
        if (self.known and not reply.flags & Flag.SESSION) or (
            started != self._started and (self.known or self._started is not None)
        ):
            raise ResetError(
                f"the board on {self.name} was reset, or used by another program, "
                "in the middle of a run; run again"
            )

    def _refuse(self, command: Command, status: int) -> NoReturn:
        if status == Answer.BUSY:
            raise LinkError(f"the core on {self.name} is busy; wait for its inference, or reset it")
        known = Answer(status).name if status in list(Answer) else f"status {status}"
        raise LinkError(
            f"the board on {self.name} refused {command.name} ({known}); "
            "its bitstream is of another version of weft: build and flash it again"
        )
