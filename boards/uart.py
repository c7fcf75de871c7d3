"""A UART: 8 data bits, no parity, one stop bit, least significant bit first."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

#: A receiver that samples in mid-bit loses a byte at 5 %; both ends may be off.
MAX_DEVIATION = 0.02


def divisor(*, clock: float, baud: float) -> int:
    """Clock cycles per bit.

    Parameters
    ----------
    clock : float
        Frequency of the clock domain in Hz.
    baud : float
        Bits per second.

    Raises
    ------
    ValueError
        If no whole number of cycles, at least 4, comes within 2 % of the bit time.
    """
    for name, value in (("clock", clock), ("baud", baud)):
        if not isinstance(value, int | float) or isinstance(value, bool) or not value > 0:
            raise ValueError(f"{name} must be a positive number, not {value!r}")
    cycles = round(clock / baud)
    if cycles < 4 or abs(clock / baud / cycles - 1) > MAX_DEVIATION:
        raise ValueError(
            f"a clock of {clock:g} Hz cannot make {baud:g} baud within {MAX_DEVIATION:.0%}"
        )
    return cycles


class Receiver(wiring.Component):
    """Bytes from a line. A byte that the consumer leaves longer than a byte's time is lost.

    Parameters
    ----------
    clock, baud : float
        See `divisor`.

    Members
    -------
    pin : In(1)
        The line, asynchronous.
    o : Out(stream.Signature(8))
        Bytes with a right stop bit.
    error : Out(1)
        High for one cycle: a byte was lost, for want of a stop bit or of a consumer.
    """

    def __init__(self, *, clock: float, baud: float):
        self.divisor = divisor(clock=clock, baud=baud)
        super().__init__({"pin": In(1, init=1), "o": Out(stream.Signature(8)), "error": Out(1)})

    def elaborate(self, platform: Any) -> Module:
        """Build the receiver."""
        m = Module()
        line = Signal(init=1)
        m.submodules.synchronizer = FFSynchronizer(self.pin, line, init=1)

        timer = Signal(range(self.divisor), reset_less=True)
        bits = Signal(range(9), reset_less=True)
        shift = Signal(8, reset_less=True)
        sample = Signal()
        m.d.comb += sample.eq(timer == 0)
        m.d.sync += timer.eq(timer - 1)
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)

        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [timer.eq(self.divisor // 2 - 1), bits.eq(0)]
                with m.If(~line):
                    m.next = "START"
            with m.State("START"), m.If(sample):
                m.d.sync += timer.eq(self.divisor - 1)
                # A start bit that is over by its middle was a spike.
                m.next = "IDLE"
                with m.If(~line):
                    m.next = "DATA"
            with m.State("DATA"), m.If(sample):
                m.d.sync += [timer.eq(self.divisor - 1), bits.eq(bits + 1)]
                with m.If(bits[3]):
                    m.next = "IDLE"
                    with m.If(line):
                        m.d.sync += [self.o.payload.eq(shift), self.o.valid.eq(1)]
                        m.d.comb += self.error.eq(self.o.valid & ~self.o.ready)
                    with m.Else():
                        m.d.comb += self.error.eq(1)
                        m.next = "BREAK"
                with m.Else():
                    m.d.sync += shift.eq(Cat(shift[1:], line))
            with m.State("BREAK"), m.If(line):
                m.next = "IDLE"
        return m


class Transmitter(wiring.Component):
    """Bytes to a line.

    Parameters
    ----------
    clock, baud : float
        See `divisor`.

    Members
    -------
    i : In(stream.Signature(8))
        Bytes to send; taken when the one before has left, its stop bit included.
    pin : Out(1)
        The line.
    """

    def __init__(self, *, clock: float, baud: float):
        self.divisor = divisor(clock=clock, baud=baud)
        super().__init__({"i": In(stream.Signature(8)), "pin": Out(1, init=1)})

    def elaborate(self, platform: Any) -> Module:
        """Build the transmitter."""
        m = Module()
        timer = Signal(range(self.divisor))
        bits = Signal(range(11))
        shift = Signal(9, init=0x1FF)
        m.d.comb += [self.pin.eq(shift[0]), self.i.ready.eq(bits == 0)]
        with m.If(bits == 0):
            m.d.sync += timer.eq(self.divisor - 1)
            with m.If(self.i.valid):
                m.d.sync += [shift.eq(Cat(Const(0, 1), self.i.payload)), bits.eq(10)]
        with m.Elif(timer == 0):
            m.d.sync += [
                timer.eq(self.divisor - 1),
                bits.eq(bits - 1),
                shift.eq(Cat(shift[1:], Const(1, 1))),
            ]
        with m.Else():
            m.d.sync += timer.eq(timer - 1)
        return m
