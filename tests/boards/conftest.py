"""A board in Amaranth's simulator, behind the driver's own transport."""

import importlib.util
import pathlib
import sys
from collections import deque

import pytest
from amaranth._unused import MustUse
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.sim import Simulator

from weft.boards.link import Link
from weft.boards.record import ProgramRecord
from weft.boards.target import System
from weft.boards.transport import Transport

# Many tests here make components only to see them refused, or for their attributes.
MustUse._MustUse__silence = True


def _load(name):
    """Import a module from tests/, which is no package."""
    if name not in sys.modules:
        path = pathlib.Path(__file__).parents[1] / f"{name}.py"
        spec = importlib.util.spec_from_file_location(name, path)
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


class SimulatedTransport(Transport):
    """Steps a simulator while the driver waits; a read gives up after `patience` cycles."""

    name = "sim"

    def __init__(self, dut, host, *, patience, quiet):
        self.to_board = deque()
        self.from_board = deque()
        self.patience = patience
        self.quiet = quiet
        self._cycles = 0
        self._simulator = Simulator(dut)
        self._simulator.add_clock(1e-6)

        async def process(ctx):
            await host(ctx, self)

        self._simulator.add_testbench(process)

    def tick(self):
        self._cycles += 1

    def _run(self, cycles, done):
        end = self._cycles + cycles
        while self._cycles < end and not done():
            self._simulator.advance()

    def write(self, data):
        self.to_board.extend(data)

    def read(self, count, timeout):
        self._run(self.patience, lambda: not self.to_board)
        self._run(self.patience, lambda: len(self.from_board) >= count)
        got = bytes(list(self.from_board)[:count])
        for _ in got:
            self.from_board.popleft()
        return got

    def drain(self, quiet):
        self._run(self.quiet, lambda: False)
        self.from_board.clear()

    def close(self):
        pass


def core_and_link(core, config, *, program_digest=None, timeout=250, streams=False):
    m = Module()
    m.submodules.core = core
    m.submodules.link = link = Link(config_digest=config.digest, timeout=timeout, streams=streams)
    m.submodules.record = record = ProgramRecord(program_digest)
    wiring.connect(m, record.recall, link.recall)
    wiring.connect(m, link.load, core.load)
    wiring.connect(m, link.read, core.read)
    wiring.connect(m, core.data, link.data)
    m.d.comb += [
        core.start.eq(link.start),
        link.busy.eq(core.busy),
        link.cycles.eq(core.cycles),
    ]
    return m, link


def link_transport(core, config, *, program_digest=None, patience=1500, streams=False):
    """Bytes straight into the link."""
    dut, link = core_and_link(core, config, program_digest=program_digest, streams=streams)

    async def host(ctx, transport):
        ctx.set(link.tx.ready, 1)
        while True:
            waiting = bool(transport.to_board)
            ctx.set(link.rx.valid, waiting)
            if waiting:
                ctx.set(link.rx.payload, transport.to_board[0])
            _, _, taken, valid, byte = await ctx.tick().sample(
                link.rx.ready, link.tx.valid, link.tx.payload
            )
            if waiting and taken:
                transport.to_board.popleft()
            if valid:
                transport.from_board.append(byte)
            transport.tick()

    return SimulatedTransport(dut, host, patience=patience, quiet=600)


def uart_transport(core, config, *, clock=8e6, baud=1e6, boot=None, flash=None):
    """Real bits on the line; with a boot loader, also its SPI flash."""
    dut = system = System(config, clock=clock, baud=baud, core=core, boot=boot)
    if flash is not None:
        dut = Module()
        dut.submodules += [system, flash]
        wiring.connect(dut, boot.spi, flash.spi)
    bit = round(clock / baud)

    async def host(ctx, transport):
        sending, receiving = [], None
        while True:
            if not sending and transport.to_board:
                byte = transport.to_board.popleft()
                levels = [0, *((byte >> n) & 1 for n in range(8)), 1]
                sending = [level for level in levels for _ in range(bit)]
            ctx.set(system.rx, sending.pop(0) if sending else 1)
            _, _, line = await ctx.tick().sample(system.tx)
            transport.tick()
            if receiving is None and line == 0:
                receiving = []
            if receiving is not None:
                receiving.append(line)
                if len(receiving) == 10 * bit:
                    bits = receiving[bit // 2 :: bit]
                    assert bits[0] == 0
                    assert bits[9] == 1
                    transport.from_board.append(sum(b << n for n, b in enumerate(bits[1:9])))
                    receiving = None

    return SimulatedTransport(dut, host, patience=100_000, quiet=1_100_000)


@pytest.fixture(scope="session")
def standin():
    """The module with a stand-in core and programs for it."""
    return _load("standin")


@pytest.fixture(scope="session")
def simulated():
    """Functions that make transports to a simulated board."""

    class Simulated:
        link = staticmethod(link_transport)
        uart = staticmethod(uart_transport)

    return Simulated
