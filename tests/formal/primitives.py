"""Cells of the array, and the forms that primitives have on an FPGA against their plain ones."""

from amaranth.hdl import Const, Mux, Value, signed

from weft.hw import array
from weft.hw.config import Config
from weft.hw.primitives import booth, choose, copies, ecp5_carry, sums

from .claim import Claim, Device
from .proof import Fault, Proof, Window

ECP5, ECP5_CELLS = "LFE5U-25F", "ecp5/cells_sim.v"


class Multiplies(Claim):
    """A multiplier of lookup tables, made by a function of the gateware."""

    def __init__(self, module, device: str = "", cells: str = ""):
        super().__init__()
        self.module, self.cells = module, cells
        self.platform = Device(device)

    def state(self) -> None:
        a, b = self.free(signed(8), "a"), self.free(signed(8), "b")
        product = self.show("product", self.module.multiply(self.m, a, b, name="dut").as_signed())
        a, b = self.late(a, 2, name="a"), self.late(b, 2, name="b")
        self.check(product == self.show("expected", a * b))


class AddsAProduct(Claim):
    """A row's cells, and that no sum outgrows its width, whatever row it is."""

    def __init__(self, row: int):
        super().__init__()
        self.row = row

    def state(self) -> None:
        row, columns = self.row, 2
        width, above = array.sum_bits(row + 1), array.sum_bits(max(row, 1))
        dut = self.drive(array.Row(columns=columns, width=width, above=above))
        # What the rows above can make can enter.
        self.check(row << 14 < 1 << above - 1)
        for column in range(columns):
            a, w = (
                self.late(side.word_select(column, 8).as_signed(), dut.latency, name=name)
                for side, name in (
                    (dut.activations, f"activation_{column}"),
                    (dut.weights, f"weight_{column}"),
                )
            )
            before = self.late(
                dut.sums_in.word_select(column, above).as_signed(), 1, name=f"above_{column}"
            )
            # As many products as there are rows above, each 2^14 at most.
            self.assume((before <= row << 14) & (before >= -(row << 14)))
            total = dut.sums_out.word_select(column, width).as_signed()
            self.check(total == before + a * w)
            self.check((total <= row + 1 << 14) & (total >= -(row + 1 << 14)))


class SumsProducts(Claim):
    """A whole array: every column's sum, of rows that work one after the other."""

    def state(self) -> None:
        config = Config(rows=4, columns=2, lanes=1, activation_depth=16, weight_depth=16)
        dut = self.drive(array.Array(config))
        whole = config.groups - 1 + dut.latency
        for column in range(config.columns):
            total: Value = Const(0)
            group = column // config.lanes
            for row in range(config.rows):
                at = 8 * (row * config.columns + column)
                # A row's weights come as many cycles after the word as the row and group say.
                late = whole - row - group
                weight = self.late(
                    dut.weights[at : at + 8].as_signed(), late, name=f"w_{row}_{column}"
                )
                code = self.late(
                    dut.word.word_select(row, 8).as_signed(), whole, name=f"x_{row}_{column}"
                )
                total = total + code * weight
            seen = dut.sums.word_select(column, dut.width).as_signed()
            # Groups to the left are there earlier.
            seen = self.late(seen, config.groups - 1 - group, name=f"sum_{column}")
            self.check(seen == self.show(f"expected_{column}", total))


class ChosenSum(Claim):
    """`chosen_sum` on an ECP5 against its docstring."""

    platform, cells = Device(ECP5), ECP5_CELLS

    def state(self) -> None:
        width = 33
        a, choice = self.free(width, "a"), self.free(1, "choice")
        b, c = self.free(signed(20), "b"), self.free(signed(width), "c")
        for carry in (0, 1):
            total = sums.chosen_sum(
                self.m, self.platform, a, choice=choice, b=b, c=c, carry=carry, name=f"dut_{carry}"
            )
            self.check(self.show(f"sum_{carry}", total) == (a + Mux(choice, b, c) + carry)[:width])


class SignedSum(Claim):
    """`signed_sum` on an ECP5 against its docstring."""

    platform, cells = Device(ECP5), ECP5_CELLS

    def state(self) -> None:
        width = 33
        a, b = self.free(width, "a"), self.free(signed(30), "b")
        use, invert = self.free(1, "use"), self.free(1, "invert")
        total = sums.signed_sum(self.m, self.platform, a, b, use=use, invert=invert, name="dut")
        expected = (a + Mux(use, Mux(invert, ~b, b), 0))[:width]
        self.check(self.show("sum", total) == expected)


class Chooses(Claim):
    """`choose` among up to eight bits, on an ECP5 and elsewhere."""

    def __init__(self, device: str):
        super().__init__()
        self.platform = Device(device)
        self.cells = ECP5_CELLS if device else ""

    def state(self) -> None:
        for count in range(1, 9):
            index = self.free(3 if count > 4 else 2, f"index_{count}")
            bits = self.free(count, f"choices_{count}")
            chosen = choose.choose(self.m, self.platform, index, list(bits), name=f"dut_{count}")
            self.implies(index < count, chosen == (bits >> index)[0])


class Copies(Claim):
    """`copy` on an ECP5: a register."""

    platform, cells = Device(ECP5), ECP5_CELLS

    def state(self) -> None:
        value = self.free(4, "value")
        copied = copies.copy(self.m, value, device=ECP5, name="dut")
        self.check(self.show("copy", copied) == self.late(value, 1, name="value"))


def _table(name: str, file: str, make, *faults: Fault) -> Proof:
    return Proof(
        name=f"multiplier of lookup tables, {name}",
        says="product = a * b, two cycles later",
        files=file,
        method=Window(2),
        domain="all 65,536 pairs of int8",
        make=make,
        faults=faults,
        engine="smtbmc bitwuzla",
    )


CARRY, BOOTH, ARRAY = "hw/primitives/ecp5_carry.py", "hw/primitives/booth.py", "hw/array.py"

PROOFS = (
    _table(
        "Booth",
        BOOTH,
        lambda: Multiplies(booth),
        Fault(file=BOOTH, old="two = (high ^ low) & ~one", new="two = (high & low) & ~one"),
        Fault(
            file=BOOTH,
            old="Cat(0, 0, missing[1], 0, 0, 0, missing[3])",
            new="Cat(0, 0, missing[1])",
        ),
    ),
    _table(
        "ECP5",
        CARRY,
        lambda: Multiplies(ecp5_carry, ECP5, ECP5_CELLS),
        Fault(file=CARRY, old="LESS_PRODUCT = 0x8777", new="LESS_PRODUCT = 0x8778"),
        Fault(file=CARRY, old="carry=int(last)", new="carry=0"),
    ),
    *(
        Proof(
            name=f"MAC cell, row {row}",
            says="sum out = sum in + activation * weight, and it fits its width in every row",
            files=ARRAY,
            method=Window(3),
            domain=f"all operands, all sums that {row} rows above can make",
            make=lambda row=row: AddsAProduct(row),
            faults=(
                (
                    Fault(
                        file=ARRAY, old="total.eq(above + product)", new="total.eq(above - product)"
                    ),
                )
                if row == 0
                else (
                    Fault(
                        file=ARRAY,
                        old="return 15 + rows.bit_length()",
                        new="return 13 + rows.bit_length()",
                    ),
                )
            ),
            engine="smtbmc bitwuzla",
        )
        for row in (0, 1, 7, 15)
    ),
    Proof(
        name="array of 4 x 2 cells",
        says="sums of all columns, of words and weights that come as the docstring says",
        files=ARRAY,
        method=Window(7),
        domain="all words and weights, two groups of one column",
        make=SumsProducts,
        faults=(
            Fault(
                file=ARRAY,
                old='activation = data_delay(m, lane, row, name=f"row_{row}")',
                new='activation = data_delay(m, lane, max(row - 1, 0), name=f"row_{row}")',
            ),
        ),
        engine="smtbmc bitwuzla",
    ),
    Proof(
        name="chosen sum, ECP5",
        says="a + (b if choice else c) + carry in carry cells",
        files=CARRY,
        method=Window(0),
        domain="all values of 33 bits",
        assumes="Yosys's model of CCU2C",
        make=ChosenSum,
        faults=(
            Fault(file=CARRY, old="CHOSEN = 0x665A", new="CHOSEN = 0x66A5"),
            Fault(file=CARRY, old="following = carries", new="following = Const(0)"),
        ),
    ),
    Proof(
        name="signed sum, ECP5",
        says="a + ((~b if invert else b) if use else 0) in carry cells",
        files=CARRY,
        method=Window(0),
        domain="all values of 33 bits",
        assumes="Yosys's model of CCU2C",
        make=SignedSum,
        faults=(Fault(file=CARRY, old="SIGNED = 0x96AA", new="SIGNED = 0x69AA"),),
    ),
    *(
        Proof(
            name=f"choose, {device or 'plain'}",
            says="the bit at the index",
            files="hw/primitives/choose.py",
            method=Window(0),
            domain="up to eight bits, every index of one of them",
            assumes="Yosys's models of LUT4 and PFUMX" if device else "",
            make=lambda device=device: Chooses(device),
            faults=(
                Fault(
                    file="hw/primitives/choose.py",
                    old="i_ALUT=halves[1], i_BLUT=halves[0]",
                    new="i_ALUT=halves[0], i_BLUT=halves[1]",
                )
                if device
                else Fault(
                    file="hw/primitives/choose.py",
                    old="Mux(index[-1], upper, lower)",
                    new="Mux(index[-1], lower, upper)",
                ),
            ),
        )
        for device in ("", ECP5)
    ),
    Proof(
        name="copied registers, ECP5",
        says="the value of the cycle before",
        files="hw/primitives/copies.py",
        method=Window(1),
        domain="all values",
        assumes="Yosys's model of TRELLIS_FF",
        make=Copies,
        faults=(Fault(file="hw/primitives/copies.py", old="i_DI=value[bit]", new="i_DI=value[0]"),),
    ),
)
