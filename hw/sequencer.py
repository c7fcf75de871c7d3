"""The sequencer: turns an instruction into one step per cycle.

The counters (`weft.hw.loops`) say which loop moves; addresses and coordinates follow in a
pipeline. Nothing waits for anything behind it.

====== =====================================================================
cycle  what is there
====== =====================================================================
0      the step is issued
1      which loop moved to reach it
2      how far that moves the address; where the window now lies
3      the addresses, and the coordinates
4      whether these lie inside the image
====== =====================================================================
"""

from __future__ import annotations

from functools import reduce
from operator import and_, or_

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from weft.hw.accumulate import Action
from weft.hw.config import Config
from weft.hw.decoder import fields_layout
from weft.hw.delay import delay
from weft.hw.isa import LOOPS, bits
from weft.hw.loops import Loops
from weft.hw.step import Next, Pixel

#: What leads to a step: a loop that moves, or the instruction's beginning, which is outside all.
MOVES = (*LOOPS, "begin")


class Sequencer(wiring.Component):
    """Issues the steps of an instruction; feed-forward, one per cycle.

    The last steps of two pixels are at least `groups` cycles apart, so that the
    requantize lanes can take one column group per cycle.

    Members
    -------
    fields : In
        The instruction, constant from `begin` until three cycles after `done`; its limits
        already `Loops.settle` cycles before.
    begin : In(1)
        Start; the first step is issued in the next cycle.
    hold : In(1)
        Issue nothing in the next cycle.
    done : Out(1)
        The last step is issued in this cycle.
    action : Out(Action)
        `latency` cycles after the issue of a step, with
    pixel : Out(Pixel)
    source, weight : Out
        Addresses to read.
    part : Out
        With `source`: which `columns` lanes of the word are the tile's; of pairs the first half.
    second : Out(1)
        With `source`: of pairs, the word is the second tensor's.
    inside : Out(1)
        One cycle after `source`: the word is inside the image.
    """

    latency = 3

    def __init__(self, config: Config):
        self.config = config
        super().__init__(
            {
                "fields": In(fields_layout(config)),
                "begin": In(1),
                "hold": In(1),
                "done": Out(1),
                "action": Out(Action),
                "pixel": Out(Pixel),
                "source": Out(bits(config.activation_depth)),
                "weight": Out(bits(config.weight_depth)),
                "part": Out(bits(config.tiles_per_word)),
                "second": Out(1),
                "inside": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        #: Every step has a result.
        self.pair: Value = self.fields.pair if self.config.pairs else Const(0)
        self._issue(m)
        self._move_source(m)
        self._move_weight(m)
        self._move_coordinates(m)
        action = Signal(Action)
        m.d.comb += [
            action.valid.eq(self.issued),
            action.first.eq(self.outside["digit"] | self.pair),
            action.digit.eq(self.moves["digit"]),
            self.second.eq(delay(m, self.moves["kx"], self.latency - 1, name="second")),
            self.action.eq(delay(m, action, self.latency - 1, name="action")),
        ]
        return m

    def _issue(self, m: Module) -> None:
        """Issues the steps, and says a cycle later how each was reached."""
        m.submodules.loops = loops = Loops(self.config)
        issue, running = Signal(), Signal()
        pixel_end, last = loops.outside["digit"], loops.outside["tile"]
        m.d.comb += [
            *(loops.limits[loop].eq(self.fields[f"last_{loop}"]) for loop in LOOPS),
            loops.begin.eq(self.begin),
            loops.issue.eq(issue),
            self.done.eq(issue & last),
        ]
        # What leads to the present step; and what has led to the one just issued.
        reached = {loop: Signal(name=f"reached_outside_{loop}", reset_less=True) for loop in LOOPS}
        self.outside = {loop: Signal(name=f"outside_{loop}") for loop in LOOPS}
        self.moves = {name: Signal(name=f"move_{name}") for name in MOVES}
        self.issued = Signal()
        with m.If(self.begin | issue):
            m.d.sync += [reached[loop].eq(self.begin | loops.outside[loop]) for loop in LOOPS]
        m.d.sync += self.issued.eq(issue)
        within: Value = Const(1)
        for loop in LOOPS:
            m.d.sync += [
                self.outside[loop].eq(issue & reached[loop]),
                self.moves[loop].eq(issue & within & ~reached[loop]),
            ]
            within = reached[loop]
        m.d.sync += self.moves["begin"].eq(issue & within)

        # Whether a step is issued in the next cycle: not a result's last one as long as that of
        # the result before is still being taken off.
        shown, soon_shown = Signal(init=1), Signal(init=1)
        if self.config.window:
            m.d.comb += Cat(shown, soon_shown).eq(Cat(self._shown(m, loops, issue)))
        result, soon_running, soon_pause = Signal(), Signal(), Signal()
        m.d.comb += [
            result.eq(issue & (pixel_end | self.pair) & shown),
            soon_running.eq(self.begin | (running & ~self.done)),
        ]
        groups = self.config.groups
        if groups > 1:
            left = Signal(range(groups))
            m.d.comb += soon_pause.eq(result | (left != 0))
            with m.If(result):
                m.d.sync += left.eq(groups - 2)
            with m.Elif(left != 0):
                m.d.sync += left.eq(left - 1)
        m.d.sync += [
            running.eq(soon_running),
            issue.eq(
                soon_running & ~self.hold & ~(loops.soon_outside_digit & soon_shown & soon_pause)
            ),
        ]

        pixel = Signal(Pixel)
        outside = loops.outside
        after = Mux(outside.oy, Mux(outside.tile, Next.END, Next.TILE), Next.OY)
        m.d.comb += [
            pixel.valid.eq(result),
            pixel.second.eq(self.pair & pixel_end),
            pixel.last_tile.eq(loops.last_tile),
            pixel.next.eq(Mux(outside.ox, after, Next.OX)),
            self.pixel.eq(delay(m, pixel, self.latency, name="pixel")),
        ]

    def _shown(self, m: Module, loops: Loops, issue: Signal) -> tuple[Value, Value]:
        """Whether the present pixel has a result, and whether that of the next cycle has.

        Counts rows and columns to the next result.
        """
        fields, outside = self.fields, loops.outside
        result: list[Value] = []
        soon_result: list[Value] = []
        for axis, step, again in (
            ("y", outside.ox, outside.oy),
            ("x", outside.digit, outside.ox),
        ):
            if f"skip_{axis}" not in fields.shape().members:
                continue
            left = Signal.like(fields[f"skip_{axis}"], name=f"until_result_{axis}", reset_less=True)
            here, soon = Signal(name=f"shown_{axis}", reset_less=True), Signal(name=f"soon_{axis}")
            m.d.comb += soon.eq(here)
            m.d.sync += here.eq(soon)
            skip, every = fields[f"skip_{axis}"], fields[f"every_{axis}"]
            with m.If(self.begin | (issue & again)):
                m.d.sync += left.eq(skip)
                m.d.comb += soon.eq(skip == 0)
            with m.Elif(issue & step):
                m.d.sync += left.eq(Mux(here, every, left - 1))
                m.d.comb += soon.eq(Mux(here, every == 0, left == 1))
            result.append(here)
            soon_result.append(soon)
        return reduce(and_, result), reduce(and_, soon_result)

    def _move_source(self, m: Module) -> None:
        """The address is the sum of all moves so far; without a step it moves by 0."""
        moves = self.moves
        far = {loop: self.fields[f"source_{loop}"] for loop in LOOPS}
        far["begin"] = self.fields.source
        delta = Signal.like(self.source)
        m.d.sync += delta.eq(reduce(or_, (Mux(moves[name], far[name], 0) for name in MOVES)))
        carry: Value = Const(0, 1)
        if self.config.tiles_per_word > 1:
            # Tiles that share a word use its parts one after the other; of pairs two at a time.
            last_part = self.config.tiles_per_word - 1
            part = Signal.like(self.part)
            carry = Signal()
            newest = part | self.pair
            step = moves["tile"] & self.fields.share
            with m.If(moves["begin"]):
                m.d.sync += part.eq(0)
            with m.Elif(step):
                m.d.sync += part.eq(Mux(newest == last_part, 0, newest + 1))
            m.d.sync += [carry.eq(step & (newest == last_part)), self.part.eq(part)]
        with m.If(self.begin):
            m.d.sync += self.source.eq(0)
        with m.Else():
            # One addition, with a carry input.
            m.d.sync += self.source.eq((Cat(1, self.source) + Cat(carry, delta)) >> 1)

    def _move_weight(self, m: Module) -> None:
        """Weights go straight on, or back where pixels, taps or tiles share them."""
        moves, outside = self.moves, self.outside
        tile_again = moves["ox"] | moves["oy"] | (self.fields.hold_tiles & moves["tile"])
        taps_again = self.fields.hold_taps & (moves["kx"] | moves["ky"])
        begin, tile, again, straight, digit, on = (
            delay(m, flag, 1, name=f"weight_{name}")
            for name, flag in {
                "begin": moves["begin"],
                "tile": outside["oy"],
                "again": tile_again,
                "straight": ~(moves["begin"] | tile_again | taps_again),
                "digit": outside["ky"],
                "on": self.issued,
            }.items()
        )
        tile_start = Signal.like(self.weight, reset_less=True)
        digit_start = Signal.like(self.weight, reset_less=True)
        start = Mux(begin, self.fields.weight, Mux(again, tile_start, digit_start))
        following = Signal.like(self.weight)
        m.d.comb += following.eq(Mux(straight, self.weight + 1, start))
        with m.If(on):
            m.d.sync += self.weight.eq(following)
        with m.If(tile):
            m.d.sync += tile_start.eq(following)
        with m.If(digit):
            m.d.sync += digit_start.eq(following)

    def _move_coordinates(self, m: Module) -> None:
        """Coordinates are unsigned and wrap: what lies above or left of the image is huge."""
        fields, moves, outside = self.fields, self.moves, self.outside
        ways = {  # what moves the window, what takes it back to the origin, likewise inside it
            "y": (moves["oy"], outside["oy"], moves["ky"], outside["ky"]),
            "x": (moves["ox"], outside["ox"], moves["kx"], outside["kx"]),
        }
        inside = []
        for axis, limit in (("y", fields.height), ("x", fields.width)):
            window = Signal.like(limit, name=f"window_{axis}", reset_less=True)
            here = Signal.like(limit, name=axis, reset_less=True)
            strides, restarts, steps, returns = ways[axis]
            with m.If(restarts):
                m.d.sync += window.eq(fields[f"origin_{axis}"])
            with m.Elif(strides):
                m.d.sync += window.eq(window + fields[f"stride_{axis}"])
            # A cycle later the window is where the step has it.
            moved = delay(m, returns, 1, name=f"moved_{axis}")
            stepped = delay(m, steps, 1, name=f"stepped_{axis}")
            with m.If(moved):
                m.d.sync += here.eq(window)
            with m.Elif(stepped):
                m.d.sync += here.eq(here + fields[f"step_{axis}"])
            inside.append(here < limit)
        m.d.sync += self.inside.eq(inside[0] & inside[1])
