"""A simulated board as a process behind a pseudo-terminal, for real serial ports."""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

from weft.errors import RefusedError

#: Seconds that filling the memories may take.
_FLASHING = 120.0


@dataclass(frozen=True)
class Noise:
    """A bad line, in both directions.

    Parameters
    ----------
    seed : int
        The same seed and bytes give the same noise.
    damaged, lost, doubled : int
        Of a million bytes so many have a wrong bit, do not arrive, or arrive twice.
    """

    seed: int = 0
    damaged: int = 0
    lost: int = 0
    doubled: int = 0


class LineBoard:
    """An executable of `weft.sim.line` that runs; a context manager.

    Parameters
    ----------
    binary : Path
    files : mapping of str to bytes
        What it finds in its folder.
    cycles_per_bit : int
    timeout_cycles : int
        Cycles after which the board's link forgets half a request.
    noise : Noise

    Attributes
    ----------
    port : str
        Name of the pseudo-terminal.

    Raises
    ------
    RefusedError
        If the board cannot be started.
    """

    def __init__(
        self,
        binary: Path,
        files: Mapping[str, bytes],
        *,
        cycles_per_bit: int,
        timeout_cycles: int,
        noise: Noise,
    ):
        check_terminals()
        self._folder = Path(tempfile.mkdtemp(prefix="weft-board-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._ends: list[int] = []
        try:
            for name, content in files.items():
                (self._folder / name).write_bytes(content)
            # Four times, so that it has surely forgotten before its time stands still.
            self._start(binary, (cycles_per_bit, 4 * timeout_cycles, *astuple(noise)))
        except BaseException:
            self.close()
            raise

    def _start(self, binary: Path, numbers: tuple[int, ...]) -> None:
        import tty  # noqa: PLC0415 - not on every system

        master, slave = os.openpty()
        # The board keeps its own end of the line open: it outlives the programs that use it.
        self._ends = [master, slave]
        tty.setraw(slave)
        self.port = os.ttyname(slave)
        self._log = (self._folder / "board.log").open("wb")
        self._process = subprocess.Popen(
            [binary, *map(str, (master, *numbers))],
            cwd=self._folder, pass_fds=[master], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=self._log,
        )  # fmt: skip
        self._await_ready()

    def _await_ready(self) -> None:
        process = self._process
        assert process is not None
        assert process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            heard = selector.select(_FLASHING)
        if not heard or process.stdout.readline() != b"ready\n":
            raise RefusedError(
                f"the simulated board does not start (status {process.poll()}); build it again, "
                "with WEFT_CACHE set to an empty folder"
            )

    @property
    def failure(self) -> str | None:
        """What it said last, where it has ended by itself; None while it runs."""
        process = self._process
        if process is None or process.poll() is None:
            return None
        said = b"" if process.stdout is None else process.stdout.read()
        said += (self._folder / "board.log").read_bytes()
        lines = said.decode(errors="replace").strip().splitlines()
        return lines[0] if lines else f"it ended with status {process.returncode}"

    def reset(self) -> None:
        """Configure it again, as the reset button does: all that was loaded is lost."""
        process = self._process
        if process is None:
            raise RuntimeError("the simulated board is switched off")
        assert process.stdin is not None
        process.stdin.write(b"r")
        process.stdin.flush()
        self._await_ready()

    def wait(self) -> NoReturn:
        """Wait as long as it runs.

        Raises
        ------
        RefusedError
            When it ends by itself, which it does only where something is wrong.
        """
        assert self._process is not None
        status = self._process.wait()
        raise RefusedError(
            f"the simulated board on {self.port} has stopped (status {status}); start it again"
        )

    def close(self) -> None:
        """Switch it off; harmless when done twice."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout, self._log):
                with contextlib.suppress(OSError):
                    pipe.close()  # type: ignore[union-attr]
            self._process = None
        for end in self._ends:
            os.close(end)
        self._ends = []
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def check_terminals() -> None:
    """Refuse a system without pseudo-terminals, before anything is built.

    Raises
    ------
    RefusedError
        If there are none.
    """
    try:
        import tty  # noqa: F401, PLC0415
    except ImportError:
        raise RefusedError(
            "this system has no pseudo-terminals, which a simulated board needs; run it on "
            "Linux or macOS"
        ) from None
