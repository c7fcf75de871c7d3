"""A boot loader: after reset it gives the link a program out of the board's SPI flash.

The image (`weft.boards.flash_image`) is requests as a host would send them. The link checks their
CRCs and answers; the loader sends the next page when the answer to the one before was good, and
stops at the first that was not. Only the last page, the program's digest, makes the link say that a
program is there: what is absent, damaged or for other hardware claims nothing, and the link then
works as ever.
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Array, Cat, Const, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from weft.boards.flash_image import PAGE, TAG_BYTES, tag

#: Commands of a serial flash memory: release from power-down, and read.
WAKE, READ = 0xAB, 0x03
#: The time that the memory takes to wake up, and more than the link takes for an answer.
PAUSE_CYCLES = 1024

#: The memory's pins; chip select is high while it is selected.
SPI = wiring.Signature({"select": Out(1), "clock": Out(1), "copi": Out(1), "cipo": In(1)})


class BootLoader(wiring.Component):
    """Reads an image and passes it on.

    The memory's clock is half of this domain's, mode 0.

    Parameters
    ----------
    config_digest : str
        16 hexadecimal digits.
    offset : int
        Where the image begins in the flash memory.

    Members
    -------
    spi : Out(SPI)
    bytes : Out(stream.Signature(8))
        To the link.
    answered, good, known : In(1)
        From the link: it has answered; that answer was good; its program is known.
    busy : Out(1)
        High from reset on until it is done: what the link hears and says is the loader's. That
        takes 17 cycles for a byte of the image, and `PAUSE_CYCLES` at the start and where a page
        goes wrong.
    """

    def __init__(self, *, config_digest: str, offset: int):
        if offset % PAGE or not 0 <= offset < 1 << 24:
            raise ValueError(f"offset must be a multiple of {PAGE} below 2**24, not {offset!r}")
        self._tag = tag(config_digest)
        self._offset = offset
        super().__init__(
            {
                "spi": Out(SPI),
                "bytes": Out(stream.Signature(8)),
                "answered": In(1),
                "good": In(1),
                "known": In(1),
                "busy": Out(1, init=1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build the state machine."""
        m = Module()
        spi = self.spi
        #: Bits sent; then bits of a byte, in the lowest three.
        self.sent = Signal(6)
        self.timer = Signal(range(2 * PAUSE_CYCLES))
        m.d.sync += self.timer.eq(self.timer + 1)
        # The pins are far away: they have registers of their own, a cycle behind these.
        self.selected, self.clock = Signal(), Signal()
        command = Const(READ << 24 | self._offset, 32)
        bits = Array([*reversed(Const(WAKE, 8)), *reversed(command)])
        m.d.sync += [
            spi.select.eq(self.selected),
            spi.clock.eq(self.clock),
            spi.copi.eq(bits[self.sent]),
        ]
        #: The bit under way is the last of waking, of the command, of a byte: known when the clock
        #: is high, a cycle after its number.
        self.woken, self.asked, self.whole = Signal(), Signal(), Signal()
        m.d.sync += [
            self.woken.eq(self.sent == 7),
            self.asked.eq(self.sent == 39),
            self.whole.eq(self.sent[:3] == 7),
        ]
        #: The page under way has had a good answer.
        self.heard = Signal()
        with m.If(self.answered & self.good):
            m.d.sync += self.heard.eq(1)
        with m.FSM():
            self._ask(m)
            self._pass_on(m)
        return m

    def _clock_bit(self, m: Module) -> None:
        m.d.sync += self.clock.eq(~self.clock)
        with m.If(self.clock):
            # At the pin the clock is low for a cycle, and rises with the next one.
            byte = self.bytes.payload
            m.d.sync += [self.sent.eq(self.sent + 1), byte.eq(Cat(self.spi.cipo, byte[:-1]))]

    def _ask(self, m: Module) -> None:
        """States up to the command to read."""
        with m.State("WAKE"):
            m.d.sync += self.selected.eq(1)
            with m.If(self.selected):
                self._clock_bit(m)
            with m.If(self.clock & self.woken):
                m.d.sync += [self.selected.eq(0), self.timer.eq(0)]
                m.next = "PAUSE"
        with m.State("PAUSE"), m.If(self.timer[-1]):
            m.d.sync += self.selected.eq(1)
            m.next = "COMMAND"
        with m.State("COMMAND"):
            self._clock_bit(m)
            with m.If(self.clock & self.asked):
                m.next = "BYTE"

    def _pass_on(self, m: Module) -> None:
        """States from the first byte read."""
        byte, heard = self.bytes.payload, self.heard
        place = Signal(range(PAGE))
        #: The first page is over; its tag was right.
        tagged = Signal()
        # What the byte's place means, long before the byte is there.
        last, in_tag, wanted = Signal(), Signal(), Signal(8)
        m.d.sync += [
            last.eq(place == PAGE - 1),
            in_tag.eq(place < TAG_BYTES),
            wanted.eq(Array(self._tag)[place[:3]]),
        ]
        with m.State("BYTE"):
            self._clock_bit(m)
            # 40 bits were sent: a byte ends with the same three bits as they did.
            with m.If(self.clock & self.whole):
                m.next = "TAKE"
        with m.State("TAKE"):
            m.d.comb += self.bytes.valid.eq(tagged)
            with m.If(~tagged & in_tag & (byte != wanted)):
                m.next = "DONE"
            with m.Elif(self.bytes.ready | ~tagged):
                m.d.sync += [place.eq(place + 1), self.timer.eq(0), tagged.eq(tagged | last)]
                m.next = "BYTE"
                with m.If(tagged & last):
                    m.next = "ANSWER"
        with m.State("ANSWER"):
            with m.If(heard & ~self.known):
                m.d.sync += heard.eq(0)
                m.next = "BYTE"
            with m.Elif(heard | self.timer[-1]):
                m.next = "DONE"
        with m.State("DONE"):
            m.d.sync += [self.busy.eq(0), self.selected.eq(0)]
