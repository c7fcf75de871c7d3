"""Read-back: 32-bit words of the activation memory as a stream of answers."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from weft.hw.config import Config, Space
from weft.hw.isa import bits
from weft.hw.latency import activation_read
from weft.hw.primitives.choose import choose


class ReadBack(wiring.Component):
    """One word at a time: simple, as the link outside is far slower.

    Members
    -------
    read : In(stream of unsigned(24))
        Address of a 32-bit word.
    data : Out(stream of unsigned(32))
    hold : In(1)
        Take no new address.
    read_address : Out
        Of an activation word.
    row : In
        The word read, `activation_read` cycles later.
    """

    def __init__(self, config: Config):
        self.config = config
        super().__init__(
            {
                "read": In(stream.Signature(unsigned(24))),
                "data": Out(stream.Signature(unsigned(32))),
                "hold": In(1),
                "read_address": Out(bits(config.activation_depth)),
                "row": In(8 * config.rows),
            }
        )

    def elaborate(self, platform):
        m = Module()
        row_words = self.config.row_words(Space.ACTIVATION)
        index_bits = (row_words - 1).bit_length()
        address = Signal(24)
        latency = activation_read(self.config)
        waiting = Signal(range(latency + 1))
        m.d.comb += self.read_address.eq(address >> index_bits)
        padded = Signal(32 * row_words)
        m.d.comb += padded.eq(self.row)
        words = [padded.word_select(word, 32) for word in range(row_words)]
        index = address[:index_bits]
        word = Cat(
            choose(m, platform, index, [word[bit] for word in words], name=f"word_{bit}")
            for bit in range(32)
        )
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.read.ready.eq(~self.hold)
                with m.If(self.read.valid & self.read.ready):
                    m.d.sync += [address.eq(self.read.payload), waiting.eq(latency)]
                    m.next = "READ"
            with m.State("READ"):
                m.d.sync += waiting.eq(waiting - 1)
                with m.If(waiting == 0):
                    m.d.sync += self.data.payload.eq(word)
                    m.next = "ANSWER"
            with m.State("ANSWER"):
                m.d.comb += self.data.valid.eq(1)
                with m.If(self.data.ready):
                    m.next = "IDLE"
        return m
