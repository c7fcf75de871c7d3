"""The intake: load words of the next input, taken while the core computes.

The activation memory is written by one port, and results come first: a word waits in a register
of its own for a cycle in which nothing is stored.
"""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from weft.hw.config import Space
from weft.hw.delay import delay
from weft.hw.latency import RELEASE
from weft.hw.ports import LoadWord


class Intake(wiring.Component):
    """Says when the host may load, and writes what goes into the activation memory.

    While the core is not busy any word may come, one a cycle. While it is busy only words for the
    activation memory may, and these from the moment on when the program has read its inputs.

    Members
    -------
    busy, start : In(1)
        The core's.
    release : In(1)
        The last step that reads an input is issued in this cycle.
    storing : In(1)
        A result is written into the activation memory in this cycle.
    valid : In(1)
    word : In(LoadWord)
        What the host offers.
    ready : Out(1)
        It is taken; for a memory that is not the activation memory, somebody else writes it.
    write : Out(1)
        The activation memory takes `held` in this cycle; never one with `storing`.
    held : Out(LoadWord)
    """

    #: Cycles from `release` until the first word may be taken: written in the next cycle, it
    #: comes right after the last read.
    latency = RELEASE

    def __init__(self):
        super().__init__(
            {
                "busy": In(1),
                "start": In(1),
                "release": In(1),
                "storing": In(1),
                "valid": In(1),
                "word": In(LoadWord),
                "ready": Out(1),
                "write": Out(1),
                "held": Out(LoadWord),
            }
        )

    def elaborate(self, platform):
        m = Module()
        released, waiting = Signal(), Signal()
        with m.If(delay(m, self.release, self.latency - 1, name="release")):
            m.d.sync += released.eq(1)
        with m.If(~self.busy):
            m.d.sync += released.eq(0)

        activation, free = Signal(), Signal()
        m.d.comb += [
            activation.eq(self.word.space == Space.ACTIVATION),
            free.eq(~waiting | self.write),
            self.ready.eq(((self.busy & released & activation) | ~(self.busy | self.start)) & free),
            self.write.eq(waiting & ~self.storing),
        ]
        with m.If(self.valid & self.ready):
            m.d.sync += [waiting.eq(activation), self.held.eq(self.word)]
        with m.Elif(self.write):
            m.d.sync += waiting.eq(0)
        return m
