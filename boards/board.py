"""What weft knows about a board: data, and nothing a user could not look up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from weft.boards.floorplan import Floorplan
from weft.hw.config import Config

Family = Literal["ice40", "ecp5", "gowin"]

#: Share of the frequency that nextpnr reports which a family's clock may have at the most.
#: nextpnr does not know how long a Gowin multiplier takes: see docs/hardware.md.
DERATING: dict[Family, float] = {"ice40": 1.0, "ecp5": 1.0, "gowin": 0.5}


@dataclass(frozen=True, kw_only=True)
class Board:
    """A board; each file in `weft.boards.catalog` makes one.

    Parameters
    ----------
    name : str
        As on the command line.
    title : str
        As its makers write it.
    platform : callable
        Makes its amaranth-boards platform.
    family : str
        ``"ice40"``, ``"ecp5"`` or ``"gowin"``: which primitives and tools.
    device : str
        The FPGA.
    multipliers : int
        INT8 multipliers in its DSP blocks.
    ram_bytes : int
        On-chip memory.
    luts, block_rams : int
        Lookup tables of four inputs, and block RAMs, in the FPGA.
    config : Config
        The best configuration known that fits and meets `target_mhz`.
    large : Config or None
        Another one, slower, for networks that are too large for it.
    target_mhz : float
        The core's clock; the PLL makes the nearest frequency that is not above.
    uart : str
        Name of the platform's resource.
    baud : int
        Bits per second, within 2 % of a whole fraction of the clock.
    leds : tuple of int or str
        The LEDs that show busy and alive, as many as there are: numbers, or colours (``"g"``) of
        the one that has several.
    unused : tuple of str
        Names of the platform's outputs that would disturb if they were left alone.
    bitstream : str
        Suffix of the file that is flashed.
    flash_tool : str
    flash_arguments : tuple of str
        To the permanent memory; ``{file}`` stands for the bitstream.
    sram_arguments : tuple of str
        Until the power goes, or empty where the board cannot.
    usb_vendor : str
        Four hexadecimal digits, of what the flash tool talks to.
    plug : str
        What to do so that the flash tool finds the board.
    spi_flash : str
        Name of the platform's resource for the flash memory with the bitstream, where a boot loader
        in the gateware may find a program in it; empty where there is none.
    program_offset : int
        Where in that memory.
    program_arguments : tuple of str
        To `flash_tool`, to put a program there; ``{offset}`` is the place.
    synth_options : str
        More options for Yosys's synth command.
    seeds : tuple of int
        Placements that a build tries, in order, until one meets the clock.
    floorplan : callable or None
        Places of cells for a configuration and a netlist (`weft.boards.floorplan`), where nextpnr
        alone does badly.
    pack_options : tuple of str
        More options for the packer.
    """

    name: str
    title: str
    platform: Callable[[], Any]
    family: Family
    device: str
    multipliers: int
    ram_bytes: int
    luts: int
    block_rams: int
    config: Config
    target_mhz: float
    large: Config | None = None
    uart: str = "uart"
    baud: int = 1_000_000
    leds: tuple[int | str, ...] = ()
    unused: tuple[str, ...] = ()
    bitstream: str
    flash_tool: str
    flash_arguments: tuple[str, ...]
    sram_arguments: tuple[str, ...] = ()
    usb_vendor: str = "0403"
    plug: str = "plug it in"
    spi_flash: str = ""
    program_offset: int = 1 << 20
    program_arguments: tuple[str, ...] = ()
    synth_options: str = ""
    seeds: tuple[int, ...] = (1, 2, 3)
    floorplan: Floorplan | None = None
    pack_options: tuple[str, ...] = ()

    @property
    def multiplier_blocks(self) -> int:
        """DSP blocks in the FPGA; one of the iCE40's makes two INT8 products."""
        return self.multipliers // 2 if self.family == "ice40" else self.multipliers

    @property
    def configs(self) -> tuple[Config, ...]:
        """The configurations, in the order in which they are tried."""
        return (self.config,) if self.large is None else (self.config, self.large)

    def name_of(self, config: Config) -> str | None:
        """Name one of the configurations, ``"config"`` or ``"large"``; None for any other."""
        names = {self.large: "large", self.config: "config"}
        return names.get(config)

    def keeps(self, config: Config) -> bool:
        """Whether a bitstream can give memories of a configuration their contents."""
        return not (self.family == "ice40" and config.single_port)

    def boots(self, config: Config) -> bool:
        """Whether the gateware of a configuration loads its program from the flash memory."""
        return bool(self.spi_flash) and not self.keeps(config)

    @property
    def derating(self) -> float:
        """Share of the frequency after routing that is trusted, by `DERATING`."""
        return DERATING[self.family]

    @property
    def toolchain(self) -> tuple[str, str, str]:
        """Synthesis, place and route, packer: the names of their commands."""
        if self.family == "ice40":
            return ("yosys", "nextpnr-ice40", "icepack")
        if self.family == "gowin":
            return ("yosys", "nextpnr-himbaechel-gowin", "gowin_pack")
        return ("yosys", "nextpnr-ecp5", "ecppack")
