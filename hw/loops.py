"""The loop counters: which loop moves next, known a step ahead.

A carry through seven counters would be the longest path of the whole core. But the innermost
loop that turns at all (the *inner* one) moves before and after every move of another loop. So
the others have two cycles for a move, and what follows the present step hangs on few registers:
as long as the inner loop has turns left it moves; after its last turn moves the first of the
others that has turns left; and after that the inner one again.
"""

from __future__ import annotations

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from weft.hw.config import Config
from weft.hw.isa import LOOPS, widths

#: A flag for each loop.
Move = data.StructLayout({loop: 1 for loop in LOOPS})


def limits_layout(config: Config) -> data.StructLayout:
    """Index of the last turn of each loop."""
    sizes = widths(config)
    return data.StructLayout({loop: sizes[f"last_{loop}"][0] for loop in LOOPS})


class Loops(wiring.Component):
    """Counts seven loops; one step for each cycle with `issue`.

    Members
    -------
    limits : In
        Constant from `settle` cycles before `begin` until the last step.
    begin : In(1)
        The first step is the present one from the next cycle on.
    issue : In(1)
        The present step is issued: on to the next one.
    move : Out(Move)
        The loop that moves after the present step; none after the last one.
    last : Out(1)
        The present step is the last.
    pixel_end : Out(1)
        It is the last of its pixel.
    last_tile : Out(1)
        It belongs to the last tile.
    """

    #: Cycles in which what hangs on the limits alone is worked out.
    settle = 4

    #: Loops inside a pixel, the innermost ones.
    inside_pixel = 4

    def __init__(self, config: Config):
        self.config = config
        super().__init__(
            {
                "limits": In(limits_layout(config)),
                "begin": In(1),
                "issue": In(1),
                "move": Out(Move),
                "last": Out(1),
                "pixel_end": Out(1),
                "last_tile": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        self._prepare(m)
        inner_ends = self._count_inner(m)
        ended = self._count_others(m)

        # The move after the next one: outward where the inner loop ends with the next one.
        outward = Signal()
        m.d.comb += outward.eq(inner_ends & ~self.begin)
        before: Value = Const(1)
        for index, loop in enumerate(LOOPS):
            with m.If(self.begin | self.issue):
                m.d.sync += self.move[loop].eq(
                    Mux(outward, before & ~ended[loop], self.inner[loop])
                )
            before = Cat(ended[other] for other in LOOPS[: index + 1]).all()
        inside = Cat(ended[loop] for loop in LOOPS[: self.inside_pixel]).all()
        with m.If(self.begin | self.issue):
            m.d.sync += [
                self.last.eq(Mux(outward, before, self.single)),
                self.pixel_end.eq(Mux(outward, inside, self.inner_outside_pixel)),
            ]
        m.d.comb += self.last_tile.eq(self.last | (ended["tile"] & ~self.inner.tile))
        return m

    def _prepare(self, m: Module) -> None:
        """What hangs on the limits alone, a register after each step of the way."""
        limits = self.limits
        once = Signal(Move)
        self.inner = Signal(Move)
        self.single = Signal()
        self.inner_outside_pixel = Signal()
        before: Value = Const(1)
        for index, loop in enumerate(LOOPS):
            m.d.sync += [once[loop].eq(limits[loop] == 0), self.inner[loop].eq(before & ~once[loop])]
            before = Cat(once[other] for other in LOOPS[: index + 1]).all()
        inside = Cat(once[loop] for loop in LOOPS[: self.inside_pixel]).all()
        m.d.sync += [self.single.eq(before), self.inner_outside_pixel.eq(inside)]

        #: Loops that are at their end whenever the inner one is: those inside it, and itself.
        self.idle = Signal(Move)
        self.turns = Signal(max(limits[loop].shape().width for loop in LOOPS))
        m.d.sync += [
            *(self.idle[loop].eq(once[loop] | self.inner[loop]) for loop in LOOPS),
            self.turns.eq(reduce(or_, (Mux(self.inner[loop], limits[loop], 0) for loop in LOOPS))),
        ]
        self.one_turn, self.two_turns = Signal(), Signal()
        m.d.sync += [self.one_turn.eq(self.turns == 1), self.two_turns.eq(self.turns == 2)]

    def _count_inner(self, m: Module) -> Signal:
        """Counts the inner loop. High when the next move is its last one."""
        moves, ends, ends_soon = Signal(), Signal(), Signal()
        # Three more than its present turn.
        count = Signal.like(self.turns)
        with m.If(self.begin | self.issue):
            with m.If(~self.begin & moves):
                m.d.sync += [
                    count.eq(count + 1),
                    moves.eq(~ends),
                    ends.eq(ends_soon & ~ends),
                    ends_soon.eq(count == self.turns),
                ]
            with m.Else():
                m.d.sync += [
                    count.eq(3),
                    moves.eq(~self.single),
                    ends.eq(self.one_turn),
                    ends_soon.eq(self.two_turns),
                ]
        return ends

    def _count_others(self, m: Module) -> dict[str, Signal]:
        """Counts the other loops. Flags of those in their last turn, which idle ones always are."""
        ended = {loop: Signal(name=f"ended_{loop}") for loop in LOOPS}
        for index, loop in enumerate(LOOPS):
            limit = self.limits[loop]
            # One more than its present turn; two cycles pass before it moves again.
            count = Signal.like(limit, name=f"count_{loop}")
            ends = Signal(name=f"ends_{loop}")
            m.d.sync += ends.eq(count == limit)
            restart, moves = Signal(name=f"restart_{loop}"), Signal(name=f"moves_{loop}")
            outer = Cat(self.move[other] for other in LOOPS[index + 1 :]).any()
            m.d.comb += [
                restart.eq(self.begin | (self.issue & outer)),
                moves.eq(self.issue & self.move[loop]),
            ]
            with m.If(restart):
                m.d.sync += count.eq(1)
            with m.Elif(moves):
                m.d.sync += count.eq(count + 1)
            with m.If(restart | moves):
                m.d.sync += ended[loop].eq(self.idle[loop] | (ends & ~restart))
        return ended
