"""A netlist with a serial line at its pins, as `weft.sim.line` runs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from weft.sim.line import sources


@dataclass(frozen=True)
class Pins:
    """Names of the netlist's ports.

    Parameters
    ----------
    clock, rx, tx : str
    flash : mapping of str to str
        Ports of a serial flash memory by ``"cs"`` (low while it is selected), ``"clk"``,
        ``"copi"`` and ``"cipo"``; empty where there is none.
    """

    clock: str
    rx: str
    tx: str
    flash: Mapping[str, str]


def around(pins: Pins, *, deaf: int, top: str = "top") -> str:
    """Verilog of the module `sources.TOP`: a netlist, its clock and its line.

    The clock goes to the pin of the board's oscillator, and the models of PLLs pass it on: a cycle
    is one of the core's. The netlist has no reset pin: a new model is what a configured FPGA is.

    Parameters
    ----------
    pins : Pins
    deaf : int
        Cycles after configuration in which the netlist does not hear its line.
    top : str
        The netlist's module.
    """
    ports = [f".\\{pins.clock} (clk_pin)", f".\\{pins.rx} (rx_pin)", f".\\{pins.tx} (tx_pin)"]
    flash = ""
    if pins.flash:
        ports += [f".\\{port} (flash_{name})" for name, port in pins.flash.items()]
        flash = f"""
  wire flash_cs, flash_clk, flash_copi, flash_cipo;
  {sources.FLASH} flash (
    .select(~flash_cs), .clock(flash_clk), .copi(flash_copi), .cipo(flash_cipo)
  );"""
    connections = ",\n    ".join(ports)
    return f"""
module {sources.TOP} (
  input clk, input rst, input rx, output tx, output busy, output ready
);
  // The netlist's ports are inouts.
  wire clk_pin = clk, rx_pin = rx, tx_pin;
  assign tx = tx_pin;
  integer left = {deaf};
  always @(posedge clk) if (left != 0) left <= left - 1;
  assign busy = 1'b0, ready = left == 0;{flash}
  {top} netlist (
    {connections}
  );
endmodule
"""
