"""Streams: what is offered stays until it is taken, nothing is lost and nothing doubled."""

from amaranth.hdl import Cat, Signal, Value

from weft.boards import boot
from weft.hw import bank, intake, readback, single_port
from weft.hw.config import Config, Space
from weft.hw.latency import RELEASE, activation_read

from .claim import Claim, watched
from .proof import Fault, Induction, Proof


class Past:
    """What was in the cycle before, where that was not one of reset."""

    def __init__(self, claim: Claim):
        self.claim = claim
        self.there = Signal(name="past_there")
        claim.m.d.sync += self.there.eq(1)
        self.count = 0

    def __call__(self, value: Value) -> Signal:
        value = Value.cast(value)
        self.count += 1
        before = Signal(value.shape(), name=f"past_{self.count}", reset_less=True)
        self.claim.m.d.sync += before.eq(value)
        return before


def stays(claim: Claim, past: Past, valid: Value, ready: Value, payload: Value) -> None:
    """Assert that a stream's offer stays as it is until it is taken."""
    payload = Value.cast(payload)
    stalled = past.there & past(valid & ~ready)
    claim.implies(stalled, valid & (payload == past(payload)))


class TakesIn(Claim):
    """`Intake`: every word for the activation memory is written once, as it came."""

    resets = True

    def state(self) -> None:
        with watched(intake) as signals:
            dut = self.drive(intake.Intake())
        m, word = self.m, dut.word
        taken = self.show("taken", dut.valid & dut.ready)
        waiting, content = Signal(name="model_waiting"), Signal(word.shape(), name="model_word")
        held = self.show("held_word", content.as_value())
        with m.If(taken & (word.space == Space.ACTIVATION)):
            m.d.sync += [waiting.eq(1), content.eq(word)]
        with m.Elif(dut.write):
            m.d.sync += waiting.eq(0)
        self.implies(dut.write, waiting & (dut.held.as_value() == held))
        # None is lost: another one comes only when the one before is written.
        self.implies(taken & waiting, dut.write)
        self.implies(dut.write, ~dut.storing)
        # It waits for nothing but results.
        self.implies(waiting & ~dut.storing, dut.write)
        # While busy: nothing but activations, from some cycles after the release.
        released = Signal(name="model_released")
        coming = Signal(RELEASE - 1, name="model_coming")
        m.d.sync += coming.eq(Cat(dut.release, coming))
        with m.If(coming[-1]):
            m.d.sync += released.eq(1)
        with m.If(~dut.busy):
            m.d.sync += released.eq(0)
        self.implies(taken & dut.busy, released & (word.space == Space.ACTIVATION))
        self.implies(taken & dut.start, dut.busy)
        # What an induction needs to know.
        self.check(signals["elaborate.waiting"] == waiting)
        self.check(signals["elaborate.released"] == released)
        self.implies(waiting, dut.held.as_value() == held)


class ReadsBack(Claim):
    """`ReadBack`: an answer for every address, of the row that the memory shows in time."""

    resets = True

    def __init__(self, rows: int, depth: int):
        super().__init__()
        self.config = Config(rows=rows, columns=1, activation_depth=depth)

    def state(self) -> None:
        config = self.config
        with watched(readback) as signals:
            dut = self.drive(readback.ReadBack(config))
        m, past = self.m, Past(self)
        stays(self, past, dut.data.valid, dut.data.ready, dut.data.payload)
        asked = self.show("asked", dut.read.valid & dut.read.ready)
        answered = self.show("answered", dut.data.valid & dut.data.ready)
        # One under way at a time: each is answered once.
        open_, address = Signal(name="model_open"), Signal(24, name="model_address")
        since = Signal(range(activation_read(config) + 4), name="model_since")
        with m.If(asked):
            m.d.sync += [open_.eq(1), address.eq(dut.read.payload), since.eq(0)]
        with m.Elif(answered):
            m.d.sync += open_.eq(0)
        with m.If(open_ & ~since.all() & (since < activation_read(config) + 2)):
            m.d.sync += since.eq(since + 1)
        self.implies(asked, ~open_ & ~dut.hold)
        self.implies(dut.data.valid, open_)
        # The answer is there in time, whatever happens.
        latency = activation_read(config)
        self.check(
            dut.data.valid == (open_ & (since == latency + 1) | (open_ & (since > latency + 1)))
        )
        # The row is that of its address, shown so many cycles after it was given.
        words = config.row_words(Space.ACTIVATION)
        bits = (words - 1).bit_length()
        self.implies(open_, dut.read_address == (address >> bits)[: len(dut.read_address)])
        padded = Signal(32 * words)
        m.d.comb += padded.eq(dut.row)
        word = padded.word_select(address[:bits], 32) if bits else padded[:32]
        shown = Signal(32, name="model_shown")
        with m.If(open_ & (since == latency)):
            m.d.sync += shown.eq(word)
        self.implies(dut.data.valid, dut.data.payload == shown)
        # What an induction needs to know.
        self.check(~open_ | (signals["elaborate.address"] == address))
        waiting = signals["elaborate.waiting"]
        self.implies(open_ & (since <= latency), waiting == latency - since)


class Remembers(Claim):
    """A memory: what is read is what was last written there, `latency` cycles before."""

    resets = True

    def __init__(self, kind: str):
        super().__init__()
        self.kind = kind

    def state(self) -> None:
        depth = 8
        if self.kind == "bank":
            dut = bank.Bank(width=8, depth=depth)
        else:
            dut = single_port.SinglePort(width=8, depth=depth, unit=4)
        self.drive(dut)
        m, past = self.m, Past(self)
        where = self.constant(3, "row")
        memory = m.submodules.dut.submodules
        ram = getattr(memory, "memory", None) or next(iter(memory._named.values()))
        peek = ram.read_port(domain="comb")
        content = Signal(8, name="model_content", reset_less=True)
        m.d.comb += peek.addr.eq(where)
        if self.kind == "bank":
            here = dut.write_enable & (dut.write_address == where)
            with m.If(here):
                m.d.sync += content.eq(dut.write_data)
            asked, wrote = dut.read_address == where, here
        else:
            at = dut.address == where
            for unit in range(2):
                with m.If(at & dut.write_enable[unit]):
                    m.d.sync += content.word_select(unit, 4).eq(dut.write_data.word_select(unit, 4))
            asked, wrote = at, dut.write_enable.any()
        # What it begins with is what the memory begins with: zeros.
        self.check(peek.data == content)
        was = past(content)
        clear = past(Value.cast(asked & ~wrote))
        seen = self.show("seen", clear)
        one = past(was)
        self.implies(past(seen) & past.there & past(past.there), dut.read_data == one)


class Hands(Claim):
    """`BootLoader`: a byte stays until the link takes it."""

    resets = True
    anywhere = True

    def state(self) -> None:
        dut = self.drive(boot.BootLoader(config_digest="0123456789abcdef", offset=0))
        stays(self, Past(self), dut.bytes.valid, dut.bytes.ready, dut.bytes.payload)


PROOFS = (
    Proof(
        name="intake",
        says="every activation word taken is written once and unchanged, never in a cycle with a "
        "result and as soon as there is none; while busy no other word is taken",
        files="hw/intake.py",
        method=Induction(6),
        domain="all words, all patterns of valid, storing, release, start and busy",
        make=TakesIn,
        faults=(
            Fault(file="hw/intake.py", old="free.eq(~waiting | self.write)", new="free.eq(1)"),
            Fault(
                file="hw/intake.py",
                old="self.write.eq(waiting & ~self.storing)",
                new="self.write.eq(waiting)",
            ),
            Fault(
                file="hw/intake.py",
                old="(self.busy & released & activation)",
                new="(self.busy & released)",
            ),
            Fault(
                file="hw/intake.py",
                old="with m.Elif(self.write):",
                new="with m.Elif(self.storing):",
            ),
        ),
    ),
    *(
        Proof(
            name=f"read-back, {rows} rows of {depth}",
            says="one answer for each address, in time, of its row; it stays until taken",
            files="hw/readback.py",
            method=Induction(10),
            domain="all addresses and rows, all patterns of valid, ready and hold",
            make=lambda rows=rows, depth=depth: ReadsBack(rows, depth),
            faults=faults,
        )
        for rows, depth, faults in (
            (
                8,
                16,
                (
                    Fault(
                        file="hw/readback.py",
                        old="with m.If(waiting == 0):",
                        new="with m.If(waiting == 1):",
                    ),
                    Fault(
                        file="hw/readback.py",
                        old="with m.If(self.data.ready):",
                        new="with m.If(1):",
                    ),
                    Fault(
                        file="hw/readback.py",
                        old="self.read.ready.eq(~self.hold)",
                        new="self.read.ready.eq(1)",
                    ),
                ),
            ),
            (
                16,
                1024,
                (
                    Fault(
                        file="hw/readback.py",
                        old="address >> index_bits",
                        new="address >> index_bits - 1",
                    ),
                ),
            ),
        )
    ),
    Proof(
        name="memory bank",
        says="a row read is what was last written there before; written meanwhile, anything",
        files="hw/bank.py",
        method=Induction(4),
        domain="all rows and data, a memory of 8 rows of 8 bits, the portable form",
        make=lambda: Remembers("bank"),
        faults=(
            Fault(
                file="hw/bank.py", old="read.addr.eq(address),", new="read.addr.eq(address ^ 1),"
            ),
        ),
    ),
    Proof(
        name="single-port memory",
        says="the same with one port, written in units; read while written, anything",
        files="hw/single_port.py",
        method=Induction(4),
        domain="all rows, units and data, a memory of 8 rows of 8 bits, the portable form",
        make=lambda: Remembers("single"),
        faults=(
            Fault(
                file="hw/single_port.py",
                old="write.en.eq(self.write_enable)",
                new="write.en.eq(self.write_enable.any().replicate(2))",
            ),
        ),
    ),
    Proof(
        name="boot loader's bytes",
        says="a byte offered to the link stays until it is taken",
        files="boards/boot.py",
        method=Induction(2),
        domain="all contents of the flash memory, all patterns of ready and answers",
        make=Hands,
        faults=(
            Fault(
                file="boards/boot.py",
                old="with m.Elif(self.bytes.ready | ~tagged):",
                new="with m.Elif(1):",
            ),
        ),
    ),
)
