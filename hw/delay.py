"""Delay lines: how signals that belong together stay together in a fixed-latency pipeline."""

from __future__ import annotations

from amaranth.hdl import Module, Signal, ValueLike


def delay(
    m: Module, value: ValueLike, cycles: int, *, name: str, reset_less: bool = False
) -> Signal:
    """`value`, `cycles` clock cycles later; ``cycles=0`` is a plain copy.

    The registers are named ``<name>_1``, ``<name>_2``, … in the Verilog. Flags need a reset;
    numbers, of which a flag says when they count, do without: see `data_delay`.
    """
    current = Signal.like(value, name=f"{name}_0")
    m.d.comb += current.eq(value)
    for cycle in range(1, cycles + 1):
        following = Signal.like(current, name=f"{name}_{cycle}", reset_less=reset_less)
        m.d.sync += following.eq(current)
        current = following
    return current


def data_delay(m: Module, value: ValueLike, cycles: int, *, name: str) -> Signal:
    """`delay` of numbers, in registers without a reset.

    The reset of a large array would be one wire to some 18,000 registers, and two of them could
    share a slice of an FPGA only with the same one.
    """
    return delay(m, value, cycles, name=name, reset_less=True)
