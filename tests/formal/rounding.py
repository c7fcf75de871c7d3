"""Rounding shift, saturation and the requantizer that only shifts."""

from amaranth.hdl import Mux

from weft.hw import requantize, rounding_shift, to_code

from .claim import Claim, clamp, fits, half_away
from .proof import Fault, Proof, Window


class RoundsToNearest(Claim):
    """`RoundingShift` against the divisions that its docstring states."""

    def __init__(self, width: int, kept: int, fraction: int):
        super().__init__()
        self.sizes = {"width": width, "kept": kept, "fraction": fraction}

    def state(self) -> None:
        dut = self.drive(rounding_shift.RoundingShift(**self.sizes))
        cycles = rounding_shift.RoundingShift.latency
        value, shift, up = (
            self.late(getattr(dut, name), cycles, name=name) for name in ("value", "shift", "up")
        )
        fraction = self.sizes["fraction"]
        most = 43 if fraction else 31
        self.assume(shift <= most)
        self.assume(up | (shift >= fraction))
        once = ((value >> shift) + 1) >> 1
        twice = half_away(((value >> fraction) + 1) >> 1, (shift - fraction)[:6], most)
        result = self.show("expected", Mux(up, once, twice))
        # Far beyond: even one code less would not fit.
        far = ~fits(value >> shift >> 1, self.sizes["kept"])
        self.check(
            Mux(dut.beyond, far & (dut.sign == (value < 0)), dut.result + dut.carry == result)
        )


class Saturates(Claim):
    """`ToCode` against ``clamp(value + zero point, low, high)``."""

    def state(self) -> None:
        dut = self.drive(to_code.ToCode(), constant=("zero_point", "low", "high"))
        names = ("value", "carry", "beyond", "sign")
        value, carry, beyond, sign = (
            self.late(getattr(dut, name), to_code.ToCode.latency, name=name) for name in names
        )
        self.assume(dut.low <= dut.high)
        near = clamp(value + carry + dut.zero_point, dut.low, dut.high)
        expected = self.show("expected", Mux(beyond, Mux(sign, dut.low, dut.high), near))
        self.check(dut.code == expected)


class Requantizes(Claim):
    """`Requantize` against ``clamp(round(acc / 2**shift) + zero point, low, high)``."""

    def __init__(self, width: int):
        super().__init__()
        self.width = width

    def state(self) -> None:
        part = requantize.Requantize(width=self.width)
        dut = self.drive(part, constant=("zero_point", "low", "high"))
        value, bias, shift = (
            self.late(getattr(dut, name), part.latency, name=name)
            for name in ("value", "bias", "shift")
        )
        total = value + bias
        self.assume(fits(total, self.width))
        self.assume(dut.low <= dut.high)
        rounded = half_away(total, shift, 31)
        expected = self.show("expected", clamp(rounded + dut.zero_point, dut.low, dut.high))
        self.check(dut.code == expected)


ROUNDING = "hw/rounding_shift.py"
TO_CODE = "hw/to_code.py"

_SHIFT_FAULTS = (
    Fault(file=ROUNDING, old="away: Value = sign & ~self.up", new="away: Value = sign & self.up"),
    Fault(
        file=ROUNDING,
        old="self.carry.eq(Mux(away, value[0] & stuck, value[0] | ~stuck))",
        new="self.carry.eq(value[0] | ~stuck)",
    ),
    Fault(
        file=ROUNDING,
        old="above = value[min(by + room - 1, len(value) - 1) : -1]",
        new="above = value[min(by + room, len(value) - 1) : -1]",
    ),
    Fault(file=ROUNDING, old='data_delay(m, shift, 1, name=f"shift_{low}")', new="shift"),
)


def _shift(width: int, kept: int, fraction: int, where: str, *faults: Fault) -> Proof:
    shifts = "12 to 43, 0 to 43 with one rounding" if fraction else "0 to 31"
    return Proof(
        name=f"rounding shift, {where}",
        says="the nearest integer, ties as stated, once or twice rounded; or far beyond, with sign",
        files=ROUNDING,
        method=Window(3),
        domain=f"every value of {width} bits, shifts {shifts}, both ways of rounding",
        make=lambda: RoundsToNearest(width, kept, fraction),
        faults=faults,
    )


def _requantize(width: int, *faults: Fault) -> Proof:
    return Proof(
        name=f"requantize by a shift, {width} bits",
        says="code = clamp(round(acc / 2^shift) + zero point, low, high), ties away from zero",
        files="hw/requantize.py",
        method=Window(6),
        domain=f"every accumulator of {width} bits, shift, zero point and low <= high",
        assumes="value + bias fits the width (the compiler's bound)",
        make=lambda: Requantizes(width),
        engine="smtbmc bitwuzla",
        faults=faults,
    )


PROOFS = (
    _shift(33, 10, 0, "33 to 10 bits", *_SHIFT_FAULTS),
    _shift(30, 29, 0, "30 to 29 bits (elementwise)", _SHIFT_FAULTS[1]),
    _shift(
        45,
        10,
        12,
        "45 to 10 bits (multiplier)",
        _SHIFT_FAULTS[0],
        _SHIFT_FAULTS[2],
        Fault(
            file=ROUNDING,
            old="stuck: Value = (self.value[self.fraction] & ~self.up) ^ ~away",
            new="stuck: Value = ~away",
        ),
        Fault(
            file=ROUNDING,
            old="if self.fraction and low == 2 else Const(1)",
            new="if 0 else Const(1)",
        ),
    ),
    Proof(
        name="saturation and zero point",
        says="code = clamp(value + zero point, low, high); the limit, where the value is beyond",
        files=TO_CODE,
        method=Window(3),
        domain="every value of 10 bits with its carry, zero point and low <= high",
        make=Saturates,
        engine="smtbmc bitwuzla",
        faults=(
            Fault(
                file=TO_CODE,
                old="self.zero_point - self.high - 1",
                new="self.zero_point - self.high - 2",
            ),
            Fault(file=TO_CODE, old="plus(to_low) < 0", new="plus(to_low) < -1"),
            Fault(
                file=TO_CODE, old="Mux(self.beyond, ~self.sign,", new="Mux(self.beyond, self.sign,"
            ),
        ),
    ),
    _requantize(
        32,
        Fault(file="hw/requantize.py", old="shift.eq(self.shift)", new="shift.eq(self.shift - 1)"),
        Fault(file=TO_CODE, old="VALUE_BITS = 10", new="VALUE_BITS = 8"),
    ),
    _requantize(27, Fault(file="hw/requantize.py", old="Cat(0, biased)", new="Cat(1, biased)")),
    _requantize(
        16,
        Fault(file="hw/requantize.py", old="self.value + self.bias", new="self.value - self.bias"),
    ),
)
