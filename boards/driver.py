"""The driver: a program and its inputs to a core behind a link, and the outputs back."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import NoReturn

import numpy as np

from weft.boards.protocol import (
    DIGEST_BYTES,
    HEAD_BYTES,
    IDENTITY_SPACE,
    IDENTITY_WORDS,
    MAX_WORDS,
    SYNC,
    VERSION,
    Answer,
    Command,
    Flag,
    Reply,
    decode_reply,
    encode_request,
    reply_length,
)
from weft.boards.transport import SerialTransport, Transport
from weft.compiler.program import Program
from weft.errors import InputError, RefusedError

#: Called with what is being done, how much of it is done, and how much there is.
Progress = Callable[[str, int, int], None]

DEFAULT_BAUD = 1_000_000
#: Requests are repeated so often before the link is given up.
ATTEMPTS = 8
#: Longer than the gateware waits for the rest of a request.
QUIET = 0.15
#: Words per frame: a longer one wins little and is lost more often.
FRAME_WORDS = 128


class LinkError(RefusedError):
    """The board does not answer, or not as it should."""


@dataclass(frozen=True)
class Identity:
    """What a board says it is.

    Parameters
    ----------
    version : int
        Of the protocol.
    config_digest, program_digest : str
        16 hexadecimal digits; `program_digest` is None where no whole program is loaded.
    """

    version: int
    config_digest: str
    program_digest: str | None


@dataclass(frozen=True)
class State:
    """What the core is doing, and the cycles of its current or last inference."""

    busy: bool
    cycles: int


@dataclass
class RunResult:
    """What an engine's `run` returns; `cycles` has one entry per sample.

    Parameters
    ----------
    outputs : dict of str to int8 array, shape (N, H, W, C)
        By tensor name.
    cycles : list of int
    tensors : None
        Intermediate tensors stay on the board.
    """

    outputs: dict[str, np.ndarray]
    cycles: list[int]
    tensors: dict[str, np.ndarray] | None = field(default=None)


class Device:
    """A board with a core, opened for use; a context manager.

    Parameters
    ----------
    port : str or Transport
        A serial port's name, or any stream of bytes to a link.
    baud : int
        The board's own.
    timeout : float
        Seconds to wait for an answer, beyond the time the bytes themselves take.
    limit : float
        Seconds an inference may take before the core counts as stuck.

    Raises
    ------
    WeftError
        If the port cannot be opened.
    """

    def __init__(
        self,
        port: str | Transport,
        *,
        baud: int = DEFAULT_BAUD,
        timeout: float = 1.0,
        limit: float = 10.0,
    ):
        for name, value in (("baud", baud), ("timeout", timeout), ("limit", limit)):
            if not value > 0:
                raise InputError(f"{name} must be a positive number, not {value!r}")
        self._baud = baud
        self._timeout = timeout
        self._limit = limit
        # A host that was killed and comes back must not repeat its last START by chance.
        self._sequence = random.SystemRandom().randrange(256)
        if isinstance(port, Transport):
            self._transport = port
        else:
            self._transport = SerialTransport(port, baud=baud, timeout=timeout)
        self._identity: Identity | None = None
        self._started: int | None = None

    def __enter__(self) -> Device:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the port."""
        self._transport.close()

    def identify(self) -> Identity:
        """Ask the board what it is.

        Raises
        ------
        LinkError
            If nothing, or nothing that speaks this protocol, answers.
        """
        reply = self._request(Command.IDENTIFY, words=IDENTITY_WORDS)
        version = reply.payload[0]
        if version != VERSION:
            raise LinkError(
                f"the board on {self._transport.name} speaks protocol version {version}, "
                f"this weft version {VERSION}; build and flash its bitstream again"
            )
        config, program = reply.payload[4:12].hex(), reply.payload[12:20].hex()
        self._identity = Identity(version, config, program if reply.flags & Flag.LOADED else None)
        return self._identity

    def status(self) -> State:
        """Ask what the core is doing."""
        reply = self._request(Command.STATUS, words=1)
        return State(bool(reply.flags & Flag.BUSY), int.from_bytes(reply.payload, "little"))

    def load(
        self, program: Program, *, force: bool = False, progress: Progress | None = None
    ) -> bool:
        """Write a program's images, unless the board has them; True if it had to.

        Raises
        ------
        RefusedError
            If the board's configuration is not the program's.
        """
        identity = self.identify()
        if identity.config_digest != program.config.digest:
            raise RefusedError(
                f"the board on {self._transport.name} has configuration "
                f"{identity.config_digest}, the program is for {program.config.digest}; "
                "build and flash the program's own bitstream, or compile for this board's"
            )
        if identity.program_digest == program.digest and not force:
            return False
        self._await_idle()
        self._write(program.load_words(), "load", progress)
        digest = np.frombuffer(bytes.fromhex(program.digest), "<u4")
        self._write_words(IDENTITY_SPACE, 0, digest)
        loaded = self.identify().program_digest
        if loaded != program.digest:
            raise LinkError(
                f"the board on {self._transport.name} has program {loaded} after program "
                f"{program.digest} was loaded; unplug it, plug it in and run again"
            )
        return True

    def run(
        self,
        program: Program,
        inputs: Mapping[str, np.ndarray],
        *,
        progress: Progress | None = None,
    ) -> RunResult:
        """Load the program where needed and run it on every sample.

        Parameters
        ----------
        program : Program
        inputs : mapping of tensor name to int8 array, shape (N, H, W, C)

        Raises
        ------
        InputError
            If an input is missing or has the wrong shape.
        RefusedError
            If the board is not the program's, does not answer, or its core is stuck.
        """
        samples = program.check_inputs(inputs)
        self.load(program, progress=progress)
        addresses = program.output_addresses()
        collected: dict[str, list[np.ndarray]] = {name: [] for name in program.core_outputs}
        cycles = []
        for sample in range(samples):
            codes = {name: inputs[name][sample] for name in program.core_inputs}
            self._write(program.input_words(codes), "", None)
            cycles.append(self._infer())
            for name, tensor in program.decode(self._read(addresses)).items():
                collected[name].append(tensor)
            if progress:
                progress("run", sample + 1, samples)
        outputs = {name: np.stack(tensors) for name, tensors in collected.items()}
        return RunResult(outputs, cycles)

    def _infer(self) -> int:
        if (self._sequence + 1) & 0xFF == self._started:
            self._sequence += 1  # the same number again would pass for a repetition
        self._request(Command.START)
        self._started = self._sequence
        return self._await_idle(started=self._started)

    def _await_idle(self, started: int | None = None) -> int:
        end = time.monotonic() + self._limit
        while True:
            reply = self._request(Command.STATUS, words=1)
            self._check_started(reply, started)
            if not reply.flags & Flag.BUSY:
                return int.from_bytes(reply.payload, "little")
            if time.monotonic() > end:
                cycles = int.from_bytes(reply.payload, "little")
                raise LinkError(
                    f"the core on {self._transport.name} is still busy after {self._limit:g} s "
                    f"and {cycles} cycles, so it is stuck; reset or flash the board"
                )

    def _check_started(self, reply: Reply, started: int | None) -> None:
        if started is None:
            return
        if not reply.flags & Flag.STARTED or reply.started != started:
            self._interrupted()

    def _interrupted(self) -> NoReturn:
        raise LinkError(
            f"the board on {self._transport.name} was reset, or used by another program, "
            "in the middle of a run; run again"
        )

    def _write(self, words: np.ndarray, what: str, progress: Progress | None) -> None:
        done = 0
        for space, address, data in _runs(words):
            self._write_words(space, address, data)
            done += len(data)
            if progress:
                progress(what, done, len(words))

    def _write_words(self, space: int, address: int, data: np.ndarray) -> None:
        payload = np.ascontiguousarray(data, "<u4").tobytes()
        self._request(Command.WRITE, count=len(data), space=space, address=address, payload=payload)

    def _read(self, addresses: np.ndarray) -> np.ndarray:
        parts = []
        for start, count in _ranges(addresses):
            reply = self._request(Command.READ, count=count, address=start, words=count)
            self._check_started(reply, self._started)
            parts.append(np.frombuffer(reply.payload, "<u4"))
        return np.concatenate(parts) if parts else np.zeros(0, "<u4")

    def _request(
        self,
        command: Command,
        *,
        count: int = 0,
        space: int = 0,
        address: int = 0,
        payload: bytes | None = None,
        words: int = 0,
    ) -> Reply:
        """Send a request until it is answered; `words` is the length of a good answer."""
        self._sequence = (self._sequence + 1) & 0xFF
        frame = encode_request(
            command, self._sequence, count=count, space=space, address=address, payload=payload
        )
        trouble = "nothing answers"
        for attempt in range(ATTEMPTS):
            if attempt:
                self._transport.drain(QUIET)
            self._transport.write(frame)
            reply, trouble = self._receive(len(frame), words)
            if reply is not None:
                if self._identity and not reply.flags & Flag.SESSION:
                    self._interrupted()
                if reply.status != Answer.OK:
                    self._refuse(command, reply.status)
                return reply
            if attempt == 1 and self._identity is None and trouble == "nothing answers":
                break  # the first request of all: the wrong port, most likely
        raise LinkError(
            f"no good answer to {command.name} from {self._transport.name} ({trouble}); check "
            f"that this port is the board's, that it is flashed, and its {self._baud} baud"
        )

    def _receive(self, sent: int, words: int) -> tuple[Reply | None, str]:
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
                got = self._transport.read(missing, max(0.0, end - time.monotonic()))
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

    def _refuse(self, command: Command, status: int) -> NoReturn:
        name = self._transport.name
        if status == Answer.BUSY:
            raise LinkError(f"the core on {name} is busy; wait for its inference, or reset it")
        known = Answer(status).name if status in list(Answer) else f"status {status}"
        raise LinkError(
            f"the board on {name} refused {command.name} ({known}); "
            "its bitstream is of another version of weft: build and flash it again"
        )


def _runs(words: np.ndarray) -> Iterator[tuple[int, int, np.ndarray]]:
    """Split `LOAD_WORD` writes into frames: one space, consecutive addresses."""
    address, space = words["address"].astype(np.int64), words["space"]
    breaks = np.flatnonzero((np.diff(address) != 1) | (np.diff(space.astype(int)) != 0)) + 1
    for part in np.split(words, breaks):
        for start in range(0, len(part), FRAME_WORDS):
            frame = part[start : start + FRAME_WORDS]
            yield int(frame["space"][0]), int(frame["address"][0]), frame["data"]


def _ranges(addresses: np.ndarray) -> Iterator[tuple[int, int]]:
    """Split addresses to read into frames: a first address and a count."""
    breaks = np.flatnonzero(np.diff(addresses.astype(np.int64)) != 1) + 1
    for part in np.split(addresses, breaks):
        for start in range(0, len(part), FRAME_WORDS):
            frame = part[start : start + FRAME_WORDS]
            if len(frame):
                yield int(frame[0]), len(frame)


assert FRAME_WORDS <= MAX_WORDS
assert DIGEST_BYTES == 8
