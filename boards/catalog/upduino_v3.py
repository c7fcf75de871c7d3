"""UPduino v3, by tinyVision.ai."""

from amaranth.build import Attrs, PinsN, Resource
from amaranth_boards.resources import UARTResource
from amaranth_boards.upduino_v3 import UpduinoV3Platform

from weft.boards.board import Board
from weft.boards.catalog.chips import UP5K

_PINS = Attrs(IO_STANDARD="SB_LVCMOS")


class _Platform(UpduinoV3Platform):
    """With the USB chip's serial port, whose wires are those of the flash memory."""

    # The FPGA's own oscillator may be off by a tenth: too much for a UART.
    default_clk = "clk12"
    resources = (
        *UpduinoV3Platform.resources,
        UARTResource(0, rx="15", tx="14", attrs=_PINS),
        Resource("flash_select", 0, PinsN("16", dir="o"), _PINS),
    )


BOARD = Board(
    name="upduino-v3",
    title="UPduino v3",
    platform=_Platform,
    device="iCE40UP5K-SG48",
    **UP5K,
    target_mhz=36,
    baud=3_000_000,
    leds=("g", "b"),
    unused=("flash_select",),
    bitstream=".bin",
    flash_tool="iceprog",
    flash_arguments=("{file}",),
)
