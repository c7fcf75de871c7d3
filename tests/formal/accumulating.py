"""The accumulator, in both its forms, against its docstring."""

from amaranth.hdl import Mux, Signal, signed

from weft.hw import accumulate
from weft.hw.isa import DIGIT_BITS

from .claim import Claim, fits
from .proof import Fault, Induction, Proof


class Accumulates(Claim):
    """From the first step on the total is what a program of the formula has."""

    anywhere = True

    def __init__(self, apart: bool):
        super().__init__()
        self.apart = apart

    def state(self) -> None:
        m, width = self.m, 32
        base = []

        class Watched(accumulate.Accumulator):
            def _apart(self, m, platform, register, term):
                base.append(register)
                return super()._apart(m, platform, register, term)

        dut = self.part(Watched(sum_width=20, width=width, apart=self.apart))
        names = {"sum": dut.sum, "peak": dut.peak, "action": dut.action, "soon": dut.soon}
        for name, port in names.items():
            free = self.constant if name == "peak" else self.free
            m.d.comb += port.eq(
                free(port.shape() if name != "action" else dut.action.shape().size, name)
                if name in ("sum", "peak")
                else self.free(port.shape().size, name)
            )
        action = dut.action
        # `soon` is the next cycle's action; in the first cycle there was none before.
        there, before = Signal(name="there"), Signal(3, name="soon_before")
        m.d.sync += [there.eq(1), before.eq(dut.soon.as_value())]
        self.assume(~there | (action.as_value() == before))
        self.assume(there | ~action.valid)
        self.assume(~dut.peak | fits(dut.sum, 8))

        begun, total = Signal(name="begun"), Signal(signed(width), name="model_total")
        start = Mux(action.first, 0, Mux(action.digit, total << DIGIT_BITS, total))
        with m.If(action.valid & (begun | action.first)):
            m.d.sync += begun.eq(1)
            with m.If(~dut.peak):
                m.d.sync += total.eq(start + dut.sum)
            with m.Elif(action.first | (dut.sum > total)):
                m.d.sync += total.eq(dut.sum)
        self.show("expected", total)
        self.show("total", dut.total)
        self.implies(begun, dut.total == total)
        # What an induction needs to know.
        self.implies(begun & dut.peak, fits(total, 8))
        if self.apart:
            cleared = action.valid & action.first & there
            self.implies(dut.peak & there, base[0] == 0)
            self.implies(begun & ~dut.peak, base[0] == Mux(cleared, 0, total)[:width].as_signed())
            self.implies(cleared, base[0] == 0)


FILE = "hw/accumulate.py"

PROOFS = tuple(
    Proof(
        name=f"accumulator, {'two registers' if apart else 'one register'}",
        says="total = (0 if first, total << 7 if digit, else total) + sum; or the largest sum",
        files=FILE,
        method=Induction(3),
        domain="all sums of 20 bits in a total of 32, all orders of steps from a first one on",
        assumes="soon is the next cycle's action; peak does not change; sums of a peak fit int8",
        make=lambda apart=apart: Accumulates(apart),
        faults=faults,
    )
    for apart, faults in (
        (
            True,
            (
                Fault(
                    file=FILE,
                    old="self.peak | (self.soon.valid & self.soon.first)",
                    new="self.peak | self.soon.first",
                    within=10,
                ),
                Fault(file=FILE, old="self.action.first | larger", new="larger", within=10),
            ),
        ),
        (
            False,
            (
                Fault(
                    file=FILE,
                    old="Mux(self.action.digit, total << DIGIT_BITS, total)",
                    new="total << DIGIT_BITS",
                    within=10,
                ),
            ),
        ),
    )
)
