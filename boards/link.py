"""Host to core over two byte streams; `weft.boards.protocol` states the frames."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Array, Cat, Const, Module, Signal, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from weft.boards.crc import SerialCrc
from weft.boards.protocol import (
    CRC_BYTES,
    DIGEST_BYTES,
    HEAD_BYTES,
    HEADER_BYTES,
    IDENTITY_SPACE,
    IDENTITY_WORDS,
    SYNC,
    VERSION,
    Answer,
    Command,
    Header,
)
from weft.hw.config import Space
from weft.hw.ports import LoadWord


def _digest_bytes(name: str, digest: str) -> bytes:
    try:
        value = bytes.fromhex(digest)
    except (TypeError, ValueError):
        value = b""
    if len(value) != DIGEST_BYTES:
        raise ValueError(f"{name} must be {2 * DIGEST_BYTES} hexadecimal digits, not {digest!r}")
    return value


class Link(wiring.Component):
    """Answers requests one at a time; the core's ports have the core's own names.

    The words of a WRITE go to the core as they arrive. Where their CRC then proves wrong,
    the answer says so and the host has to write them again; a header with a wrong CRC
    changes nothing.

    Parameters
    ----------
    config_digest : str
        16 hexadecimal digits.
    program_digest : str or None
        Of the program in the memories' initial contents; None where there is none.
    timeout : int
        Cycles of silence after which an unfinished request is forgotten, rounded up to
        a power of two.

    Members
    -------
    rx : In(stream.Signature(8)), tx : Out(stream.Signature(8))
        Bytes from and to the host. Takes a byte every 11 cycles while the core takes words.
    load, read, data, start, busy, cycles
        To the core.
    active : Out(1)
        Toggles with every reply.
    """

    def __init__(self, *, config_digest: str, program_digest: str | None = None, timeout: int):
        self._config = _digest_bytes("config_digest", config_digest)
        self._program = None
        if program_digest is not None:
            self._program = _digest_bytes("program_digest", program_digest)
        if not isinstance(timeout, int) or timeout <= 0:
            raise ValueError(f"timeout must be a positive integer, not {timeout!r}")
        self._timeout = timeout
        super().__init__(
            {
                "rx": In(stream.Signature(8)),
                "tx": Out(stream.Signature(8)),
                "load": Out(stream.Signature(LoadWord)),
                "read": Out(stream.Signature(unsigned(24))),
                "data": In(stream.Signature(unsigned(32))),
                "start": Out(1),
                "busy": In(1),
                "cycles": In(32),
                "active": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        """Build the state machine and its registers."""
        m = Module()
        m.submodules.crc = self.crc = SerialCrc()
        self.header = Signal(Header, reset_less=True)
        self.word = Signal(32, reset_less=True)
        self.status = Signal(3)
        #: Counts the bytes of whatever part of a frame is under way.
        self.index = Signal(4)
        self.digest = Signal(
            8 * DIGEST_BYTES, init=int.from_bytes(self._program or b"\0", "little")
        )
        self.loaded = Signal(init=self._program is not None)
        self.started = Signal(8)
        self.has_started = Signal()
        self.session = Signal()
        #: A byte is wanted; it is taken when it comes.
        self.want = Signal()
        #: The byte to send next, and for how long (one-hot) nothing it hangs on has moved.
        self.byte = Signal(8, reset_less=True)
        self.settled = Signal(2)
        #: The CRC holds the byte to send.
        self.fresh = Signal()
        #: That byte went in the cycle before.
        self.gone = Signal()
        # What the header says, a cycle late: it stands still long before anyone asks.
        self.is_command = {command: Signal(name=f"is_{command.name}") for command in Command}
        self.is_identity = Signal()
        self.is_activation = Signal()
        self.is_repeated = Signal()
        #: The word under way is done with; `address` and `count` move a cycle later.
        self.advance = Signal()
        self.no_words = Signal()
        self.last_word = Signal()
        self.receiving = Signal()
        self.expired = Signal()

        header = self.header
        m.d.sync += [
            *(flag.eq(header.command == command) for command, flag in self.is_command.items()),
            self.is_identity.eq(header.space == IDENTITY_SPACE),
            self.is_activation.eq(header.space == Space.ACTIVATION),
            self.is_repeated.eq(self.has_started & (self.started == header.sequence)),
            self.no_words.eq(header.count == 0),
            self.last_word.eq(header.count == 1),
        ]
        m.d.comb += [
            self.rx.ready.eq(self.want),
            self.load.payload.data.eq(self.word),
            self.load.payload.address.eq(self.header.address),
            self.load.payload.space.eq(self.header.space),
            self.read.payload.eq(self.header.address),
            self.tx.payload.eq(self.crc.held),
        ]
        timer = Signal(range(2 * self._timeout - 1))
        m.d.sync += [timer.eq(timer + 1), self.start.eq(0)]
        m.d.sync += [self.gone.eq(0), self.settled.eq(0), self.advance.eq(0)]
        with m.If(~self.receiving | self.rx.valid):
            m.d.sync += timer.eq(0)
        m.d.comb += self.expired.eq(timer[-1])

        with m.If(self.advance):
            m.d.sync += [header.address.eq(header.address + 1), header.count.eq(header.count - 1)]

        word_byte = self._word_byte(m)
        with m.FSM():
            self._receive(m)
            self._decode(m)
            self._store(m)
            self._reply(m, word_byte)
        return m

    def _take_byte(self, m: Module, last: int) -> Signal:
        """Feed bytes to the CRC until `index` is `last`; high when a byte is taken."""
        taken = Signal(name="taken")
        m.d.comb += [
            taken.eq(self.rx.valid & self.want),
            self.crc.byte.eq(self.rx.payload),
            self.crc.load.eq(taken),
            self.crc.step.eq(taken),
        ]
        with m.If(taken):
            m.d.sync += [self.index.eq(self.index + 1), self.want.eq(0)]
        with m.Else():
            m.d.sync += self.want.eq(self.crc.idle & (self.index != last))
        with m.If(self.expired):
            m.next = "HUNT"
        return taken

    def _receive(self, m: Module) -> None:
        with m.State("HUNT"):
            m.d.comb += self.crc.clear.eq(1)
            m.d.sync += [self.index.eq(0), self.want.eq(self.crc.idle)]
            with m.If(self.rx.valid & self.want):
                m.d.sync += self.want.eq(0)
                with m.If(self.rx.payload == SYNC):
                    m.next = "HEADER"
        with m.State("HEADER"):
            last = HEADER_BYTES + CRC_BYTES
            m.d.comb += self.receiving.eq(1)
            taken = self._take_byte(m, last)
            with m.If(taken & (self.index < HEADER_BYTES)):
                m.d.sync += self.header.eq(Cat(self.header.as_value()[8:], self.rx.payload))
            with m.If((self.index == last) & self.crc.idle):
                m.next = "DECODE"
        with m.State("PAYLOAD"):
            m.d.comb += self.receiving.eq(1)
            taken = self._take_byte(m, 4)
            with m.If(taken):
                m.d.sync += self.word.eq(Cat(self.word[8:], self.rx.payload))
                with m.If(self.is_identity & (self.status == Answer.OK)):
                    m.d.sync += self.digest.eq(Cat(self.digest[8:], self.rx.payload))
            with m.If(self.index == 4):
                m.next = "STORE"
        with m.State("PAYLOAD_CRC"):
            m.d.comb += self.receiving.eq(1)
            self._take_byte(m, CRC_BYTES)
            with m.If((self.index == CRC_BYTES) & self.crc.idle):
                m.next = "CHECK"
        with m.State("CHECK"):
            m.d.sync += self.index.eq(0)
            with m.If(self.status == Answer.OK):
                with m.If(~self.crc.good):
                    m.d.sync += self.status.eq(Answer.BAD_PAYLOAD)
                with m.Elif(self.is_identity):
                    m.d.sync += self.loaded.eq(1)
            m.next = "REPLY"

    def _decode(self, m: Module) -> None:
        header = self.header
        with m.State("DECODE"):
            m.d.comb += self.crc.clear.eq(1)
            m.d.sync += [self.index.eq(0), self.status.eq(Answer.OK)]
            m.next = "REPLY"

            def refuse(answer: Answer) -> None:
                m.d.sync += [self.status.eq(answer), header.count.eq(0)]

            with m.If(~self.crc.good):
                refuse(Answer.BAD_HEADER)
            with m.Elif(self.is_command[Command.IDENTIFY]):
                m.d.sync += [
                    header.count.eq(IDENTITY_WORDS),
                    self.has_started.eq(0),
                    self.session.eq(1),
                ]
            with m.Elif(self.is_command[Command.STATUS]):
                m.d.sync += header.count.eq(1)
            with m.Elif(self.is_command[Command.START]):
                m.d.sync += header.count.eq(0)
                with m.If(~self.is_repeated):
                    with m.If(self.busy):
                        refuse(Answer.BUSY)
                    with m.Else():
                        m.d.sync += [
                            self.start.eq(1),
                            self.started.eq(header.sequence),
                            self.has_started.eq(1),
                        ]
            with m.Elif(~self.is_command[Command.WRITE] & ~self.is_command[Command.READ]):
                refuse(Answer.UNKNOWN_COMMAND)
            with m.Elif(self.no_words):
                refuse(Answer.BAD_COUNT)
            with m.Elif(self.is_command[Command.WRITE]):
                with m.If(self.busy):
                    # The words still come and must not be taken for requests.
                    m.d.sync += self.status.eq(Answer.BUSY)
                m.next = "PAYLOAD"
            with m.Elif(self.busy):
                refuse(Answer.BUSY)

    def _next_word(self, m: Module) -> None:
        m.d.sync += [self.index.eq(0), self.advance.eq(1)]

    def _store(self, m: Module) -> None:
        with m.State("STORE"):
            to_core = Signal()
            m.d.comb += [
                to_core.eq((self.status == Answer.OK) & ~self.is_identity),
                self.load.valid.eq(to_core),
            ]
            with m.If(~to_core | self.load.ready):
                self._next_word(m)
                with m.If(to_core & ~self.is_activation):
                    m.d.sync += self.loaded.eq(0)
                m.next = "PAYLOAD"
                with m.If(self.last_word):
                    m.next = "PAYLOAD_CRC"

    def _send(self, m: Module, byte: Any) -> Signal:
        """Send a byte and feed it to the CRC; high in the cycle after it has gone."""
        m.d.comb += [
            self.tx.valid.eq(self.fresh),
            self.crc.byte.eq(self.byte),
            self.crc.load.eq(~self.fresh & ~self.gone),
            self.crc.step.eq(self.gone),
        ]
        m.d.sync += self.byte.eq(byte)
        with m.If(self.fresh):
            m.d.sync += [self.fresh.eq(~self.tx.ready), self.gone.eq(self.tx.ready)]
        with m.Elif(self.gone):
            m.d.sync += self.index.eq(self.index + 1)
        with m.Else():
            m.d.sync += [
                self.settled.eq(Cat(self.crc.idle, self.settled[0])),
                self.fresh.eq(self.settled[1]),
            ]
        return self.gone

    def _reply(self, m: Module, word_byte: Signal) -> None:
        header = self.header
        is_read = self.is_command[Command.READ]
        with m.State("REPLY"):
            flags = Cat(self.busy, self.has_started, self.loaded, self.session)
            head = Array(
                [Const(SYNC, 8), self.status, header.sequence, header.count, flags, self.started]
            )
            head_byte = Signal(8, reset_less=True)
            m.d.sync += head_byte.eq(head[self.index])
            sent = self._send(m, head_byte)
            with m.If(sent & (self.index == 0)):
                m.d.comb += [self.crc.step.eq(0), self.crc.clear.eq(1)]
            with m.If(sent & (self.index == HEAD_BYTES - 1)):
                m.d.sync += self.index.eq(0)
                with m.If(self.no_words):
                    m.next = "REPLY_CRC"
                with m.Elif(is_read):
                    m.next = "READ"
                with m.Else():
                    m.next = "WORD"
        with m.State("ADVANCE"):
            m.next = "READ"
        with m.State("READ"):
            m.d.comb += self.read.valid.eq(1)
            with m.If(self.read.ready):
                m.next = "DATA"
        with m.State("DATA"):
            m.d.comb += self.data.ready.eq(1)
            with m.If(self.data.valid):
                m.d.sync += self.word.eq(self.data.payload)
                m.next = "WORD"
        with m.State("WORD"):
            sent = self._send(m, word_byte)
            with m.If(sent):
                m.d.sync += self.word.eq(self.word >> 8)
                with m.If(self.is_command[Command.IDENTIFY] & (header.count[:3] <= 2)):
                    m.d.sync += self.digest.eq(self.digest.rotate_right(8))
            with m.If(sent & (self.index == 3)):
                self._next_word(m)
                with m.If(self.last_word):
                    m.next = "REPLY_CRC"
                with m.Elif(is_read):
                    m.next = "ADVANCE"
        with m.State("REPLY_CRC"):
            m.d.comb += self.crc.plain.eq(1)
            sent = self._send(m, ~self.crc.value[:8])
            with m.If(sent & (self.index == CRC_BYTES - 1)):
                m.d.sync += self.active.eq(~self.active)
                m.next = "HUNT"

    def _word_byte(self, m: Module) -> Signal:
        """Byte `index` of the reply's current word."""
        byte = Signal(8)
        constants = bytes([VERSION, 0, 0, 0]) + self._config
        identity = Signal(8, reset_less=True)
        # `count` runs down from IDENTITY_WORDS.
        with m.Switch(Cat(self.index[:2], self.header.count[:3])):
            for i, value in enumerate(constants):
                with m.Case((i & 3) | (IDENTITY_WORDS - i // 4) << 2):
                    m.d.sync += identity.eq(value)
            with m.Default():
                m.d.sync += identity.eq(self.digest[:8])
        with m.If(self.is_command[Command.STATUS]):
            m.d.comb += byte.eq(self.cycles.word_select(self.index[:2], 8))
        with m.Elif(self.is_command[Command.IDENTIFY]):
            m.d.comb += byte.eq(identity)
        with m.Else():
            m.d.comb += byte.eq(self.word[:8])
        return byte
