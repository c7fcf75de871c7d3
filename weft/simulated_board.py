"""A board in the simulator behind a pseudo-terminal, for the real driver and real serial ports."""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import subprocess
import tempfile
from dataclasses import astuple, dataclass
from pathlib import Path
from types import TracebackType
from typing import NoReturn

from weft.compiler.program import Program
from weft.errors import RefusedError
from weft.hw.config import Config

#: Instead of a serial port: a simulated board of one's own.
SIMULATED = "sim"

#: Bits per second that the line is called; the line takes as many cycles for a bit as it must.
BAUD = 1_000_000
CYCLES_PER_BIT = 4

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


@dataclass(frozen=True)
class FlashMemory:
    """The flash memory of a board whose gateware has a boot loader.

    Parameters
    ----------
    image : bytes
        What is in it (`weft.boards.flash_image`, program.img in a build's folder); all else is
        erased.
    offset : int
        From where on: the board's `program_offset`.
    """

    image: bytes
    offset: int


class SimulatedBoard:
    """The top level of a board, link included, in Verilator; a context manager.

    It has what its bitstream would give it: a configuration, and a program in its memories, or a
    boot loader that looks for one in flash memory. A second program goes over the line, as on a
    board.

    Parameters
    ----------
    config : Config
    program : Program or None
        What is in the memories after every reset.
    boot : FlashMemory or None
        Instead of `program`: what a boot loader finds after every reset.
    noise : Noise

    Attributes
    ----------
    port : str
        Name of the pseudo-terminal.

    Raises
    ------
    RefusedError
        If Verilator is missing or the board cannot be built or started.
    """

    def __init__(
        self,
        config: Config,
        program: Program | None = None,
        *,
        boot: FlashMemory | None = None,
        noise: Noise | None = None,
    ):
        if program is not None and program.config.digest != config.digest:
            raise ValueError("the program is for another configuration")
        if program is not None and boot is not None:
            raise ValueError("a board with a boot loader has no program but that in flash memory")
        self._folder = Path(tempfile.mkdtemp(prefix="weft-board-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._ends: list[int] = []
        try:
            self._start(config, program, boot, noise or Noise())
        except BaseException:
            self.close()
            raise

    def _start(
        self, config: Config, program: Program | None, boot: FlashMemory | None, noise: Noise
    ) -> None:
        from weft.sim.line.sources import FLASH_FILE, IMAGES_FILE  # noqa: PLC0415

        try:
            import tty  # noqa: PLC0415
        except ImportError:
            raise RefusedError(
                "this system has no pseudo-terminals, which a simulated board needs; run it on "
                "Linux or macOS"
            ) from None
        if boot is None:
            binary = board_executable(config)
            filled = b"" if program is None else flash_bytes(program)
            (self._folder / IMAGES_FILE).write_bytes(filled)
        else:
            binary = booting_executable(config, boot.offset)
            # Erased up to the image.
            (self._folder / FLASH_FILE).write_bytes(b"\xff" * boot.offset + boot.image)
        master, slave = os.openpty()
        # The board keeps its own end of the line open: it outlives the programs that use it.
        self._ends = [master, slave]
        tty.setraw(slave)
        self.port = os.ttyname(slave)
        numbers = (master, CYCLES_PER_BIT, 4 * link_timeout_cycles(), *astuple(noise))
        self._log = (self._folder / "board.log").open("wb")
        self._process = subprocess.Popen(
            [binary, *map(str, numbers)],
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

    def __enter__(self) -> SimulatedBoard:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def link_timeout_cycles() -> int:
    """Cycles after which the simulated board's link forgets half a request."""
    from weft.boards.target import LINK_TIMEOUT_SECONDS  # noqa: PLC0415

    return int(LINK_TIMEOUT_SECONDS * BAUD * CYCLES_PER_BIT)


def board_executable(config: Config) -> Path:
    """The simulator of a board with a configuration, built where it is not in the cache."""
    from weft.boards.simulated import SimulatedTarget  # noqa: PLC0415
    from weft.hw.verilog import convert  # noqa: PLC0415
    from weft.sim.line import sources  # noqa: PLC0415
    from weft.sim.line.executable import executable  # noqa: PLC0415
    from weft.sim.verilog.source import core_verilog  # noqa: PLC0415

    target = SimulatedTarget(config, clock=BAUD * CYCLES_PER_BIT, baud=BAUD, core=sources.CORE)
    return executable(convert(target, name=sources.TOP), core_verilog(config))


def booting_executable(config: Config, offset: int) -> Path:
    """The same with a boot loader, which looks for its program from `offset` on."""
    from weft.boards.simulated import BootingTarget  # noqa: PLC0415
    from weft.hw.verilog import TOP, convert  # noqa: PLC0415
    from weft.sim.line import sources  # noqa: PLC0415
    from weft.sim.line.executable import executable  # noqa: PLC0415
    from weft.sim.verilog.source import core_verilog  # noqa: PLC0415

    target = BootingTarget(
        config, clock=BAUD * CYCLES_PER_BIT, baud=BAUD, offset=offset, core=TOP,
        flash=sources.FLASH,
    )  # fmt: skip
    board = convert(target, name=sources.TOP)
    return executable(board, core_verilog(config), sources.FLASH_VERILOG)


def flash_bytes(program: Program) -> bytes:
    """What fills the memories: a digest, then load words."""
    from weft.sim.verilog.engine import load_bytes  # noqa: PLC0415

    # Numbers are read with the big end first, and the digest's first byte is its lowest.
    return bytes.fromhex(program.digest)[::-1] + load_bytes(program.load_words())
