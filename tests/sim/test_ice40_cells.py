"""The models of iCE40 cells, each against what its documentation says, and against Yosys's own."""

import random
import re

import cell_bench
import pytest
from cell_bench import Cell

from weft.sim.netlist.cells import own_models, yosys_models

#: Each compiles simulations of its own.
pytestmark = pytest.mark.slow

COUNT = 400


def clocked(values):
    """Each value for a low and a high half of a cycle."""
    return [value for value in values for _ in range(2)]


def clock(count):
    return [0, 1] * count


def bits(number, count, chance=0.5):
    return [int(number.random() < chance) for _ in range(count)]


LC_PARAMETERS = (
    "CARRY_ENABLE", "DFF_ENABLE", "SET_NORESET", "ASYNC_SR", "CIN_CONST", "CIN_SET",
)  # fmt: skip
LC_INPUTS = ("I0", "I1", "I2", "I3", "CIN", "CEN", "SR")


def logic_cell(parameters, steps):
    """iCE40's data sheet (FPGA-DS-02008): a table, a carry, and a register that begins with 0.

    Outputs O, LO and COUT in the second half of every cycle.
    """
    state, seen = 0, []
    for step in steps:
        table = step[0] | step[1] << 1 | step[2] << 2 | step[3] << 3
        out = parameters["LUT_INIT"] >> table & 1
        carry = parameters["CIN_SET"] if parameters["CIN_CONST"] else step[4]
        carried = parameters["CARRY_ENABLE"] and (step[1] + step[2] + carry) >> 1
        enable, reset = step[5], step[6]
        value = parameters["SET_NORESET"]
        if parameters["ASYNC_SR"]:
            state = value if reset else out if enable else state
        elif enable:
            state = value if reset else out
        seen.append((state if parameters["DFF_ENABLE"] else out, out, int(carried)))
    return seen


def test_logic_cell():
    number = random.Random(1)
    print("seed 1")
    steps = [tuple(number.getrandbits(1) for _ in LC_INPUTS) for _ in range(COUNT)]
    # What the cell is asked for is there a half of a cycle before its clock rises.
    inputs = {
        name: clocked([step[place] for step in steps]) for place, name in enumerate(LC_INPUTS)
    } | {"CLK": clock(COUNT)}
    yosys = yosys_models("ice40")["ICESTORM_LC"].replace("module ICESTORM_LC", "module Yosys_LC")
    # Verilator knows no floating inputs, and here none is.
    yosys = re.sub(r"\((\w+) === 1'bz\) \? 1'b[01] : \1", r"\1", yosys)
    cells, expected = [], []
    tables = [
        0x0000,
        0x8000,
        0x0001,
        0xAAAA,
        0xFF00,
        0x6996,
        *(number.getrandbits(16) for _ in range(10)),
    ]
    for table in tables:
        given = {name: number.getrandbits(1) for name in LC_PARAMETERS}
        wanted = {"LUT_INIT": table, **given}
        parameters = {name: f"{16 if name == 'LUT_INIT' else 1}'d{v}" for name, v in wanted.items()}
        expected.append(logic_cell(wanted, steps))
        outputs = ["O", "LO", "COUT"] if given["CARRY_ENABLE"] else ["O", "LO"]
        cells.append(Cell("ICESTORM_LC", parameters, inputs, ["O", "LO", "COUT"]))
        cells.append(Cell("Yosys_LC", parameters, inputs, outputs, model=" "))
    cells[1].model = yosys
    found = cell_bench.run("ice40", cells)
    for own, other, wanted in zip(found[::2], found[1::2], expected, strict=True):
        after = list(zip(*(own.seen[name][1::2] for name in ("O", "LO", "COUT")), strict=True))
        assert after == wanted, own.parameters
        for name in other.outputs:
            assert own.seen[name] == other.seen[name], (name, own.parameters)


#: Which bits of a port have data, for every mode, from the lowest on.
PINS = {0: range(16), 1: range(0, 16, 2), 2: range(1, 16, 4), 3: range(3, 16, 8)}


class BlockRam:
    """Technology library: 256 rows of 16 bits, or 2, 4 or 8 times as many narrower ones.

    The upper address bits choose among bits that are as far apart as there are choices. A row that
    is read while it is written may be the old or the new one; the models give the old one.
    """

    def __init__(self, rows, write_mode, read_mode):
        self.rows, self.write_mode, self.read_mode = list(rows), write_mode, read_mode
        self.latch = 0

    @staticmethod
    def chosen(address, mode):
        return [bit for bit in range(16) if bit % (1 << mode) == address >> 8 & (1 << mode) - 1]

    def write(self, address, data, mask):
        row = self.rows[address & 255]
        for pin, bit in zip(
            PINS[self.write_mode], self.chosen(address, self.write_mode), strict=True
        ):
            if self.write_mode or not mask >> bit & 1:
                row = row & ~(1 << bit) | (data >> pin & 1) << bit
        self.rows[address & 255] = row

    def read(self, address):
        row = self.rows[address & 255]
        pins = zip(PINS[self.read_mode], self.chosen(address, self.read_mode), strict=True)
        return sum((row >> bit & 1) << pin for pin, bit in pins)


@pytest.mark.parametrize("from_file", [False, True])
def test_block_ram(from_file):
    number = random.Random(2)
    print("seed 2")
    cells, expected, files = [], [], {}
    for mode in range(4):
        rows = [number.getrandbits(16) for _ in range(256)]
        parameters = {"READ_MODE": f"2'd{mode}", "WRITE_MODE": f"2'd{3 - mode}"}
        if from_file:
            files[f"{mode}.hex"] = "".join(f"{row:x}\n" for row in rows)
            parameters["INIT_FILE"] = f'"{mode}.hex"'
        else:
            for place in range(16):
                part = enumerate(rows[16 * place : 16 * place + 16])
                value = sum(row << 16 * at for at, row in part)
                parameters[f"INIT_{place:X}"] = f"256'h{value:x}"
        addresses = [[number.getrandbits(11) & ~0xF0 for _ in range(COUNT)] for _ in range(2)]
        data, masks = ([number.getrandbits(16) for _ in range(COUNT)] for _ in range(2))
        enables = {name: bits(number, COUNT, 0.8) for name in ("RE", "RCLKE", "WE", "WCLKE")}
        ram, seen = BlockRam(rows, 3 - mode, mode), []
        for t in range(COUNT):
            before = BlockRam(ram.rows, 3 - mode, mode)
            if enables["WE"][t] and enables["WCLKE"][t]:
                ram.write(addresses[0][t], data[t], masks[t])
            if enables["RE"][t] and enables["RCLKE"][t]:
                ram.latch = before.read(addresses[1][t])
            seen.append(ram.latch)
        expected.append(seen)
        inputs = {
            "WADDR_[10]": clocked(addresses[0]), "RADDR_[10]": clocked(addresses[1]),
            "WDATA_[15]": clocked(data), "MASK_[15]": clocked(masks),
            "RCLK": clock(COUNT), "WCLK": clock(COUNT),
            **{name: clocked(values) for name, values in enables.items()},
        }  # fmt: skip
        cells.append(Cell("ICESTORM_RAM", parameters, inputs, ["RDATA_[15]"]))
    for cell, wanted in zip(cell_bench.run("ice40", cells, files), expected, strict=True):
        first = next(t for t, value in enumerate(wanted) if value or t > 20)
        assert cell.seen["RDATA_[15]"][1::2][first:] == wanted[first:], cell.parameters["READ_MODE"]


def test_two_multipliers_in_a_block():
    """FPGA-TN-02007: 8 x 8 with registers at the operands and behind the products."""
    number = random.Random(3)
    print("seed 3")
    corners = [0x80, 0x7F, 0xFF, 0x00, 0x01]
    operands = [(a << 8 | b, b << 8 | a) for a in corners for b in corners]
    operands += [(number.getrandbits(16), number.getrandbits(16)) for _ in range(COUNT)]
    parameters = {"MODE_8x8": 1, "A_SIGNED": 1, "B_SIGNED": 1, "A_REG": 1, "B_REG": 1,
                  "TOP_8x8_MULT_REG": 1, "BOT_8x8_MULT_REG": 1, "TOPOUTPUT_SELECT": 2,
                  "BOTOUTPUT_SELECT": 2}  # fmt: skip
    given = {name: f"{2 if 'SELECT' in name else 1}'d{value}" for name, value in parameters.items()}
    a, b = (clocked([pair[side] for pair in operands]) for side in range(2))
    count = len(operands)
    cells = [
        Cell("ICESTORM_DSP", given, {"A_[15]": a, "B_[15]": b, "CLK": clock(count)}, ["O_[31]"]),
        Cell("SB_MAC16", given, {"A:16": a, "B:16": b, "CLK": clock(count), "CE": [1] * 2 * count},
             ["O:32"]),
    ]  # fmt: skip

    def product(x, y):
        signed = [value - 256 if value > 127 else value for value in (x, y)]
        return signed[0] * signed[1] & 0xFFFF

    wanted = [product(x >> 8, y >> 8) << 16 | product(x & 255, y & 255) for x, y in operands]
    own, yosys = cell_bench.run("ice40", cells)
    assert own.seen["O_[31]"][3::2] == wanted[:-1]
    assert own.seen["O_[31]"] == yosys.seen["O:32"]


def test_single_port_memory():
    """FPGA-TN-02002: 16,384 rows of 16 bits, written in fours; a write spoils the output."""
    number = random.Random(4)
    print("seed 4")
    addresses = [number.choice((0, 5, 0x3FFF, number.getrandbits(14))) for _ in range(COUNT)]
    data = [number.getrandbits(16) for _ in range(COUNT)]
    masks = [number.getrandbits(4) for _ in range(COUNT)]
    writes, chosen = bits(number, COUNT), bits(number, COUNT, 0.9)
    rows, wanted, seen = {}, [], None
    for address, value, mask, write, select in zip(
        addresses, data, masks, writes, chosen, strict=True
    ):
        if select and write:
            old = rows.get(address, [None] * 4)
            rows[address] = [
                value >> 4 * nibble & 15 if mask >> nibble & 1 else old[nibble]
                for nibble in range(4)
            ]
            seen = [None] * 4
        elif select:
            seen = list(rows.get(address, [None] * 4))
        wanted.append(seen)
    inputs = {
        "ADDRESS_[13]": clocked(addresses), "DATAIN_[15]": clocked(data),
        "MASKWREN_[3]": clocked(masks), "WREN": clocked(writes), "CHIPSELECT": clocked(chosen),
        "CLOCK": clock(COUNT), "POWEROFF": [1] * 2 * COUNT,
    }  # fmt: skip
    (cell,) = cell_bench.run("ice40", [Cell("ICESTORM_SPRAM", {}, inputs, ["DATAOUT_[15]"])])
    compared = 0
    for value, row in zip(cell.seen["DATAOUT_[15]"][1::2], wanted, strict=True):
        for nibble, expected in enumerate(row or []):
            if expected is not None:
                compared += 1
                assert value >> 4 * nibble & 15 == expected
    assert compared > COUNT / 2


def test_clock_and_pins():
    running = {"RESETB": [1] * 80, "BYPASS": [0] * 80}
    cells = [
        Cell("SB_PLL40_CORE", {}, {"REFERENCECLK": clock(40), **running}, ["PLLOUTGLOBAL", "LOCK"]),
        Cell("SB_PLL40_PAD", {}, {"PACKAGEPIN": clock(40), **running}, ["PLLOUTGLOBAL", "LOCK"]),
        Cell("ICESTORM_PLL", {}, {"REFERENCECLK": clock(40), **running},
             ["PLLOUT_A_GLOBAL", "LOCK"]),
        Cell("SB_GB", {}, {"USER_SIGNAL_TO_GLOBAL_BUFFER": clock(40)}, ["GLOBAL_BUFFER_OUTPUT"]),
        Cell("SB_IO", {"PIN_TYPE": "6'b011001"}, {"D_OUT_0": clock(40)}, ["PACKAGE_PIN"]),
        Cell("SB_IO", {"PIN_TYPE": "6'b101001"}, {"D_OUT_0": clock(40), "OUTPUT_ENABLE": [1] * 80},
             ["PACKAGE_PIN"]),
        Cell("SB_IO", {"PIN_TYPE": "6'b000001"}, {"PACKAGE_PIN": clock(40)}, ["D_IN_0"]),
    ]  # fmt: skip
    for cell in cell_bench.run("ice40", cells):
        assert cell.seen[cell.outputs[0]] == clock(40), cell.kind
        if "LOCK" in cell.seen:
            lock = cell.seen["LOCK"]
            assert lock == sorted(lock)
            assert (lock[0], lock[-1]) == (0, 1)


@pytest.mark.parametrize(
    ("kind", "parameters", "message"),
    [
        ("SB_IO", {"PIN_TYPE": "6'b000001"}, ""),
        ("SB_IO", {"PIN_TYPE": "6'b000000"}, "an input with a register"),
        ("SB_IO", {"PIN_TYPE": "6'b010101"}, "an output with a register"),
        ("SB_PLL40_PAD", {}, ""),
        ("SB_PLL40_PAD", {"FEEDBACK_PATH": '"DELAY"'}, "FEEDBACK_PATH DELAY"),
        ("SB_PLL40_CORE", {"FEEDBACK_PATH": '"EXTERNAL"'}, "FEEDBACK_PATH EXTERNAL"),
        ("ICESTORM_PLL", {"PLLOUT_SELECT_A": "2'd3"}, "PLLOUT_SELECT_A 11"),
        ("ICESTORM_PLL", {"FDA_FEEDBACK": "4'd3"}, "a delay"),
    ],
)
def test_a_parameter_that_is_not_modelled(kind, parameters, message):
    said = cell_bench.refused("ice40", kind, parameters)
    assert bool(said) == bool(message)
    assert message in said


def test_own_models_stand_in_for_none_of_yosys_without_need():
    """Where Yosys has a model as well, it is one of these, each with its reason in the file."""
    both = own_models("ice40").keys() & yosys_models("ice40").keys()
    assert both == {"SB_IO", "ICESTORM_LC", "ICESTORM_RAM"}
