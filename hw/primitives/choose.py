"""One of four bits: what synthesis makes of more tables than an FPGA needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Const, Instance, Module, Mux, Signal, Value

from weft.hw.primitives.device import device

#: ``b if c else a``, of a table's inputs a, b, c; the fourth one is of no matter.
_LOWER_OR_UPPER = 0xCACA


def choose(m: Module, platform: Any, index: Value, choices: Sequence[Value], *, name: str) -> Value:
    """The bit of `choices` at `index`; any of them beyond.

    Parameters
    ----------
    index : Value
    choices : sequence of Value
        Bits, up to ``2**len(index)``. Four different ones take two lookup tables of an ECP5 and
        the multiplexer behind them, which synthesis finds only for five inputs in all.
    name : str
        Of the cells.
    """
    if len(choices) == 1:
        return choices[0]
    half = 1 << len(index) - 1
    if len(choices) <= half:
        return choose(m, platform, index[:-1], choices, name=name)
    if len(choices) == 4 and device(platform).startswith("LFE5"):
        return _pfumx(m, index, choices, name)
    lower, upper = (
        choose(m, platform, index[:-1], part, name=f"{name}_{at}")
        for at, part in enumerate((choices[:half], choices[half:]))
    )
    return Mux(index[-1], upper, lower)


def _pfumx(m: Module, index: Value, choices: Sequence[Value], name: str) -> Value:
    halves = []
    for at in (0, 2):
        out = Signal(name=f"{name}_{at}")
        m.submodules[f"{name}_table_{at}"] = Instance(
            "LUT4",
            p_INIT=Const(_LOWER_OR_UPPER, 16),
            i_A=choices[at],
            i_B=choices[at + 1],
            i_C=index[0],
            i_D=Const(0),
            o_Z=out,
        )
        halves.append(out)
    chosen = Signal(name=name)
    m.submodules[f"{name}_pfumx"] = Instance(
        "PFUMX", i_ALUT=halves[1], i_BLUT=halves[0], i_C0=index[1], o_Z=chosen
    )
    return chosen
