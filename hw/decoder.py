"""The decoder: fetches instructions and starts them one after the other."""

from __future__ import annotations

from amaranth.hdl import Module, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from weft.hw.bank import Bank
from weft.hw.config import Config
from weft.hw.isa import bits, early_words, instruction_words, layout


def fields_layout(config: Config) -> data.StructLayout:
    """The fields of an instruction, unpacked."""
    return data.StructLayout(
        {
            field.name: signed(field.width) if field.signed else unsigned(field.width)
            for field in layout(config)
        }
    )


class Decoder(wiring.Component):
    """Runs a program from its first instruction to the one marked as its end.

    While the results of an instruction drain, the fields of the next one that only the
    sequencer uses are already fetched; the others wait for `drain` cycles.

    Parameters
    ----------
    config : Config
    drain : int
        Cycles from the sequencer's `done` until the last result has been stored.

    Members
    -------
    start : In(1)
        Run the program; ignored while busy.
    busy : Out(1)
    read_address : Out
        Of the program memory.
    read_data : In(32)
    fields : Out
    begin : Out(1)
        `fields` are complete: start issuing steps.
    done : In(1)
        The last step is being issued.
    """

    def __init__(self, config: Config, *, drain: int):
        self.config = config
        self.drain = drain
        super().__init__(
            {
                "start": In(1),
                "busy": Out(1),
                "read_address": Out(bits(config.program_depth)),
                "read_data": In(32),
                "fields": Out(fields_layout(config)),
                "begin": Out(1),
                "done": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        words = instruction_words(self.config)
        early = early_words(self.config)

        draining = Signal(range(self.drain + 1))
        with m.If(self.done):
            m.d.sync += draining.eq(self.drain)
        with m.Elif(draining != 0):
            m.d.sync += draining.eq(draining - 1)

        # A word asked for arrives `Bank.latency` cycles later, in order.
        asked = Signal(range(words + 1))
        ask = Signal()
        arriving = Signal(Bank.latency)
        arrived = Signal(range(words + 1))
        with m.If(ask):
            m.d.sync += [self.read_address.eq(self.read_address + 1), asked.eq(asked + 1)]
        m.d.sync += arriving.eq(arriving << 1 | ask)
        with m.If(arriving[-1]):
            m.d.sync += arrived.eq(arrived + 1)
            with m.Switch(arrived):
                for word in range(words):
                    with m.Case(word):
                        for field in layout(self.config):
                            if field.word == word:
                                value = self.read_data[field.offset : field.offset + field.width]
                                m.d.sync += self.fields[field.name].eq(value)

        with m.FSM():
            with m.State("IDLE"), m.If(self.start):
                m.d.sync += [self.read_address.eq(0), asked.eq(0), arrived.eq(0)]
                m.next = "FETCH"
            with m.State("FETCH"):
                may = (asked < early) | (draining == 0) if early else draining == 0
                m.d.comb += [self.busy.eq(1), ask.eq((asked != words) & may)]
                with m.If(arrived == words):
                    m.d.comb += self.begin.eq(1)
                    m.next = "RUN"
            with m.State("RUN"):
                m.d.comb += self.busy.eq(1)
                m.d.sync += [asked.eq(0), arrived.eq(0)]
                with m.If(self.done):
                    m.next = "FETCH"
                    with m.If(self.fields.end):
                        m.next = "DRAIN"
            with m.State("DRAIN"):
                m.d.comb += self.busy.eq(1)
                with m.If(draining == 0):
                    m.next = "IDLE"
        return m
