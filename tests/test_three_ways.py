"""A network swapped for another in three ways: all run as a build of its own would."""

import re
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from amaranth.back import rtlil
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from weft import simulated_board
from weft.boards.build import Build
from weft.boards.contents import take_out
from weft.boards.driver import Driver
from weft.boards.flash_image import flash_image
from weft.boards.memory_map import MemoryMap
from weft.boards.patch import patch
from weft.boards.record import ProgramRecord
from weft.boards.registry import BOARDS
from weft.boards.target import System
from weft.boards.tools import find_tool
from weft.compiler.compile import compile_network
from weft.hw.bank import PlainVerilog
from weft.hw.verilog import convert
from weft.sim import golden
from weft.sim.line.executable import executable
from weft.sim.line.sources import TOP
from weft.simulated_board import BAUD, CYCLES_PER_BIT, FlashMemory, SimulatedBoard

BOARD = BOARDS["icebreaker"]


class Filled(wiring.Component):
    """A board's system with a program in the initial contents of its memories."""

    rx: In(1, init=1)
    tx: Out(1, init=1)
    busy: Out(1)
    ready: Out(1, init=1)

    def __init__(self, program):
        super().__init__()
        self.program = program

    def elaborate(self, platform):
        m = Module()
        m.submodules.system = system = System(
            self.program.config, clock=BAUD * CYCLES_PER_BIT, baud=BAUD,
            images=self.program.images, recall=ProgramRecord(self.program.digest),
        )  # fmt: skip
        m.d.comb += [system.rx.eq(self.rx), self.tx.eq(system.tx), self.busy.eq(system.busy)]
        return m


@pytest.fixture(scope="module")
def networks(digits_network):
    """The digits network, and the same with its weights the other way round."""
    turned = [
        replace(node, weights=np.ascontiguousarray(node.weights[::-1]))
        if hasattr(node, "weights")
        else node
        for node in digits_network.nodes
    ]
    return digits_network, replace(digits_network, nodes=turned)


def outputs(board, program, samples, *, loads):
    """Of a board, which has to load the program first or has it already."""
    with Driver(board.port, timeout=60, limit=600) as opened:
        assert opened.load(program) == loads
        return opened.run(program, samples).outputs


def contents_of_bitstream(folder):
    """Contents of its block RAMs, by their places, as iceunpack reads them."""
    command = [find_tool("iceunpack"), "top.bin", "unpacked"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    text = (folder / "unpacked").read_text()
    return dict(re.findall(r"^\.ram_data (\d+ \d+)\n((?:[0-9a-f]{64}\n)+)", text, re.MULTILINE))


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_link_and_patched_bitstream(networks, digits_samples, tmp_path, monkeypatch):
    before, after = (compile_network(network, BOARD.config) for network in networks)
    expected = golden.run(after, digits_samples).outputs
    with pytest.raises(AssertionError):
        np.testing.assert_equal(golden.run(before, digits_samples).outputs, expected)

    with SimulatedBoard(BOARD.config, before) as board:
        np.testing.assert_equal(outputs(board, after, digits_samples, loads=True), expected)

    for program, name in ((before, "before"), (after, "fresh")):
        Build(program, BOARD, tmp_path / name, seeds=(1,)).run(require_timing=False)
    patch(after, BOARD, tmp_path / "patched", tmp_path / "before")
    fresh = (tmp_path / "fresh" / "top.bin").read_bytes()
    assert (tmp_path / "patched" / "top.bin").read_bytes() == fresh

    # A system whose memories begin with what is in the patched bitstream.
    _, memories = take_out(rtlil.convert(Filled(after), name=TOP, platform=PlainVerilog()), "ice40")
    found = contents_of_bitstream(tmp_path / "patched")
    blocks = MemoryMap.load(tmp_path / "patched").blocks
    assert memories.keys() <= {block.memory for block in blocks}
    for block in blocks:
        if block.memory in memories:
            assert found.pop(block.place) == block.text(memories[block.memory], "ice40")
    # The activations' banks, and block RAMs that nothing is in.
    assert not "".join(found.values()).strip("0\n")
    binary = executable(convert(Filled(after), name=TOP), "", "")
    monkeypatch.setattr(simulated_board, "board_executable", lambda config: binary)
    with SimulatedBoard(BOARD.config) as board:
        np.testing.assert_equal(outputs(board, after, digits_samples, loads=False), expected)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_link_and_flash_memory(networks, digits_samples):
    """The iCEBreaker's large configuration, whose memories no bitstream fills."""
    before, after = (compile_network(network, BOARD.large) for network in networks)
    expected = golden.run(after, digits_samples).outputs
    kept = FlashMemory(flash_image(before), BOARD.program_offset)
    with SimulatedBoard(BOARD.large, boot=kept) as board:
        np.testing.assert_equal(outputs(board, after, digits_samples, loads=True), expected)
    swapped = FlashMemory(flash_image(after), BOARD.program_offset)
    with SimulatedBoard(BOARD.large, boot=swapped) as board:
        np.testing.assert_equal(outputs(board, after, digits_samples, loads=False), expected)
