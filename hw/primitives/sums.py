"""Sums with a choice before them: on an ECP5 both in one carry chain."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value

from weft.hw.primitives.device import device
from weft.hw.primitives.ecp5_carry import CHOSEN, SIGNED, carry_chain


def chosen_sum(
    m: Module,
    platform: Any,
    a: Value,
    *,
    choice: Value,
    b: Value,
    c: Value,
    carry: int = 0,
    name: str,
) -> Signal:
    """``a + (b if choice else c) + carry``, as wide as `a`, of signed `b` and `c`."""
    width = len(a)
    b, c = _extended(b, width), _extended(c, width)
    if device(platform).startswith("LFE5"):
        inputs = (a, b, c, choice.replicate(width))
        return carry_chain(m, CHOSEN, inputs, carry=carry, name=name)
    total = Signal(width, name=name)
    m.d.comb += total.eq(a + Mux(choice, b, c) + carry)
    return total


def signed_sum(
    m: Module, platform: Any, a: Value, b: Value, *, use: Value, invert: Value, name: str
) -> Signal:
    """``a + ((~b if invert else b) if use else 0)``, as wide as `a`, of a signed `b`."""
    width = len(a)
    b = _extended(b, width)
    if device(platform).startswith("LFE5"):
        inputs = (a, b, invert.replicate(width), use.replicate(width))
        return carry_chain(m, SIGNED, inputs, name=name)
    total = Signal(width, name=name)
    m.d.comb += total.eq(a + Mux(use, Mux(invert, ~b, b), 0))
    return total


def _extended(value: Value, width: int) -> Value:
    """The low `width` bits of a signed value."""
    return Cat(value, value[-1].replicate(max(width - len(value), 0)))[:width]
