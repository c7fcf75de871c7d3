"""The second activation path of an array too narrow to have rows for all taps of a kernel.

`weft.hw.window` takes a kernel's image rows at once, in a span of rows each. Here they come one
after the other: for every pixel the image rows enter in turns, and the accumulators add them up.
A row of cells takes the activation that is some pixels behind, and so as many times `interleave`
steps. What is far behind lies in a bank, one for each row: steps are numbered, and that is where
they lie.
"""

from __future__ import annotations

from amaranth.hdl import Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from weft.hw.bank import Bank
from weft.hw.config import Config
from weft.hw.delay import data_delay, delay
from weft.hw.window import second_path


class Interleave(wiring.Component):
    """Activations for the cells of one column group; ports as those of `Window`, and `soon`.

    Row r of the first `span` takes what entered ``interleave * (span - 1 - r)`` steps before, so
    that the first row has the longest way: the last one then needs none of the partial sums' delay
    beside its own.

    Members
    -------
    clear, last : In
        Without meaning here.
    soon : In(1)
        `Bank.latency` cycles before `valid`: there will be a step.
    valid, entry : In
        One step: an activation per column.
    activations : Out
        For the first `span` rows their columns' activations, for others 0; row r is r cycles
        behind the step.
    """

    def __init__(self, config: Config):
        self.config = config
        super().__init__(second_path(config) | {"soon": In(1)})

    def elaborate(self, platform):
        m = Module()
        span, apart = self.config.span, self.config.interleave
        width = 8 * self.config.lanes
        behind = [apart * (span - 1 - row) for row in range(span)]
        # More numbers than the furthest row is behind: it is not overwritten before it is read.
        coming = Signal(behind[0].bit_length())
        with m.If(self.soon):
            m.d.sync += coming.eq(coming + 1)
        number = delay(m, coming, Bank.latency, name="number")
        for row, steps in enumerate(behind):
            if steps == 0:
                here: Value = data_delay(m, self.entry, row, name=f"row_{row}")
            elif steps == apart:
                # So few that a block RAM would be wasted, and hardly be quick enough.
                here = self._registers(m, row, steps)
            else:
                bank = Bank(width=width, depth=1 << len(coming), relaxed=True)
                m.submodules[f"bank_{row}"] = bank
                m.d.comb += [
                    bank.write_enable.eq(self.valid),
                    bank.write_address.eq(number),
                    bank.write_data.eq(self.entry),
                    bank.read_address.eq(delay(m, coming, row, name=f"coming_{row}") - steps),
                ]
                here = bank.read_data
            m.d.comb += self.activations.word_select(row, width).eq(here)
        return m

    def _registers(self, m: Module, row: int, steps: int) -> Value:
        """What entered some steps ago."""
        above: Value = self.entry
        for step in range(steps):
            following = Signal.like(self.entry, name=f"before_{step + 1}", reset_less=True)
            with m.If(self.valid):
                m.d.sync += following.eq(above)
            above = following
        return data_delay(m, above, row, name=f"row_{row}")
