"""The decoder: fetches instructions and starts them one after the other."""

from __future__ import annotations

from collections.abc import Iterable

from amaranth.hdl import Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from weft.hw.bank import Bank
from weft.hw.config import Config
from weft.hw.delay import delay
from weft.hw.isa import LATE, bits, instruction_words, layout
from weft.hw.latency import drain, until_sums


def fields_layout(config: Config, names: Iterable[str] | None = None) -> data.StructLayout:
    """The fields of an instruction, unpacked: all, or those of these names."""
    return data.StructLayout(
        {
            field.name: signed(field.width) if field.signed else unsigned(field.width)
            for field in layout(config)
            if names is None or field.name in names
        }
    )


def late_layout(config: Config) -> data.StructLayout:
    """The fields that are used from the array on."""
    return fields_layout(config, LATE)


class Decoder(wiring.Component):
    """Runs a program from its first instruction to the one marked as its end.

    While the results of an instruction drain, the next one is fetched, and starts as soon as its
    own `wait` allows. Its late fields follow its first step down the pipeline.

    Parameters
    ----------
    config : Config

    Members
    -------
    start : In(1)
        Run the program; ignored while busy.
    busy : Out(1)
    read_address : Out
        Of the program memory.
    read_data : In(32)
    fields : Out
        For the sequencer: constant from `begin` until two cycles after `done`.
    entering : Out
        Late fields for what comes before the array's sums, from the cycle after `begin`.
    late : Out
        Late fields for what comes behind, from `begin_late` on.
    begin : Out(1)
        `fields` are complete: start issuing steps.
    begin_late : Out(1)
        The first totals are there in the next cycle at the earliest.
    done : In(1)
        The last step is being issued.
    asking : Out(1)
        The word at `read_address` is wanted: nobody else may read in this cycle.
    copying : In(1)
        Weights are being copied: an instruction marked `copied` waits.
    """

    def __init__(self, config: Config):
        self.config = config
        super().__init__(
            {
                "start": In(1),
                "busy": Out(1),
                "read_address": Out(bits(config.program_depth)),
                "read_data": In(32),
                "fields": Out(fields_layout(config)),
                "entering": Out(late_layout(config)),
                "late": Out(late_layout(config)),
                "begin": Out(1),
                "begin_late": Out(1),
                "done": In(1),
                "asking": Out(1),
                "copying": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        words = instruction_words(self.config)
        asked = Signal(range(words + 1))
        arrived = Signal(range(words + 1))
        ask = self.asking
        with m.If(ask):
            m.d.sync += [self.read_address.eq(self.read_address + 1), asked.eq(asked + 1)]
        self._take_words(m, ask, arrived)
        self._pass_on(m)

        # Cycles since `done`, up to the longest wait that can be asked for.
        elapsed = Signal.like(self.fields.wait, init=-1)
        with m.If(self.done):
            m.d.sync += elapsed.eq(0)
        with m.Elif(~elapsed.all()):
            m.d.sync += elapsed.eq(elapsed + 1)

        with m.FSM():
            with m.State("IDLE"), m.If(self.start):
                m.d.sync += [self.read_address.eq(0), asked.eq(0), arrived.eq(0)]
                m.next = "FETCH"
            with m.State("FETCH"):
                m.d.comb += [self.busy.eq(1), ask.eq(asked != words)]
                ready = (arrived == words) & (elapsed >= self.fields.wait)
                if self.config.copies:
                    ready &= ~(self.fields.copied & self.copying)
                with m.If(ready):
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
                with m.If(elapsed >= self._settled()):
                    m.next = "IDLE"
        return m

    def _take_words(self, m: Module, ask: Signal, arrived: Signal) -> None:
        """A word asked for arrives `Bank.latency` cycles later, in order."""
        arriving = Signal(Bank.latency)
        m.d.sync += arriving.eq(arriving << 1 | ask)
        with m.If(arriving[-1]):
            m.d.sync += arrived.eq(arrived + 1)
            with m.Switch(arrived):
                for word in range(instruction_words(self.config)):
                    with m.Case(word):
                        for field in layout(self.config):
                            if field.word == word:
                                value = self.read_data[field.offset : field.offset + field.width]
                                m.d.sync += self.fields[field.name].eq(value)

    def _pass_on(self, m: Module) -> None:
        """Late fields, from stage to stage with the first step."""
        with m.If(self.begin):
            for name in late_layout(self.config).members:
                m.d.sync += self.entering[name].eq(self.fields[name])
        first_sums = delay(m, self.begin, until_sums(self.config), name="begin")
        with m.If(first_sums):
            m.d.sync += self.late.eq(self.entering)
        m.d.sync += self.begin_late.eq(first_sums)

    def _settled(self) -> Value | int:
        """Cycles from `done` until the last result of this instruction has been stored."""
        plain = drain(self.config, elementwise=False)
        if not self.config.elementwise:
            return plain
        return Mux(self.entering.elementwise != 0, drain(self.config, elementwise=True), plain)
