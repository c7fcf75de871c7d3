"""Delay lines: how signals that belong together stay together in a fixed-latency pipeline."""

from __future__ import annotations

from amaranth.hdl import Module, Signal, ValueLike


def delay(m: Module, value: ValueLike, cycles: int, *, name: str) -> Signal:
    """`value`, `cycles` clock cycles later; ``cycles=0`` is a plain copy.

    The registers are named ``<name>_1``, ``<name>_2``, … in the Verilog.
    """
    current = Signal.like(value, name=f"{name}_0")
    m.d.comb += current.eq(value)
    for cycle in range(1, cycles + 1):
        following = Signal.like(current, name=f"{name}_{cycle}")
        m.d.sync += following.eq(current)
        current = following
    return current
