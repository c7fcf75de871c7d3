"""A finished build's netlist as a simulated board: what gets onto the board, in FPGA cells."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from weft.boards.clock import RESET_SECONDS
from weft.boards.driver import Driver
from weft.boards.flash import Finished, read_build
from weft.boards.netlist import Level, Netlist, contents, read_netlist, write_verilog
from weft.boards.pll import check_clock
from weft.boards.target import LINK_TIMEOUT_SECONDS
from weft.boards.uart import divisor
from weft.boards.unpack import Configuration, unpack
from weft.compiler.program import Program
from weft.errors import InputError, RefusedError, WeftError
from weft.line_board import LineBoard, Noise
from weft.models import BUILD
from weft.simulated_board import FlashMemory

if TYPE_CHECKING:
    from weft.sim.netlist.board import Pins

#: Seconds that the netlist of a large FPGA may take to answer, and for an inference.
_ANSWER, _INFERENCE = 300.0, 24 * 3600.0

#: What a serial flash memory's pins are called, without the platform's prefix.
_FLASH_PINS = ("cs", "clk", "copi", "cipo")


@dataclass(frozen=True)
class BuiltNetlist:
    """A finished build, ready to be simulated.

    Parameters
    ----------
    folder : Path
    finished : Finished
    level : str
        ``"netlist"`` or ``"routed"``.
    netlist : Netlist
    bitstream : Configuration
        The bitstream, read back.
    """

    folder: Path
    finished: Finished
    level: Level
    netlist: Netlist
    bitstream: Configuration

    @property
    def has_program(self) -> bool:
        """The board has the program when it is switched on."""
        return self.finished.program_digest is not None

    @property
    def flash(self) -> FlashMemory | None:
        """The flash memory that the gateware's boot loader reads, where there is one."""
        if self.finished.program is None:
            return None
        return FlashMemory(self.finished.program.read_bytes(), self.finished.board.program_offset)

    @property
    def files(self) -> dict[str, bytes]:
        """What its simulation finds: contents of block RAMs and flash memory."""
        board = self.finished.board
        blocks = contents(self.netlist, self.folder, board, self.level, self.bitstream.blocks)
        files = {name: text.encode() for name, text in blocks.items()}
        return files | ({} if self.flash is None else self.flash.files)


def read_built(folder: Path, program: Program, level: Level) -> BuiltNetlist:
    """Read what ``weft build`` left in a folder.

    Raises
    ------
    InputError
        If there is no finished build of this program.
    RefusedError
        If the bitstream cannot be read back, or the netlist's clock is not the build's.
    """
    from weft.sim.netlist.cells import cell_models  # noqa: PLC0415

    finished = check_built(folder, program)
    netlist = read_netlist(folder, finished.board, level)
    # Cells without a model are named before anything else is done.
    cell_models(finished.board.family, netlist.kinds)
    check_clock(netlist.cells.values(), finished.board, finished.clock)
    bitstream = unpack(finished.bitstream, finished.board.family)
    return BuiltNetlist(folder, finished, level, netlist, bitstream)


def check_built(folder: Path, program: Program) -> Finished:
    """Look for the finished build of a program.

    Raises
    ------
    InputError
        If there is none.
    """
    if not (folder / BUILD).exists():
        raise InputError(
            f"{folder} holds no build, whose netlists would be simulated; make one with: "
            f"weft build {folder}"
        )
    finished = read_build(folder)
    if finished.config_digest != program.config.digest or finished.program_digest not in (
        program.digest,
        None,
    ):
        raise InputError(
            f"{folder} was compiled again since it was built; build it again with: "
            f"weft build {folder}"
        )
    return finished


class NetlistBoard(LineBoard):
    """The netlist of a finished build in Verilator, with a line at its pins; a context manager.

    Parameters
    ----------
    built : BuiltNetlist

    Raises
    ------
    RefusedError
        If it cannot be built or started: a tool is missing, or a model of a cell.
    """

    def __init__(self, built: BuiltNetlist):
        self._level = built.level
        finished = built.finished
        super().__init__(
            netlist_executable(built),
            built.files,
            cycles_per_bit=divisor(clock=finished.clock, baud=finished.baud),
            timeout_cycles=int(LINK_TIMEOUT_SECONDS * finished.clock),
            noise=Noise(),
        )

    @contextmanager
    def driver(self) -> Iterator[Driver]:
        """The driver on its line.

        Raises
        ------
        RefusedError
            If the simulation ended by itself: a cell was asked for what its model does not have.
        """
        try:
            with Driver(self.port, timeout=_ANSWER, limit=_INFERENCE) as opened:
                yield opened
        except WeftError:
            if self.failure is not None:
                raise RefusedError(
                    f"the simulation of level {self._level} has stopped: {self.failure}"
                ) from None
            raise


def netlist_executable(built: BuiltNetlist) -> Path:
    """The simulator of a netlist, built where it is not in the cache."""
    from weft.sim.line.executable import executable  # noqa: PLC0415
    from weft.sim.line.sources import FLASH_VERILOG  # noqa: PLC0415
    from weft.sim.netlist.board import around  # noqa: PLC0415
    from weft.sim.netlist.cells import cell_models  # noqa: PLC0415

    models = cell_models(built.finished.board.family, built.netlist.kinds)
    pins = _pins(built)
    beside = models + (FLASH_VERILOG if pins.flash else "")
    board = around(pins, deaf=_deaf_cycles(built))
    return executable(board, write_verilog(built.netlist), beside, anew=True)


def _deaf_cycles(built: BuiltNetlist) -> int:
    """Cycles after configuration in which the host is not heard, and some more."""
    reset = 2 * math.ceil(RESET_SECONDS * built.finished.clock) + 100
    image = built.finished.program
    # The boot loader takes 17 cycles for a byte, and first waits for the memory to wake up.
    return reset + (0 if image is None else 20 * image.stat().st_size + 2_000)


def _pins(built: BuiltNetlist) -> Pins:
    """The ports' names, as Amaranth makes them of the platform's resources."""
    from weft.sim.netlist.board import Pins  # noqa: PLC0415

    board = built.finished.board
    port: Callable[[str], str] = "{}__io".format
    flash = {}
    if built.finished.program is not None:
        flash = {name: port(f"{board.spi_flash}_0__{name}") for name in _FLASH_PINS}
    return Pins(
        clock=port(f"{board.platform().default_clk}_0"),
        rx=port(f"{board.uart}_0__rx"),
        tx=port(f"{board.uart}_0__tx"),
        flash=flash,
    )
