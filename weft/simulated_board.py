"""A board in the simulator behind a pseudo-terminal, for the real driver and real serial ports."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from weft.compiler.program import Program
from weft.hw.config import Config
from weft.line_board import LineBoard, Noise, check_terminals

#: Instead of a serial port: a simulated board of one's own.
SIMULATED = "sim"

#: Bits per second that the line is called; the line takes as many cycles for a bit as it must.
BAUD = 1_000_000
CYCLES_PER_BIT = 4


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

    @property
    def files(self) -> dict[str, bytes]:
        """The file that the simulated flash memory reads: erased up to the image."""
        from weft.sim.line.sources import FLASH_FILE  # noqa: PLC0415

        return {FLASH_FILE: b"\xff" * self.offset + self.image}


class SimulatedBoard(LineBoard):
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
        from weft.sim.line.sources import IMAGES_FILE  # noqa: PLC0415

        if program is not None and program.config.digest != config.digest:
            raise ValueError("the program is for another configuration")
        if program is not None and boot is not None:
            raise ValueError("a board with a boot loader has no program but that in flash memory")
        check_terminals()
        if boot is None:
            binary = board_executable(config)
            files = {IMAGES_FILE: b"" if program is None else flash_bytes(program)}
        else:
            binary = booting_executable(config, boot.offset)
            files = boot.files
        super().__init__(
            binary, files, cycles_per_bit=CYCLES_PER_BIT,
            timeout_cycles=link_timeout_cycles(), noise=noise or Noise(),
        )  # fmt: skip


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
