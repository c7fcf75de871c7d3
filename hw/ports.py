"""The core's ports, and what travels on them."""

from __future__ import annotations

from amaranth.hdl import unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

#: One write at the load port: a 32-bit word, its word address, and the memory (a `Space`).
LoadWord = data.StructLayout({"data": 32, "address": 24, "space": 3})


def core_ports() -> dict[str, wiring.Member]:
    """What a core, and whatever stands for one, has; `weft.hw.core.Core` says what it means."""
    return {
        "load": In(stream.Signature(LoadWord)),
        "read": In(stream.Signature(unsigned(24))),
        "data": Out(stream.Signature(unsigned(32))),
        "start": In(1),
        "busy": Out(1),
        "cycles": Out(32),
    }
