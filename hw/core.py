"""The core: memories, sequencer, array, accumulators, requantizer and store, joined.

Latencies are sums of the parts' own (`weft.hw.latency`), so that a pipeline stage added
to one of them moves everything that depends on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring

from weft.hw.accumulate import Accumulator
from weft.hw.array import Array
from weft.hw.bank import Bank
from weft.hw.collect import Collect
from weft.hw.config import Config, Space
from weft.hw.copier import Copier
from weft.hw.decoder import Decoder
from weft.hw.delay import data_delay, delay
from weft.hw.elementwise_lanes import ElementwiseLanes
from weft.hw.gather import Ahead, Gather
from weft.hw.intake import Intake
from weft.hw.isa import Elementwise as Operation
from weft.hw.latency import SEQUENCE, activation_read, pipeline
from weft.hw.memory import ActivationMemory, ParameterMemory, ProgramMemory, WeightMemory
from weft.hw.ports import LoadWord, core_ports
from weft.hw.primitives.device import device
from weft.hw.readback import ReadBack
from weft.hw.requantize import Requantize
from weft.hw.requantize_multiplier import RequantizeMultiplier
from weft.hw.sequencer import Sequencer
from weft.hw.store import Store
from weft.hw.table import Tables


class Core(wiring.Component):
    """The accelerator.

    Loading and reading back are possible while it is not busy; with ``config.stream`` the next
    input may be loaded as soon as the program has read the present one.

    Parameters
    ----------
    config : Config
    images : mapping of Space to uint8 array, optional
        Contents of the memories at power-up, as in a program.

    Members
    -------
    load : In(stream of LoadWord)
        One 32-bit word into one of the memories.
    read : In(stream of unsigned(24))
        A word address in the activation memory, in 32-bit words.
    data : Out(stream of unsigned(32))
        The words asked for, in order.
    start : In(1)
        Run the program; ignored while busy.
    busy : Out(1)
        High from the cycle after `start` until the last output is in memory.
    cycles : Out(32)
        For how many cycles the present or last run was or has been busy.
    """

    def __init__(self, config: Config, images: Mapping[Space, np.ndarray] | None = None):
        self.config = config
        self.images = dict(images or {})
        super().__init__(core_ports())

    def elaborate(self, platform):
        m = Module()
        config, images = self.config, self.images
        m.submodules.decoder = Decoder(config)
        m.submodules.sequencer = Sequencer(config)
        m.submodules.program = ProgramMemory(config, images.get(Space.PROGRAM))
        m.submodules.activation = ActivationMemory(config, images.get(Space.ACTIVATION))
        m.submodules.weight = WeightMemory(config, images.get(Space.WEIGHT))
        m.submodules.parameter = ParameterMemory(config, images.get(Space.PARAMETER))
        m.submodules.array = Array(config)
        m.submodules.collect = Collect(config)
        m.submodules.store = Store(config)
        m.submodules.readback = ReadBack(config)
        if config.tables:
            m.submodules.tables = Tables(config, images.get(Space.TABLE))
        if config.copies:
            m.submodules.copier = Copier(config)
        self._connect_control(m)
        self._connect_reads(m)
        totals = self._connect_accumulators(m, platform)
        self._connect_results(m, totals)
        self._connect_host(m)
        return m

    def _connect_control(self, m: Module) -> None:
        decoder, sequencer = m.submodules.decoder, m.submodules.sequencer
        program = m.submodules.program
        m.d.comb += [
            decoder.start.eq(self.start),
            self.busy.eq(decoder.busy),
            program.read_address.eq(decoder.read_address),
            decoder.read_data.eq(program.read_data),
            decoder.done.eq(sequencer.done),
        ]
        m.d.comb += [sequencer.fields.eq(decoder.fields), sequencer.begin.eq(decoder.begin)]
        collect, store = m.submodules.collect, m.submodules.store
        # The store has time: its first group comes much later.
        begin_store = delay(m, decoder.begin_late, 1, name="begin_store")
        for part, begin in ((collect, decoder.begin_late), (store, begin_store)):
            m.d.comb += [part.fields.eq(decoder.late), part.begin.eq(begin)]
        if self.config.copies:
            copier = m.submodules.copier
            m.d.comb += [
                copier.fields.eq(decoder.fields),
                copier.begin.eq(decoder.begin),
                copier.blocked.eq(decoder.asking),
                decoder.copying.eq(copier.busy),
            ]
            with m.If(~decoder.asking):
                m.d.comb += program.read_address.eq(copier.read_address)
        with m.If(self.start & ~self.busy):
            m.d.sync += self.cycles.eq(0)
        with m.Elif(self.busy):
            m.d.sync += self.cycles.eq(self.cycles + 1)

    def _connect_reads(self, m: Module) -> None:
        """A word and a tile per step; outside the image the word is the fill code."""
        config = self.config
        sequencer, array = m.submodules.sequencer, m.submodules.array
        activation, weight = m.submodules.activation, m.submodules.weight
        fields, entering = m.submodules.decoder.fields, m.submodules.decoder.entering
        until_word = pipeline(config)["read"]

        m.d.comb += activation.read_address.eq(
            Mux(self.busy, sequencer.source, m.submodules.readback.read_address)
        )
        inside = delay(m, sequencer.inside, activation_read(config) - 1, name="inside")
        word = Signal(8 * config.rows)
        fill = Cat(entering.fill for _ in range(config.rows))
        m.d.comb += word.eq(Mux(inside, activation.read_data, fill))
        m.d.comb += [
            array.word.eq(data_delay(m, word, 1, name="array_word")),
            weight.read_address.eq(
                data_delay(m, sequencer.weight, until_word - Bank.latency, name="weight_address")
            ),
            array.weights.eq(weight.read_data),
        ]
        if config.window:
            part = delay(m, sequencer.part, activation_read(config), name="part")
            entry = word.word_select(part, 8 * config.columns)
            if config.pairs:
                self._connect_pairs(m, word, part, entry)
            else:
                m.d.comb += array.entry.eq(data_delay(m, entry, 1, name="array_entry"))
            begin = m.submodules.decoder.enter
            # The lines still move when the field has been fetched for the next instruction.
            last = Signal.like(array.last)
            with m.If(begin):
                # A line of pairs is two steps.
                pair = fields.pair if config.pairs else 0
                m.d.sync += last.eq(Mux(pair, 1, fields.last_ox))
            m.d.comb += [
                array.window.eq(entering.window),
                array.clear.eq(begin),
                array.last.eq(last),
                array.valid.eq(delay(m, sequencer.action.valid, until_word, name="window_valid")),
            ]
            if config.interleave:
                early = until_word - Bank.latency
                soon = delay(m, sequencer.action.valid, early, name="window_soon")
                m.d.comb += array.soon.eq(soon)

    def _connect_pairs(self, m: Module, word: Value, part: Value, entry: Value) -> None:
        """Both halves of each word, one after the other: the first tensor's enter the lines."""
        array, width = m.submodules.array, 8 * self.config.columns
        pair = m.submodules.decoder.entering.pair
        until_word = activation_read(self.config)
        second = delay(m, m.submodules.sequencer.second, until_word - 1, name="second")
        #: Which of the two takes the later half of the word before; the other takes the first one.
        later = {"entry": Signal(name="later_entry"), "lines": Signal(name="later_lines")}
        m.d.sync += [later["entry"].eq(pair & ~second), later["lines"].eq(pair & second)]
        # Steps follow one another without a gap.
        held = Signal(width, reset_less=True)
        m.d.sync += held.eq(word.word_select(part | 1, width))
        for port, late in later.items():
            chosen = Mux(late, held, entry)
            m.d.comb += getattr(array, port).eq(data_delay(m, chosen, 1, name=f"array_{port}"))

    def _connect_accumulators(self, m: Module, platform: Any) -> Value:
        """Totals of all columns; those of a group come a cycle after the group before it."""
        config = self.config
        array = m.submodules.array
        until_sums = pipeline(config)["read"] + array.latency
        soon = delay(m, m.submodules.sequencer.action, until_sums - 1, name="action_soon")
        action = delay(m, soon, 1, name="action")
        apart = not device(platform).startswith("iCE40")
        totals = []
        for group in range(config.groups):
            if group:
                soon, action = action, delay(m, action, 1, name=f"action_group_{group}")
            for column in range(group * config.lanes, (group + 1) * config.lanes):
                accumulator = Accumulator(
                    sum_width=array.width, width=config.accumulator_bits, apart=apart
                )
                m.submodules[f"accumulator_{column}"] = accumulator
                m.d.comb += [
                    accumulator.action.eq(action),
                    accumulator.soon.eq(soon),
                    accumulator.sum.eq(array.sums.word_select(column, array.width)),
                    accumulator.peak.eq(m.submodules.decoder.late.peak),
                ]
                totals.append(accumulator.total)
        return Cat(totals)

    def _connect_results(self, m: Module, totals: Value) -> None:
        """Collect, requantize, look up, store."""
        config = self.config
        latency = pipeline(config)
        collect, parameter = m.submodules.collect, m.submodules.parameter
        activation, store = m.submodules.activation, m.submodules.store
        fields = m.submodules.decoder.late
        until_totals = latency["read"] + latency["array"] + latency["accumulate"]
        pixel = m.submodules.sequencer.pixel
        m.d.comb += [
            collect.pixel.eq(delay(m, pixel, until_totals - 1, name="pixel")),
            collect.totals.eq(totals),
        ]
        address, group, values = collect.parameter_address, collect.group, collect.values
        if config.elementwise:
            # Only what the units change waits for them.
            changed = Signal(name="elementwise_changes")
            m.d.sync += changed.eq(fields.elementwise != Operation.NONE)
            later = latency["elementwise"]
            address = Mux(changed, data_delay(m, address, later, name="parameter"), address)
            group = Mux(changed, delay(m, group, later, name="changed"), group)
            values = self._connect_elementwise(m)
        m.d.comb += parameter.read_address.eq(address)
        codes = [
            self._connect_requantizer(
                m, lane, values.word_select(lane, config.value_bits).as_signed()
            )
            for lane in range(config.lanes)
        ]
        results: Value = Cat(codes)
        if config.tables:
            tables = m.submodules.tables
            m.d.comb += [tables.codes.eq(results), tables.select.eq(fields.table)]
            results = tables.results
        until_store = latency["requantize"] + latency["table"]
        # A single port asks for a group before its codes are there.
        early = Ahead.latency + SEQUENCE - 1 if config.single_port else 0
        ahead = delay(m, group, until_store - early, name="group_ahead")
        m.d.comb += [
            store.group.eq(delay(m, ahead, early, name="group")),
            store.codes.eq(results),
        ]
        if config.single_port:
            self._connect_single_port(m, ahead)
            return
        m.d.comb += [
            activation.store_enable.eq(store.enable),
            activation.store_address.eq(store.address),
            activation.store_group.eq(store.lane_group),
            activation.store_data.eq(store.data),
        ]

    def _connect_single_port(self, m: Module, ahead: Value) -> None:
        """Results to an activation memory that is either written or read."""
        store, activation = m.submodules.store, m.submodules.activation
        m.submodules.ahead = soon = Ahead(self.config)
        m.submodules.gather = gather = Gather(self.config)
        m.d.comb += [
            soon.fields.eq(store.fields),
            soon.begin.eq(store.begin),
            soon.group.eq(ahead),
            # A step that would read in the cycle of a write is not issued.
            m.submodules.sequencer.hold.eq(soon.soon),
        ]
        for name in ("enable", "last", "address", "lane_group", "data"):
            m.d.comb += getattr(gather, name).eq(getattr(store, name))
        for name in ("enable", "address", "lanes", "data"):
            value = getattr(gather, "write" if name == "enable" else f"write_{name}")
            m.d.comb += getattr(activation, f"store_{name}").eq(value)

    def _connect_elementwise(self, m: Module) -> Value:
        """The elementwise units; the values behind them, with their biases."""
        fields, collect = m.submodules.decoder.late, m.submodules.collect
        m.submodules.elementwise = lanes = ElementwiseLanes(self.config)
        names = ["zero_0", "zero_1"]
        if self.config.multiplier_bits:
            names += ["factor", "factor_shift", "single"]
        m.d.comb += [
            lanes.values.eq(collect.values),
            lanes.valid.eq(collect.group.valid),
            lanes.biases.eq(m.submodules.parameter.bias),
            lanes.operation.eq(fields.elementwise),
            *(getattr(lanes, name).eq(getattr(fields, name)) for name in names),
        ]
        return lanes.results

    def _connect_requantizer(self, m: Module, lane: int, value: Value) -> Value:
        """A lane's requantizer, with its parameters when the value comes; its code."""
        config = self.config
        fields, parameter = m.submodules.decoder.late, m.submodules.parameter
        width, bits = config.value_bits, config.multiplier_bits
        if bits:
            requantize = RequantizeMultiplier(width=width, multiplier_bits=bits)
            m.d.comb += requantize.single.eq(fields.single)
        else:
            requantize = Requantize(width=width)
        m.submodules[f"requantize_{lane}"] = requantize
        for name, field_width in parameter.fields.items():
            if name == "bias" and config.elementwise:
                continue  # already added
            field = getattr(parameter, name).word_select(lane, field_width)
            m.d.comb += getattr(requantize, name).eq(field)
        m.d.comb += [
            requantize.value.eq(value),
            requantize.zero_point.eq(fields.zero_point),
            requantize.low.eq(fields.low),
            requantize.high.eq(fields.high),
        ]
        return requantize.code

    def _connect_host(self, m: Module) -> None:
        """Read-back, and a load word a cycle, registered and written a cycle later."""
        readback, activation = m.submodules.readback, m.submodules.activation
        wiring.connect(m, readback.read, wiring.flipped(self.read))
        wiring.connect(m, wiring.flipped(self.data), readback.data)
        hold = self.busy | self.start
        if self.config.single_port:
            hold |= self.load.valid
        m.d.comb += [
            readback.hold.eq(hold),
            readback.row.eq(activation.read_data),
        ]

        loading = Signal()
        word = Signal(LoadWord)
        if self.config.stream:
            self._connect_intake(m)
        else:
            m.d.comb += self.load.ready.eq(~(self.busy | self.start))
        m.d.sync += [loading.eq(self.load.valid & self.load.ready), word.eq(self.load.payload)]
        if self.config.copies:
            # Weights are copied by the way on which the host loads them, while it may not.
            copier = m.submodules.copier
            with m.If(copier.arrived):
                m.d.sync += [
                    loading.eq(1),
                    word.space.eq(Space.WEIGHT),
                    word.address.eq(copier.address),
                    word.data.eq(m.submodules.program.read_data),
                ]
        for space in Space:
            index_bits = (self.config.row_words(space) - 1).bit_length()
            enable, taken = loading & (word.space == space), word
            if space == Space.ACTIVATION and self.config.stream:
                enable, taken = m.submodules.intake.write, m.submodules.intake.held
            row, index = taken.address[index_bits:], taken.address[:index_bits]
            if space == Space.PROGRAM:
                program = m.submodules.program
                m.d.comb += [
                    program.write_enable.eq(enable),
                    program.write_address.eq(row),
                    program.write_data.eq(word.data),
                ]
            elif space == Space.TABLE:
                if self.config.tables:
                    tables = m.submodules.tables
                    m.d.comb += [
                        tables.load_enable.eq(enable),
                        tables.load_row.eq(row),
                        tables.load_data.eq(word.data),
                    ]
            else:
                part = getattr(m.submodules, space.name.lower())
                m.d.comb += [
                    part.load_enable.eq(enable),
                    part.load_row.eq(row),
                    part.load_word.eq(index),
                    part.load_data.eq(taken.data),
                ]

    def _connect_intake(self, m: Module) -> None:
        """Words of the next input, while the core is busy with the present one."""
        m.submodules.intake = intake = Intake()
        decoder, sequencer = m.submodules.decoder, m.submodules.sequencer
        m.d.comb += [
            intake.busy.eq(self.busy),
            intake.start.eq(self.start),
            intake.release.eq(sequencer.done & decoder.fields.release),
            intake.storing.eq(m.submodules.store.enable),
            intake.valid.eq(self.load.valid),
            intake.word.eq(self.load.payload),
            self.load.ready.eq(intake.ready),
        ]
