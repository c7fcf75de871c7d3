"""The systolic array: R x C cells, weights streaming in, partial sums moving down.

A row's activation meets all columns of a group in the same cycle; each row works
a cycle after the row above, each group of columns a cycle after the group to its
left. Nothing stalls: what enters leaves `latency` cycles later.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from weft.hw.config import Config
from weft.hw.delay import data_delay, delay
from weft.hw.interleave import Interleave
from weft.hw.isa import bits
from weft.hw.primitives.multipliers import Multipliers
from weft.hw.window import Window


def sum_bits(rows: int) -> int:
    """Width of a sum of `rows` products of two int8."""
    return 16 + bits(rows)


class Row(wiring.Component):
    """The cells of one row and group: ``sums_out = sums_in + activations * weights``.

    Operands take `latency` cycles to the output, `sums_in` takes one; no flow control.

    Parameters
    ----------
    columns, width : int
    tables : int
        As of `Multipliers`.

    Members
    -------
    activations, weights : In
        One int8 per column each.
    sums_in, sums_out : In, Out
        One sum of `width` bits per column.
    """

    latency = Multipliers.latency + 1

    def __init__(self, *, columns: int, width: int, tables: int = 0):
        self.columns = columns
        self.width = width
        self.tables = tables
        super().__init__(
            {
                "activations": In(8 * columns),
                "weights": In(8 * columns),
                "sums_in": In(width * columns),
                "sums_out": Out(width * columns),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.multipliers = multipliers = Multipliers(count=self.columns, tables=self.tables)
        m.d.comb += [
            multipliers.a.eq(self.activations),
            multipliers.b.eq(self.weights),
        ]
        for column in range(self.columns):
            above = self.sums_in.word_select(column, self.width).as_signed()
            product = multipliers.products.word_select(column, 16).as_signed()
            total = Signal(signed(self.width), name=f"sum_{column}", reset_less=True)
            m.d.sync += total.eq(above + product)
            m.d.comb += self.sums_out.word_select(column, self.width).eq(total)
        return m


def latency(config: Config) -> int:
    """Cycles from a word to the sums of group 0."""
    return config.rows - 1 + Row.latency


class Array(wiring.Component):
    """Products of activation words with tiles of weights.

    Members
    -------
    word : In
        `rows` activations, all of one step at once.
    weights : In
        ``rows * columns`` weights; those of row r and group g belong to the word that entered
        ``r + g`` cycles before.
    window, clear, last, valid, entry : In
        The second path (`Window` or `Interleave`), where the configuration has it: `window` is
        constant while sums are on their way, `valid` and `entry` come with `word`, one lane per
        column. `Interleave` has `soon` besides, `Bank.latency` cycles before `valid`; with `pairs`
        there is `lines`, which comes with `entry`.
    sums : Out
        `columns` sums of `sum_bits`; those of group g are ``latency + g`` cycles behind the word.
    """

    def __init__(self, config: Config):
        self.config = config
        self.width = sum_bits(config.rows)
        ports = {
            "word": In(8 * config.rows),
            "weights": In(8 * config.multipliers),
            "sums": Out(self.width * config.columns),
        }
        if config.window:
            ports |= {
                "window": In(1),
                "clear": In(1),
                "last": In(bits(config.line_depth)),
                "valid": In(1),
                "entry": In(8 * config.columns),
            }
        if config.interleave:
            ports |= {"soon": In(1)}
        if config.pairs:
            ports |= {"lines": In(8 * config.columns)}
        super().__init__(ports)

    @property
    def latency(self) -> int:
        """Cycles from a word to the sums of group 0."""
        return latency(self.config)

    def elaborate(self, platform):
        m = Module()
        config = self.config
        lanes = config.lanes
        windows = [self._window(m, group) for group in range(config.groups)]
        # Rows with a second path; others meet weights of 0 on it.
        paths = config.span * config.window if config.window else 0
        above: list[Value] = [Const(0, lanes * self.width)] * config.groups
        # The choice moves down with the data: no wire goes to all cells.
        second: Value = self.window if config.window else Const(0)
        for row in range(config.rows):
            if row and config.window:
                second = delay(m, second, 1, name=f"second_{row}")
            lane = self.word.word_select(row, 8)
            activation = data_delay(m, lane, row, name=f"row_{row}")
            for group, window in enumerate(windows):
                if group:
                    activation = data_delay(m, activation, 1, name=f"row_{row}_group_{group}")
                activations = activation.replicate(lanes)
                if window is not None and row < paths:
                    moving = window.activations.word_select(row, 8 * lanes)
                    here = delay(m, second, group, name=f"second_{row}_group_{group}")
                    activations = Mux(here, moving, activations)
                first = row * config.columns + group * lanes
                tables = first + lanes - (config.multipliers - config.table_multipliers)
                cells = Row(columns=lanes, width=self.width, tables=min(max(tables, 0), lanes))
                m.submodules[f"row_{row}_group_{group}"] = cells
                m.d.comb += [
                    cells.activations.eq(activations),
                    cells.weights.eq(self.weights[8 * first : 8 * (first + lanes)]),
                    cells.sums_in.eq(above[group]),
                ]
                above[group] = cells.sums_out
        m.d.comb += self.sums.eq(Cat(above))
        return m

    def _window(self, m: Module, group: int) -> Window | Interleave | None:
        if not self.config.window:
            return None
        window = Interleave(self.config) if self.config.interleave else Window(self.config)
        m.submodules[f"window_{group}"] = window
        entry = self.entry.word_select(group, 8 * self.config.lanes)
        m.d.comb += [
            window.clear.eq(self.clear),
            window.last.eq(self.last),
            window.valid.eq(delay(m, self.valid, group, name=f"window_valid_{group}")),
            window.entry.eq(data_delay(m, entry, group, name=f"entry_{group}")),
        ]
        if self.config.interleave:
            m.d.comb += window.soon.eq(delay(m, self.soon, group, name=f"window_soon_{group}"))
        if self.config.pairs:
            lines = self.lines.word_select(group, 8 * self.config.lanes)
            m.d.comb += window.lines.eq(data_delay(m, lines, group, name=f"lines_{group}"))
        return window
