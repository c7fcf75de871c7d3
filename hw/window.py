"""The second activation path: activations move down the columns, a channel in each.

For a kernel that treats channels one by one (depthwise convolution, averages) a column takes
its own channel, and its rows take the kernel's taps. The rows are cut into spans, one per
image row of the kernel. The image enters in raster order at the top of the first span; at
the top of every further one it enters a line later. Within a span it moves down at half the
speed of the partial sums, so that row `tap` meets the activation of `tap` steps before.

For two activations that become one value (`weft.hw.isa`, `pair`) the lines hold what is to be
multiplied by more than a weight can be: with lines of two steps, row 2 of the second span meets
the same activation as row 0 of the third, and their weights add up.
"""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from weft.hw.bank import Bank
from weft.hw.config import Config
from weft.hw.delay import data_delay, delay
from weft.hw.isa import bits


class Line(wiring.Component):
    """What entered one line earlier, counted in valid steps.

    Members
    -------
    clear : In(1)
        Before the first step.
    last : In
        Steps of a line less one; at least 1.
    valid, entry : In
    earlier : Out
        `latency` cycles later.
    """

    def __init__(self, *, width: int, depth: int, latency: int):
        self.width = width
        self.depth = depth
        self.latency = latency
        super().__init__(
            {
                "clear": In(1),
                "last": In(bits(depth)),
                "valid": In(1),
                "entry": In(width),
                "earlier": Out(width),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.bank = bank = Bank(width=self.width, depth=self.depth)
        place = Signal(range(self.depth))
        with m.If(self.clear):
            m.d.sync += place.eq(0)
        with m.Elif(self.valid):
            m.d.sync += place.eq(Mux(place == self.last, 0, place + 1))
        # A cycle after its place was read, a step takes it.
        m.d.sync += [
            bank.write_enable.eq(self.valid),
            bank.write_address.eq(place),
            bank.write_data.eq(self.entry),
        ]
        m.d.comb += [
            bank.read_address.eq(place),
            self.earlier.eq(
                data_delay(m, bank.read_data, self.latency - Bank.latency, name="earlier")
            ),
        ]
        return m


def second_path(config: Config) -> dict[str, wiring.Member]:
    """Ports of what brings activations to one column group: see `Window`."""
    ports = {
        "clear": In(1),
        "last": In(bits(config.line_depth)),
        "valid": In(1),
        "entry": In(8 * config.lanes),
        "activations": Out(8 * config.lanes * config.rows),
    }
    if config.pairs:
        ports |= {"lines": In(8 * config.lanes)}
    return ports


class Window(wiring.Component):
    """Activations for the cells of one column group.

    Members
    -------
    clear : In(1)
        Before the first step of an instruction.
    last : In
        Steps of a line less one.
    valid, entry : In
        One step: an activation per column.
    lines : In
        What enters the lines instead of `entry`, where the configuration has `pairs`.
    activations : Out
        For every row its columns' activations; row r is r cycles behind the step.
    """

    def __init__(self, config: Config):
        self.config = config
        super().__init__(second_path(config))

    def elaborate(self, platform):
        m = Module()
        config = self.config
        span = config.span
        width = 8 * config.lanes
        stream = self.lines if config.pairs else self.entry
        above = self.entry
        valid = delay(m, self.valid, 0, name="valid")
        for row in range(config.rows):
            line, tap = divmod(row, span)
            here = above
            if 0 < line < config.window and tap == 0:
                m.submodules[f"line_{line}"] = earlier = Line(
                    width=width, depth=config.line_depth, latency=span
                )
                m.d.comb += [
                    earlier.clear.eq(self.clear),
                    earlier.last.eq(self.last),
                    earlier.valid.eq(delay(m, self.valid, row - span, name=f"valid_{row}")),
                    earlier.entry.eq(stream),
                ]
                here = stream = earlier.earlier
            m.d.comb += self.activations.word_select(row, width).eq(here)
            current = Signal(width, name=f"current_{row}", reset_less=True)
            above = Signal(width, name=f"before_{row}", reset_less=True)
            with m.If(valid):
                m.d.sync += [current.eq(here), above.eq(current)]
            valid = delay(m, valid, 1, name=f"valid_row_{row}")
        return m
