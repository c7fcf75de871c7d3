"""The models of ECP5 cells, each against what its documentation says, in Python."""

import random

import cell_bench
import pytest
from cell_bench import Cell

from weft.sim.netlist.cells import yosys_models

#: Each compiles simulations of its own.
pytestmark = pytest.mark.slow

COUNT = 400
#: Values at the edges of 18 bits.
CORNERS = (0, 1, 0x1FFFF, 0x20000, 0x20001, 0x3FFFF)


def clocked(values):
    """Each value for a low and a high half of a cycle."""
    return [value for value in values for _ in range(2)]


def clock(count):
    return [0, 1] * count


def signed(value, bits, is_signed=True):
    return value - (1 << bits) if is_signed and value >> bits - 1 else value


def multiplied(operands, *, registers, sign_a, sign_b):
    """FPGA-TN-02205: a product of 18 bits, each register a cycle late while CE0 is high.

    `registers` says where there are some: at A, at B, behind the product, at the output. Seen
    before each edge and after it.
    """
    state = [0, 0, 0, 0]
    seen = []
    for a, b, enable in operands:
        for edge in (False, True):
            at_a, at_b, behind, at_output = registers
            used = (state[0] if at_a else a, state[1] if at_b else b)
            product = signed(used[0], 18, sign_a) * signed(used[1], 18, sign_b) & (1 << 36) - 1
            result = state[2] if behind else product
            if edge and enable:
                state = [a, b, product, result]
                used = (state[0] if at_a else a, state[1] if at_b else b)
                product = signed(used[0], 18, sign_a) * signed(used[1], 18, sign_b)
                product &= (1 << 36) - 1
                result = state[2] if behind else product
            seen.append(state[3] if at_output else result)
    return seen


def test_multiplier():
    number = random.Random(1)
    print("seed 1")
    pairs = [(a, b) for a in CORNERS for b in CORNERS]
    pairs += [(number.getrandbits(18), number.getrandbits(18)) for _ in range(COUNT)]
    operands = [(a, b, number.random() < 0.8) for a, b in pairs]
    cells, expected = [], []
    names = ("INPUTA", "INPUTB", "PIPELINE", "OUTPUT")
    for choice in range(16):
        registers = [bool(choice >> place & 1) for place in range(4)]
        for signs in range(4) if choice in (0, 11) else (3,):
            sign_a, sign_b = signs & 1, signs >> 1
            parameters = {
                f"REG_{name}_CLK": '"CLK0"' if there else '"NONE"'
                for name, there in zip(names, registers, strict=True)
            }
            inputs = {
                "A[17]": clocked([a for a, _, _ in operands]),
                "B[17]": clocked([b for _, b, _ in operands]),
                "CE0": clocked([int(enable) for *_, enable in operands]),
                "SIGNEDA": [sign_a] * 2 * len(operands),
                "SIGNEDB": [sign_b] * 2 * len(operands),
                "CLK0": clock(len(operands)),
            }
            cells.append(Cell("MULT18X18D", parameters, inputs, ["P[35]"]))
            expected.append(multiplied(operands, registers=registers, sign_a=sign_a, sign_b=sign_b))
    for cell, wanted in zip(cell_bench.run("ecp5", cells), expected, strict=True):
        assert cell.seen["P[35]"] == wanted, cell.parameters


@pytest.mark.parametrize(
    ("kind", "parameters", "message"),
    [
        ("MULT18X18D", {}, ""),
        ("MULT18X18D", {"REG_OUTPUT_CLK": '"CLK1"'}, "REG_OUTPUT_CLK CLK1"),
        ("MULT18X18D", {"REG_INPUTA_CE": '"CE3"'}, "REG_INPUTA_CE CE3"),
        ("MULT18X18D", {"MULT_BYPASS": '"ENABLED"'}, "MULT_BYPASS ENABLED"),
        ("DP16KD", {}, ""),
        ("DP16KD", {"WRITEMODE_A": '"WRITETHROUGH"'}, "WRITEMODE_A WRITETHROUGH"),
        ("DP16KD", {"CSDECODE_B": '"0b111"'}, "CSDECODE_B 0b111"),
        ("DP16KD", {"DATA_WIDTH_A": "36"}, "a block of 36 bits has them at both ports"),
        ("EHXPLLL", {"CLKOP_ENABLE": '"DISABLED"'}, "CLKOP_ENABLE DISABLED"),
        ("EHXPLLL", {"FEEDBK_PATH": '"INT_OP"'}, "FEEDBK_PATH INT_OP"),
        ("TRELLIS_IO", {"DIR": '"BIDIR"'}, "DIR BIDIR"),
        ("TRELLIS_FF", {"CEMUX": '"CE"'}, ""),
        ("TRELLIS_FF", {"LSRMODE": '"PRLD"'}, "LSRMODE PRLD"),
        ("TRELLIS_COMB", {"MODE": '"ODD"'}, "MODE ODD"),
    ],
)
def test_a_parameter_that_is_not_modelled(kind, parameters, message):
    said = cell_bench.refused("ecp5", kind, parameters)
    assert bool(said) == bool(message)
    assert message in said


#: DP16KD: bits of a row that a width leaves to the address, and how many rows there are.
WIDTHS = (1, 2, 4, 9, 18, 36)


class BlockRam:
    """FPGA-TN-02204: 1,024 rows of 18 bits; an address counts bits of 16 in a row.

    A narrow row lies in the byte that bit 3 of the address chooses, whose ninth bit only rows of 9
    bits have. Of wide rows the lowest address bits enable bytes for writing. A write leaves the
    port's output as it is.
    """

    def __init__(self, width, rows, *, output):
        self.width, self.rows, self.output = width, list(rows), output
        self.latch = [0, 0]
        self.register = [0, 0]

    def place(self, address):
        if self.width >= 18:
            return 0
        byte, bit = address >> 3 & 1, address & 7 & -self.width
        return 9 * byte + (bit if self.width < 9 else 0)

    def write(self, address, data):
        if self.width == 36:
            for half in range(2):
                row = address >> 5 << 1 | half
                self.bytes(row, data >> 18 * half, address >> 2 * half & 3)
        elif self.width == 18:
            self.bytes(address >> 4, data, address & 3)
        else:
            at, mask = self.place(address), (1 << self.width) - 1
            row = self.rows[address >> 4] & ~(mask << at)
            self.rows[address >> 4] = row | (data & mask) << at

    def bytes(self, row, data, enables):
        for byte in range(2):
            if enables >> byte & 1:
                mask = 511 << 9 * byte
                self.rows[row] = self.rows[row] & ~mask | data & mask

    def read(self, address):
        if self.width == 36:
            row = address >> 5 << 1
            return self.rows[row] | self.rows[row + 1] << 18
        mask = (1 << self.width) - 1
        return self.rows[address >> 4] >> self.place(address) & mask


def block_expected(ram, steps):
    """Outputs of both ports after each edge; the ports' clock is one."""
    seen = []
    for step in steps:
        old = BlockRam(ram.width, ram.rows, output=ram.output)
        before = list(ram.latch)
        for port in range(2):
            address, data, write, enable, _ = step[port]
            if not enable:
                continue
            if write:
                ram.write(address, data)
            elif ram.width == 36:
                if port == 1:
                    value = old.read(address)
                    ram.latch = [value & (1 << 18) - 1, value >> 18]
            else:
                ram.latch[port] = old.read(address)
        for port in range(2):
            if step[port][4]:
                ram.register[port] = before[port]
        seen.append(list(ram.register if ram.output else ram.latch))
    return seen


@pytest.mark.parametrize("from_file", [False, True])
def test_block_ram(from_file):
    number = random.Random(2)
    print("seed 2")
    cells, expected, files = [], [], {}
    for width in WIDTHS:
        for output in (False, True):
            rows = [number.getrandbits(18) for _ in range(1024)]
            parameters = {
                "DATA_WIDTH_A": str(width), "DATA_WIDTH_B": str(width),
                "REGMODE_A": '"OUTREG"' if output else '"NOREG"',
                "REGMODE_B": '"OUTREG"' if output else '"NOREG"',
            }  # fmt: skip
            if from_file:
                files[f"{len(cells)}.hex"] = "".join(f"{row:x}\n" for row in rows)
                parameters["CONTENTS"] = f'"{len(cells)}.hex"'
            else:
                for place in range(64):
                    part = enumerate(rows[16 * place : 16 * place + 16])
                    value = sum(row << 20 * at for at, row in part)
                    parameters[f"INITVAL_{place:02X}"] = f"320'h{value:x}"
            steps = [
                [
                    (
                        number.choice([number.getrandbits(14), number.getrandbits(6)]),
                        number.getrandbits(36),
                        int(number.random() < 0.4 and not (width == 36 and port == 1)),
                        int(number.random() < 0.9),
                        int(number.random() < 0.8),
                    )
                    for port in range(2)
                ]
                for _ in range(COUNT)
            ]
            for step in steps:
                # Both at one row at once is nobody's business.
                (a, *_), (b, *_) = step
                if a >> 5 == b >> 5:
                    step[1] = (b ^ 1 << 13, *step[1][1:])
                if width == 36:
                    # One output enable for both; the data of both ports are one port's.
                    step[1] = (*step[1][:4], step[0][4])
            expected.append(block_expected(BlockRam(width, rows, output=output), steps))
            columns = [list(zip(*(step[port] for step in steps), strict=True)) for port in range(2)]
            data_a, data_b = columns[0][1], columns[1][1]
            if width == 36:
                data_b = [value >> 18 for value in data_a]
            inputs = {"CLKA": clock(COUNT), "CLKB": clock(COUNT)}
            for port, data in ((0, data_a), (1, data_b)):
                side = "AB"[port]
                values = columns[port]
                inputs |= {
                    f"AD{side}[13]": clocked(values[0]), f"DI{side}[17]": clocked(data),
                    f"WE{side}": clocked(values[2]), f"CE{side}": clocked(values[3]),
                    f"OCE{side}": clocked(values[4]),
                }  # fmt: skip
            cells.append(Cell("DP16KD", parameters, inputs, ["DOA[17]", "DOB[17]"]))
    for cell, wanted in zip(cell_bench.run("ecp5", cells, files), expected, strict=True):
        for port, name in enumerate(("DOA[17]", "DOB[17]")):
            after = cell.seen[name][1::2]
            assert after == [step[port] for step in wanted], (cell.parameters["DATA_WIDTH_A"], name)


def looked_up(table, inputs):
    return table >> sum(bit << place for place, bit in enumerate(inputs)) & 1


def comb_expected(mode, table, inject, z1, values):
    """A lookup table; in carry mode, Lattice's data sheet (FPGA-DS-02012): sum and carry out."""
    a, b, c, d, m, carry, other, fxa, fxb = values
    four = looked_up(table, (a, b, c, d))
    two = looked_up(table, (a, b))
    free = not inject
    out = four ^ (carry & free) if mode == "CCU2" else four
    carried = (carry if four else two & free) if mode == "CCU2" else 0
    wide = (fxb if m else fxa) if z1 else (other if m else out)
    return out, carried, wide


def test_lookup_tables_and_carries():
    number = random.Random(3)
    print("seed 3")
    ins = ("A", "B", "C", "D", "M", "FCI", "F1", "FXA", "FXB")
    values = [[place >> bit & 1 for bit in range(9)] for place in range(512)]
    cells, expected = [], []
    for mode in ("LOGIC", "CCU2"):
        for inject in (0, 1):
            for z1 in (0, 1):
                for table in (0x8000, 0x96AA, number.getrandbits(16), number.getrandbits(16)):
                    parameters = {
                        "MODE": f'"{mode}"', "INITVAL": f"16'd{table}",
                        "CCU2_INJECT1": '"YES"' if inject else '"NO"', "IS_Z1": f"1'd{z1}",
                    }  # fmt: skip
                    inputs = {
                        name: [row[place] for row in values] for place, name in enumerate(ins)
                    }
                    cells.append(Cell("TRELLIS_COMB", parameters, inputs, ["F", "FCO", "OFX"]))
                    expected.append([comb_expected(mode, table, inject, z1, row) for row in values])
    for cell, wanted in zip(cell_bench.run("ecp5", cells), expected, strict=True):
        found = list(zip(*(cell.seen[name] for name in cell.outputs), strict=True))
        assert found == wanted, cell.parameters


def test_open_pins_of_a_table_are_ones():
    tables = [1 << entry for entry in range(16)]
    cells = [
        Cell("TRELLIS_COMB", {"INITVAL": f"16'd{table}"}, {"A": [0, 1], "C": [0, 1]}, ["F"])
        for table in tables
    ]
    for table, cell in zip(tables, cell_bench.run("ecp5", cells), strict=True):
        assert cell.seen["F"] == [looked_up(table, (bit, 1, bit, 1)) for bit in range(2)]


def test_a_carry_cell_is_two_of_nextpnr_s():
    """Yosys's model of the whole cell, beside the two halves that nextpnr makes of it."""
    assert "CCU2C" in yosys_models("ecp5")
    number = random.Random(4)
    print("seed 4")
    ins = ["CIN", *(f"{name}{half}" for half in range(2) for name in "ABCD")]
    values = [[place >> bit & 1 for bit in range(9)] for place in range(512)]
    pair = """
module pair (input CIN, A0, B0, C0, D0, A1, B1, C1, D1, output S0, S1, COUT);
  parameter INIT0 = 0, INIT1 = 0, INJECT1_0 = "NO", INJECT1_1 = "NO";
  wire between;
  TRELLIS_COMB #(.MODE("CCU2"), .INITVAL(INIT0), .CCU2_INJECT1(INJECT1_0)) low (
    .A(A0), .B(B0), .C(C0), .D(D0), .FCI(CIN), .F(S0), .FCO(between));
  TRELLIS_COMB #(.MODE("CCU2"), .INITVAL(INIT1), .CCU2_INJECT1(INJECT1_1)) high (
    .A(A1), .B(B1), .C(C1), .D(D1), .FCI(between), .F(S1), .FCO(COUT));
endmodule
"""
    cells = []
    for _ in range(6):
        parameters = {
            "INIT0": f"16'd{number.getrandbits(16)}", "INIT1": f"16'd{number.getrandbits(16)}",
            "INJECT1_0": number.choice(['"YES"', '"NO"']),
            "INJECT1_1": number.choice(['"YES"', '"NO"']),
        }  # fmt: skip
        inputs = {name: [row[place] for row in values] for place, name in enumerate(ins)}
        for kind in ("CCU2C", "pair"):
            cells.append(Cell(kind, parameters, inputs, ["S0", "S1", "COUT"]))
    cells[1].model = pair
    for cell in cells[3::2]:
        cell.model = "\n"
    comb = Cell("TRELLIS_COMB", {}, {"A": [0] * 512}, ["F"])
    found = cell_bench.run("ecp5", [*cells, comb])
    for one, two in zip(found[:-1:2], found[1:-1:2], strict=True):
        assert one.seen == two.seen


def register(parameters, steps):
    """FPGA-DS-02012: begins as REGSET says, which is its value at a reset, too; after each edge."""
    start = int(parameters["REGSET"] == "SET")
    state, seen = start, []
    for data, other, enable, reset in steps:
        resets = reset ^ (parameters["LSRMUX"] == "INV")
        enabled = {"1": 1, "0": 0, "CE": enable, "INV": 1 - enable}[parameters["CEMUX"]]
        before = start if resets and parameters["SRMODE"] == "ASYNC" else state
        value = data if parameters["SD"] == "1" else other
        state = start if resets else value if enabled else before
        seen += [before, state]
    return seen


def test_registers():
    """weft's own, which has nextpnr's choice of the data's pin, and Yosys's, which has not."""
    number = random.Random(5)
    print("seed 5")
    # No reset at first, so that the value after configuration is seen.
    steps = [tuple(number.getrandbits(1) for _ in range(4)) for _ in range(COUNT)]
    yosys = yosys_models("ecp5")["TRELLIS_FF"].replace("module TRELLIS_FF", "module Yosys_FF")
    cells, expected = [], []
    for regset in ("SET", "RESET"):
        for srmode in ("ASYNC", "LSR_OVER_CE"):
            for cemux, lsrmux, sd in (("CE", "LSR", "1"), ("INV", "INV", "0"), ("1", "LSR", "0"),
                                      ("0", "LSR", "1")):  # fmt: skip
                given = {"REGSET": regset, "SRMODE": srmode, "CEMUX": cemux, "LSRMUX": lsrmux}
                quiet = int(lsrmux == "INV")
                drawn = [(*step[:3], quiet) for step in steps[:5]] + steps[5:]
                expected.append(register(given | {"SD": sd}, drawn))
                parameters = {name: f'"{value}"' for name, value in given.items()}
                columns = [clocked(values) for values in zip(*drawn, strict=True)]
                data, other, enable, reset = columns
                both = {"CE": enable, "LSR": reset, "CLK": clock(COUNT)}
                inputs = {"DI": data, "M": other, **both}
                cells.append(Cell("TRELLIS_FF", parameters | {"SD": f'"{sd}"'}, inputs, ["Q"]))
                inputs = {"DI": data if sd == "1" else other, **both}
                cells.append(Cell("Yosys_FF", parameters, inputs, ["Q"], model=" "))
    cells[1].model = yosys
    found = cell_bench.run("ecp5", cells)
    for own, other, wanted in zip(found[::2], found[1::2], expected, strict=True):
        assert own.seen["Q"] == wanted, own.parameters
        assert other.seen["Q"] == wanted, other.parameters


def test_clock_and_pins():
    cells = [
        Cell("EHXPLLL", {}, {"CLKI": clock(40), "ENCLKOP": [1] * 80}, ["CLKOP", "LOCK"]),
        Cell("DCCA", {}, {"CLKI": clock(40)}, ["CLKO"]),
        Cell("TRELLIS_IO", {"DIR": '"OUTPUT"'}, {"I": clock(40)}, ["B"]),
        Cell("TRELLIS_IO", {"DIR": '"INPUT"'}, {"B": clock(40)}, ["O"]),
    ]
    pll, buffer, out, inward = cell_bench.run("ecp5", cells)
    for found in (pll.seen["CLKOP"], buffer.seen["CLKO"], out.seen["B"], inward.seen["O"]):
        assert found == clock(40)
    lock = pll.seen["LOCK"]
    assert lock == sorted(lock)
    assert lock[0] == 0
    assert lock[-1] == 1
