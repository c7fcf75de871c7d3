"""Tables: any unary function of a code, 256 bytes each, one copy per lane."""

from __future__ import annotations

import numpy as np
from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from weft.hw.bank import Bank
from weft.hw.config import Config
from weft.hw.delay import data_delay, delay
from weft.hw.isa import bits


class Tables(wiring.Component):
    """``codes`` through table ``select - 1``, or unchanged where `select` is 0.

    Members
    -------
    load_enable, load_row, load_data : In
        One entry per load word; row ``256 * table + code + 128``.
    select : In
        Constant while codes are on their way.
    codes : In
        `lanes` codes.
    results : Out
        `latency` cycles later.
    """

    latency = Bank.latency + 1

    def __init__(self, config: Config, image: np.ndarray | None = None):
        self.config = config
        self.image = image
        super().__init__(
            {
                "load_enable": In(1),
                "load_row": In(bits(256 * config.tables)),
                "load_data": In(8),
                "select": In(bits(config.tables + 1)),
                "codes": In(8 * config.lanes),
                "results": Out(8 * config.lanes),
            }
        )

    def elaborate(self, platform):
        m = Module()
        tables = self.config.tables
        index = Signal(range(max(2, tables)))
        m.d.comb += index.eq(self.select - 1)
        init = [] if self.image is None else [int(row[0]) for row in self.image]
        for lane in range(self.config.lanes):
            code = self.codes.word_select(lane, 8)
            same = data_delay(m, code, Bank.latency, name=f"code_{lane}")
            # Loaded while nothing runs.
            bank = Bank(width=8, depth=256 * tables, init=init, relaxed=True)
            m.submodules[f"bank_{lane}"] = bank
            m.d.comb += [
                bank.write_enable.eq(self.load_enable),
                bank.write_address.eq(self.load_row),
                bank.write_data.eq(self.load_data),
                # Adding 128 to a signed code is flipping its sign bit.
                bank.read_address.eq(Cat(code[:7], ~code[7], index)),
            ]
            result = Mux(self.select == 0, same, bank.read_data)
            m.d.comb += self.results.word_select(lane, 8).eq(
                delay(m, result, 1, name=f"result_{lane}")
            )
        return m
