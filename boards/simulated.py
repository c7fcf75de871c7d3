"""The top level for the simulator: a board's system without the board."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Instance, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from weft.boards.boot import BootLoader
from weft.boards.flashed_core import FlashedCore, ModuleCore
from weft.boards.target import System
from weft.hw.config import Config


class SimulatedTarget(wiring.Component):
    """Core, link and UART, in place of `weft.boards.target.Target`.

    Parameters
    ----------
    config : Config
    clock, baud : float
        As of `System`.
    core : str
        Name of the Verilog module that is the core: `FlashedCore`.

    Members
    -------
    rx : In(1), tx : Out(1)
        The line.
    busy : Out(1)
        An inference is under way.
    ready : Out(1)
        The memories are filled.
    """

    def __init__(self, config: Config, *, clock: float, baud: float, core: str):
        self._core = FlashedCore(core)
        self._system = System(config, clock=clock, baud=baud, core=self._core)
        super().__init__(
            {"rx": In(1, init=1), "tx": Out(1, init=1), "busy": Out(1), "ready": Out(1)}
        )

    def elaborate(self, platform: Any) -> Module:
        """Connect the system's pins."""
        m = Module()
        m.submodules.system = self._system
        _connect_line(m, self, self._system)
        m.d.comb += self.ready.eq(self._core.ready)
        return m


class BootingTarget(wiring.Component):
    """The same with a boot loader, and a flash memory that it finds its program in.

    Parameters
    ----------
    config : Config
    clock, baud : float
        As of `System`.
    offset : int
        Where in the flash memory the loader looks.
    core, flash : str
        Names of the Verilog modules that are the core, whose memories nobody has filled, and the
        flash memory.

    Members
    -------
    rx, tx, busy
        As of `SimulatedTarget`.
    ready : Out(1)
        The boot loader is done.
    """

    def __init__(
        self, config: Config, *, clock: float, baud: float, offset: int, core: str, flash: str
    ):
        boot = BootLoader(config_digest=config.digest, offset=offset)
        self._system = System(config, clock=clock, baud=baud, boot=boot, core=ModuleCore(core))
        self._boot = boot
        self._flash = flash
        super().__init__(
            {"rx": In(1, init=1), "tx": Out(1, init=1), "busy": Out(1), "ready": Out(1)}
        )

    def elaborate(self, platform: Any) -> Module:
        """Connect the system's pins, and those of the flash memory."""
        m = Module()
        m.submodules.system = self._system
        _connect_line(m, self, self._system)
        spi = self._boot.spi
        m.submodules.flash = Instance(
            self._flash,
            i_select=spi.select,
            i_clock=spi.clock,
            i_copi=spi.copi,
            o_cipo=spi.cipo,
        )
        m.d.comb += self.ready.eq(~self._boot.busy)
        return m


def _connect_line(m: Module, top: Any, system: System) -> None:
    m.d.comb += [system.rx.eq(top.rx), top.tx.eq(system.tx), top.busy.eq(system.busy)]
