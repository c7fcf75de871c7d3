"""The systolic array: R × C cells, weights streaming in, partial sums moving down.

A row's activation meets all columns of a group in the same cycle; each row works
a cycle after the row above, each group of columns a cycle after the group to its
left. Nothing stalls: what enters leaves `latency` cycles later.
"""

from __future__ import annotations

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from weft.hw.config import Config
from weft.hw.delay import delay
from weft.hw.isa import bits
from weft.hw.primitives.multiplier import Multiplier


def sum_bits(rows: int) -> int:
    """Width of a sum of `rows` products of two int8."""
    return 16 + bits(rows)


class Cell(wiring.Component):
    """``sum_out = sum_in + activation * weight``; no flow control.

    Operands take ``Multiplier.latency + 1`` cycles to the output, `sum_in` takes one.

    Members
    -------
    activation, weight : In(signed(8))
    sum_in : In(signed(width))
    sum_out : Out(signed(width))
    """

    latency = Multiplier.latency + 1

    def __init__(self, *, width: int):
        super().__init__(
            {
                "activation": In(signed(8)),
                "weight": In(signed(8)),
                "sum_in": In(signed(width)),
                "sum_out": Out(signed(width)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.multiplier = multiplier = Multiplier()
        m.d.comb += [multiplier.a.eq(self.activation), multiplier.b.eq(self.weight)]
        m.d.sync += self.sum_out.eq(self.sum_in + multiplier.product)
        return m


class Array(wiring.Component):
    """Products of activation words with tiles of weights.

    Members
    -------
    word : In
        `rows` activations, all of one step at once.
    weights : In
        ``rows * columns`` weights; those of row r and group g belong to the word that entered
        ``r + g`` cycles before.
    sums : Out
        `columns` sums of `sum_bits`; those of group g are ``latency + g`` cycles behind the word.
    """

    def __init__(self, config: Config):
        self.config = config
        self.width = sum_bits(config.rows)
        super().__init__(
            {
                "word": In(8 * config.rows),
                "weights": In(8 * config.multipliers),
                "sums": Out(self.width * config.columns),
            }
        )

    @property
    def latency(self) -> int:
        """Cycles from a word to the sums of group 0."""
        return self.config.rows - 1 + Cell.latency

    def elaborate(self, platform):
        m = Module()
        config = self.config
        above = [Signal(signed(self.width), name=f"zero_{c}") for c in range(config.columns)]
        for row in range(config.rows):
            lane = self.word.word_select(row, 8)
            activation = delay(m, lane, row, name=f"row_{row}")
            for group in range(config.groups):
                if group:
                    activation = delay(m, activation, 1, name=f"row_{row}_group_{group}")
                for column in range(group * config.lanes, (group + 1) * config.lanes):
                    cell = Cell(width=self.width)
                    m.submodules[f"cell_{row}_{column}"] = cell
                    m.d.comb += [
                        cell.activation.eq(activation),
                        cell.weight.eq(self.weights.word_select(row * config.columns + column, 8)),
                        cell.sum_in.eq(above[column]),
                    ]
                    above[column] = cell.sum_out
        for column in range(config.columns):
            m.d.comb += self.sums.word_select(column, self.width).eq(above[column])
        return m
