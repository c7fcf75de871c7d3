"""The link: its streams, and that nothing is obeyed whose CRC is wrong.

`SerialCrc` is cut out: in its place stands what "CRC circuit" and "CRC recognised" prove of it.
"""

from functools import reduce
from operator import or_
from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring

from weft.boards import crc, link
from weft.boards.protocol import CRC_BYTES, HEADER_BYTES, Command

from .checksum import after_byte
from .claim import Claim, replaced, watched
from .proof import Fault, Induction, Proof
from .streams import Past, stays

LINK = "boards/link.py"


class WholeBytes(wiring.Component):
    """As `SerialCrc` is seen from outside: a byte's work is done at once, and shown later.

    While it is not idle its value is anything's guess: here it is the one to come.
    """

    def __init__(self) -> None:
        self._MustUse__used = True
        real = crc.SerialCrc()
        real._MustUse__used = True
        super().__init__(real.signature)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        left = self.left = Signal(range(9), name="left")

        class Here:
            pass

        here: Any = Here()
        here.m = m
        start = Signal(32)
        byte = Signal(8)
        m.d.comb += [
            start.eq(Mux(self.clear, 0xFFFFFFFF, self.value)),
            byte.eq(Mux(self.load, self.byte, self.held)),
            self.idle.eq(left == 0),
        ]
        divided = after_byte(here, start, byte)
        m.d.sync += self.good.eq(self.value == crc.RESIDUE)
        with m.If(~self.idle):
            m.d.sync += left.eq(left - 1)
        with m.Else():
            with m.If(self.load):
                m.d.sync += self.held.eq(self.byte)
            with m.If(self.clear):
                m.d.sync += self.value.eq(0xFFFFFFFF)
            with m.If(self.step):
                m.d.sync += [left.eq(8), self.value.eq(Mux(self.plain, start >> 8, divided))]
        return m


class Frames(Claim):
    """`Link` with everything at its ports."""

    resets = True

    def state(self) -> None:
        m = self.m
        made = []

        class Kept(WholeBytes):
            def __init__(self) -> None:
                super().__init__()
                made.append(self)

        with replaced(link, SerialCrc=Kept), watched(link) as signals:
            dut = self.drive(
                link.Link(config_digest="0123456789abcdef", timeout=1024, streams=True)
            )
        (check,) = made
        past, state = Past(self), dut.state

        # 1. The streams.
        stays(self, past, dut.tx.valid, dut.tx.ready, dut.tx.payload)
        stays(self, past, dut.load.valid, dut.load.ready, dut.load.payload.as_value())
        stays(self, past, dut.read.valid, dut.read.ready, dut.read.payload)

        # 2. What is obeyed. Our own record of the frame under way: the bytes taken behind the sync.
        taken = self.show("taken", dut.rx.valid & dut.rx.ready)
        count = Signal(range(13), name="model_count")
        register = Signal(32, name="model_register", init=0xFFFFFFFF)
        header = Signal(8 * HEADER_BYTES, name="model_header")
        frame = HEADER_BYTES + CRC_BYTES
        in_header = self.show("in_header", state["HEADER"])
        with m.If(state["HUNT"]):
            m.d.sync += [count.eq(0), register.eq(0xFFFFFFFF)]
        with m.If(taken & in_header):
            m.d.sync += [
                count.eq(count + 1),
                register.eq(after_byte(self, register, dut.rx.payload)),
            ]
            with m.If(count < HEADER_BYTES):
                m.d.sync += header.eq(Cat(header[8:], dut.rx.payload))
        for name in ("count", "register", "header"):
            self.show(name, {"count": count, "register": register, "header": header}[name])
        right = self.show("right", (count == frame) & (register == crc.RESIDUE))
        command = header[:8]
        # Between the header's end and the next hunt: the words are taken only by a WRITE, …
        self.implies(dut.load.valid, right & (command == Command.WRITE))
        self.implies(dut.read.valid, right & (command == Command.READ))
        self.implies(dut.start, right & (command == Command.START))
        # … where the header says.
        self.implies(dut.load.valid, dut.load.payload.space == header[24:27])

        self._know(dut, check, past, signals, (count, register, header))

    def _know(self, dut, check, past, signals, model) -> None:
        """What an induction needs to know."""
        state, (count, register, header) = dut.state, model
        command, frame = header[:8], HEADER_BYTES + CRC_BYTES
        self.check(sum(state.values()) == 1)
        receiving = state["HEADER"] | state["PAYLOAD"] | state["PAYLOAD_CRC"]
        sending = state["REPLY"] | state["WORD"] | state["REPLY_CRC"]
        self.implies(dut.want, state["HUNT"] | receiving)
        self.implies(dut.want & receiving, check.idle)
        self.implies(dut.fresh | dut.gone, sending)
        self.implies(dut.fresh, check.idle & ~dut.gone)
        self.implies(dut.gone, check.idle)
        self.implies(state["WEIGH"] | state["DECODE"], check.idle)
        head = state["HEADER"]
        self.implies(head, count == dut.index)
        self.implies(head, check.value == register)
        self.implies(head, count <= frame)
        self.implies(state["WEIGH"], (count == frame) & check.idle)
        self.implies(state["WEIGH"], check.good == (register == crc.RESIDUE))
        known = ~state["HUNT"] & ~state["HEADER"]
        self.implies(known, count == frame)
        self.implies(known, dut.header.command == command)
        for kind, flag in dut.is_command.items():
            self.implies(known | (head & (count > HEADER_BYTES)), flag == (command == kind))
        sound = register == crc.RESIDUE
        writing = reduce(
            or_, (state[name] for name in ("PAYLOAD", "STORE", "STORED", "PAYLOAD_CRC", "CHECK"))
        )
        reading = state["READ"] | state["DATA"] | state["ADVANCE"]
        self.implies(writing, sound & (command == Command.WRITE))
        self.implies(reading, sound & (command == Command.READ))
        self.implies(state["WORD"], sound)
        decided = {name: signals[f"_decode.{name}"] for name in ("words_come", "begin", "no_words")}
        self.implies(state["DECODE"] & decided["words_come"], sound & (command == Command.WRITE))
        self.implies(state["DECODE"] & decided["begin"], sound & (command == Command.START))
        self.implies(state["DECODE"] & ~decided["no_words"], sound)
        self.implies(
            state["DECODE"] | state["WEIGH"], (dut.index == frame) & ~dut.at[5] & ~dut.fresh
        )
        self.implies(state["REPLY"], sound | (dut.header.count == 0))
        deciding = past(state["DECODE"])
        self.implies(state["REPLY"] & past.there & ~deciding, sound | dut.no_words)
        self.implies(state["REPLY"] & past.there & deciding, ~dut.at[5] & (dut.index == 0))
        self.implies(state["STORE"], dut.header.space[:3] == header[24:27])
        self.implies(writing, dut.header.space == header[24:32])
        self.implies(
            dut.advance,
            state["PAYLOAD"]
            | state["PAYLOAD_CRC"]
            | state["ADVANCE"]
            | state["WORD"]
            | state["REPLY_CRC"],
        )
        for there in range(1, HEADER_BYTES + 1):
            low = 8 * (HEADER_BYTES - there)
            enough = count >= there if there == HEADER_BYTES else count == there
            self.implies(head & enough, dut.header.as_value()[low:] == header[low:])
        self.implies(state["WEIGH"] | state["DECODE"], dut.header.as_value() == header)


PROOFS = (
    Proof(
        name="link",
        says="bytes, words and addresses offered stay until taken; a word is loaded, an address "
        "read or the "
        "core started only by a request of that kind whose header's CRC is right",
        files=LINK,
        method=Induction(12),
        domain="all bytes and patterns of valid, ready and busy, the core's answers included",
        assumes="CRC circuit, CRC recognised",
        make=Frames,
        faults=(
            Fault(file=LINK, old="refuse(Answer.BAD_HEADER)", new="pass", within=0),
            Fault(
                file=LINK,
                old="m.d.sync += [self.fresh.eq(~self.tx.ready), sent.eq(self.tx.ready)]",
                new="m.d.sync += [self.fresh.eq(0), sent.eq(1)]",
                within=0,
            ),
        ),
    ),
)
