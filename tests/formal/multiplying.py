"""Products by parts, and what is made of them: the multiplier requantizer, elementwise units.

No solver multiplies 32 by 33 bits in reasonable time. So a product is cut out: what the
multipliers return is free, the claims say what the gateware makes of it and of what it asks, and
lemmas over the integers say what holds of every product.
"""

from itertools import product as corners
from typing import Any, ClassVar

import z3
from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from weft.hw import elementwise, multiply, requantize_multiplier
from weft.hw.isa import Elementwise as Operation
from weft.hw.primitives import product

from .claim import Claim, clamp, fits, half_away, replaced
from .proof import Computed, Fault, Proof, Window

MULTIPLY = "hw/multiply.py"
REQUANTIZE = "hw/requantize_multiplier.py"
ELEMENTWISE = "hw/elementwise.py"

PIECE = 16
BITS = 31


class Cut(wiring.Component):
    """Stands for a multiplier: asks and is answered."""

    latency = 0
    made: ClassVar[list["Cut"]] = []

    def __init__(self, *, a_width: int, b_width: int):
        self._MustUse__used = True
        super().__init__(
            {
                "a": In(signed(a_width)),
                "b": In(signed(b_width)),
                "product": Out(signed(a_width + b_width)),
            }
        )
        self.made.append(self)

    def elaborate(self, platform: Any) -> Module:
        return Module()


def cut(latency: int) -> Any:
    """A class of stand-ins, which keeps those that were made."""
    return type("Cut", (Cut,), {"latency": latency, "made": []})


class ByParts(Claim):
    """`Multiply` with free products: what they are of, and how they are put together."""

    def __init__(self, a_width: int, b_width: int):
        super().__init__()
        self.widths = {"a_width": a_width, "b_width": b_width}

    def state(self) -> None:
        parts = cut(product.Product.latency)
        with replaced(multiply, Product=parts):
            dut = self.drive(multiply.Multiply(**self.widths))
        cycles = dut.latency
        a, b = (self.late(getattr(dut, name), cycles, name=name) for name in "ab")
        made = dict(zip(("low", "high", "both"), parts.made, strict=False))
        found, asked = {}, {}
        for name, part in made.items():
            self.m.d.comb += part.product.eq(self.free(part.product.shape(), f"{name}_product"))
            # Asked a cycle after the operands, it answers `Product.latency` later.
            found[name] = self.late(part.product, cycles - 1 - parts.latency, name=f"p_{name}")
            asked[name] = tuple(
                self.late(getattr(part, side), cycles - 1, name=f"{name}_{side}") for side in "ab"
            )
        low, high = found["low"], found["high"]
        if "both" in made:
            (al, ah), (bl, bh) = ((value[:PIECE], value[PIECE:].as_signed()) for value in (a, b))
            wanted = {"low": (al, bl), "high": (ah, bh), "both": (al + ah, bl + bh)}
            cross = found["both"] - high - low
            # The lemma "products by parts" has these bounds.
            self.assume((low >= 0) & (low < 1 << 2 * PIECE))
            self.assume(fits(cross, max(self.widths.values()) + 1))
            expected = (high << 2 * PIECE) + (cross << PIECE) + low
        else:
            narrow, wide = sorted((a, b), key=len)
            wanted = {"low": (narrow, wide[:PIECE]), "high": (narrow, wide[PIECE:].as_signed())}
            expected = (high << PIECE) + low
        for name, pair in wanted.items():
            for got, want in zip(asked[name], pair, strict=True):
                self.check(got == want)
        whole = Signal.like(dut.product)
        self.m.d.comb += whole.eq(expected)
        self.show("expected", whole)
        self.check(dut.product == whole)


class OneProduct(Claim):
    """`Product`, registered before and behind."""

    def state(self) -> None:
        dut = self.drive(product.Product(a_width=18, b_width=18))
        a, b = (self.late(getattr(dut, name), dut.latency, name=name) for name in "ab")
        self.check(dut.product == self.show("expected", a * b))


def by_parts_lemma() -> str | None:
    """The identity of Karatsuba and Ofman, and the bounds that `ByParts` assumes."""
    al, ah, bl, bh = z3.Ints("al ah bl bh")
    piece = 1 << PIECE
    hh, ll, both = ah * bh, al * bl, (ah + al) * (bh + bl)
    whole = (ah * piece + al) * (bh * piece + bl)
    parts = hh * piece**2 + (both - hh - ll) * piece + ll
    narrow = ah * (bh * piece + bl) - (ah * bh * piece + ah * bl)
    for difference in (whole - parts, narrow):
        left = z3.simplify(difference, som=True)
        if not z3.eq(left, z3.IntVal(0)):
            return f"the identity leaves {left}"
    # Both are bilinear: over a box they are largest and smallest in its corners.
    for width_a, width_b in ((32, 33), (33, 33)):
        low = (0, piece - 1)
        high_a, high_b = (
            (-(1 << w - PIECE - 1), (1 << w - PIECE - 1) - 1) for w in (width_a, width_b)
        )
        reach = 1 << max(width_a, width_b)
        for xl, xh, yl, yh in corners(low, high_a, low, high_b):
            if not (0 <= xl * yl < 1 << 2 * PIECE and -reach <= xh * yl + xl * yh < reach):
                return f"out of bounds at {(xl, xh, yl, yh)}"
    return None


def bounds_lemma() -> str | None:
    """What `Scales` and `Combines` assume of a product: bounds that grow with the first factor."""
    x, m = z3.Ints("x m")
    top = 1 << BITS
    claims = {
        "between 0 and x * 2^b": z3.And(
            z3.Implies(x >= 0, z3.And(x * m >= 0, x * m <= x * top)),
            z3.Implies(x <= 0, z3.And(x * top <= x * m, x * m <= 0)),
        ),
        "x * 2^(b-3) at least": z3.Implies(
            m >= top // 8,
            z3.And(
                z3.Implies(x >= 0, x * m >= x * (top // 8)),
                z3.Implies(x <= 0, x * m <= x * (top // 8)),
            ),
        ),
        "0 with 0": z3.Implies(m == 0, x * m == 0),
    }
    for name, claim in claims.items():
        solver = z3.Solver()
        solver.set("timeout", 60_000)
        solver.add(m >= 0, m <= top, z3.Not(claim))
        if (answer := solver.check()) != z3.unsat:
            return f"{name}: {answer} {solver.model() if answer == z3.sat else ''}"
    return None


class Scales(Claim):
    """`RequantizeMultiplier` against docs/arithmetic.md, the product being free."""

    def __init__(self, which: str):
        super().__init__()
        self.which = which

    def state(self) -> None:
        width, bits = 32, BITS
        products = cut(multiply.Multiply.latency)
        part = requantize_multiplier.RequantizeMultiplier(width=width, multiplier_bits=bits)
        with replaced(requantize_multiplier, Multiply=products):
            dut = self.drive(part, constant=("single", "zero_point", "low", "high"))
        (inner,) = products.made
        self.m.d.comb += inner.product.eq(self.free(inner.product.shape(), "answer"))
        value, bias, shift, multiplier = (
            self.late(getattr(dut, name), dut.latency, name=name)
            for name in ("value", "bias", "shift", "multiplier")
        )
        total = self.show("total", value + bias)
        # Asked in the next cycle.
        asked = [
            self.late(getattr(inner, side), dut.latency - 1, name=f"asked_{side}") for side in "ab"
        ]
        self.check((asked[0] == total) & (asked[1] == multiplier))
        p = self.late(inner.product, dut.latency - 1 - products.latency, name="product")

        self.assume(fits(total, width) & (dut.low <= dut.high) & (shift >= -31) & (shift <= 30))
        self.assume(multiplier <= 1 << bits)
        least = 1 << bits - 3
        self.assume((shift <= 0) | (multiplier >= least) | (multiplier == 0))
        # The lemma "bounds of products".
        most, some = total << bits, total << bits - 3
        self.assume(Mux(total >= 0, (p >= 0) & (p <= most), (p <= 0) & (p >= most)))
        self.assume((multiplier < least) | Mux(total >= 0, p >= some, p <= some))
        self.assume((multiplier != 0) | (p == 0))
        conditions = {
            "double": ~dut.single & (shift <= 0),
            "single": dut.single & (shift <= 0),
            "left": shift > 0,
        }
        self.assume(conditions[self.which])

        if self.which == "left":
            left = self.show("left", shift[:5])
            shifted = total << left
            p = p << left
            over, under = shifted > (1 << 31) - 1, shifted < -(1 << 31)
            largest, smallest = (multiplier << 31) - multiplier, -(multiplier << 31)
            saturated = Mux(over, largest, Mux(under, smallest, p))
            exact = (p + (1 << bits - 1)) >> bits
            twice = (saturated + (1 << bits - 1)) >> bits
            scaled = Mux(dut.single, exact, twice)
        else:
            right = (-shift)[:5]
            if self.which == "double":
                scaled = half_away((p + (1 << bits - 1)) >> bits, right, 31)
            else:
                # (acc * m + 2^(30 - s)) >> (31 - s)
                scaled = (((p >> bits - 1) >> right) + 1) >> 1
        expected = clamp(scaled + dut.zero_point, dut.low, dut.high)
        self.check(dut.code == self.show("expected", expected))


class Combines(Claim):
    """`Elementwise` against hw/isa.py and TFLite's scaling, the product being free."""

    def __init__(self, which: str):
        super().__init__()
        self.which = which

    def state(self) -> None:
        bits = BITS
        products = cut(multiply.Multiply.latency)
        names = ("operation", "zero_0", "zero_1", "factor", "factor_shift", "single")
        unit = elementwise.Elementwise(width=32, multiplier_bits=bits)
        with replaced(elementwise, Multiply=products):
            dut = self.drive(unit, constant=names)
        (inner,) = products.made
        self.m.d.comb += inner.product.eq(self.free(inner.product.shape(), "answer"))
        value, other, choose = (
            self.late(getattr(dut, name), dut.latency, name=name)
            for name in ("value", "other", "choose_other")
        )
        x0, x1 = self.free(8, "code_0").as_signed(), self.free(8, "code_1").as_signed()
        self.assume(Mux(choose, other, value) == x1 - (x0 << 8))
        # Zero points of int8.
        self.assume(fits(dut.zero_0, 8) & fits(dut.zero_1, 8))
        d0, d1 = self.show("d0", x0 - dut.zero_0), self.show("d1", x1 - dut.zero_1)
        p = self.late(inner.product, dut.latency - 1 - products.latency, name="product")
        asked = [
            self.late(getattr(inner, side), dut.latency - 1, name=f"asked_{side}") for side in "ab"
        ]
        self.check(asked[0] == d1)
        if self.which == "multiply":
            self.assume(dut.operation == Operation.MULTIPLY)
            place = len(inner.b) - 10
            self.check(asked[1] == d0 << place)
            exact = self.show("exact", d0 * d1)
            self.assume(p == exact << place)
            self.check(dut.result == exact)
            return
        self.assume((dut.operation == Operation.ADD) | (dut.operation == Operation.SUBTRACT))
        self.check(asked[1] == dut.factor)
        most = d1 << bits
        self.assume(Mux(d1 >= 0, (p >= 0) & (p <= most), (p <= 0) & (p >= most)))
        # TFLite's (x - zero point) << 20, scaled by factor / 2^31 / 2^shift.
        up = p << 20
        if self.which == "single":
            self.assume(dut.single)
            scaled = (((up >> bits - 1) >> dut.factor_shift) + 1) >> 1
        else:
            self.assume(~dut.single)
            scaled = half_away((up + (1 << bits - 1)) >> bits, dut.factor_shift, 31)
        second = Mux(dut.operation == Operation.SUBTRACT, -scaled, scaled)
        # The first operand's factor is 1/2, exactly.
        self.check(dut.result == self.show("expected", (d0 << 19) + second))


def _by_parts(a_width: int, b_width: int, *faults: Fault) -> Proof:
    return Proof(
        name=f"multiply {a_width} x {b_width} bits by parts",
        says="asks for the right products, and puts them together as the identity has it",
        files=MULTIPLY,
        method=Window(multiply.Multiply.latency),
        domain="all operands, and all products within the lemma's bounds",
        assumes="products by parts",
        make=lambda: ByParts(a_width, b_width),
        faults=faults,
        engine="smtbmc bitwuzla",
    )


def _requantize(which: str, domain: str, *faults: Fault) -> Proof:
    return Proof(
        name=f"multiplier requantizer, {which}",
        says="code = clamp(S(acc) + zero point, low, high) with S of docs/arithmetic.md",
        files=REQUANTIZE,
        method=Window(13),
        domain=f"every 32-bit accumulator, multiplier to 2^31, {domain}, zero point, clamp",
        assumes="bounds of products; multiply gives the product; value + bias fits 32 bits; "
        "a left shift comes with a multiplier of 2^28 at least, or 0 (the verifier's rule)",
        make=lambda: Scales(which),
        faults=faults,
        engine="smtbmc bitwuzla",
    )


def _elementwise(which: str, says: str, *faults: Fault) -> Proof:
    return Proof(
        name=f"elementwise, {which}",
        says=says,
        files=ELEMENTWISE,
        # Its constants two cycles before.
        method=Window(14),
        domain="every pair of codes and zero points, every factor below 2^31, shifts 0 to 31",
        assumes="bounds of products; multiply gives the product",
        make=lambda: Combines(which),
        faults=faults,
        engine="smtbmc bitwuzla",
    )


PROOFS = (
    Proof(
        name="products by parts",
        says="a * b = hh * 2^32 + (both - hh - ll) * 2^16 + ll, and how large its terms are",
        files=MULTIPLY,
        method=Computed("polynomial identity (z3), bounds at the corners of the box"),
        domain="all integers; bounds for operands of up to 33 bits",
        make=by_parts_lemma,
        faults=(
            Fault(
                file="tests/formal/multiplying.py",
                old="(both - hh - ll) * piece + ll\n",
                new="(both - hh + ll) * piece + ll\n",
            ),
        ),
    ),
    Proof(
        name="bounds of products",
        says="x * m lies between 0 and x * 2^31; with m >= 2^28 beyond x * 2^28; 0 with m = 0",
        files=REQUANTIZE,
        method=Computed("nonlinear integers (z3)"),
        domain="all integers x, m from 0 to 2^31",
        make=bounds_lemma,
        faults=(
            Fault(
                file="tests/formal/multiplying.py", old="m >= top // 8,\n", new="m >= top // 16,\n"
            ),
        ),
    ),
    Proof(
        name="one product",
        says="product = a * b, two cycles later",
        files="hw/primitives/product.py",
        method=Window(2),
        domain="all operands of 18 x 18 bits, the portable form",
        make=OneProduct,
        faults=(
            Fault(
                file="hw/primitives/product.py", old="product.eq(a * b)]", new="product.eq(a * a)]"
            ),
        ),
    ),
    _by_parts(
        32,
        33,
        Fault(
            file=MULTIPLY, old="cross.eq(middle - corners)", new="cross.eq(middle - corners - 1)"
        ),
        Fault(
            file=MULTIPLY,
            old="cross = Signal(signed(len(b) + 2)",
            new="cross = Signal(signed(len(b) - 1)",
        ),
        Fault(file=MULTIPLY, old='name="outer")', new='name="outer") + 1'),
    ),
    _by_parts(
        9,
        32,
        Fault(file=MULTIPLY, old="(lower >> PIECE) + upper)", new="(lower[PIECE:]) + upper)"),
    ),
    _requantize(
        "double",
        "shifts 0 to -31, rounding `double`",
        Fault(file=REQUANTIZE, old="most - given)),", new="most - given - 1)),"),
        Fault(
            file=REQUANTIZE, old="halves = product >> below", new="halves = product >> below + 1"
        ),
    ),
    _requantize(
        "single",
        "shifts 0 to -31, rounding `single`",
        Fault(file=REQUANTIZE, old="up.eq(self.single | (given > 0))", new="up.eq(given > 0)"),
    ),
    _requantize(
        "left",
        "shifts 1 to 30, both roundings",
        Fault(file=REQUANTIZE, old="up.eq(self.single | (given > 0))", new="up.eq(self.single)"),
        Fault(
            file=REQUANTIZE,
            old="Mux(given > most, 0, most - given)",
            new="Mux(given > most, 3, most - given)",
        ),
    ),
    _elementwise(
        "multiply",
        "result = (x0 - zero 0) * (x1 - zero 1)",
        Fault(file=ELEMENTWISE, old="less_0.eq(-self.zero_0)", new="less_0.eq(~self.zero_0)"),
    ),
    _elementwise(
        "double",
        "sum or difference of ((x0 - zero 0) << 20) / 2 and the scaled (x1 - zero 1) << 20",
        Fault(
            file=ELEMENTWISE,
            old="second = data_delay(m, Cat(shifted.carry,",
            new="second = data_delay(m, Cat(0,",
        ),
    ),
    _elementwise(
        "single",
        "the same with one rounding",
        Fault(file=ELEMENTWISE, old="shifted.up.eq(single)", new="shifted.up.eq(0)"),
    ),
)
