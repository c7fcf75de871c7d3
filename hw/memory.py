"""The memories for activations, weights and parameters: wide rows out of banks.

The banks of activations and weights are no wider than a load word or a group of lanes, so
that either is written with plain write enables per bank.
"""

from __future__ import annotations

import math

import numpy as np
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from weft.hw.bank import Bank
from weft.hw.config import Config
from weft.hw.isa import bits


def bank_bytes(config: Config) -> int:
    """Bytes in one bank of the activation and weight memories.

    The largest size that divides both a load word and a group of lanes.
    """
    return math.gcd(config.lanes, 4)


def bank_init(image: np.ndarray | None, first: int, count: int) -> list[int]:
    """Contents of the bank holding bytes [first, first + count) of every row of an image."""
    if image is None:
        return []
    columns = image[:, first : first + count].astype(np.int64)
    return [int(value) for value in columns @ (1 << (8 * np.arange(count, dtype=np.int64)))]


class ActivationMemory(wiring.Component):
    """Words of `rows` bytes: written by lane groups or load words, read whole.

    Members
    -------
    store_enable : In
    store_address : In
    store_group : In
        Which group of `lanes` bytes of the word.
    store_data : In
        `lanes` bytes.
    load_enable, load_row, load_word, load_data : In
        A 32-bit load word; not in a cycle with `store_enable`.
    read_address : In
    read_data : Out
        `rows` bytes, `Bank.latency` cycles later.
    """

    def __init__(self, config: Config, image: np.ndarray | None = None):
        self.config = config
        self.image = image
        address = bits(config.activation_depth)
        super().__init__(
            {
                "store_enable": In(1),
                "store_address": In(address),
                "store_group": In(bits(config.rows // config.lanes)),
                "store_data": In(8 * config.lanes),
                "load_enable": In(1),
                "load_row": In(address),
                "load_word": In(bits(-(-config.rows // 4))),
                "load_data": In(32),
                "read_address": In(address),
                "read_data": Out(8 * config.rows),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config
        unit = bank_bytes(config)
        for first in range(0, config.rows, unit):
            bank = Bank(
                width=8 * unit,
                depth=config.activation_depth,
                init=bank_init(self.image, first, unit),
            )
            m.submodules[f"bank_{first}"] = bank
            group, byte = divmod(first, config.lanes)
            word, load_byte = divmod(first, 4)
            loaded = self.load_enable & (self.load_word == word)
            stored = self.store_enable & (self.store_group == group)
            m.d.comb += [
                bank.write_enable.eq(loaded | stored),
                bank.write_address.eq(self.load_row),
                bank.write_data.eq(self.load_data >> (8 * load_byte)),
                bank.read_address.eq(self.read_address),
                self.read_data[8 * first : 8 * (first + unit)].eq(bank.read_data),
            ]
            with m.If(self.store_enable):
                m.d.comb += [
                    bank.write_address.eq(self.store_address),
                    bank.write_data.eq(self.store_data >> (8 * byte)),
                ]
        return m


class WeightMemory(wiring.Component):
    """Tiles as wide as the array, each row and column group read a cycle after the one before.

    The address moves down the rows and across the groups with the data it belongs to,
    so that the array needs no registers to put weights in step with activations.

    Members
    -------
    load_enable, load_row, load_word, load_data : In
        A 32-bit load word.
    read_address : In
        A tile.
    read_data : Out
        ``rows * columns`` bytes; row r of group g appears ``Bank.latency + r + g`` cycles later.
    """

    def __init__(self, config: Config, image: np.ndarray | None = None):
        self.config = config
        self.image = image
        address = bits(config.weight_depth)
        super().__init__(
            {
                "load_enable": In(1),
                "load_row": In(address),
                "load_word": In(bits(-(-config.multipliers // 4))),
                "load_data": In(32),
                "read_address": In(address),
                "read_data": Out(8 * config.multipliers),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config
        unit = bank_bytes(config)
        address = {(0, 0): self.read_address}
        for row in range(config.rows):
            for group in range(config.groups):
                if (row, group) != (0, 0):
                    earlier = address[(row, group - 1) if group else (row - 1, group)]
                    later = Signal.like(self.read_address, name=f"address_{row}_{group}")
                    m.d.sync += later.eq(earlier)
                    address[row, group] = later
        for first in range(0, config.multipliers, unit):
            row, column = divmod(first, config.columns)
            bank = Bank(
                width=8 * unit, depth=config.weight_depth, init=bank_init(self.image, first, unit)
            )
            m.submodules[f"bank_{row}_{column}"] = bank
            word, byte = divmod(first, 4)
            m.d.comb += [
                bank.write_enable.eq(self.load_enable & (self.load_word == word)),
                bank.write_address.eq(self.load_row),
                bank.write_data.eq(self.load_data >> (8 * byte)),
                bank.read_address.eq(address[row, column // config.lanes]),
                self.read_data[8 * first : 8 * (first + unit)].eq(bank.read_data),
            ]
        return m


class ParameterMemory(wiring.Component):
    """Bias and shift of `lanes` output channels per row.

    A row takes two load words per lane: the bias, then the shift, which writes both.

    Members
    -------
    load_enable, load_row, load_word, load_data : In
    read_address : In
    bias, shift : Out
        `lanes` fields each, `Bank.latency` cycles later.
    """

    shift_bits = 5

    def __init__(self, config: Config, image: np.ndarray | None = None):
        self.config = config
        self.image = image
        address = bits(config.parameter_depth)
        super().__init__(
            {
                "load_enable": In(1),
                "load_row": In(address),
                "load_word": In(bits(2 * config.lanes)),
                "load_data": In(32),
                "read_address": In(address),
                "bias": Out(config.accumulator_bits * config.lanes),
                "shift": Out(self.shift_bits * config.lanes),
            }
        )

    def elaborate(self, platform):
        m = Module()
        width = self.config.accumulator_bits
        bias = Signal(width)
        with m.If(self.load_enable & ~self.load_word[0]):
            m.d.sync += bias.eq(self.load_data)
        for lane in range(self.config.lanes):
            low = bank_init(self.image, 8 * lane, 4)
            high = bank_init(self.image, 8 * lane + 4, 4)
            mask = (1 << width) - 1
            bank = Bank(
                width=width + self.shift_bits,
                depth=self.config.parameter_depth,
                init=[a & mask | b << width for a, b in zip(low, high, strict=True)],
            )
            m.submodules[f"bank_{lane}"] = bank
            m.d.comb += [
                bank.write_enable.eq(self.load_enable & (self.load_word == 2 * lane + 1)),
                bank.write_address.eq(self.load_row),
                bank.write_data.eq(bias | self.load_data[: self.shift_bits] << width),
                bank.read_address.eq(self.read_address),
                self.bias.word_select(lane, width).eq(bank.read_data[:width]),
                self.shift.word_select(lane, self.shift_bits).eq(bank.read_data[width:]),
            ]
        return m
