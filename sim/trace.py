"""When each instruction begins and ends, seen in a simulation of the core.

The decoder's own signals say it, so the hardware has nothing more for it: in Amaranth's
simulator `TracedCore` shows them, in Verilog the harness looks into the core by their names
(`weft.sim.verilog.harness`). Times are the core's own count of cycles, 0 in the cycle after
`start`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from amaranth.hdl import Signal

from weft.errors import RefusedError
from weft.hw.config import Config
from weft.hw.core import Core

#: What an event is: the cycle of an instruction's `begin`, or of its last step.
BEGIN, DONE = 0, 1

#: Where the kind of an event stands beside its cycle.
KIND_BIT = 31


class TracedCore(Core):
    """The core, which also shows when its decoder begins an instruction and when one is done.

    Attributes
    ----------
    begin, done : Signal
        High for a cycle each.
    """

    def __init__(self, config: Config):
        super().__init__(config)
        self.begin = Signal()
        self.done = Signal()

    def elaborate(self, platform: Any) -> Any:
        """Add the two signals."""
        m = super().elaborate(platform)
        decoder = m.submodules.decoder
        m.d.comb += [self.begin.eq(decoder.begin), self.done.eq(decoder.done)]
        return m


def ends(events: Sequence[int] | np.ndarray, instructions: int, cycles: int) -> list[int]:
    """Cycles of each instruction of one inference, from its events.

    An instruction counts from the last step of the one before to its own last step; the first
    from the start, and the last until the core is no longer busy. That is how
    `weft.compiler.cycles` counts.

    Parameters
    ----------
    events : sequence of int
        Kind in bit `KIND_BIT`, cycle below.
    instructions : int
        Of the program.
    cycles : int
        Of the whole inference.

    Raises
    ------
    RefusedError
        If the instructions did not begin and end one after the other.
    """
    found = np.asarray(events, np.int64)
    kinds, times = found >> KIND_BIT, found & (1 << KIND_BIT) - 1
    if not np.array_equal(kinds, np.tile([BEGIN, DONE], instructions)):
        raise RefusedError(
            f"the program has {instructions} instructions, and the simulated core began "
            f"{np.sum(kinds == BEGIN)} and ended {np.sum(kinds == DONE)}; compile the model again"
        )
    after = times[kinds == DONE] + 1
    after[-1] = cycles
    return np.diff(after, prepend=0).tolist()
