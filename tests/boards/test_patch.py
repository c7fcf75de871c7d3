"""Programs put into finished bitstreams, against bitstreams that were built with them."""

import dataclasses
import functools
import json
import random
import subprocess

import numpy as np
import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring

from weft.boards import build as building
from weft.boards.block_rams import Block, blocks_of, fill, locate
from weft.boards.build import Build
from weft.boards.build_report import BuildReport
from weft.boards.contents import Memory, take_out
from weft.boards.memory_map import MemoryMap
from weft.boards.patch import patch
from weft.boards.registry import BOARDS
from weft.boards.target import Target
from weft.boards.tools import find_tool
from weft.errors import InputError, RefusedError
from weft.hw.bank import Bank
from weft.hw.config import Config, Space
from weft.hw.ports import core_ports

CONFIG = Config(rows=4, columns=4, lanes=2, activation_depth=64, weight_depth=32,
                parameter_depth=16, program_depth=32, tables=1)  # fmt: skip

#: Width and depth: every width of both families' block RAMs, odd ones, several under one another.
SHAPES = ((4, 1024), (32, 256), (35, 128), (8, 300), (5, 2048), (35, 600), (8, 3000), (3, 4096))


class Banked(wiring.Component):
    """A core's ports around banks of all shapes; its program is what is in them."""

    def __init__(self, seed):
        super().__init__(core_ports())
        number = random.Random(seed)
        self.rows = [[number.getrandbits(w) for _ in range(d)] for w, d in SHAPES]

    def elaborate(self, platform):
        m = Module()
        word = Signal(32)
        m.d.comb += [self.load.ready.eq(1), self.read.ready.eq(1), self.data.valid.eq(1)]
        for n, ((width, depth), rows) in enumerate(zip(SHAPES, self.rows, strict=True)):
            m.submodules[f"bank_{n}"] = bank = Bank(width=width, depth=depth, init=rows)
            m.d.comb += [
                bank.write_enable.eq(self.load.valid & (self.load.payload.address[-4:] == n)),
                bank.write_address.eq(self.load.payload.address),
                bank.write_data.eq(self.load.payload.data.replicate(3)),
                bank.read_address.eq(self.read.payload),
            ]
            latched = Signal(32, name=f"latched_{n}")
            m.d.sync += latched.eq(bank.read_data ^ bank.read_data[32:])
            before, word = word, Signal(32, name=f"word_{n}")
            m.d.sync += word.eq(before ^ latched)
        m.d.comb += self.data.payload.eq(word)
        return m


def made(standin, number, config=CONFIG):
    """A program with random images."""
    rng = np.random.default_rng(number)
    images = {
        space: rng.integers(0, 256, (config.depth(space), config.row_bytes(space)), dtype=np.uint8)
        for space in (Space.WEIGHT, Space.PARAMETER, Space.TABLE, Space.PROGRAM)
    }
    return dataclasses.replace(standin.program(1), config=config, images=images)


def rtlil(board, program, core=None):
    target = Target(
        board, program.config, images=program.images, program_digest=program.digest, core=core
    )
    found = board.platform().prepare(target, "top", emit_src=False).files["top.il"]
    return found if isinstance(found, str) else found.decode()


@pytest.mark.parametrize("name", ["icebreaker", "ulx3s-85f", "tang-nano-9k"])
def test_only_contents_tell_two_programs_apart(standin, name):
    board = BOARDS[name]
    seeds = [random.randrange(1 << 32) for _ in range(2)]
    print("seeds", seeds)
    one, two = (rtlil(board, made(standin, seed)) for seed in seeds)
    assert one != two
    (ink, first), (same, second) = (take_out(text, board.family) for text in (one, two))
    assert ink == same
    assert ink not in (one, two)
    assert first.keys() == second.keys()
    assert first != second
    # Ink is not taken for contents.
    assert take_out(ink, board.family)[0] == ink


def test_contents_are_the_images(standin):
    program = made(standin, random.randrange(1 << 32))
    _, memories = take_out(rtlil(BOARDS["icebreaker"], program), "ice40")
    words = program.images[Space.PROGRAM].view("<u4").reshape(-1)
    memory = memories["system.core.program.memory.memory"]
    assert (memory.width, memory.depth) == (32, CONFIG.program_depth)
    assert memory.part(0, 32, 0, len(words)) == list(words)
    record = memories["system.recall.bank.memory"]
    rows = record.part(0, 9, 0, 8)
    assert bytes(row & 255 for row in rows).hex() == program.digest
    assert rows[-1] >> 8 == 1


def test_a_part_of_a_memory():
    number = random.Random(3)
    rows = [number.getrandbits(35) for _ in range(100)]
    memory = Memory(35, 100, sum(row << 35 * n for n, row in enumerate(rows)))
    assert memory.part(16, 16, 90, 20) == [r >> 16 & 0xFFFF for r in rows[90:]] + [0] * 10
    assert memory.part(32, 16, 0, 100) == [row >> 32 for row in rows]
    deep = memory.folded(40)
    assert (deep.width, deep.depth) == (105, 40)
    assert deep.part(0, 105, 19, 2) == [
        rows[19] | rows[59] << 35 | rows[99] << 70, rows[20] | rows[60] << 35
    ]  # fmt: skip


def test_ink_that_is_nowhere():
    memory = Memory(16, 256, 0)
    block = Block("m.0.0", "m", 256, 0, 16)
    ink = block.text(memory.inked("m"), "ice40")
    assert locate([block], {"m": memory}, "ice40", f".ram_data 1 2\n{ink}\n")[0].place == "1 2"
    with pytest.raises(
        RefusedError, match="bits 0 and on of the memory m are nowhere in the routed design"
    ):
        locate([block], {"m": memory}, "ice40", "")
    other = block.text(memory.inked("n"), "ice40")
    with pytest.raises(RefusedError, match=r"has block RAMs of no memory: 3 4$"):
        locate([block], {"m": memory}, "ice40", f".ram_data 1 2\n{ink}\n.ram_data 3 4\n{other}\n")


def test_a_foreign_block_ram_in_the_netlist():
    cell = {"type": "SB_RAM40_4K", "parameters": {"READ_MODE": "00"}}
    for name in ("odd", "m.1.0", "m.0.x", "n.0.0"):
        netlist = json.dumps({"modules": {"top": {"cells": {name: cell}}}}).encode()
        with pytest.raises(RefusedError, match=f"block RAM {name} that is no memory's"):
            blocks_of({"m": Memory(16, 256, 0)}, "ice40", netlist)


def test_filling_leaves_the_rest_alone():
    memory = Memory(16, 256, 0)
    block = Block("m.0.0", "m", 256, 0, 16)
    ink = block.text(memory.inked("m"), "ice40")
    placed = dataclasses.replace(block, place="1 2")
    routed = f".logic_tile 1 2\n0101\n\n.ram_data 1 2\n{ink}\n.sym 1 x\n"
    filled = fill(routed, [placed], {"m": memory}, "ice40")
    assert filled == routed.replace(ink, f"{0:064x}\n" * 16)


GOWIN = {"wide": Memory(288, 64, 5 << 288), "small": Memory(9, 8, 1 << 8 | 1 << 9 * 7)}


def gowin_design(contents):
    """A routed design with the blocks of `GOWIN`, a foreign table and some logic."""
    wide = [f"{contents['wide'].flat >> 288 * n & (1 << 288) - 1:0288b}" for n in range(64)]
    cells = {
        "wide": ("SDP", {f"INIT_RAM_{n:02X}": row for n, row in enumerate(wide)}),
        "logic": ("LUT4", {"INIT": "0" * 15 + "1"}),
    }
    for name, first, memory in (
        ("small.0.0", 0, "small"), ("small.0.1", 4, "small"), ("small.0.2", 8, "small"),
        ("other.0.0", 0, None),
    ):  # fmt: skip
        tables = ["1" * 16] * 4
        if memory:
            rows = [contents[memory].flat >> 9 * n & 511 for n in range(8)]
            bits = [sum((row >> first + bit & 1) << n for n, row in enumerate(rows))
                    for bit in range(4)]  # fmt: skip
            tables = [f"{table:016b}" for table in bits]
        cells[name] = ("RAM16SDP4", {f"INIT_{n}": table for n, table in enumerate(tables)})
        for n, table in enumerate(tables):
            cells[f"{name}_LUT{n}"] = ("LUT4", {"INIT": table})
    made = {name: {"type": kind, "parameters": given} for name, (kind, given) in cells.items()}
    return {"modules": {"top": {"cells": made}}}


def test_gowin_s_blocks_and_tables():
    design = gowin_design({name: memory.inked(name) for name, memory in GOWIN.items()})
    netlist = json.loads(json.dumps(design))
    netlist["modules"]["top"]["cells"]["wide"]["type"] = "SDPX9B"
    found = blocks_of(GOWIN, "gowin", json.dumps(netlist).encode())
    assert [(block.cell, block.first_bit, block.bits) for block in found] == [
        ("wide", 0, 288), ("small.0.0", 0, 4), ("small.0.1", 4, 4), ("small.0.2", 8, 4)
    ]  # fmt: skip
    placed = locate(found, GOWIN, "gowin", json.dumps(design))
    assert [block.place for block in placed] == [block.cell for block in found]
    filled = json.loads(fill(json.dumps(design), placed, GOWIN, "gowin"))
    assert filled == gowin_design(GOWIN)

    def looked(cells, netlist):
        blocks = blocks_of(GOWIN, "gowin", json.dumps(netlist).encode())
        locate(blocks, GOWIN, "gowin", json.dumps({"modules": {"top": {"cells": cells}}}))

    def refused(message, cells, netlist=netlist):
        with pytest.raises(RefusedError, match=message):
            looked(cells, netlist)

    cells = design["modules"]["top"]["cells"]
    refused("^the routed design has block RAMs of no memory: alien$",
            cells | {"alien": gowin_design(GOWIN)["modules"]["top"]["cells"]["wide"]})  # fmt: skip
    table = {"small.0.1_LUT2": {"type": "LUT4", "parameters": {"INIT": "0" * 16}}}
    refused("^bits 4 and on of the memory small are nowhere in the routed design", cells | table)
    named = netlist["modules"]["top"]["cells"]
    alien = named | {"alien": {"type": "SDPB", "parameters": {}}}
    refused("^the netlist has a block RAM alien that is no memory's$", cells,
            {"modules": {"top": {"cells": alien}}})  # fmt: skip
    less = {name: cell for name, cell in named.items() if not name.startswith("small")}
    refused("^the netlist has nothing of the memory small$", cells,
            {"modules": {"top": {"cells": less}}})  # fmt: skip


@pytest.fixture
def finished(standin, tmp_path):
    """A folder with what a patch looks at before it begins."""
    board = BOARDS["icebreaker"]
    job = Build(made(standin, 1), board, tmp_path)
    job.elaborate()
    job.put_in("", [])
    (tmp_path / "top.bin").write_bytes(b"\x7e")
    build = dict.fromkeys(BuildReport.__dataclass_fields__)
    build |= {"fmax_mhz": 50.0, "target_mhz": 36.0, "baud": 3_000_000, "utilization": {}}
    build |= {"board": "icebreaker", "config_digest": CONFIG.digest, "program_digest": "0" * 16,
              "files": {"bitstream": "top.bin"}}  # fmt: skip
    (tmp_path / "build.json").write_text(json.dumps(build))
    return tmp_path


def changed(folder, name, **new):
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_text()) | new))


def test_what_cannot_be_patched(standin, finished, tmp_path):
    board, program = BOARDS["icebreaker"], made(standin, 2)
    out = tmp_path / "out"

    def refused(error, text, program=program, board=board, source=finished):
        with pytest.raises(error) as found:
            patch(program, board, out, source)
        assert str(found.value) == text.format(source=source, out=out)

    refused(InputError, "{source} holds no build.json; build it first with: weft build {source}",
            source=tmp_path / "nothing")  # fmt: skip
    refused(
        RefusedError,
        "{source} was built for the board icebreaker and {out} was compiled for ulx3s-85f; "
        "compile it with: --board icebreaker",
        board=BOARDS["ulx3s-85f"],
    )
    refused(
        RefusedError,
        "the iCEBreaker's large memories have no initial contents that a patch could set; "
        "the program comes over the link with: weft run",
        program=dataclasses.replace(program, config=board.large),
        board=dataclasses.replace(board, spi_flash=""),
    )
    other = dataclasses.replace(CONFIG, weight_depth=33)
    refused(
        RefusedError,
        f"{{source}} was built for configuration {CONFIG.digest} and {{out}} was compiled for "
        f"{other.digest}; only programs of the same configuration share a bitstream: build {{out}} "
        "with: weft build {out}",
        program=dataclasses.replace(program, config=other),
    )
    known = MemoryMap.load(finished)
    (finished / "top.asc").write_text("changed")
    refused(
        InputError,
        f"{{source}}/top.asc is not what its build wrote: its digest is "
        f"{building.digest('changed')[:16]} and should be {known.routed[:16]}; build it again "
        "with: weft build {source}",
    )
    (finished / "top.asc").unlink()
    with pytest.raises(InputError, match="its digest is no readable file and should be"):
        patch(program, board, out, finished)
    text = (finished / "memories.json").read_text()
    for damage in ({"hardware": 5}, {"blocks": [5]}, {"routed": None}):
        changed(finished, "memories.json", **damage)
        refused(InputError, "{source}/memories.json cannot be read; build {source} again with: "
                            "weft build {source}")  # fmt: skip
        (finished / "memories.json").write_text(text)
    other = dataclasses.replace(known, hardware="f" * 16)
    other.save(finished)
    refused(
        RefusedError,
        f"{{source}} holds gateware {'f' * 16} and this weft makes {known.hardware} for the same "
        "configuration; build one of the two again with: weft build {out}",
    )
    changed(finished, "memories.json", format=0)
    refused(
        InputError,
        "{source}/memories.json has format 0 and this weft reads format 2; build {source} again "
        "with: weft build {source}",
    )
    (finished / "memories.json").write_text("{}")
    refused(InputError, "{source}/memories.json cannot be read; build {source} again with: "
                        "weft build {source}")  # fmt: skip
    (finished / "memories.json").unlink()
    refused(
        InputError,
        "{source} holds no memories.json, which says where a program goes in its bitstream; "
        "build {source} again with: weft build {source}",
    )
    for damage in ({"files": 5}, {"files": {"bitstream": 5}}, {"utilization": 7}, {"board": 5}):
        kept = (finished / "build.json").read_text()
        changed(finished, "build.json", **damage)
        refused(InputError, "{source}/build.json holds no finished build; build it again with: "
                            "weft build {source}")  # fmt: skip
        (finished / "build.json").write_text(kept)
    changed(finished, "build.json", files={})
    refused(InputError, "{source}/build.json holds no finished build; build it again with: "
                        "weft build {source}")  # fmt: skip


def unpacked(board, bitstream):
    """A bitstream as text, its memories' contents apart: (rest, contents)."""
    tool = {"ice40": "iceunpack", "ecp5": "ecpunpack"}[board.family]
    text = bitstream.with_suffix(".unpacked")
    paths = [bitstream.name, text.name]
    if board.family == "ecp5":
        paths = ["--input", bitstream.name, "--textcfg", text.name]
    subprocess.run([find_tool(tool), *paths], cwd=bitstream.parent, check=True, capture_output=True)
    rest, contents, inside = [], [], False
    for line in text.read_text().splitlines():
        if line.startswith("."):
            inside = line.startswith((".ram_data", ".bram_init"))
        (contents if inside else rest).append(line)
    return rest, contents


def build_with(monkeypatch, core):
    """Make every build take a stand-in, or the core itself."""
    original = (
        Build.__init__.__wrapped__ if hasattr(Build.__init__, "__wrapped__") else Build.__init__
    )

    @functools.wraps(original)
    def init(self, *arguments, **options):
        original(self, *arguments, **(options | {"core": core}))

    monkeypatch.setattr(Build, "__init__", init)


def contents_of(netlist, family):
    """What Yosys itself gives each block RAM, by cell, as the routed design would have it."""
    found = {}
    for name, cell in json.loads(netlist)["modules"]["top"]["cells"].items():
        values = {
            key: int(value.replace("x", "0"), 2)
            for key, value in cell["parameters"].items()
            if key.startswith("INIT")
        }
        if cell["type"] == "SB_RAM40_4K":
            found[name] = "".join(f"{values[f'INIT_{n:X}']:064x}\n" for n in range(16))
        elif cell["type"] == "DP16KD":
            words = [values[f"INITVAL_{n:02X}"] >> 20 * row for n in range(64) for row in range(16)]
            halves = [f"{word >> at & 511:03x}" for word in words for at in (0, 9)]
            lines = (" ".join(halves[first : first + 8]) for first in range(0, 2048, 8))
            found[name] = "".join(f"{line}\n" for line in lines)
    return found


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ["icebreaker", "ulx3s-25f"])
@pytest.mark.parametrize(
    "cores",
    [
        pytest.param((None, None), id="core", marks=pytest.mark.slow),
        pytest.param((Banked(1), Banked(2)), id="banks", marks=pytest.mark.long),
    ],
)
def test_contents_put_in_last(standin, tmp_path, monkeypatch, name, cores):
    """What is put in last, and what is patched, is what the tools themselves make of contents."""
    monkeypatch.setenv("WEFT_CACHE", str(tmp_path / "cache"))
    board = BOARDS[name]
    programs = made(standin, 1), made(standin, 2)

    def run(which, folder):
        build_with(monkeypatch, cores[which])
        job = Build(programs[which], board, tmp_path / folder, seeds=(1,))
        return job.run(require_timing=False)

    run(0, "one")
    report = run(1, "two")
    assert report.cached["synthesize"]
    assert report.cached["place and route, seed 1"]
    file = f"top{board.bitstream}"
    first, second = ((tmp_path / folder / file).read_bytes() for folder in ("one", "two"))
    assert first != second
    # With contents all the way through the tools, which know nothing of ink. Of the core's logic
    # Yosys then makes another netlist that does the same; of the banks' the same one.
    with monkeypatch.context() as patched:
        patched.setattr(building, "FAMILIES", ())
        if cores[1] is None:
            (tmp_path / "tools").mkdir()
            job = Build(programs[1], board, tmp_path / "tools", seeds=(1,))
            job.elaborate()
            job.synthesize()
        else:
            run(1, "tools")
            assert (tmp_path / "tools" / file).read_bytes() == second
    netlist = (tmp_path / "tools" / "top.json").read_bytes()
    job = Build(programs[1], board, tmp_path / "two")
    job.elaborate()
    routed = (tmp_path / "two" / job.routed).read_text()
    texts = contents_of(netlist, board.family)
    assert len(texts) == len(MemoryMap.load(tmp_path / "two").blocks)
    for block in MemoryMap.load(tmp_path / "two").blocks:
        text = block.text(job.memories[block.memory], board.family)
        assert texts.pop(block.cell) == text
        assert f"{block.place}\n{text}" in routed
    assert not texts

    out = tmp_path / "patched"
    report = patch(programs[1], board, out, tmp_path / "one")
    assert (out / file).read_bytes() == second
    assert report.patched == {
        "folder": str(tmp_path / "one"), "program_digest": programs[0].digest
    }  # fmt: skip
    assert report.program_digest == programs[1].digest
    assert json.loads((out / "build.json").read_text()) == dataclasses.asdict(report)
    assert all((out / written).is_file() for written in report.files.values())
    rest, contents = unpacked(board, tmp_path / "one" / file)
    rest_patched, contents_patched = unpacked(board, out / file)
    assert rest == rest_patched
    assert contents != contents_patched
    # And back again, from a folder that was patched itself.
    build_with(monkeypatch, cores[0])
    patch(programs[0], board, tmp_path / "back", out)
    assert (tmp_path / "back" / file).read_bytes() == first
