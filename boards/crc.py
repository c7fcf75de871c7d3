"""CRC-32, a bit per cycle: a byte over a UART takes far longer than eight cycles."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

#: The polynomial of zlib, Ethernet and PNG, reflected.
POLYNOMIAL = 0xEDB88320
#: What the register holds after a block and its own CRC, whatever the block.
RESIDUE = 0xDEBB20E3


class SerialCrc(wiring.Component):
    """The CRC register of ``zlib.crc32``, before its final inversion, and a byte for it.

    All inputs count only while `idle`.

    Members
    -------
    clear : In(1)
        Begin a block.
    load : In(1)
        Put `byte` into `held`.
    byte : In(8)
    step : In(1)
        Work `held` (or the byte that is being loaded) into the register: 8 cycles.
    plain : In(1)
        With `step`: shift the register by a byte instead, to send what it holds.
    held : Out(8)
    idle : Out(1)
    value : Out(32)
        Meaningful while `idle`.
    good : Out(1)
        The block so far ends with its own CRC. A cycle later than `value`.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "clear": In(1),
                "load": In(1),
                "byte": In(8),
                "step": In(1),
                "plain": In(1),
                "held": Out(8),
                "idle": Out(1, init=1),
                "value": Out(32),
                "good": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build the register."""
        m = Module()
        left = Signal(3, reset_less=True)
        enable = Signal(reset_less=True)
        feedback = Signal()
        m.d.comb += feedback.eq((self.value[0] ^ self.held[0]) & enable)
        m.d.sync += [self.good.eq(self.value == RESIDUE), left.eq(left - 1)]
        with m.If(~self.idle):
            m.d.sync += [
                self.held.eq(self.held >> 1),
                self.value.eq(Cat(self.value[1:], Const(0, 1)) ^ Mux(feedback, POLYNOMIAL, 0)),
            ]
            with m.If(left == 0):
                m.d.sync += self.idle.eq(1)
        with m.Else():
            m.d.sync += left.eq(7)
            with m.If(self.load):
                m.d.sync += self.held.eq(self.byte)
            with m.If(self.step):
                m.d.sync += [self.idle.eq(0), enable.eq(~self.plain)]
            with m.If(self.clear):
                m.d.sync += self.value.eq(0xFFFFFFFF)
        return m
