"""The sequencer: turns an instruction into one step per cycle.

The counters say which loop steps next; the addresses and coordinates move by it one
step later. Whether the coordinates lie inside the image is known a cycle after that.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from weft.hw.accumulate import Action
from weft.hw.config import Config
from weft.hw.decoder import fields_layout
from weft.hw.isa import LOOPS, bits, widths
from weft.hw.step import Next, Pixel

#: Loops inside a pixel, from the innermost.
STEPS = ("block", "kx", "ky", "digit")


class Sequencer(wiring.Component):
    """Issues the steps of an instruction; feed-forward, one per cycle.

    The last steps of two pixels are at least `groups` cycles apart, so that the
    requantize lanes can take one column group per cycle.

    Members
    -------
    fields : In
        The instruction, constant from `begin` until two cycles after `done`.
    begin : In(1)
        Start; the first step is issued in the next cycle.
    hold : In(1)
        Issue nothing in this cycle.
    done : Out(1)
        The last step is issued in this cycle.
    action : Out(Action)
        Valid with `source` and `weight`.
    pixel : Out(Pixel)
    source, weight : Out
        Addresses to read.
    part : Out
        With `source`: which `columns` lanes of the word are the tile's.
    inside : Out(1)
        One cycle after `source`: the word is inside the image.
    """

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
                "inside": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        issue = Signal()
        moves = self._count(m, issue)
        self._move_addresses(m, issue, moves)
        self._move_coordinates(m, issue, moves)
        return m

    def _count(self, m: Module, issue: Signal) -> dict[str, Signal]:
        """Counts the loops. Returns which of them moved to reach the step being issued."""
        running = Signal()
        pixel_start = Signal()
        digit_start = Signal()
        shown = Signal(init=1)  # this pixel has a result
        wait = Signal(range(max(2, self.config.groups)))

        # `last_turn` flags are kept beside the counters: no comparison in the carry chain.
        last_turn = {loop: Signal(name=f"last_turn_{loop}") for loop in LOOPS}
        pixel_end = Signal()
        m.d.comb += [
            pixel_end.eq(Cat(last_turn[loop] for loop in STEPS).all()),
            issue.eq(running & ~self.hold & ~(pixel_end & shown & (wait != 0))),
        ]
        carry = issue
        steps = {loop: Signal(name=f"step_{loop}") for loop in LOOPS}
        for loop in LOOPS:
            limit = self.fields[f"last_{loop}"]
            turns_left = Signal(widths(self.config)[f"last_{loop}"][0], name=f"turns_left_{loop}")
            m.d.comb += steps[loop].eq(carry & ~last_turn[loop])
            with m.If(self.begin | (carry & last_turn[loop])):
                m.d.sync += [turns_left.eq(limit), last_turn[loop].eq(limit == 0)]
            with m.Elif(steps[loop]):
                m.d.sync += [turns_left.eq(turns_left - 1), last_turn[loop].eq(turns_left == 1)]
            carry = carry & last_turn[loop]
        m.d.comb += self.done.eq(carry)

        moves = {name: Signal(name=f"move_{name}") for name in (*LOOPS, "begin")}
        with m.If(self.begin):
            m.d.sync += [move.eq(name == "begin") for name, move in moves.items()]
            m.d.sync += [running.eq(1), pixel_start.eq(1), digit_start.eq(1), wait.eq(0)]
        with m.Elif(issue):
            m.d.sync += [moves[loop].eq(steps[loop]) for loop in LOOPS]
            m.d.sync += [
                moves["begin"].eq(0),
                running.eq(~self.done),
                pixel_start.eq(pixel_end),
                digit_start.eq(pixel_end | steps["digit"]),
            ]
        with m.If(issue & pixel_end & shown):
            m.d.sync += wait.eq(self.config.groups - 1)
        with m.Elif(wait != 0):
            m.d.sync += wait.eq(wait - 1)

        if self.config.window:
            m.d.comb += shown.eq(self._shown(m, steps))

        after = Mux(steps["oy"], Next.OY, Mux(steps["tile"], Next.TILE, Next.END))
        m.d.sync += [
            self.action.valid.eq(issue),
            self.action.first.eq(pixel_start),
            self.action.digit.eq(digit_start & ~pixel_start),
            self.pixel.valid.eq(issue & pixel_end & shown),
            self.pixel.last_tile.eq(last_turn["tile"]),
            self.pixel.next.eq(Mux(steps["ox"], Next.OX, after)),
        ]
        return moves

    def _shown(self, m: Module, steps: dict[str, Signal]) -> Value:
        """Whether the pixel being issued has a result: counts rows and columns to the next."""
        fields = self.fields
        result = []
        restart = self.begin | steps["tile"]
        for axis, step, again in (
            ("y", steps["oy"], restart),
            ("x", steps["ox"], restart | steps["oy"]),
        ):
            left = Signal.like(fields[f"skip_{axis}"], name=f"until_result_{axis}")
            with m.If(again):
                m.d.sync += left.eq(fields[f"skip_{axis}"])
            with m.Elif(step):
                m.d.sync += left.eq(Mux(left == 0, fields[f"every_{axis}"], left - 1))
            result.append(left == 0)
        return result[0] & result[1]

    def _move_addresses(self, m: Module, issue: Signal, moves: dict[str, Signal]) -> None:
        delta = Signal.like(self.source)
        for loop in LOOPS:
            with m.If(moves[loop]):
                m.d.comb += delta.eq(self.fields[f"source_{loop}"])
        # Weights go straight on; another pixel of the same tile starts over, and so do other
        # taps or tiles that share them.
        begin = moves["begin"]
        tile_start = Signal.like(self.weight)
        digit_start = Signal.like(self.weight)
        following = Signal.like(self.weight)
        taps_again = self.fields.hold_taps & (moves["kx"] | moves["ky"])
        tile_again = moves["ox"] | moves["oy"] | (self.fields.hold_tiles & moves["tile"])
        # Tiles that share a word use its parts one after the other.
        next_word = Signal()
        if self.config.tiles_per_word > 1:
            last_part = self.part == self.config.tiles_per_word - 1
            step_part = moves["tile"] & self.fields.share
            m.d.comb += next_word.eq(step_part & last_part)
            with m.If(issue & begin):
                m.d.sync += self.part.eq(0)
            with m.Elif(issue & step_part):
                m.d.sync += self.part.eq(Mux(last_part, 0, self.part + 1))

        with m.If(begin):
            m.d.comb += following.eq(self.fields.weight)
        with m.Elif(tile_again):
            m.d.comb += following.eq(tile_start)
        with m.Elif(taps_again):
            m.d.comb += following.eq(digit_start)
        with m.Else():
            m.d.comb += following.eq(self.weight + 1)
        with m.If(issue):
            m.d.sync += [
                self.source.eq(Mux(begin, self.fields.source, self.source + delta + next_word)),
                self.weight.eq(following),
            ]
            with m.If(begin | moves["tile"]):
                m.d.sync += tile_start.eq(following)
            with m.If(begin | moves["tile"] | moves["digit"] | tile_again):
                m.d.sync += digit_start.eq(following)

    def _move_coordinates(self, m: Module, issue: Signal, moves: dict[str, Signal]) -> None:
        """Coordinates are unsigned and wrap: what lies above or left of the image is huge."""
        fields = self.fields
        outer = {
            "y": (moves["oy"], moves["begin"] | moves["tile"]),
            "x": (moves["ox"], moves["begin"] | moves["tile"] | moves["oy"]),
        }
        inner = {
            "y": (moves["ky"], moves["digit"] | moves["ox"]),
            "x": (moves["kx"], moves["digit"] | moves["ky"]),
        }
        inside = []
        for axis, limit in (("y", fields.height), ("x", fields.width)):
            window = Signal.like(limit, name=f"window_{axis}")
            here = Signal.like(limit, name=axis)
            strides, restarts = outer[axis]
            steps, returns = inner[axis]
            origin = Signal.like(window, name=f"origin_{axis}")
            m.d.comb += origin.eq(window)
            with m.If(restarts):
                m.d.comb += origin.eq(fields[f"origin_{axis}"])
            with m.Elif(strides):
                m.d.comb += origin.eq(window + fields[f"stride_{axis}"])
            with m.If(issue):
                m.d.sync += window.eq(origin)
                with m.If(steps):
                    m.d.sync += here.eq(here + fields[f"step_{axis}"])
                with m.Elif(restarts | strides | returns):
                    m.d.sync += here.eq(origin)
            inside.append(here < limit)
        m.d.sync += self.inside.eq(inside[0] & inside[1])
