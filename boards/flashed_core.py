"""The core as a module that is written elsewhere: for simulation."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import ClockSignal, Instance, Module, ResetSignal
from amaranth.lib import wiring
from amaranth.lib.wiring import Out

from weft.hw.ports import core_ports


class ModuleCore(wiring.Component):
    """In a core's place (`weft.boards.target.System`); its ports are those of `weft.hw.core`.

    Parameters
    ----------
    module : str
        Name of the Verilog module.
    """

    def __init__(self, module: str, **more: Out):
        self._module = module
        super().__init__(core_ports() | more)

    def _outputs(self) -> dict[str, Any]:
        """Further ports of the module."""
        return {}

    def elaborate(self, platform: Any) -> Module:
        """Instantiate the module."""
        m = Module()
        m.submodules.core = Instance(
            self._module,
            i_clk=ClockSignal(),
            i_rst=ResetSignal(),
            i_load__payload=self.load.payload,
            i_load__valid=self.load.valid,
            o_load__ready=self.load.ready,
            i_read__payload=self.read.payload,
            i_read__valid=self.read.valid,
            o_read__ready=self.read.ready,
            o_data__payload=self.data.payload,
            o_data__valid=self.data.valid,
            i_data__ready=self.data.ready,
            i_start=self.start,
            o_busy=self.busy,
            o_cycles=self.cycles,
            **self._outputs(),
        )
        return m


class FlashedCore(ModuleCore):
    """A core that fills its own memories after reset.

    Parameters
    ----------
    module : str
        Name of the Verilog module.

    Members
    -------
    digest : Out(64), flashed : Out(1)
        The program in its memories, first byte lowest, and whether there is one.
    ready : Out(1)
        The memories are filled.
    """

    def __init__(self, module: str):
        super().__init__(module, digest=Out(64), flashed=Out(1), ready=Out(1))

    def _outputs(self) -> dict[str, Any]:
        return {"o_digest": self.digest, "o_flashed": self.flashed, "o_ready": self.ready}
