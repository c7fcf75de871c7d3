"""Registers of the same contents in several places: synthesis would make them one.

One register far from some of what it feeds, with a wire to each, costs the clock more than a
register near each of them. On the ECP5 these are therefore instances, which synthesis does not
look into. Ports and parameters: Yosys's simulation model of TRELLIS_FF.
"""

from __future__ import annotations

from amaranth.hdl import ClockSignal, Const, Instance, Module, Signal, Value


def copy(m: Module, value: Value, *, device: str, name: str) -> Signal:
    """`value`, a cycle later, in registers that nothing else shares; undefined at power-up.

    Parameters
    ----------
    device : str
        The FPGA, as `weft.hw.primitives.device.device` has it.
    name : str
        Of the registers.
    """
    result = Signal.like(value, name=name, reset_less=True)
    if not device.startswith("LFE5"):
        m.d.sync += result.eq(value)
        return result
    for bit in range(len(value)):
        m.submodules[f"{name}_{bit}"] = Instance(
            "TRELLIS_FF",
            p_GSR="DISABLED",
            p_CEMUX="1",
            p_CLKMUX="CLK",
            p_LSRMUX="LSR",
            p_REGSET="RESET",
            p_SRMODE="LSR_OVER_CE",
            i_CLK=ClockSignal(),
            i_LSR=Const(0),
            i_CE=Const(1),
            i_DI=value[bit],
            o_Q=result[bit],
        )
    return result
