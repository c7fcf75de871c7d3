"""What goes into the FPGA: core, link, UART, and on a board clock, reset, pins and LEDs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from amaranth.hdl import ClockDomain, Elaboratable, Module
from amaranth.lib import io, wiring
from amaranth.lib.wiring import In, Out

from weft.boards.board import Board
from weft.boards.clock import ClockGenerator, make_pll
from weft.boards.flashed_core import FlashedCore
from weft.boards.link import Link
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
    program_digest : str or None
        Of those images.
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
        program_digest: str | None = None,
        core: Any = None,
    ):
        if core is None:
            from weft.hw.core import Core  # noqa: PLC0415  # a stand-in does without it

            core = Core(config) if images is None else Core(config, images=images)
        self.core = core
        flashed = (core.flashed, core.digest) if isinstance(core, FlashedCore) else None
        self.link = Link(
            config_digest=config.digest,
            program_digest=program_digest,
            flashed=flashed,
            timeout=int(LINK_TIMEOUT_SECONDS * clock),
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
        wiring.connect(m, receiver.o, link.rx)
        wiring.connect(m, link.tx, transmitter.i)
        wiring.connect(m, link.load, core.load)
        wiring.connect(m, link.read, core.read)
        wiring.connect(m, core.data, link.data)
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


class Target(Elaboratable):
    """The top level for a board.

    Parameters
    ----------
    board : Board
    config, images, program_digest, core
        See `System`.

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
            program_digest=program_digest,
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
        for number, shown in zip(self.board.leds, (system.busy, system.active), strict=False):
            led = io.Buffer("o", platform.request("led", number, dir="-"))
            m.submodules[f"led_{number}"] = led
            m.d.comb += led.o.eq(shown)
        return m
