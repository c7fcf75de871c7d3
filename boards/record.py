"""Which program the bitstream has in its memories: a memory like them says so after reset.

So nothing but contents of memories tells the bitstreams of two programs apart.
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from weft.boards.protocol import DIGEST_BYTES, digest_bytes
from weft.hw.bank import Bank
from weft.hw.delay import delay

#: Block RAMs that it takes.
BLOCK_RAMS = 1


#: Bytes of a program's digest in order, each while `shift`; then, if there is such a program,
#: `found` for a cycle. `void` says that it is being overwritten with `scrap`.
RECALL = wiring.Signature(
    {"byte": Out(8), "shift": Out(1), "found": Out(1), "void": In(1), "scrap": In(8)}
)


class ProgramRecord(wiring.Component):
    """A digest in a memory's initial contents.

    Its rows are a byte each, and the last has a ninth bit that says that there is a program. That
    row is overwritten with the program: the record is void even where a reset does not restore
    the memories.

    Parameters
    ----------
    digest : str or None
        16 hexadecimal digits; None where there is no program.

    Members
    -------
    recall : Out(RECALL)
    """

    def __init__(self, digest: str | None = None):
        known = bytes(DIGEST_BYTES) if digest is None else digest_bytes("digest", digest)
        self._rows = list(known)
        self._rows[-1] |= (digest is not None) << 8
        super().__init__({"recall": Out(RECALL)})

    def elaborate(self, platform: Any) -> Module:
        """Read it once."""
        m = Module()
        m.submodules.bank = bank = Bank(width=9, depth=DIGEST_BYTES, init=self._rows)
        recall = self.recall
        row = Signal(range(DIGEST_BYTES))
        reading = Signal(init=1)
        last = Signal()
        m.d.comb += [
            last.eq(row == DIGEST_BYTES - 1),
            bank.read_address.eq(row),
            bank.write_address.eq(row),
            bank.write_enable.eq(recall.void & ~reading),
            bank.write_data.eq(Cat(recall.scrap, 0)),
            recall.byte.eq(bank.read_data[:8]),
            recall.shift.eq(delay(m, reading, Bank.latency, name="reading")),
        ]
        with m.If(reading):
            with m.If(last):
                m.d.sync += reading.eq(0)
            with m.Else():
                m.d.sync += row.eq(row + 1)
        ended = delay(m, reading & last, Bank.latency, name="ended")
        m.d.comb += recall.found.eq(ended & bank.read_data[8])
        return m
