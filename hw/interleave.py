"""The second activation path of an array too narrow to have rows for all taps of a kernel.

`weft.hw.window` takes a kernel's image rows at once, in a span of rows each. Here they come one
after the other: for every pixel the image rows enter in turns, and the accumulators add them up.
A row of cells takes the activation that is some pixels behind, and so as many times `interleave`
steps: all of it one delay line, which a step moves on.
"""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring

from weft.hw.config import Config
from weft.hw.delay import delay
from weft.hw.window import second_path


class Interleave(wiring.Component):
    """Activations for the cells of one column group; ports as those of `Window`.

    Row r of the first `span` takes what entered ``interleave * (span - 1 - r)`` steps before, so
    that the first row has the longest way: the last one then needs none of the partial sums' delay
    beside its own.

    Members
    -------
    clear, last : In
        Without meaning here.
    valid, entry : In
        One step: an activation per column.
    activations : Out
        For the first `span` rows their columns' activations, for others 0; row r is r cycles
        behind the step.
    """

    def __init__(self, config: Config):
        self.config = config
        super().__init__(second_path(config))

    def elaborate(self, platform):
        m = Module()
        span, apart = self.config.span, self.config.interleave
        width = 8 * self.config.lanes
        # before[n] entered n + 1 steps ago; in the next cycle n steps before the present one.
        before = [
            Signal(width, name=f"before_{steps + 1}", reset_less=True)
            for steps in range(apart * (span - 1))
        ]
        with m.If(self.valid):
            above = self.entry
            for register in before:
                m.d.sync += register.eq(above)
                above = register
        for row in range(span):
            steps = apart * (span - 1 - row)
            here = delay(m, before[steps], row - 1, name=f"row_{row}") if row else before[-1]
            m.d.comb += self.activations.word_select(row, width).eq(here)
        return m
