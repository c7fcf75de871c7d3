"""A claim: assertions in Amaranth around the real gateware."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any
from unittest import mock

from amaranth.hdl import (
    Assert,
    Assume,
    Elaboratable,
    Module,
    Mux,
    ResetSignal,
    Shape,
    ShapeLike,
    Signal,
    Value,
    ValueLike,
)


class Device:
    """Stands in for a platform: the gateware asks only for the FPGA's name."""

    def __init__(self, name: str):
        self.device = name


class Claim(Elaboratable):
    """Base of all claims. A subclass elaborates in `state`, with the helpers here.

    Attributes
    ----------
    platform : Device or None
        For what the gateware is elaborated.
    cells : str
        Yosys's models of the FPGA's cells, for example "ecp5/cells_sim.v".
    resets : bool
        Whether a reset may come in any cycle.
    anywhere : bool
        Whether the gateware begins in any state, and not only in that after a reset.
    """

    platform: Device | None = None
    cells = ""
    resets = False
    anywhere = False

    def __init__(self) -> None:
        self._MustUse__used = True
        self.m = Module()
        self.ports: list[Signal] = []
        self.shown: list[str] = []
        self.checks: list[str] = []

    def elaborate(self, platform: Any) -> Module:
        if not self.resets:
            self.assume(~ResetSignal())
        self.state()
        return self.m

    def state(self) -> None:
        """Build the gateware, assume and assert."""
        raise NotImplementedError

    # What is free.

    def free(self, shape: ShapeLike, name: str) -> Signal:
        """Anything in every cycle."""
        signal = Signal(shape, name=name)
        self.ports.append(signal)
        self.shown.append(name)
        return signal

    def constant(self, shape: ShapeLike, name: str) -> Signal:
        """Anything, but the same in all cycles."""
        signal = self.free(shape, name)
        before = Signal(Shape.cast(shape), name=f"{name}_before", reset_less=True)
        first = Signal(name=f"{name}_first", init=1, reset_less=True)
        self.m.d.sync += [before.eq(signal), first.eq(0)]
        self.assume(first | (Value.cast(signal) == before))
        return signal

    def part(self, component: Any, name: str = "dut") -> Any:
        """Make a component a part of the claim, elaborated at once."""
        component._MustUse__used = True
        self.m.submodules[name] = component.elaborate(self.platform)
        return component

    def drive(self, component: Any, constant: tuple[str, ...] = ()) -> Any:
        """The same, with anything at its inputs."""
        self.part(component)
        for path, member, value in component.signature.flatten(component):
            port = "__".join(map(str, path))
            if member.flow.name == "In":
                kind = self.constant if port in constant else self.free
                self.m.d.comb += value.eq(kind(Shape.cast(member.shape), port))
            else:
                self.show(port, value)
        return component

    # What is said.

    def show(self, name: str, value: ValueLike) -> Signal:
        """A value, under a name that a counterexample shows."""
        value = Value.cast(value)
        signal = Signal(value.shape(), name=f"shown_{name}")
        self.m.d.comb += signal.eq(value)
        self.shown.append(signal.name)
        return signal

    def assume(self, condition: ValueLike) -> None:
        self.m.d.comb += Assume(condition)

    def check(self, condition: ValueLike, *, depth: int = 1) -> None:
        """Assert; a counterexample names the line."""
        holds = Signal(name=f"line_{sys._getframe(depth).f_lineno}_{len(self.checks)}")
        self.checks.append(holds.name)
        self.m.d.comb += [holds.eq(Value.cast(condition).bool()), Assert(holds)]

    def implies(self, condition: ValueLike, then: ValueLike) -> None:
        self.check(~Value.cast(condition).bool() | Value.cast(then).bool(), depth=2)

    # Arithmetic, written for reading, in widths that hold everything.

    def late(self, value: ValueLike, cycles: int, *, name: str) -> Signal:
        """What a value was some cycles ago, whatever the state at the beginning."""
        current = Value.cast(value)
        for cycle in range(cycles):
            following = Signal(current.shape(), name=f"{name}_ago_{cycle + 1}", reset_less=True)
            self.m.d.sync += following.eq(current)
            current = following
        return self.show(f"{name}_{cycles}_ago" if cycles else name, current)


def half_away(value: Value, shift: Value, most: int) -> Value:
    """``sign(v) * ((|v| + half) >> n)`` with ``half = (1 << n) >> 1``: docs/arithmetic.md."""
    size = Mux(value < 0, -value, value).as_unsigned()
    half = (Mux(shift <= most, 1, 0) << shift) >> 1
    rounded = (size + half) >> shift
    return Mux(value < 0, -rounded, rounded)


def clamp(value: Value, low: Value, high: Value) -> Value:
    return Mux(value < low, low, Mux(value > high, high, value))


def fits(value: Value, width: int) -> Value:
    """A signed value is in the range of so many bits."""
    low, high = -(1 << width - 1), (1 << width - 1) - 1
    return (value >= low) & (value <= high)


@contextlib.contextmanager
def replaced(module: Any, **names: Any) -> Iterator[None]:
    """Other things under names of a module, while the gateware is elaborated."""
    with mock.patch.multiple(module, **names):
        yield


@contextlib.contextmanager
def watched(module: Any) -> Iterator[dict[str, Signal]]:
    """The signals that functions of a module make meanwhile.

    By the name that they are given (the last of each), and the functions' local ones as
    "function.variable".
    """
    found: dict[str, Signal] = {}

    class Recorder:
        def __call__(self, *args: Any, src_loc_at: int = 0, **options: Any) -> Signal:
            return keep(Signal(*args, src_loc_at=src_loc_at + 1, **options))

        def like(self, *args: Any, src_loc_at: int = 0, **options: Any) -> Signal:
            return keep(Signal.like(*args, src_loc_at=src_loc_at + 1, **options))

    def keep(signal: Any) -> Any:
        found[Value.cast(signal).name] = signal
        return signal

    def returned(frame: FrameType, event: str, _: Any) -> None:
        if event == "return" and frame.f_globals is vars(module):
            for name, value in frame.f_locals.items():
                if isinstance(value, Signal):
                    found[f"{frame.f_code.co_name}.{name}"] = value

    before = sys.getprofile()
    sys.setprofile(returned)
    try:
        with mock.patch.object(module, "Signal", Recorder()):
            yield found
    finally:
        sys.setprofile(before)
