"""The link's CRC: the circuit is a polynomial division, and which damage the code always shows."""

import numpy as np
from amaranth.hdl import Cat, Const, Mux, Signal, Value

from weft.boards import crc
from weft.boards.protocol import CRC_BYTES, MAX_WORDS

from .claim import Claim
from .proof import Computed, Fault, Proof, Window

CRC = "boards/crc.py"

#: x^32 + x^26 + x^23 + x^22 + x^16 + x^12 + x^11 + x^10 + x^8 + x^7 + x^5 + x^4 + x^2 + x + 1,
#: as IEEE 802.3 writes it.
EXPONENTS = (32, 26, 23, 22, 16, 12, 11, 10, 8, 7, 5, 4, 2, 1, 0)
GENERATOR = sum(1 << exponent for exponent in EXPONENTS)

#: Bits of the longest block with its CRC: a reply's head behind the sync byte, and its words.
LONGEST = 8 * (5 + 4 * MAX_WORDS + CRC_BYTES)


def flipped(value: Value) -> Value:
    """The bits in the other order: CRC-32 takes and gives the lowest bit as the highest power."""
    return Cat(*reversed(list(value)))


def after_byte(claim: Claim, register: Value, byte: Value) -> Value:
    """The register behind a byte: ``(register * x^8 + byte * x^32) mod G``, by long division."""
    rest: Value = Cat(Const(0, 8), flipped(register)) ^ Cat(Const(0, 32), flipped(byte))
    for top in range(39, 31, -1):
        following = Signal(top, name=f"rest_{top}")
        claim.m.d.comb += following.eq(Mux(rest[top], rest ^ (GENERATOR << top - 32), rest))
        rest = following
    return flipped(rest)


class Divides(Claim):
    """A byte through `SerialCrc`, whatever was before it."""

    def state(self) -> None:
        dut = self.drive(crc.SerialCrc())
        # Nine cycles: the byte comes in the first, which is an idle one, and the rest is busy.
        idle = self.late(dut.idle, 9, name="idle")
        step, plain, clear, load, byte, held, value = (
            self.late(getattr(dut, name), 9, name=name)
            for name in ("step", "plain", "clear", "load", "byte", "held", "value")
        )
        self.assume(idle & step)
        start = Mux(clear, 0xFFFFFFFF, value)
        taken = Mux(load, byte, held)
        divided = self.show("divided", after_byte(self, start, taken))
        shifted = self.show("shifted", start >> 8)
        self.check(dut.idle & (dut.value == Mux(plain, shifted, divided)))


class Recognises(Claim):
    """`good` is high exactly where the register holds the residue."""

    def state(self) -> None:
        dut = self.drive(crc.SerialCrc())
        self.check(dut.good == (self.late(dut.value, 1, name="value") == crc.RESIDUE))


class Residue(Claim):
    """Four bytes behind a block: the residue exactly where they are its CRC."""

    def state(self) -> None:
        register = self.free(32, "register")
        appended = self.free(32, "appended")
        value: Value = register
        for at in range(CRC_BYTES):
            value = self.show(f"after_{at}", after_byte(self, value, appended.word_select(at, 8)))
        self.check((value == crc.RESIDUE) == (appended == ~register))


def distance() -> str | None:
    """No one, two or three flipped bits leave a block of up to `LONGEST` bits with a right CRC.

    Flips leave it right where the sum of ``x^position mod G`` is 0. All ones, all pairs, and of
    three all pairs against all others.
    """
    powers = np.empty(LONGEST, np.uint32)
    value = 1
    for position in range(LONGEST):
        powers[position] = value
        value <<= 1
        if value >> 32:
            value ^= GENERATOR
    if (powers == 0).any():
        return f"one flip at {int(np.flatnonzero(powers == 0)[0])}"
    order = np.sort(powers)
    if (order[1:] == order[:-1]).any():
        twice = order[1:][order[1:] == order[:-1]][0]
        return f"two flips at {np.flatnonzero(powers == twice).tolist()}"
    for first in range(LONGEST):
        sums = powers[first + 1 :] ^ powers[first]
        place = np.searchsorted(order, sums)
        hit = order[np.minimum(place, LONGEST - 1)] == sums
        if hit.any():
            second = first + 1 + int(np.flatnonzero(hit)[0])
            return f"three flips at {first}, {second} and a third"
    return None


def same_polynomial() -> str | None:
    """The gateware's constants are those of the generator above."""
    reflected = int(f"{GENERATOR & 0xFFFFFFFF:032b}"[::-1], 2)
    if reflected != crc.POLYNOMIAL:
        return f"POLYNOMIAL is {crc.POLYNOMIAL:#x}, the generator's {reflected:#x}"
    return None


PROOFS = (
    Proof(
        name="CRC circuit",
        says="eight cycles after a byte the register holds (register * x^8 + byte * x^32) mod G",
        files=CRC,
        method=Window(9),
        domain="every register, byte and way of loading; and `plain`, which shifts by a byte",
        make=Divides,
        faults=(
            Fault(file=CRC, old="POLYNOMIAL = 0xEDB88320", new="POLYNOMIAL = 0xEDB88321"),
            Fault(file=CRC, old="left.eq(7)", new="left.eq(6)"),
            Fault(file=CRC, old="self.value[0] ^ self.held[0]", new="self.value[0] ^ self.held[1]"),
        ),
    ),
    Proof(
        name="CRC recognised",
        says="good says that the register holds the residue",
        files=CRC,
        method=Window(1),
        domain="every register",
        make=Recognises,
        faults=(
            Fault(
                file=CRC,
                old="self.good.eq(self.value == RESIDUE)",
                new="self.good.eq(self.value[:31] == RESIDUE & 0x7FFFFFFF)",
            ),
        ),
    ),
    Proof(
        name="CRC residue",
        says="a block and four bytes leave the residue exactly where these are the block's CRC",
        files=CRC,
        method=Window(0),
        domain="every register and all 2^32 appended values",
        make=Residue,
        faults=(Fault(file=CRC, old="RESIDUE = 0xDEBB20E3", new="RESIDUE = 0xDEBB20E2"),),
    ),
    Proof(
        name="CRC polynomial",
        says="the gateware's constant is IEEE 802.3's generator, reflected",
        files=CRC,
        method=Computed("equality of constants"),
        domain="",
        make=same_polynomial,
        faults=(Fault(file=CRC, old="POLYNOMIAL = 0xEDB88320", new="POLYNOMIAL = 0xEDB88322"),),
    ),
    Proof(
        name="CRC distance",
        says="up to three flipped bits never leave a right CRC: its Hamming distance is 4 or more",
        files="boards/protocol.py",
        method=Computed("exhaustive: all pairs of positions, against all thirds"),
        domain=f"blocks of up to {LONGEST} bits, CRC included: those of the longest reply",
        make=distance,
        faults=(
            # 802.3's generator without its middle: x^32 + 1 repeats after 32 bits.
            Fault(
                file="tests/formal/checksum.py",
                old="\nEXPONENTS = (32, 26, 23,",
                new="\nEXPONENTS = (32, 0) or (26, 23,",
            ),
        ),
    ),
)
