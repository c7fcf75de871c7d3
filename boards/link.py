"""Host to core over two byte streams; `weft.boards.protocol` states the frames."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value, unsigned
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
    digest_bytes,
)
from weft.boards.record import RECALL
from weft.hw.config import Space
from weft.hw.delay import delay
from weft.hw.ports import LoadWord

#: States of the link, the first at the start.
STATES = (
    "HUNT", "HEADER", "WEIGH", "DECODE", "PAYLOAD", "STORE", "STORED", "PAYLOAD_CRC", "CHECK",
    "REPLY", "READ", "DATA", "WORD", "ADVANCE", "REPLY_CRC",
)  # fmt: skip

#: Bytes of a part of a frame at which something happens.
PLACES = sorted({0, 3, 4, HEAD_BYTES - 1, CRC_BYTES - 1, HEADER_BYTES + CRC_BYTES})


class Link(wiring.Component):
    """Answers requests one at a time; the core's ports have the core's own names.

    The words of a WRITE go to the core as they arrive. Where their CRC then proves wrong,
    the answer says so and the host has to write them again; a header with a wrong CRC
    changes nothing.

    Parameters
    ----------
    config_digest : str
        16 hexadecimal digits.
    flashed : (Value, Value) or None
        For simulations: whether there is a program in the memories (once it is high), and its
        digest in 64 bits.
    timeout : int
        Cycles of silence after which an unfinished request is forgotten, rounded up to
        a power of two.
    streams : bool
        The core may take words for the activation memory while it is busy: from some moment on,
        when `load.ready` is high for such a word, until it starts again.

    Members
    -------
    rx : In(stream.Signature(8)), tx : Out(stream.Signature(8))
        Bytes from and to the host. Takes a byte every 13 cycles while the core takes words.
    load, read, data, start, busy, cycles
        To the core.
    recall : In(RECALL)
        Which program is in the memories after reset; nothing comes from the host meanwhile.
    answered, good, known : Out(1)
        A reply is done; it was no refusal; there is a program in the memories.
    active : Out(1)
        Toggles with every reply.
    """

    def __init__(
        self,
        *,
        config_digest: str,
        flashed: tuple[Value, Value] | None = None,
        timeout: int,
        streams: bool = False,
    ):
        self._config = digest_bytes("config_digest", config_digest)
        self._flashed = flashed
        if not isinstance(timeout, int) or timeout <= 0:
            raise ValueError(f"timeout must be a positive integer, not {timeout!r}")
        self._timeout = timeout
        self._streams = streams
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
                "recall": In(RECALL),
                "answered": Out(1),
                "good": Out(1),
                "known": Out(1),
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
        self.digest = Signal(8 * DIGEST_BYTES)
        self.loaded = Signal()
        self.started = Signal(8)
        self.has_started = Signal()
        self.session = Signal()
        #: One flag a state: a number would have to be decoded before every condition.
        self.state = {name: Signal(name=name.lower(), init=name == STATES[0]) for name in STATES}
        #: A byte is wanted; it is taken when it comes.
        self.want = Signal()
        self.taken = Signal()
        #: The byte to send next, and for how long (one-hot) nothing it hangs on has moved.
        self.byte = Signal(8, reset_less=True)
        self.settled = Signal(4)
        #: The CRC holds the byte to send.
        self.fresh = Signal()
        #: That byte went in the cycle before.
        self.gone = Signal()
        #: The word under way is done with; `address` and `count` move a cycle later.
        self.advance = Signal()
        self._look(m)
        m.d.sync += [self.start.eq(0), self.gone.eq(0), self.settled.eq(0), self.advance.eq(0)]
        m.d.comb += [
            self.rx.ready.eq(self.want),
            self.load.payload.data.eq(self.word),
            self.load.payload.address.eq(self.header.address),
            self.load.payload.space.eq(self.header.space),
            self.read.payload.eq(self.header.address),
            self.tx.payload.eq(self.crc.held),
            self.tx.valid.eq(self.fresh),
            self.recall.scrap.eq(self.word),
            self.good.eq(self.status == Answer.OK),
            self.known.eq(self.loaded),
        ]
        with m.If(self.advance):
            m.d.sync += [
                self.header.address.eq(self.header.address + 1),
                self.header.count.eq(self.header.count - 1),
            ]
        self._receive(m)
        self._decode(m)
        self._store(m)
        self._reply(m)
        self._forget(m)
        self._recall(m)
        if self._flashed is not None:
            found, digest = self._flashed
            with m.If(found & ~delay(m, found, 1, name="found")):
                m.d.sync += [self.loaded.eq(1), self.digest.eq(digest)]
        return m

    def _recall(self, m: Module) -> None:
        with m.If(self.recall.shift):
            m.d.sync += self.digest.eq(Cat(self.digest[8:], self.recall.byte))
        with m.If(self.recall.found):
            m.d.sync += self.loaded.eq(1)

    def _look(self, m: Module) -> None:
        """What registers say, a cycle late: they stand still long before anyone asks."""
        header = self.header
        #: Counts the bytes of whatever part of a frame is under way.
        self.index = Signal(4)
        self.at = {place: Signal(name=f"at_{place}") for place in PLACES}
        self.in_header = Signal()
        self.is_command = {command: Signal(name=f"is_{command.name}") for command in Command}
        self.is_identity = Signal()
        self.is_activation = Signal()
        self.is_repeated = Signal()
        self.follows = Signal()
        self.no_words = Signal()
        self.last_word = Signal()
        #: The words of a WRITE are for the core; for the digest.
        self.to_core = Signal()
        self.to_digest = Signal()
        #: The word of an IDENTIFY reply is of the program's digest.
        self.of_program = Signal()
        #: The core is busy and takes words for the activation memory; a WRITE is refused.
        self.released: Value = Const(0)
        refused: Value = self.busy
        if self._streams:
            # The core takes nothing else meanwhile; a word that has to wait does not change that.
            self.released = Signal(name="released")
            with m.If(~self.busy):
                m.d.sync += self.released.eq(0)
            with m.Elif(self.load.ready):
                m.d.sync += self.released.eq(1)
            refused = self.busy & ~(self.released & self.is_activation)
        self.refused = refused
        m.d.sync += [
            *(flag.eq(self.index == place) for place, flag in self.at.items()),
            self.in_header.eq(self.index < HEADER_BYTES),
            *(flag.eq(header.command == command) for command, flag in self.is_command.items()),
            self.is_identity.eq(header.space == IDENTITY_SPACE),
            self.is_activation.eq(header.space == Space.ACTIVATION),
            self.is_repeated.eq(self.has_started & (self.started == header.sequence)),
            # What `protocol.after` makes.
            self.follows.eq(
                Mux(
                    self.has_started,
                    header.address[:9] == Cat(self.started, 1),
                    ~header.address[8],
                )
            ),
            self.no_words.eq(header.count == 0),
            self.last_word.eq(header.count == 1),
            self.to_core.eq(~self.is_identity & (self.status == Answer.OK)),
            self.to_digest.eq(self.is_identity & (self.status == Answer.OK)),
            self.of_program.eq(self.is_command[Command.IDENTIFY] & (header.count[:3] <= 2)),
        ]

    def _go(self, m: Module, here: str, there: str) -> None:
        m.d.sync += [self.state[here].eq(0), self.state[there].eq(1)]

    def _receive(self, m: Module) -> None:
        """Bytes of a request, each into the CRC."""
        state = self.state
        self.receiving = Signal()
        last = Signal()
        m.d.comb += [
            self.receiving.eq(state["HEADER"] | state["PAYLOAD"] | state["PAYLOAD_CRC"]),
            last.eq(Mux(state["HEADER"], self.at[HEADER_BYTES + CRC_BYTES], self.at[4])),
            self.taken.eq(self.rx.valid & self.want),
        ]
        with m.If(self.taken):
            m.d.sync += [self.index.eq(self.index + 1), self.want.eq(0)]
        with m.Else():
            wanting = state["HUNT"] | (self.receiving & ~last)
            m.d.sync += self.want.eq(self.crc.idle & wanting)

        with m.If(state["HUNT"]):
            m.d.sync += self.index.eq(0)
            with m.If(self.taken & (self.rx.payload == SYNC)):
                self._go(m, "HUNT", "HEADER")
        with m.If(state["HEADER"]):
            with m.If(self.taken & self.in_header):
                m.d.sync += self.header.eq(Cat(self.header.as_value()[8:], self.rx.payload))
            with m.If(last & self.crc.idle):
                self._go(m, "HEADER", "WEIGH")
        with m.If(state["PAYLOAD"]):
            with m.If(self.taken & self.to_digest):
                m.d.sync += self.digest.eq(Cat(self.digest[8:], self.rx.payload))
            with m.If(last):
                self._go(m, "PAYLOAD", "STORE")
        with m.If(state["PAYLOAD_CRC"] & last & self.crc.idle):
            self._go(m, "PAYLOAD_CRC", "CHECK")
        with m.If(state["CHECK"]):
            m.d.sync += self.index.eq(0)
            with m.If(self.status == Answer.OK):
                with m.If(~self.crc.good):
                    m.d.sync += self.status.eq(Answer.BAD_PAYLOAD)
                with m.Elif(self.is_identity):
                    m.d.sync += self.loaded.eq(1)
            self._go(m, "CHECK", "REPLY")

    def _forget(self, m: Module) -> None:
        """Back to the start after a silence in the middle of a request."""
        timer = Signal(range(2 * self._timeout - 1))
        still = Signal()
        expired = timer[-1]
        m.d.sync += [still.eq(self.receiving & ~self.rx.valid), timer.eq(timer + 1)]
        with m.If(~still | expired):
            m.d.sync += timer.eq(0)
        with m.If(expired):
            m.d.sync += [flag.eq(name == STATES[0]) for name, flag in self.state.items()]
            m.d.sync += self.want.eq(0)

    def _decode(self, m: Module) -> None:
        """What a request asks for: weighed in one cycle, obeyed in the next."""
        header, state = self.header, self.state
        no_words, one_word = Signal(), Signal()
        identify, begin, words_come = Signal(), Signal(), Signal()
        flags = (no_words, one_word, identify, begin, words_come)

        def refuse(answer: Answer) -> None:
            m.d.sync += [self.status.eq(answer), no_words.eq(1)]

        with m.If(state["WEIGH"]):
            m.d.sync += [self.status.eq(Answer.OK), *(flag.eq(0) for flag in flags)]
            with m.If(~self.crc.good):
                refuse(Answer.BAD_HEADER)
            with m.Elif(self.is_command[Command.IDENTIFY]):
                m.d.sync += identify.eq(1)
            with m.Elif(self.is_command[Command.STATUS]):
                m.d.sync += one_word.eq(1)
            with m.Elif(self.is_command[Command.START]):
                m.d.sync += no_words.eq(1)
                with m.If(~self.is_repeated):
                    m.d.sync += begin.eq(~self.busy & self.follows)
                    with m.If(self.busy):
                        m.d.sync += self.status.eq(Answer.BUSY)
                    with m.Elif(~self.follows):
                        m.d.sync += self.status.eq(Answer.LOST)
            with m.Elif(~self.is_command[Command.WRITE] & ~self.is_command[Command.READ]):
                refuse(Answer.UNKNOWN_COMMAND)
            with m.Elif(self.no_words):
                refuse(Answer.BAD_COUNT)
            with m.Elif(self.is_command[Command.WRITE]):
                m.d.sync += words_come.eq(1)
                with m.If(self.refused):
                    # The words still come and must not be taken for requests.
                    m.d.sync += self.status.eq(Answer.BUSY)
            with m.Elif(self.busy):
                refuse(Answer.BUSY)
            self._go(m, "WEIGH", "DECODE")
        with m.If(state["DECODE"]):
            m.d.sync += self.index.eq(0)
            with m.If(no_words):
                m.d.sync += header.count.eq(0)
            with m.If(one_word):
                m.d.sync += header.count.eq(1)
            with m.If(identify):
                m.d.sync += [
                    header.count.eq(IDENTITY_WORDS),
                    self.has_started.eq(0),
                    self.session.eq(1),
                ]
            with m.If(begin):
                m.d.sync += [
                    self.start.eq(1),
                    self.started.eq(header.sequence),
                    self.has_started.eq(1),
                ]
            m.d.sync += [
                state["DECODE"].eq(0),
                state["PAYLOAD"].eq(words_come),
                state["REPLY"].eq(~words_come),
            ]

    def _next_word(self, m: Module) -> None:
        m.d.sync += [self.index.eq(0), self.at[4].eq(0), self.advance.eq(1)]

    def _store(self, m: Module) -> None:
        store = self.state["STORE"]
        m.d.comb += self.load.valid.eq(store & self.to_core)
        with m.If(store & (~self.to_core | self.load.ready)):
            self._go(m, "STORE", "STORED")
        with m.If(self.state["STORED"]):
            self._next_word(m)
            with m.If(self.to_core & ~self.is_activation):
                m.d.comb += self.recall.void.eq(1)
                m.d.sync += self.loaded.eq(0)
            m.d.sync += [
                self.state["STORED"].eq(0),
                self.state["PAYLOAD"].eq(~self.last_word),
                self.state["PAYLOAD_CRC"].eq(self.last_word),
            ]

    def _reply(self, m: Module) -> None:
        """Bytes of a reply, each into the CRC: the head, the words, the CRC itself."""
        header, state, sent = self.header, self.state, self.gone
        is_read = self.is_command[Command.READ]
        sending, again = Signal(), Signal()
        flags = Cat(self.busy, self.has_started, self.loaded, self.session, self.released)
        head = [Const(SYNC, 8), self.status, header.sequence, header.count, flags, self.started]
        # First one of each two, then one of these.
        halves = [Signal(8, reset_less=True, name=f"half_{i}") for i in range(0, HEAD_BYTES, 2)]
        head_byte, word_byte = Signal(8, reset_less=True), self._word_byte(m)
        crc_byte = ~self.crc.value[:8]
        m.d.comb += [
            sending.eq(state["REPLY"] | state["WORD"] | state["REPLY_CRC"]),
            # The CRC is that of what follows the sync byte.
            again.eq(state["REPLY"] & sent & self.at[0]),
            self.crc.clear.eq(state["HUNT"] | state["DECODE"] | again),
            self.crc.plain.eq(state["REPLY_CRC"]),
            self.crc.byte.eq(Mux(sending, self.byte, self.rx.payload)),
            self.crc.load.eq(self.taken | (sending & ~self.fresh & ~sent)),
            self.crc.step.eq((self.taken & self.receiving) | (sent & ~again)),
        ]
        m.d.sync += [
            *(
                half.eq(Mux(self.index[0], odd, even))
                for half, even, odd in zip(halves, head[::2], head[1::2], strict=True)
            ),
            head_byte.eq(Array(halves)[self.index[1:]]),
            self.byte.eq(Mux(state["REPLY"], head_byte, Mux(state["WORD"], word_byte, crc_byte))),
        ]
        with m.If(self.fresh):
            m.d.sync += [self.fresh.eq(~self.tx.ready), sent.eq(self.tx.ready)]
        with m.Elif(sent):
            m.d.sync += self.index.eq(self.index + 1)
        with m.Elif(sending):
            m.d.sync += [
                self.settled.eq(Cat(self.crc.idle, self.settled)),
                self.fresh.eq(self.settled[-1]),
            ]

        with m.If(state["REPLY"] & sent & self.at[HEAD_BYTES - 1]):
            m.d.sync += self.index.eq(0)
            m.d.sync += [
                state["REPLY"].eq(0),
                state["REPLY_CRC"].eq(self.no_words),
                state["READ"].eq(~self.no_words & is_read),
                state["WORD"].eq(~self.no_words & ~is_read),
            ]
        with m.If(state["ADVANCE"]):
            self._go(m, "ADVANCE", "READ")
        with m.If(state["READ"]):
            m.d.comb += self.read.valid.eq(1)
            with m.If(self.read.ready):
                self._go(m, "READ", "DATA")
        with m.If(state["DATA"]):
            m.d.comb += self.data.ready.eq(1)
            with m.If(self.data.valid):
                self._go(m, "DATA", "WORD")
        with m.If(state["WORD"] & sent):
            with m.If(self.of_program):
                m.d.sync += self.digest.eq(self.digest.rotate_right(8))
            with m.If(self.at[3]):
                self._next_word(m)
                m.d.sync += [
                    state["WORD"].eq(~self.last_word & ~is_read),
                    state["REPLY_CRC"].eq(self.last_word),
                    state["ADVANCE"].eq(~self.last_word & is_read),
                ]
        # In at the top, out at the bottom.
        moved = Cat(self.word[8:], self.rx.payload)
        with m.If((state["PAYLOAD"] & self.taken) | state["DATA"] | (state["WORD"] & sent)):
            m.d.sync += self.word.eq(Mux(state["DATA"], self.data.payload, moved))
        with m.If(state["REPLY_CRC"] & sent & self.at[CRC_BYTES - 1]):
            m.d.comb += self.answered.eq(1)
            m.d.sync += self.active.eq(~self.active)
            self._go(m, "REPLY_CRC", "HUNT")

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
