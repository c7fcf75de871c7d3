"""What goes into the FPGA: core, link, UART, and on a board clock, reset, pins and LEDs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from amaranth.hdl import ClockDomain, Elaboratable, Module, Mux
from amaranth.lib import io, wiring
from amaranth.lib.wiring import In, Out

from weft.boards.board import Board
from weft.boards.boot import BootLoader
from weft.boards.clock import ClockGenerator, make_pll
from weft.boards.flashed_core import FlashedCore
from weft.boards.link import Link
from weft.boards.record import ProgramRecord
from weft.boards.uart import Receiver, Transmitter
from weft.hw.config import Config, Space

#: Silence after which the link forgets half a request: longer than a USB host ever pauses.
LINK_TIMEOUT_SECONDS = 0.05

Images = Mapping[Space, np.ndarray]


class System(wiring.Component):
    """A core behind a UART: everything but the board.

    Parameters
    ----------
    config : Config
    clock, baud : float
        Hz and bits per second.
    images : mapping of Space to uint8 array, or None
        Initial contents of the memories.
    recall : wiring.Component or None
        What knows after reset which program is in the memories: its `recall` is the link's.
    boot : BootLoader or None
        Speaks with the link before the host does.
    core : wiring.Component or None
        Instead of a core of this configuration, with the same ports; a `FlashedCore` says itself
        which program it has.

    Members
    -------
    rx : In(1), tx : Out(1)
        The line.
    busy : Out(1)
        An inference is under way.
    active : Out(1)
        Toggles with every reply.
    """

    def __init__(
        self,
        config: Config,
        *,
        clock: float,
        baud: float,
        images: Images | None = None,
        recall: Any = None,
        boot: BootLoader | None = None,
        core: Any = None,
    ):
        if core is None:
            from weft.hw.core import Core  # noqa: PLC0415  # a stand-in does without it

            core = Core(config) if images is None else Core(config, images=images)
        self.core = core
        self.recall = recall
        self.boot = boot
        flashed = (core.flashed, core.digest) if isinstance(core, FlashedCore) else None
        self.link = Link(
            config_digest=config.digest,
            flashed=flashed,
            timeout=int(LINK_TIMEOUT_SECONDS * clock),
            streams=bool(config.stream),
        )
        self.receiver = Receiver(clock=clock, baud=baud)
        self.transmitter = Transmitter(clock=clock, baud=baud)
        super().__init__({"rx": In(1, init=1), "tx": Out(1, init=1), "busy": Out(1),
                          "active": Out(1)})  # fmt: skip

    def elaborate(self, platform: Any) -> Module:
        """Connect the parts."""
        m = Module()
        m.submodules.core = core = self.core
        m.submodules.link = link = self.link
        m.submodules.receiver = receiver = self.receiver
        m.submodules.transmitter = transmitter = self.transmitter
        if self.boot is None:
            wiring.connect(m, receiver.o, link.rx)
            wiring.connect(m, link.tx, transmitter.i)
        else:
            m.submodules.boot = self.boot
            self._connect_boot(m, self.boot)
        wiring.connect(m, link.load, core.load)
        wiring.connect(m, link.read, core.read)
        wiring.connect(m, core.data, link.data)
        if self.recall is not None:
            m.submodules.recall = self.recall
            wiring.connect(m, self.recall.recall, link.recall)
        m.d.comb += [
            core.start.eq(link.start),
            link.busy.eq(core.busy),
            link.cycles.eq(core.cycles),
            receiver.pin.eq(self.rx),
            self.tx.eq(transmitter.pin),
            self.busy.eq(core.busy),
            self.active.eq(link.active),
        ]
        return m

    def _connect_boot(self, m: Module, boot: BootLoader) -> None:
        """While the boot loader is busy, the host is not heard, and hears nothing."""
        link, receiver, transmitter = self.link, self.receiver, self.transmitter
        m.d.comb += [
            boot.answered.eq(link.answered),
            boot.good.eq(link.good),
            boot.known.eq(link.known),
            boot.bytes.ready.eq(link.rx.ready),
            link.rx.payload.eq(Mux(boot.busy, boot.bytes.payload, receiver.o.payload)),
            link.rx.valid.eq(Mux(boot.busy, boot.bytes.valid, receiver.o.valid)),
            receiver.o.ready.eq(boot.busy | link.rx.ready),
            transmitter.i.payload.eq(link.tx.payload),
            transmitter.i.valid.eq(link.tx.valid & ~boot.busy),
            link.tx.ready.eq(boot.busy | transmitter.i.ready),
        ]


class Target(Elaboratable):
    """The top level for a board.

    Parameters
    ----------
    board : Board
    config, images, core
        See `System`.
    program_digest : str or None
        Of those images.

    Attributes
    ----------
    clock : float
        The core's frequency in Hz: what the PLL makes of the board's `target_mhz`.
    """

    def __init__(
        self,
        board: Board,
        config: Config,
        *,
        images: Images | None = None,
        program_digest: str | None = None,
        core: Any = None,
    ):
        self.board = board
        self.pll = make_pll(board.family, board.platform(), board.target_mhz * 1e6)
        self.clock = self.pll.output
        self.system = System(
            config,
            clock=self.clock,
            baud=board.baud,
            images=images,
            # Without a program, too: one may be put into the same bitstream later.
            recall=ProgramRecord(program_digest) if board.keeps(config) else None,
            boot=BootLoader(config_digest=config.digest, offset=board.program_offset)
            if board.boots(config)
            else None,
            core=core,
        )

    def elaborate(self, platform: Any) -> Module:
        """Put the system on the board."""
        m = Module()
        m.domains += ClockDomain("sync")
        m.submodules.clock = ClockGenerator(self.pll)
        m.submodules.system = system = self.system

        # Handshake lines, where there are any, are requested with the rest and left alone.
        pins = {pin.name: "-" for pin in platform.lookup(self.board.uart, 0).ios}
        uart = platform.request(self.board.uart, 0, dir=pins)
        m.submodules.rx = rx = io.Buffer("i", uart.rx)
        m.submodules.tx = tx = io.Buffer("o", uart.tx)
        m.d.comb += [system.rx.eq(rx.i), tx.o.eq(system.tx)]
        colours = [led for led in self.board.leds if isinstance(led, str)]
        rgb = platform.request("rgb_led", 0, dir=dict.fromkeys("rgb", "-")) if colours else None
        for led, shown in zip(self.board.leds, (system.busy, system.active), strict=False):
            pin = getattr(rgb, led) if led in colours else platform.request("led", led, dir="-")
            m.submodules[f"led_{led}"] = buffer = io.Buffer("o", pin)
            m.d.comb += buffer.o.eq(shown)
        for name in self.board.unused:
            m.submodules[f"unused_{name}"] = io.Buffer("o", platform.request(name, 0, dir="-"))
        if system.boot is not None:
            self._connect_flash(m, platform, system.boot)
        return m

    def _connect_flash(self, m: Module, platform: Any, boot: BootLoader) -> None:
        """The pins of the flash memory; what else it has, is left inactive."""
        name = self.board.spi_flash
        ios = {pin.name: "-" for pin in platform.lookup(name, 0).ios}
        pins = platform.request(name, 0, dir=ios)
        spi = boot.spi
        values = {"cs": spi.select, "clk": spi.clock, "copi": spi.copi, "wp": 0, "hold": 0}
        for pin in ios:
            direction = "i" if pin == "cipo" else "o"
            m.submodules[f"flash_{pin}"] = pad = io.Buffer(direction, getattr(pins, pin))
            m.d.comb += spi.cipo.eq(pad.i) if pin == "cipo" else pad.o.eq(values[pin])
