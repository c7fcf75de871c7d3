"""Finished builds as netlists of FPGA cells: all levels equal, and a wrong netlist is found."""

import json
import shutil

import numpy as np
import published
import pytest

from weft.boards.build import build
from weft.boards.netlist import _settle_pins, read_netlist
from weft.boards.pll import check_clock
from weft.boards.registry import BOARDS
from weft.boards.unpack import Configuration, first_difference, read_configuration
from weft.cli import main
from weft.commands import netlists
from weft.commands.levels import run_layers, run_level
from weft.commands.verify import Verified
from weft.compiler.compile import compile_network
from weft.compiler.edges import encode_inputs
from weft.errors import InputError, RefusedError
from weft.examples.digits.data import load_digits
from weft.hw.config import Config
from weft.models import read_program
from weft.sim import golden
from weft.sim.engine import compare
from weft.sim.netlist.cells import cell_models

IMAGES = 10
LEVELS = ["golden", "program", "rtl", "verilog", "netlist", "routed"]


@pytest.fixture(scope="module")
def quantized(digits_onnx, tmp_path_factory):
    """The digits network as the demo quantises it, and images that it has not seen."""
    folder = tmp_path_factory.mktemp("digits")
    digits = load_digits()
    np.savez(folder / "data.npz", inputs=digits.train_images)
    np.savez(folder / "images.npz", inputs=digits.test_images[:IMAGES])
    model = folder / "int8.onnx"
    assert main(["quantize", str(digits_onnx), "--data", str(folder / "data.npz"),
                 "-o", str(model)]) == 0  # fmt: skip
    return model


@pytest.fixture(scope="module")
def builds(quantized, tmp_path_factory):
    """Finished builds of the digits network by board, each made once."""
    made = {}

    def built(board):
        if board not in made:
            folder = tmp_path_factory.mktemp(board)
            assert main(["compile", str(quantized), "--board", board, "-o", str(folder)]) == 0
            assert main(["build", str(folder)]) == 0
            made[board] = folder
        return made[board]

    return built


def verified(folder, images, capsys, *options):
    """Exit status and what `weft verify --json` prints."""
    capsys.readouterr()
    status = main(["verify", str(folder), "--inputs", str(images), "--json", *options])
    return status, json.loads(capsys.readouterr().out)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    "board",
    [
        pytest.param("icebreaker", marks=pytest.mark.slow),
        # Place and route, and two netlists of 20,000 cells to compile.
        pytest.param("ulx3s-25f", marks=pytest.mark.long),
    ],
)
def test_digits_are_equal_at_every_level(builds, quantized, capsys, board):
    folder, images = builds(board), quantized.parent / "images.npz"
    # Layer by layer the program goes over the line, which takes long on the large FPGA.
    layers = "first" if board == "icebreaker" else "none"
    status, found = verified(folder, images, capsys, "--level", "routed", "--layers", layers)
    assert found["first_divergence"] is None
    assert status == 0
    if "rtl" not in found["levels"]:
        # On a larger array Amaranth's simulator is slow, and waits to be asked.
        status, simulated = verified(folder, images, capsys, "--level", "rtl", "--layers", "none")
        assert (status, simulated["samples"]) == (0, IMAGES)
        found["levels"].insert(2, simulated["levels"][-1])
    assert found["levels"] == LEVELS
    assert found["samples"] == IMAGES
    cycles = sum(layer["cycles"] for layer in read_program(folder).layers)
    assert found["cycles"]["netlist"] == [cycles] * IMAGES
    assert found["cycles"]["routed"] == found["cycles"]["verilog"] == [cycles] * IMAGES
    assert "unpacks to" in found["bitstream"]


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_certificate_down_to_the_routed_netlist(builds, quantized, tmp_path, capsys):
    """What it says comes out again of the model alone: each file of the build, bit for bit."""
    folder, images, path = builds("icebreaker"), tmp_path / "x.npz", tmp_path / "c.json"
    np.savez(images, inputs=load_digits().test_images[:2])
    options = ("--level", "routed", "--layers", "none", "--certificate", str(path))
    assert verified(folder, images, capsys, *options)[0] == 0
    status = main(["verify", "--replay", str(path), "-o", str(tmp_path / "again"), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert (status, found["differing"], found["tools"]) == (0, [], {})
    assert {"program", "verilog", "netlist", "routed", "bitstream"} < found["digests"].keys()
    assert found["result"]["levels"] == LEVELS
    again = tmp_path / "again"
    for name in ("top.json", "top.routed.json", "top.bin"):
        assert (again / name).read_bytes() == (folder / name).read_bytes()
    # A bitstream of which a byte is another is no longer what was built.
    changed = bytearray((again / "top.bin").read_bytes())
    changed[-1] ^= 1
    (again / "top.bin").write_bytes(changed)
    assert main(["verify", str(again), "--inputs", str(images), *options]) == 2
    assert "is not what `weft build` wrote" in " ".join(capsys.readouterr().err.split())


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_kws_on_the_netlist_that_digits_was_built_for(builds, tmp_path, capsys):
    """Another program in the same bitstream: what changes is what is in the block RAMs."""
    source, folder = builds("ulx3s-25f"), tmp_path / "kws"
    model = str(published.model_file("kws"))
    assert main(["compile", model, "--board", "ulx3s-25f", "-o", str(folder)]) == 0
    assert main(["build", str(folder), "--from", str(source)]) == 0
    inputs = published.arrays("kws", "tests.npz")["inputs"][:1]
    np.savez(tmp_path / "x.npz", inputs=inputs)
    capsys.readouterr()
    arguments = ["simulate", str(folder), "--inputs", str(tmp_path / "x.npz"), "--json"]
    seen = {}
    for level in ("golden", "netlist"):
        out = tmp_path / f"{level}.npz"
        assert main([*arguments, "--level", level, "-o", str(out)]) == 0
        seen[level] = json.loads(capsys.readouterr().out), np.load(out)["outputs"]
    np.testing.assert_array_equal(seen["netlist"][1], seen["golden"][1])
    micro = published.arrays("kws", "tests.npz")["outputs_tflm"][:1]
    np.testing.assert_array_equal(seen["netlist"][1].reshape(micro.shape), micro)
    cycles = sum(layer["cycles"] for layer in read_program(folder).layers)
    assert seen["netlist"][0]["cycles"] == [cycles]


#: A small array, which an ECP5 has routed in a minute, with room for the digits.
SMALL = Config(
    rows=4, columns=4, lanes=2, activation_depth=1024, weight_depth=1024, parameter_depth=64,
    program_depth=256, tables=0, accumulator_bits=24,
)  # fmt: skip


@pytest.fixture(scope="module")
def small(digits_network, tmp_path_factory):
    """A folder with a finished build of the digits network for `SMALL` on an ECP5."""
    folder = tmp_path_factory.mktemp("small")
    program = compile_network(digits_network, SMALL)
    program.save(folder)
    build(program, BOARDS["ulx3s-25f"], folder, seeds=[1], require_timing=False)
    return folder


def digits_codes(network, count):
    """Images that the network has not seen, as codes of its input."""
    return encode_inputs(network, {network.inputs[0].name: load_digits().test_images[:count]})


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_digits_are_equal_at_every_level_of_a_small_ecp5(small):
    program = read_program(small)
    network = program.network
    codes = digits_codes(network, IMAGES)
    first = {name: array[:1] for name, array in codes.items()}
    expected = golden.run_network(network, codes, keep=True)
    cycles = sum(layer["cycles"] for layer in program.layers)
    for level in LEVELS[1:]:
        result = run_level(level, program, codes, build=small)
        assert compare(expected, result.outputs, level=level) is None
        assert level == "program" or result.cycles == [cycles] * IMAGES
        made = run_layers(level, program, first, build=small).tensors
        assert compare({name: array[:1] for name, array in expected.items()}, made) is None
    assert netlists.compare_bitstream(small) == "top.bit unpacks to top.config, which was packed"


def flip_table(cells):
    """One bit of one lookup table, of an adder in the array."""
    for name, cell in sorted(cells.items()):
        if name.startswith("system.core.array") and cell["type"] == "SB_LUT4":
            table = cell["parameters"]["LUT_INIT"]
            if table == "0110100110010110":
                cell["parameters"]["LUT_INIT"] = table[:-1] + "1"
                return
    raise AssertionError("no adder in the array")


def drop_register(cells):
    """A multiplier's operand without its register."""
    name = min(name for name, cell in cells.items() if cell["type"] == "ICESTORM_DSP")
    assert cells[name]["parameters"]["A_REG"] == "1"
    cells[name]["parameters"]["A_REG"] = "0"


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    "case", [("netlist", "top.json", flip_table), ("routed", "top.routed.json", drop_register)]
)
def test_a_wrong_netlist_is_found(builds, tmp_path, capsys, case):
    level, file, spoil = case
    folder = tmp_path / "spoilt"
    shutil.copytree(builds("icebreaker"), folder)
    design = json.loads((folder / file).read_text())
    spoil(design["modules"]["top"]["cells"])
    (folder / file).write_text(json.dumps(design))
    images = tmp_path / "images.npz"
    np.savez(images, inputs=load_digits().test_images[:2])
    status, found = verified(folder, images, capsys, "--level", level)
    assert status == 1
    divergence = found["first_divergence"]
    assert divergence["level"] == level
    # Every layer is wrong; the first is named.
    assert divergence["tensor"] == read_program(folder).network.nodes[0].output


def drop_product_register(cells):
    """A multiplier of an ECP5 without the register behind it."""
    name = min(name for name, cell in cells.items() if cell["type"] == "MULT18X18D")
    parameters = cells[name]["parameters"]
    assert parameters["REG_PIPELINE_CLK"] != "NONE" or parameters["REG_OUTPUT_CLK"] != "NONE"
    parameters.update(REG_PIPELINE_CLK="NONE", REG_OUTPUT_CLK="NONE")


def flip_comb(cells):
    """One bit of one lookup table in the array of an ECP5, as it was routed."""
    name = min(
        name for name, cell in cells.items()
        if name.startswith("system.core.array") and cell["type"] == "TRELLIS_COMB"
        and cell["parameters"].get("MODE") == "CCU2"
    )  # fmt: skip
    table = cells[name]["parameters"]["INITVAL"]
    cells[name]["parameters"]["INITVAL"] = table[:-1] + str(1 - int(table[-1]))


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    "case",
    [("netlist", "top.json", drop_product_register), ("routed", "top.routed.json", flip_comb)],
)
def test_a_wrong_netlist_of_an_ecp5_is_found(small, tmp_path, case):
    level, file, spoil = case
    folder = tmp_path / "spoilt"
    shutil.copytree(small, folder)
    design = json.loads((folder / file).read_text())
    spoil(design["modules"]["top"]["cells"])
    (folder / file).write_text(json.dumps(design))
    program = read_program(folder)
    codes = digits_codes(program.network, 2)
    expected = golden.run_network(program.network, codes)
    outputs = run_level(level, program, codes, build=folder).outputs
    assert compare(expected, outputs, level=level) is not None


def test_levels_that_take_other_cycles(capsys):
    found = Verified(2, ("golden", "verilog", "netlist"),
                     cycles={"verilog": (7, 8), "netlist": (7, 9)})  # fmt: skip
    assert not found.holds
    assert found.to_json()["equal"] is False
    found.show()
    assert capsys.readouterr().out == (
        "not equal: netlist takes 9 cycles for sample 1 and verilog 8\n"
    )
    assert Verified(1, ("golden", "rtl"), cycles={"rtl": (7,)}).holds


def test_a_folder_without_a_build(quantized, tmp_path, capsys):
    folder, images = tmp_path / "out", quantized.parent / "images.npz"
    assert main(["compile", str(quantized), "--board", "icebreaker", "-o", str(folder)]) == 0
    for command in (["verify"], ["simulate", "-o", str(tmp_path / "y.npz")]):
        capsys.readouterr()
        arguments = [command[0], str(folder), *command[1:], "--inputs", str(images)]
        assert main([*arguments, "--level", "routed"]) == 2
        said = " ".join(capsys.readouterr().err.split())
        assert (
            f"holds no build, whose netlists would be simulated; make one with: weft build {folder}"
            in said
        )
    capsys.readouterr()
    arguments = ["simulate", str(quantized), "--inputs", str(images), "-o", str(tmp_path / "y.npz")]
    assert main([*arguments, "--level", "netlist"]) == 2
    assert "level netlist simulates what `weft build DIR` made" in " ".join(
        capsys.readouterr().err.split()
    )


def test_cells_without_a_model():
    with pytest.raises(
        RefusedError, match=r"without a model for simulation: SDPB, rPLL; the level"
    ):
        cell_models("gowin", ["LUT4", "SDPB", "rPLL", "DFFE"])
    assert "module DFFE" in cell_models("gowin", ["LUT4", "DFFE"])


def test_files_that_are_no_netlist(tmp_path):
    board = BOARDS["icebreaker"]
    with pytest.raises(
        InputError, match=r"holds no top\.routed\.json, the netlist of level routed"
    ):
        read_netlist(tmp_path, board, "routed")
    (tmp_path / "top.json").write_text("{}")
    with pytest.raises(InputError, match=r"top\.json is no netlist; build it again with: weft"):
        read_netlist(tmp_path, board, "netlist")


def pll(kind, **numbers):
    return {"type": kind, "parameters": {name: f"{value:b}" for name, value in numbers.items()}}


@pytest.mark.parametrize(
    ("board", "cell", "clock"),
    [
        ("icebreaker", pll("SB_PLL40_PAD", DIVR=0, DIVF=47, DIVQ=4), 36e6),
        ("ulx3s-25f", pll("EHXPLLL", CLKI_DIV=1, CLKFB_DIV=6), 150e6),
        ("tang-nano-9k", pll("rPLL", IDIV_SEL=0, FBDIV_SEL=1), 54e6),
    ],
)
def test_the_clock_is_the_build_s(board, cell, clock):
    check_clock([cell], BOARDS[board], clock)
    with pytest.raises(RefusedError, match=r"the PLL in the netlist makes .* MHz of the"):
        check_clock([cell], BOARDS[board], clock * 1.01)
    with pytest.raises(RefusedError, match="has 2 PLLs instead of one"):
        check_clock([cell, cell], BOARDS[board], clock)


CONFIGURATION = """.device 5k

.logic_tile 1 2
0101
1100

.ram_data 6 1
00ff
.sym 3 some name
"""


def test_a_bitstream_that_is_not_what_was_packed():
    packed = read_configuration(CONFIGURATION, "ice40")
    assert packed.blocks == {"6 1": "00ff"}
    assert first_difference(packed, read_configuration(CONFIGURATION, "ice40"), "ice40") is None
    changed = read_configuration(CONFIGURATION.replace("1100", "1101"), "ice40")
    assert first_difference(packed, changed, "ice40") == (
        ".logic_tile 1 2: '1100' is only there in the configuration"
    )
    changed = read_configuration(CONFIGURATION.replace("00ff", "00fe"), "ice40")
    assert first_difference(packed, changed, "ice40") == "the block RAM 6 1 has other contents"
    unused = Configuration(packed.settings, packed.blocks | {"6 3": "0000"})
    assert first_difference(packed, unused, "ice40") is None
    lost = Configuration(packed.settings, {})
    assert first_difference(packed, lost, "ice40") == "the block RAM 6 1 has other contents"


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_configuration_changed_since(builds, tmp_path):
    folder = tmp_path / "spoilt"
    shutil.copytree(builds("icebreaker"), folder)
    assert netlists.compare_bitstream(folder) == "top.bin unpacks to top.asc, which was packed"
    text = (folder / "top.asc").read_text()
    place = text.index(".ram_data")
    other = text[:place] + text[place:].replace("1", "2", 1)
    (folder / "top.asc").write_text(other)
    with pytest.raises(RefusedError, match=r"top\.bin unpacks to something else than .*top\.asc"):
        netlists.compare_bitstream(folder)


TRELLIS = """.device LFE5U-25F

.tile R4C5:PLC2
arc: A1 H02W0701
arc: F0 F0_SLICE
enum: SLICEA.MODE LOGIC
word: SLICEA.K0.INIT 0000000011111111

.tile MIB_R37C15:MIB_EBR2
word: EBR1.WID 001100000

.bram_init 3
000 1ff
"""


def test_of_an_ecp5_tables_and_wires_are_compared():
    packed = read_configuration(TRELLIS, "ecp5")

    def difference(old, new):
        return first_difference(
            packed, read_configuration(TRELLIS.replace(old, new), "ecp5"), "ecp5"
        )

    assert difference("enum: SLICEA.MODE LOGIC\n", "") is None
    assert difference("F0 F0_SLICE", "F0 F5A_SLICE") is None
    assert "R4C5:PLC2: 'arc: A1 H02W0701' is only there" in difference("arc: A1 H02W0701\n", "")
    assert "SLICEA.K0.INIT" in difference("0000000011111111", "0000000011111110")
    assert difference("1ff", "1fe") == "the block RAM 3 has other contents"


def hard_block(**parameters):
    cell = {"type": "DP16KD", "parameters": dict(parameters), "connections": {"CEA": [5]}}
    _settle_pins("block", cell)
    return cell


def test_constant_pins_of_a_hard_block():
    cell = hard_block(ADA0MUX="1 ", ADA1MUX="0 ", RSTAMUX="INV", OCEAMUX="OCEA", CEAMUX="CEA")
    assert cell["parameters"] == {}
    assert cell["connections"] == {
        "CEA": [5], "ADA0": ["1"], "ADA1": ["0"], "RSTA": ["0"], "OCEA": ["1"]
    }  # fmt: skip
    with pytest.raises(
        RefusedError, match="the pin CEA of DP16KD block is connected and has CEAMUX"
    ):
        hard_block(CEAMUX="INV")
