"""The memories for activations, weights, parameters and the program: wide rows out of banks.

The banks of activations and weights are no wider than a load word or a group of lanes, so
that either is written with plain write enables per bank.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate

import numpy as np
from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from weft.hw.bank import Bank
from weft.hw.config import Config
from weft.hw.delay import data_delay, delay
from weft.hw.isa import bits
from weft.hw.latency import far_activations
from weft.hw.primitives.copies import copy
from weft.hw.primitives.device import device
from weft.hw.requantize_multiplier import SHIFT_BITS
from weft.hw.single_port import SinglePort

#: Rows of an array that are near each other: what is loaded needs no registers between them.
NEAR_ROWS = 4


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


def bank_init_wide(image: np.ndarray | None) -> list[int]:
    """Rows of an image as whole numbers, of any width."""
    return [] if image is None else [int.from_bytes(row.tobytes(), "little") for row in image]


class ActivationMemory(wiring.Component):
    """Words of `rows` bytes: written by lane groups or load words, read whole.

    With a single port `store_lanes`, a bit per group, takes the place of `store_group`, and
    `store_data` is a whole word.

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
        `rows` bytes, `activation_read` cycles later; undefined, where the memory has a single
        port, in a cycle with `store_enable` or `load_enable`.
    """

    def __init__(self, config: Config, image: np.ndarray | None = None):
        self.config = config
        self.image = image
        address = bits(config.activation_depth)
        groups = config.rows // config.lanes
        if config.single_port:
            stores = {"store_lanes": In(groups), "store_data": In(8 * config.rows)}
        else:
            stores = {"store_group": In(bits(groups)), "store_data": In(8 * config.lanes)}
        super().__init__(
            {
                "store_enable": In(1),
                "store_address": In(address),
                **stores,
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
        far = far_activations(config)
        if config.single_port:
            self._single_port(m, unit)
            return m
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
            way = {
                "write_enable": loaded | stored,
                "write_address": Mux(self.store_enable, self.store_address, self.load_row),
                "write_data": Mux(
                    self.store_enable,
                    self.store_data >> (8 * byte),
                    self.load_data >> (8 * load_byte),
                )[: 8 * unit],
                "read_address": self.read_address,
            }
            for port, value in way.items():
                here = value
                if far:
                    here = copy(m, value, device=device(platform), name=f"{port}_{first}")
                m.d.comb += getattr(bank, port).eq(here)
            word = data_delay(m, bank.read_data, far, name=f"word_{first}")
            m.d.comb += self.read_data[8 * first : 8 * (first + unit)].eq(word)
        return m

    def _single_port(self, m: Module, unit: int) -> None:
        """One memory for all bytes; what is written comes first."""
        config = self.config
        m.submodules.memory = ram = SinglePort(
            width=8 * config.rows,
            depth=config.activation_depth,
            unit=8 * unit,
            init=bank_init_wide(self.image),
        )
        for number, first in enumerate(range(0, config.rows, unit)):
            word, load_byte = divmod(first, 4)
            stored = self.store_enable & self.store_lanes[first // config.lanes]
            loaded = self.load_enable & (self.load_word == word)
            m.d.comb += [
                ram.write_enable[number].eq(stored | loaded),
                ram.write_data.word_select(number, 8 * unit).eq(
                    Mux(self.store_enable, self.store_data >> 8 * first,
                        self.load_data >> 8 * load_byte)
                ),
            ]  # fmt: skip
        m.d.comb += [
            ram.address.eq(self.read_address),
            self.read_data.eq(ram.read_data),
        ]
        with m.If(self.store_enable):
            m.d.comb += ram.address.eq(self.store_address)
        with m.Elif(self.load_enable):
            m.d.comb += ram.address.eq(self.load_row)


class WeightMemory(wiring.Component):
    """Tiles as wide as the array, each row and column group read a cycle after the one before.

    The address moves down the rows and across the groups with the data it belongs to,
    so that the array needs no registers to put weights in step with activations. What is
    loaded moves down the rows as well: no wire is longer than from one row to the next. Only
    where rows are few does it go to all at once.

    Members
    -------
    load_enable, load_row, load_word, load_data : In
        A 32-bit load word; a read that enters a cycle later finds it.
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
                    later = Signal.like(
                        self.read_address, name=f"address_{row}_{group}", reset_less=True
                    )
                    m.d.sync += later.eq(earlier)
                    address[row, group] = later
        ports = (self.load_word, self.load_row, self.load_data)
        loads: list[tuple[Value, Value]] = [(self.load_enable, Cat(*ports))]
        for row in range(1, config.rows):
            further = 1 if config.rows > NEAR_ROWS else 0
            enable, load = loads[-1]
            loads.append(
                (
                    delay(m, enable, further, name=f"load_enable_{row}"),
                    data_delay(m, load, further, name=f"load_{row}"),
                )
            )
        for first in range(0, config.multipliers, unit):
            row, column = divmod(first, config.columns)
            load_enable, load = loads[row]
            load_word, load_row, load_data = _split(load, ports)
            bank = Bank(
                width=8 * unit,
                depth=config.weight_depth,
                init=bank_init(self.image, first, unit),
                # A copy goes where nothing is read any more.
                relaxed=True,
            )
            m.submodules[f"bank_{row}_{column}"] = bank
            word, byte = divmod(first, 4)
            m.d.comb += [
                bank.write_enable.eq(load_enable & (load_word == word)),
                bank.write_address.eq(load_row),
                bank.write_data.eq(load_data >> (8 * byte)),
                bank.read_address.eq(address[row, column // config.lanes]),
                self.read_data[8 * first : 8 * (first + unit)].eq(bank.read_data),
            ]
        return m


def _split(value: Value, ports: Sequence[Value]) -> list[Value]:
    """Parts of a value, as wide as `ports`."""
    ends = list(accumulate(len(port) for port in ports))
    return [value[end - len(port) : end] for port, end in zip(ports, ends, strict=True)]


class ParameterMemory(wiring.Component):
    """Bias, multiplier and shift of `lanes` output channels per row.

    A row takes ``config.parameter_words`` load words per lane, the shift last: it writes all.

    Members
    -------
    load_enable, load_row, load_word, load_data : In
    read_address : In
    bias, multiplier, shift : Out
        `lanes` fields each, `Bank.latency` cycles later.
    """

    def __init__(self, config: Config, image: np.ndarray | None = None):
        self.config = config
        self.image = image
        address = bits(config.parameter_depth)
        #: Bits of a lane's fields, in the order of their load words.
        self.fields = {"bias": config.value_bits}
        if config.multiplier_bits:
            self.fields["multiplier"] = config.multiplier_bits + 1
        self.fields["shift"] = SHIFT_BITS if config.multiplier_bits else SHIFT_BITS - 1
        super().__init__(
            {
                "load_enable": In(1),
                "load_row": In(address),
                "load_word": In(bits(config.parameter_words * config.lanes)),
                "load_data": In(32),
                "read_address": In(address),
                **{name: Out(width * config.lanes) for name, width in self.fields.items()},
            }
        )

    def elaborate(self, platform):
        m = Module()
        words = self.config.parameter_words
        *early, (_, last_width) = self.fields.items()
        kept = [Signal(width, name=name) for name, width in early]
        for lane in range(self.config.lanes):
            first = words * lane
            for word, signal in enumerate(kept):
                with m.If(self.load_enable & (self.load_word == first + word)):
                    m.d.sync += signal.eq(self.load_data)
            bank = Bank(
                width=sum(self.fields.values()),
                depth=self.config.parameter_depth,
                init=self._init(lane),
                relaxed=True,  # loaded while nothing runs
            )
            m.submodules[f"bank_{lane}"] = bank
            m.d.comb += [
                bank.write_enable.eq(self.load_enable & (self.load_word == first + words - 1)),
                bank.write_address.eq(self.load_row),
                bank.write_data.eq(Cat(*kept, self.load_data[:last_width])),
                bank.read_address.eq(self.read_address),
            ]
            at = 0
            for name, width in self.fields.items():
                field = getattr(self, name).word_select(lane, width)
                m.d.comb += field.eq(bank.read_data[at : at + width])
                at += width
        return m

    def _init(self, lane: int) -> list[int]:
        """Rows of a lane's bank: the fields side by side."""
        rows = [0] * (0 if self.image is None else len(self.image))
        at = 0
        for word, width in enumerate(self.fields.values()):
            first = 4 * (self.config.parameter_words * lane + word)
            for row, value in enumerate(bank_init(self.image, first, 4)):
                rows[row] |= (value & ((1 << width) - 1)) << at
            at += width
        return rows


class ProgramMemory(wiring.Component):
    """32-bit words: instructions, and weights to be copied.

    Members
    -------
    write_enable, write_address, write_data : In
        A load word; nobody reads in that cycle.
    read_address : In
    read_data : Out
        `Bank.latency` cycles later.
    """

    def __init__(self, config: Config, image: np.ndarray | None = None):
        self.config = config
        self.image = image
        address = bits(config.program_depth)
        super().__init__(
            {
                "write_enable": In(1),
                "write_address": In(address),
                "write_data": In(32),
                "read_address": In(address),
                "read_data": Out(32),
            }
        )

    def elaborate(self, platform):
        m = Module()
        depth, init = self.config.program_depth, bank_init(self.image, 0, 4)
        if self.config.single_port:
            m.submodules.memory = ram = SinglePort(width=32, depth=depth, unit=32, init=init)
            address = Mux(self.write_enable, self.write_address, self.read_address)
            m.d.comb += ram.address.eq(address)
        else:
            m.submodules.memory = ram = Bank(width=32, depth=depth, init=init)
            m.d.comb += [
                ram.write_address.eq(self.write_address),
                ram.read_address.eq(self.read_address),
            ]
        m.d.comb += [
            ram.write_enable.eq(self.write_enable),
            ram.write_data.eq(self.write_data),
            self.read_data.eq(ram.read_data),
        ]
        return m
