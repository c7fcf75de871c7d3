"""The driver: a program and its inputs to a core behind a link, and the outputs back."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType

import numpy as np

from weft.boards.exchange import DEFAULT_BAUD, Exchange, LinkError, ResetError, SilentError
from weft.boards.frames import ranges, runs
from weft.boards.protocol import (
    DIGEST_BYTES,
    IDENTITY_SPACE,
    IDENTITY_WORDS,
    VERSION,
    Command,
    Flag,
    Reply,
)
from weft.boards.transport import GoneError, Transport
from weft.compiler.program import Program
from weft.errors import InputError, RefusedError, WeftError

#: Called with what is being done, how much of it is done, and how much there is.
Progress = Callable[[str, int, int], None]

#: Seconds between two looks for a board that went away.
LOOK = 0.2
#: A board that comes back so often without a sample done is given up.
RETURNS = 3


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


class Driver:
    """A board with a core, opened for use; a context manager.

    It speaks of programs and of codes. `weft.Device` is built on it and speaks of models and of
    their own arrays.

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
    reconnect : float
        Seconds that a run waits for a board that was unplugged or reset or is silent, to go on
        with the sample that it was at; with 0 the run ends with the error.

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
        reconnect: float = 0.0,
    ):
        if not limit > 0:
            raise InputError(f"limit must be a positive number, not {limit!r}")
        if not reconnect >= 0:
            raise InputError(f"reconnect must be a number of seconds, not {reconnect!r}")
        self._limit = limit
        self._reconnect = reconnect
        self._link = Exchange(port, baud=baud, timeout=timeout)

    def __enter__(self) -> Driver:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def name(self) -> str:
        """What messages call the port."""
        return self._link.name

    def close(self) -> None:
        """Let go of the port; whatever is asked next opens it again."""
        self._link.close()

    def identify(self) -> Identity:
        """Ask the board what it is.

        Raises
        ------
        LinkError
            If nothing, or nothing that speaks this protocol, answers.
        """
        reply = self._link.identify(IDENTITY_WORDS)
        version = reply.payload[0]
        if version != VERSION:
            raise LinkError(
                f"the board on {self.name} speaks protocol version {version}, "
                f"this weft version {VERSION}; build and flash its bitstream again"
            )
        config, program = reply.payload[4:12].hex(), reply.payload[12:20].hex()
        return Identity(version, config, program if reply.flags & Flag.LOADED else None)

    def status(self) -> State:
        """Ask what the core is doing."""
        reply = self._status()
        return State(bool(reply.flags & Flag.BUSY), _cycles(reply))

    def check(self, program: Program) -> Identity:
        """Identify the board, refuse one that cannot run a program, and wait until it is idle.

        A host that was stopped in the middle of a run leaves one that is not.

        Raises
        ------
        RefusedError
            If the board's configuration is not the program's, or its core is stuck.
        """
        identity = self.identify()
        if identity.config_digest != program.config.digest:
            raise RefusedError(
                f"the board on {self.name} has configuration "
                f"{identity.config_digest}, the program is for {program.config.digest}; "
                "build and flash the program's own bitstream, or compile for this board's"
            )
        self.await_idle()
        return identity

    def load(
        self, program: Program, *, force: bool = False, progress: Progress | None = None
    ) -> bool:
        """Write a program's images, unless the board has them; True if it had to.

        Raises
        ------
        RefusedError
            If the board's configuration is not the program's.
        """
        identity = self.check(program)
        if identity.program_digest == program.digest and not force:
            return False
        self.write(program.load_words(), "load", progress)
        self.name_program(program)
        return True

    def name_program(self, program: Program) -> None:
        """Tell the board which program is in its memories, now that it is."""
        digest = np.frombuffer(bytes.fromhex(program.digest), "<u4")
        self._write_words(IDENTITY_SPACE, 0, digest)
        loaded = self.identify().program_digest
        if loaded != program.digest:
            raise LinkError(
                f"the board on {self.name} has program {loaded} after program "
                f"{program.digest} was loaded; unplug it, plug it in and run again"
            )

    def require(self, program: Program) -> None:
        """Refuse a board that does not have a program in its memories."""
        found = self.check(program).program_digest
        if found != program.digest:
            has = "no program" if found is None else f"program {found}"
            raise RefusedError(
                f"the board on {self.name} has {has}, and {program.digest} was asked for; flash "
                "the bitstream of the program's folder, or let the program be loaded"
            )

    def run(
        self,
        program: Program,
        inputs: Mapping[str, np.ndarray],
        *,
        load: bool = True,
        progress: Progress | None = None,
    ) -> RunResult:
        """Run a program on every sample.

        Where the program releases its inputs early (`Config.stream`), the next sample's are
        written while the core computes.

        Parameters
        ----------
        program : Program
        inputs : mapping of tensor name to int8 array, shape (N, H, W, C)
        load : bool
            Load the program where the board has another one; otherwise that is refused.

        Raises
        ------
        InputError
            If an input is missing or has the wrong shape.
        GoneError
            If the board goes away, and does not return in time.
        RefusedError
            If the board is not the program's, does not answer, or its core is stuck.
        """
        samples = program.check_inputs(inputs)
        batch = _Batch(self, program, inputs, samples)
        returns = done = 0
        ready = False
        while done < samples:
            try:
                if not ready:
                    if load:
                        self.load(program, progress=progress)
                    else:
                        self.require(program)
                    ready = True
                batch.step(done)
            except (GoneError, ResetError, SilentError) as error:
                returns += 1
                if not self._reconnect or returns > RETURNS:
                    raise
                self._await_return(error)
                batch.forget()
                ready = False
                continue
            done, returns = done + 1, 0
            if progress:
                progress("run", done, samples)
        return batch.result()

    def _await_return(self, error: WeftError) -> None:
        """Wait for a board that went away; raise what happened where it stays away."""
        end = time.monotonic() + self._reconnect
        while True:
            try:
                self.identify()
            except WeftError:
                # Its port has no name yet, or it has no configuration yet.
                self._link.close()
            else:
                return
            if time.monotonic() > end:
                raise error
            time.sleep(LOOK)

    def start(self) -> None:
        """Start an inference."""
        self._link.start()

    def await_idle(self, *, or_flag: Flag = Flag(0)) -> int:  # noqa: B008 - a constant
        """Wait until the core is not busy, or a flag is up; its cycles.

        Raises
        ------
        LinkError
            If that takes longer than the limit.
        """
        end = time.monotonic() + self._limit
        while True:
            reply = self._status()
            if not reply.flags & Flag.BUSY or reply.flags & or_flag:
                return _cycles(reply)
            if time.monotonic() > end:
                raise LinkError(
                    f"the core on {self.name} is still busy after {self._limit:g} s "
                    f"and {_cycles(reply)} cycles, so it is stuck; reset or flash the board"
                )

    def _status(self) -> Reply:
        return self._link.request(Command.STATUS, words=1)

    def write(self, words: np.ndarray, what: str = "", progress: Progress | None = None) -> None:
        """Write into the memories.

        Parameters
        ----------
        words : LOAD_WORD array
        what : str
            For `progress`.
        """
        done = 0
        for space, address, data in runs(words):
            self._write_words(space, address, data)
            done += len(data)
            if progress:
                progress(what, done, len(words))

    def _write_words(self, space: int, address: int, data: np.ndarray) -> None:
        payload = np.ascontiguousarray(data, "<u4").tobytes()
        self._link.request(
            Command.WRITE, count=len(data), space=space, address=address, payload=payload
        )

    def read(self, addresses: np.ndarray) -> np.ndarray:
        """Words of the activation memory: uint32 array, in the order of their addresses."""
        parts = []
        for start, count in ranges(addresses):
            reply = self._link.request(Command.READ, count=count, address=start, words=count)
            parts.append(np.frombuffer(reply.payload, "<u4"))
        return np.concatenate(parts) if parts else np.zeros(0, "<u4")


class _Batch:
    """Samples on their way through a board, one after the other."""

    def __init__(
        self, driver: Driver, program: Program, inputs: Mapping[str, np.ndarray], samples: int
    ):
        self._driver = driver
        self._program = program
        self._inputs = inputs
        self._samples = samples
        self._addresses = program.output_addresses()
        self._outputs: dict[str, list[np.ndarray]] = {name: [] for name in program.core_outputs}
        self._cycles: list[int] = []
        self._ahead = bool(program.config.stream) and program.released is not None
        #: The sample whose inputs are in the board's memory.
        self._there: int | None = None

    def forget(self) -> None:
        """The board has lost what it had."""
        self._there = None

    def step(self, sample: int) -> None:
        """Run one sample, and bring the next one's inputs where they may come already."""
        driver = self._driver
        if self._there != sample:
            self._write(sample)
        self._there = None  # the core may write where they lie
        driver.start()
        if self._ahead and sample + 1 < self._samples:
            driver.await_idle(or_flag=Flag.RELEASED)
            self._write(sample + 1)
        cycles = driver.await_idle()
        tensors = self._program.decode(driver.read(self._addresses))
        self._cycles.append(cycles)
        for name, tensor in tensors.items():
            self._outputs[name].append(tensor)

    def _write(self, sample: int) -> None:
        codes = {name: self._inputs[name][sample] for name in self._program.core_inputs}
        self._driver.write(self._program.input_words(codes))
        self._there = sample

    def result(self) -> RunResult:
        outputs = {name: np.stack(tensors) for name, tensors in self._outputs.items()}
        return RunResult(outputs, self._cycles)


def _cycles(reply: Reply) -> int:
    return int.from_bytes(reply.payload, "little")


assert DIGEST_BYTES == 8
