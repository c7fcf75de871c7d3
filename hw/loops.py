"""The loop counters: which loop moves next, known a step ahead.

A carry through seven counters would be the longest path of the whole core. But the innermost
loop that turns at all (the *inner* one) moves before and after every move of another loop. So
the others have two cycles for a move, and what follows the present step hangs on few registers:
as long as the inner loop has turns left it moves; after its last turn moves the first of the
others that has turns left; and after that the inner one again.

Which loop moves is told by flags that say of each loop whether the move is outside it: that is
what counters, addresses and coordinates want to know.
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
Outside = data.StructLayout(dict.fromkeys(LOOPS, 1))


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
    outside : Out(Outside)
        For each loop: the move after the present step is none of it or of a loop inside it. All
        of them in the last step, which no move follows.
    soon_outside_digit : Out(1)
        What that flag of `outside` is in the next cycle.
    last_tile : Out(1)
        The present step belongs to the last tile.
    """

    #: Cycles in which what hangs on the limits alone is worked out.
    settle = 6

    def __init__(self, config: Config):
        self.config = config
        super().__init__(
            {
                "limits": In(limits_layout(config)),
                "begin": In(1),
                "issue": In(1),
                "outside": Out(Outside),
                "soon_outside_digit": Out(1),
                "last_tile": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        self._prepare(m)
        inner_ends = self._count_inner(m)
        ended = self._count_others(m)

        # The move after the next one: outward where the inner loop ends with the next one.
        m.d.comb += self.soon_outside_digit.eq(self.outside["digit"])
        with m.If(self.begin | self.issue):
            for index, loop in enumerate(LOOPS):
                through = Cat(ended[other] for other in LOOPS[: index + 1]).all()
                following = Mux(inner_ends, through, self.inside_inner[loop])
                m.d.sync += self.outside[loop].eq(following)
                if loop == "digit":
                    m.d.comb += self.soon_outside_digit.eq(following)
        m.d.comb += self.last_tile.eq(self.outside[LOOPS[-1]] | self.tile_ended)
        return m

    def _prepare(self, m: Module) -> None:
        """What hangs on the limits alone, a register after each step of the way."""
        limits = self.limits
        once = {loop: Signal(name=f"once_{loop}") for loop in LOOPS}
        inner = {loop: Signal(name=f"inner_{loop}") for loop in LOOPS}
        #: The inner loop is outside this one; where none turns, all are alike.
        self.inside_inner = Signal(Outside)
        # In two steps, so that none is over many.
        half = len(LOOPS) // 2 + 1
        first_half = Signal()
        m.d.sync += first_half.eq(Cat(once[loop] for loop in LOOPS[:half]).all())
        inside: Value = Const(0)
        for index, loop in enumerate(LOOPS):
            many = index >= half
            terms = [once[other] for other in LOOPS[half if many else 0 : index + 1]]
            m.d.sync += [
                once[loop].eq(limits[loop] == 0),
                self.inside_inner[loop].eq(Cat(*terms, first_half if many else 1).all()),
                inner[loop].eq((inside if index else Const(1)) & ~once[loop]),
            ]
            inside = self.inside_inner[loop]
        #: Loops that are at their end whenever the inner one is: those inside it, and itself.
        self.idle = {loop: Signal(name=f"idle_{loop}") for loop in LOOPS}
        self.turns = Signal(max(limits[loop].shape().width for loop in LOOPS))
        m.d.sync += [
            *(self.idle[loop].eq(once[loop] | inner[loop]) for loop in LOOPS),
            self.turns.eq(reduce(or_, (Mux(inner[loop], limits[loop], 0) for loop in LOOPS))),
        ]
        self.inner_is_tile = inner["tile"]
        self.one_turn, self.two_turns = Signal(), Signal()
        #: Fewer by three.
        self.turns_beyond = Signal.like(self.turns)
        m.d.sync += [
            self.one_turn.eq(self.turns == 1),
            self.two_turns.eq(self.turns == 2),
            self.turns_beyond.eq(self.turns - 3),
        ]

    def _count_inner(self, m: Module) -> Signal:
        """Counts the inner loop. High when the next move is its last one; low at `begin`."""
        moves, ends, ends_soon = Signal(), Signal(), Signal(reset_less=True)
        # Moves left behind the next three.
        left = Signal.like(self.turns, reset_less=True)
        with m.If(self.begin | self.issue):
            with m.If(moves):
                m.d.sync += [
                    left.eq(left - 1),
                    moves.eq(~ends),
                    ends.eq(ends_soon & ~ends),
                    ends_soon.eq(left == 0),
                ]
            with m.Else():
                m.d.sync += [
                    left.eq(self.turns_beyond),
                    moves.eq(~self.inside_inner[LOOPS[-1]]),
                    ends.eq(self.one_turn),
                    ends_soon.eq(self.two_turns),
                ]
        finished = Signal()
        m.d.sync += finished.eq(self.issue & self.outside[LOOPS[-1]])
        with m.If(finished):
            m.d.sync += [moves.eq(0), ends.eq(0)]
        return ends

    def _count_others(self, m: Module) -> dict[str, Signal]:
        """Counts the other loops. Flags of those in their last turn, which idle ones always are."""
        ended = {loop: Signal(name=f"ended_{loop}", reset_less=True) for loop in LOOPS}
        within: Value = Const(1)  # the move is none of a loop inside this one
        for loop in LOOPS:
            limit = self.limits[loop]
            # One more than its present turn; two cycles pass before it moves again.
            count = Signal.like(limit, name=f"count_{loop}", reset_less=True)
            ends = Signal(name=f"ends_{loop}")
            m.d.sync += ends.eq(count == limit)
            restart = self.begin | self.outside[loop]
            with m.If(self.begin | (self.issue & within)):
                m.d.sync += [
                    count.eq(Mux(restart, 1, count + 1)),
                    ended[loop].eq(self.idle[loop] | (ends & ~restart)),
                ]
            within = self.outside[loop]
        self.tile_ended = ended["tile"] & ~self.inner_is_tile
        return ended
