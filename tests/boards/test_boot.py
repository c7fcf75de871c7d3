"""The boot loader against a model of a serial flash memory."""

import dataclasses
import random
import zlib

import numpy as np
import pytest
from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In
from amaranth.sim import Simulator

from weft.boards.board import Board
from weft.boards.boot import PAUSE_CYCLES, READ, SPI, WAKE, BootLoader
from weft.boards.driver import Driver
from weft.boards.flash_image import PAGE, PAGE_WORDS, flash_image, tag
from weft.boards.registry import BOARDS
from weft.boards.target import System, Target
from weft.compiler.program import LOAD_WORD
from weft.hw.config import Space

OFFSET = 0x1200


class Flash(wiring.Component):
    """Answers to reading, once it was woken up, and stays all ones or zeros where it is absent."""

    spi: In(SPI)

    def __init__(self, image, *, offset=OFFSET, absent=None):
        super().__init__()
        self.image = image
        self.offset = offset
        self.absent = absent

    def elaborate(self, platform):
        m = Module()
        before, awake, reading = Signal(), Signal(), Signal()
        bits, shift = Signal(32), Signal(32)
        address = Signal(24)
        # Erased but for the image.
        data = bytes([255]) * self.offset + self.image
        m.submodules.data = store = memory.Memory(
            shape=8, depth=1 << len(data).bit_length(), init=[byte ^ 255 for byte in data]
        )
        read = store.read_port(domain="comb")
        byte = Signal(8)
        m.d.comb += [read.addr.eq(address), byte.eq(~read.data)]
        m.d.sync += before.eq(self.spi.clock)
        rises = self.spi.clock & ~before
        with m.If(~self.spi.select):
            m.d.sync += [bits.eq(0), reading.eq(0)]
            with m.If((bits == 8) & (shift[:8] == WAKE)):
                m.d.sync += awake.eq(1)
        with m.Elif(rises):
            m.d.sync += [bits.eq(bits + 1), shift.eq(Cat(self.spi.copi, shift[:-1]))]
            with m.If((bits == 31) & awake & (shift[23:31] == READ)):
                m.d.sync += [reading.eq(1), address.eq(Cat(self.spi.copi, shift[:23]))]
            with m.If(reading & (bits[:3] == 7)):
                m.d.sync += address.eq(address + 1)
        # A bit appears when the clock falls, within the half of a period that is one cycle.
        out = Signal()
        m.d.comb += out.eq(byte.bit_select(~bits[:3], 1) | ~reading)
        m.d.comb += self.spi.cipo.eq(out if self.absent is None else self.absent)
        return m


def boot_of(config):
    return BootLoader(config_digest=config.digest, offset=OFFSET)


def made(standin, seed):
    """A program with an image of several pages, not all of them full."""
    rng = np.random.default_rng(seed)
    program = standin.program(seed % 200 + 1)
    images = dict(program.images)
    images[Space.WEIGHT] = rng.integers(0, 256, (PAGE_WORDS // 4 + 3, 16), dtype=np.uint8)
    return dataclasses.replace(program, images=images)


def test_an_image_is_the_load_words():
    words = np.zeros(70, LOAD_WORD)
    words["address"][:65] = np.arange(65) + 7
    words["address"][65:] = np.arange(5) + 100
    words["space"] = Space.WEIGHT
    words["data"] = np.arange(70) * 0x01010101

    class Program:
        digest = "0123456789abcdef"

        class config:
            digest = "f" * 16

        @staticmethod
        def load_words():
            return words

    image = flash_image(Program)
    pages = [image[first : first + PAGE] for first in range(0, len(image), PAGE)]
    assert pages[0] == tag("f" * 16) + bytes(PAGE - 8)
    counts = [60, 5, 5, 2]
    assert [page[3] for page in pages[1:]] == counts
    for page, count in zip(pages[1:], counts, strict=True):
        assert zlib.crc32(page[1:8]) == int.from_bytes(page[8:12], "little")
        end = 12 + 4 * count
        assert zlib.crc32(page[12:end]) == int.from_bytes(page[end : end + 4], "little")
        assert page[end + 4 :] == bytes(PAGE - end - 4)
    assert pages[1][12:252] == words["data"][:60].tobytes()
    assert [int.from_bytes(page[5:8], "little") for page in pages[1:]] == [7, 67, 100, 0]
    assert pages[4][4] == 7
    assert pages[4][12:20].hex() == Program.digest
    assert tag("f" * 16) != tag("e" * 16)


def test_a_program_from_the_flash_memory_runs_without_loading(standin, simulated):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    program = made(standin, seed)
    core = standin.Standin(standin.CONFIG)
    image = flash_image(program)
    transport = simulated.uart(
        core, standin.CONFIG, boot=boot_of(standin.CONFIG), flash=Flash(image)
    )
    # The loader takes its time, and does not hear what comes meanwhile.
    transport._run(16 * len(image) + 3 * PAUSE_CYCLES, lambda: False)
    with Driver(transport) as board:
        assert board.identify().program_digest == program.digest
        assert not board.load(program)
        x = standin.inputs(seed)
        found = board.run(program, x).outputs
        np.testing.assert_equal(found, standin.expected(seed % 200 + 1, x))
        # Another one comes over the link.
        other = standin.program(seed % 200 + 2)
        assert board.load(other)
        assert board.identify().program_digest == other.digest


def boots(standin, flash, cycles):
    """How many cycles it takes; whether a program is known; what is written to the core."""
    core = standin.Standin(standin.CONFIG)
    boot = boot_of(standin.CONFIG)
    system = System(standin.CONFIG, clock=8e6, baud=1e6, core=core, boot=boot)
    m = Module()
    m.submodules += [system, flash]
    wiring.connect(m, boot.spi, flash.spi)
    result = {"cycles": None, "writes": []}

    async def watch(ctx):
        assert ctx.get(boot.busy)
        for cycle in range(cycles):
            *_, busy, valid, word, tx = await ctx.tick().sample(
                boot.busy, core.load.valid & core.load.ready, core.load.payload, system.tx
            )
            assert tx  # the host hears nothing
            if valid:
                result["writes"].append((word.space, word.address, word.data))
            if not busy:
                result["cycles"] = cycle
                break
        result["known"] = ctx.get(system.link.known)
        result["digest"] = ctx.get(system.link.digest).to_bytes(8, "little").hex()

    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(watch)
    simulator.run()
    return result


def test_the_words_go_to_the_core_in_order(standin):
    program = made(standin, 5)
    image = flash_image(program)
    limit = 17 * len(image) + 2 * PAUSE_CYCLES
    found = boots(standin, Flash(image), limit)
    assert found["known"]
    assert found["digest"] == program.digest
    words = program.load_words()
    wanted = [(int(w["space"]), int(w["address"]), int(w["data"])) for w in words]
    assert found["writes"] == wanted


@pytest.mark.parametrize("level", [0, 1])
def test_an_absent_flash_memory(standin, level):
    found = boots(standin, Flash(b"", absent=level), 2 * PAUSE_CYCLES)
    assert found["cycles"] is not None
    assert not found["known"]
    assert not found["writes"]


def test_an_erased_flash_memory_and_one_for_other_hardware(standin):
    other = dataclasses.replace(standin.CONFIG, weight_depth=17)
    program = dataclasses.replace(made(standin, 6), config=other)
    for image in (b"", flash_image(program)):
        found = boots(standin, Flash(image), 2 * PAUSE_CYCLES)
        assert found["cycles"] is not None
        assert not found["known"]
        assert not found["writes"]


def test_damage_claims_nothing(standin):
    """Of every part of a request, and of the tag."""
    seed = random.randrange(1 << 32)
    print("seed", seed)
    number = random.Random(seed)
    image = flash_image(standin.program(7))
    first, last = PAGE, 2 * PAGE
    assert len(image) == 3 * PAGE
    end = last + 16 + 4 * image[last + 3]
    places = [7, first, first + 3, first + 12, last + 4, end - 1]
    limit = 17 * len(image) + 3 * PAUSE_CYCLES
    for place in places:
        damaged = bytearray(image)
        damaged[place] ^= 1 << number.randrange(8)
        found = boots(standin, Flash(bytes(damaged)), limit)
        assert found["cycles"] is not None, place
        assert not found["known"], place
    # The power went while it was written.
    found = boots(standin, Flash(image[:last]), limit)
    assert found["cycles"] is not None
    assert not found["known"]
    assert len(found["writes"]) == len(standin.program(7).load_words())


def test_which_boards_boot():
    board = BOARDS["icebreaker"]
    assert board.boots(board.large)
    assert not board.boots(board.config)
    assert Target(board, board.large).system.boot is not None
    assert Target(board, board.config).system.boot is None
    without: Board = dataclasses.replace(board, spi_flash="")
    assert Target(without, board.large).system.boot is None


@pytest.mark.parametrize("offset", [-256, 1, 1 << 24])
def test_an_offset_that_cannot_be(offset):
    with pytest.raises(
        ValueError, match=f"must be a multiple of 256 below 2\\*\\*24, not {offset}$"
    ):
        BootLoader(config_digest="0" * 16, offset=offset)
