"""The UART: what is taken goes out on the line once, and what is on the line comes in once."""

from amaranth.hdl import Cat, Const, Signal

from weft.boards import uart

from .claim import Claim, watched
from .proof import Fault, Induction, Proof, Window

UART = "boards/uart.py"

#: Bits of a frame: start, eight of data, stop.
_FRAME = 10


class Sends(Claim):
    """`Transmitter`: a byte taken is on the line for its ten bits, and then the next is taken."""

    resets = True

    def __init__(self, period: int):
        super().__init__()
        self.period = period

    def state(self) -> None:
        period = self.period
        with watched(uart) as signals:
            dut = self.drive(uart.Transmitter(clock=period, baud=1))
        m = self.m
        # The model: which bit of which frame, and for how many cycles to come.
        frame = Signal(_FRAME, name="model_frame", init=-1)
        bit, left = (
            Signal(range(_FRAME), name="model_bit"),
            Signal(range(period), name="model_left"),
        )
        sending = Signal(name="model_sending")
        taken = self.show("taken", dut.i.valid & dut.i.ready)
        with m.If(taken):
            m.d.sync += [frame.eq(Cat(Const(0, 1), dut.i.payload, Const(1, 1)))]
            m.d.sync += [sending.eq(1), bit.eq(0), left.eq(period - 1)]
        with m.Elif(left != 0):
            m.d.sync += left.eq(left - 1)
        with m.Elif(bit != _FRAME - 1):
            m.d.sync += [bit.eq(bit + 1), left.eq(period - 1)]
        with m.Else():
            m.d.sync += sending.eq(0)
        self.check(dut.pin == (~sending | frame.bit_select(bit, 1)))
        self.check(dut.i.ready == ~sending)
        # What an induction needs to know.
        timer, bits, shift = (signals[f"elaborate.{name}"] for name in ("timer", "bits", "shift"))
        self.check(bits == (_FRAME - bit & sending.replicate(4)))
        self.implies(sending, timer == left)
        self.implies(~sending, shift[0])
        ahead = Cat(frame, Const(-1, _FRAME)) >> bit
        self.implies(sending, shift == ahead[:9])
        self.implies(sending, ~frame[0] & frame[-1] & (bit < _FRAME))
        self.implies(sending, left < period)


class Receives(Claim):
    """`Receiver`: bytes that come are those on the line, and none of the line is left out."""

    def __init__(self, period: int):
        super().__init__()
        self.period = period

    @property
    def late_bits(self) -> list[int]:
        """Cycles from the middle of each bit, as the receiver sees it, to the byte."""
        return [1 + self.period * (_FRAME - 1 - bit) for bit in range(_FRAME)]

    @property
    def window(self) -> int:
        """Cycles of a frame of silence, and of a byte's."""
        return 2 * _FRAME * self.period

    def state(self) -> None:
        period = self.period
        with watched(uart) as signals:
            dut = self.drive(uart.Receiver(clock=period, baud=1))
        self.assume(dut.o.ready)
        line = signals["elaborate.line"]
        past = [line]  # so many cycles ago
        for ago in range(self.window):
            before = Signal(name=f"line_{ago + 1}_ago", reset_less=True)
            self.m.d.sync += before.eq(past[-1])
            past.append(before)
        middles = Cat(past[ago] for ago in self.late_bits)
        byte = self.show("byte_on_the_line", middles[1:9])
        came = self.show("came", dut.o.valid)
        # Nothing is made up: it was there, between a start bit and a stop bit …
        self.implies(came, ~middles[0] & middles[9] & (dut.o.payload == byte))
        # … which no other byte has a part in.
        others = Signal(period * (_FRAME - 1), name="came_before", reset_less=True)
        self.m.d.sync += others.eq(Cat(came, others))
        self.implies(came, ~others.any())
        # Nothing is lost: after silence as long as a frame, what is whole comes.
        start = self.late_bits[0] + period // 2
        begins = Cat(past[start + 1 : start + 1 + _FRAME * period]).all() & ~past[start]
        steady = Cat(
            Cat(past[ago - step] == past[ago] for step in range(min(ago, period))).all()
            for ago in range(start, 0, -period)
        ).all()
        whole = self.show("whole", begins & steady & ~middles[0] & middles[9])
        self.implies(whole, came)


PROOFS = (
    *(
        Proof(
            name=f"transmitter, {period} cycles a bit",
            says="a byte taken is on the line once, start bit and stop bit around it, each for its "
            "cycles; else the line rests, and the next byte may come",
            files=UART,
            method=Induction(2),
            domain="all bytes and patterns of valid",
            make=lambda period=period: Sends(period),
            faults=(
                Fault(file=UART, old="bits.eq(10)]", new="bits.eq(9)]", within=60),
                Fault(
                    file=UART,
                    old="shift.eq(Cat(shift[1:], Const(1, 1))),",
                    new="shift.eq(Cat(shift[1:], Const(0, 1))),",
                    within=0,
                ),
            ),
        )
        for period in (4, 7)
    ),
    Proof(
        name="receiver, 4 cycles a bit",
        says="a byte that comes was on the line between start bit and stop bit, and in no "
        "other; a whole one after silence comes",
        files=UART,
        method=Window(Receives(4).window + 1),
        domain="everything that can be on a line, behind its two registers",
        assumes="bits begin with a cycle of the clock; each byte is taken at once",
        make=lambda: Receives(4),
        faults=(
            Fault(file=UART, old="timer.eq(self.divisor // 2 - 1)", new="timer.eq(0)"),
            Fault(file=UART, old="with m.If(bits[3]):", new="with m.If(bits == 7):"),
            # It hears nothing, so that none is made up: a whole one is then missed.
            Fault(file=UART, old='m.next = "START"', new='m.next = "IDLE"'),
        ),
    ),
)
