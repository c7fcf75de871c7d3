"""The top level for the simulator: a board's system without the board."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from weft.boards.flashed_core import FlashedCore
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
        m.submodules.system = system = self._system
        m.d.comb += [
            system.rx.eq(self.rx),
            self.tx.eq(system.tx),
            self.busy.eq(system.busy),
            self.ready.eq(self._core.ready),
        ]
        return m
