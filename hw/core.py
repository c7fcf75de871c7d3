"""The core: memories, sequencer, array, accumulators, requantizer and store, joined.

Latencies are sums of the parts' own (`weft.hw.latency`), so that a pipeline stage added
to one of them moves everything that depends on it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from amaranth.hdl import Cat, Module, Mux, Signal, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from weft.hw.accumulate import Accumulator
from weft.hw.array import Array
from weft.hw.collect import Collect
from weft.hw.config import Config, Space
from weft.hw.decoder import Decoder
from weft.hw.delay import delay
from weft.hw.latency import drain, pipeline
from weft.hw.memory import ActivationMemory, Bank, ParameterMemory, WeightMemory, bank_init
from weft.hw.ports import LoadWord
from weft.hw.readback import ReadBack
from weft.hw.requantize import Requantize
from weft.hw.sequencer import Sequencer
from weft.hw.store import Store
from weft.hw.table import Tables


class Core(wiring.Component):
    """The accelerator.

    Loading and reading back are possible while it is not busy.

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
        super().__init__(
            {
                "load": In(stream.Signature(LoadWord)),
                "read": In(stream.Signature(unsigned(24))),
                "data": Out(stream.Signature(unsigned(32))),
                "start": In(1),
                "busy": Out(1),
                "cycles": Out(32),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config
        latency = pipeline(config)

        m.submodules.decoder = decoder = Decoder(config, drain=drain(config))
        m.submodules.sequencer = sequencer = Sequencer(config)
        m.submodules.program = program = Bank(
            width=32,
            depth=config.program_depth,
            init=bank_init(self.images.get(Space.PROGRAM), 0, 4),
        )
        m.submodules.activation = activation = ActivationMemory(
            config, self.images.get(Space.ACTIVATION)
        )
        m.submodules.weight = weight = WeightMemory(config, self.images.get(Space.WEIGHT))
        m.submodules.array = array = Array(config)
        m.submodules.collect = collect = Collect(config)
        m.submodules.parameter = parameter = ParameterMemory(
            config, self.images.get(Space.PARAMETER)
        )
        m.submodules.store = store = Store(config)
        m.submodules.readback = readback = ReadBack(config)
        fields = decoder.fields

        # Control.
        m.d.comb += [
            decoder.start.eq(self.start),
            self.busy.eq(decoder.busy),
            program.read_address.eq(decoder.read_address),
            decoder.read_data.eq(program.read_data),
            decoder.done.eq(sequencer.done),
            sequencer.begin.eq(decoder.begin),
        ]
        for part in (sequencer, collect, store):
            m.d.comb += part.fields.eq(fields)
        for part in (collect, store):
            m.d.comb += part.begin.eq(decoder.begin)
        with m.If(self.busy):
            m.d.sync += self.cycles.eq(self.cycles + 1)
        with m.Elif(self.start):
            m.d.sync += self.cycles.eq(0)

        # Read a word and a tile; outside the image the word is the fill code.
        inside = delay(m, sequencer.inside, Bank.latency - 1, name="inside")
        word = Signal(8 * config.rows)
        m.d.comb += activation.read_address.eq(
            Mux(self.busy, sequencer.source, readback.read_address)
        )
        m.d.sync += word.eq(
            Mux(inside, activation.read_data, Cat(fields.fill for _ in range(config.rows)))
        )
        wait = latency["read"] - Bank.latency
        m.d.comb += [
            array.word.eq(word),
            weight.read_address.eq(delay(m, sequencer.weight, wait, name="weight_address")),
            array.weights.eq(weight.read_data),
        ]

        # Accumulate: group g one cycle after the group before it.
        action = delay(m, sequencer.action, latency["read"] + array.latency, name="action")
        totals = []
        for group in range(config.groups):
            if group:
                action = delay(m, action, 1, name=f"action_group_{group}")
            for column in range(group * config.lanes, (group + 1) * config.lanes):
                accumulator = Accumulator(sum_width=array.width, width=config.accumulator_bits)
                m.submodules[f"accumulator_{column}"] = accumulator
                m.d.comb += [
                    accumulator.action.eq(action),
                    accumulator.sum.eq(array.sums.word_select(column, array.width)),
                    accumulator.peak.eq(fields.peak),
                ]
                totals.append(accumulator.total)

        # Collect, requantize, look up, store.
        until_totals = latency["read"] + array.latency + Accumulator.latency
        m.d.comb += [
            collect.pixel.eq(delay(m, sequencer.pixel, until_totals, name="pixel")),
            collect.totals.eq(Cat(totals)),
            parameter.read_address.eq(collect.parameter_address),
        ]
        codes = []
        for lane in range(config.lanes):
            requantize = Requantize(width=config.accumulator_bits)
            m.submodules[f"requantize_{lane}"] = requantize
            m.d.comb += [
                requantize.value.eq(collect.values.word_select(lane, config.accumulator_bits)),
                requantize.bias.eq(parameter.bias.word_select(lane, config.accumulator_bits)),
                requantize.shift.eq(parameter.shift.word_select(lane, parameter.shift_bits)),
                requantize.zero_point.eq(fields.zero_point),
                requantize.low.eq(fields.low),
                requantize.high.eq(fields.high),
            ]
            codes.append(requantize.code)
        results = Cat(codes)
        if config.tables:
            m.submodules.tables = tables = Tables(config, self.images.get(Space.TABLE))
            m.d.comb += [tables.codes.eq(results), tables.select.eq(fields.table)]
            results = tables.results
        until_store = latency["requantize"] + latency["table"]
        m.d.comb += [
            store.group.eq(delay(m, collect.group, until_store, name="group")),
            store.codes.eq(results),
            activation.store_enable.eq(store.enable),
            activation.store_address.eq(store.address),
            activation.store_group.eq(store.lane_group),
            activation.store_data.eq(store.data),
        ]

        # The host's side.
        wiring.connect(m, readback.read, wiring.flipped(self.read))
        wiring.connect(m, wiring.flipped(self.data), readback.data)
        m.d.comb += [readback.hold.eq(self.busy), readback.row.eq(activation.read_data)]
        self._connect_load(m, program, activation, weight, parameter)
        return m

    def _connect_load(self, m: Module, program, activation, weight, parameter) -> None:
        """Takes a load word a cycle, registers it, and writes it a cycle later."""
        loading = Signal()
        word = Signal(LoadWord)
        m.d.comb += self.load.ready.eq(~self.busy)
        m.d.sync += [loading.eq(self.load.valid & self.load.ready), word.eq(self.load.payload)]

        def split(space: Space):
            index_bits = (self.config.row_words(space) - 1).bit_length()
            return (
                loading & (word.space == space),
                word.address[index_bits:],
                word.address[:index_bits],
            )

        for space, part in (
            (Space.ACTIVATION, activation),
            (Space.WEIGHT, weight),
            (Space.PARAMETER, parameter),
        ):
            enable, row, index = split(space)
            m.d.comb += [
                part.load_enable.eq(enable),
                part.load_row.eq(row),
                part.load_word.eq(index),
                part.load_data.eq(word.data),
            ]
        enable, row, _ = split(Space.PROGRAM)
        m.d.comb += [
            program.write_enable.eq(enable),
            program.write_address.eq(row),
            program.write_data.eq(word.data),
        ]
        if self.config.tables:
            enable, row, _ = split(Space.TABLE)
            tables = m.submodules.tables
            m.d.comb += [
                tables.load_enable.eq(enable),
                tables.load_row.eq(row),
                tables.load_data.eq(word.data),
            ]
