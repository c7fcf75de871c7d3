"""The decoder: fetches instructions and starts them one after the other."""

from __future__ import annotations

from collections.abc import Iterable

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from weft.hw.bank import Bank
from weft.hw.config import Config
from weft.hw.delay import delay
from weft.hw.isa import LATE, bits, fetch_cycles, instruction_words, layout
from weft.hw.latency import SEQUENCE, settle, until_sums


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
        For the sequencer: constant from `begin` until three cycles after `done`, and the limits
        of its loops from `LIMITS` cycles before.
    entering : Out
        Late fields for what comes before the array's sums, from `SEQUENCE` cycles after `begin`.
    late : Out
        Late fields for what comes behind, from `begin_late` on.
    begin : Out(1)
        `fields` are complete: start issuing steps.
    enter : Out(1)
        `entering` changes; the first step's word comes two cycles later at the earliest.
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
                "enter": Out(1),
                "begin_late": Out(1),
                "done": In(1),
                "asking": Out(1),
                "copying": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        fetched = self._fetch(m)
        self._pass_on(m)

        # Cycles until the one after the next since `done`, up to the longest that is asked for.
        # What comes of them is known two cycles later.
        wait = self.fields.wait
        elapsed = Signal(max(len(wait), bits(self._longest() + 2)), init=-1)
        waited, settled = Signal(), Signal()
        was_done = delay(m, self.done, 1, name="done")
        m.d.sync += [waited.eq(elapsed >= wait), settled.eq(elapsed > self._settled())]
        with m.If(was_done):
            m.d.sync += [elapsed.eq(3), settled.eq(0)]
        with m.Elif(~elapsed.all()):
            m.d.sync += elapsed.eq(elapsed + 1)

        ready = fetched & waited
        if self.config.copies:
            ready &= ~(self.fields.copied & self.copying)
        m.d.sync += self.begin.eq(ready)
        with m.If(ready):
            m.d.sync += fetched.eq(0)
        draining = Signal()
        with m.If(self.start & ~self.busy):
            m.d.sync += self.busy.eq(1)
        with m.Elif(draining & settled):
            m.d.sync += self.busy.eq(0)
        with m.If(was_done):
            m.d.sync += draining.eq(self.fields.end)
        with m.Elif(settled):
            m.d.sync += draining.eq(0)
        return m

    def _fetch(self, m: Module) -> Signal:
        """Fetches an instruction at the start and after `done`. High when it may begin next.

        A token goes with its first word: its words arrive `Bank.latency` cycles after they
        are asked for, one after the other.
        """
        first = Signal()
        m.d.comb += first.eq((self.start & ~self.busy) | (self.done & ~self.fields.end))
        words = instruction_words(self.config)
        ready = Bank.latency + fetch_cycles(self.config) - 2
        token = Signal(max(Bank.latency + words, ready + 1))
        m.d.sync += token.eq(Cat(first, token))
        with m.If(first):
            m.d.sync += self.asking.eq(1)
        with m.Elif(token[words - 1]):
            m.d.sync += self.asking.eq(0)
        with m.If(self.start & ~self.busy):
            m.d.sync += self.read_address.eq(0)
        with m.Elif(self.asking):
            m.d.sync += self.read_address.eq(self.read_address + 1)

        fields = Signal(fields_layout(self.config), reset_less=True)
        m.d.comb += self.fields.eq(fields)
        for field in layout(self.config):
            with m.If(token[Bank.latency + field.word]):
                value = self.read_data[field.offset : field.offset + field.width]
                m.d.sync += fields[field.name].eq(value)
        fetched = Signal()
        with m.If(token[ready]):
            m.d.sync += fetched.eq(1)
        return fetched

    def _pass_on(self, m: Module) -> None:
        """Late fields, from stage to stage with the first step."""
        m.d.comb += self.enter.eq(delay(m, self.begin, SEQUENCE - 1, name="soon"))
        first_sums = delay(m, self.enter, until_sums(self.config), name="enters")
        entering = Signal.like(self.entering, reset_less=True)
        late = Signal.like(self.late, reset_less=True)
        m.d.comb += [self.entering.eq(entering), self.late.eq(late)]
        with m.If(self.enter):
            m.d.sync += [entering[name].eq(self.fields[name]) for name in entering.shape().members]
        with m.If(first_sums):
            m.d.sync += late.eq(entering)
        m.d.sync += self.begin_late.eq(first_sums)

    def _longest(self) -> int:
        return settle(self.config, elementwise=bool(self.config.elementwise))

    def _settled(self) -> Value | int:
        """Cycles from `done` until the last result of this instruction has been stored."""
        plain = settle(self.config, elementwise=False)
        if not self.config.elementwise:
            return plain
        return Mux(self.entering.elementwise != 0, self._longest(), plain)
