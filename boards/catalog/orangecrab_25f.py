"""OrangeCrab r0.2 with the LFE5U-25F, by Good Stuff Department."""

from amaranth.build import Attrs
from amaranth_boards.orangecrab_r0_2 import OrangeCrabR0_2_25FPlatform
from amaranth_boards.resources import UARTResource

from weft.boards.board import Board
from weft.boards.catalog.chips import ECP5_25F

#: Its USB socket leads to the FPGA alone: the link is on the header, pins 0 and 1.
UART = UARTResource(0, rx="0", tx="1", conn=("io", 0), attrs=Attrs(IO_TYPE="LVCMOS33"))


class _Platform(OrangeCrabR0_2_25FPlatform):
    resources = (*OrangeCrabR0_2_25FPlatform.resources, UART)


BOARD = Board(
    name="orangecrab-25f",
    title="OrangeCrab r0.2 25F",
    platform=_Platform,
    device="LFE5U-25F-8MG285",
    **ECP5_25F,
    target_mhz=192,
    leds=("g", "b"),
    bitstream=".bit",
    flash_tool="dfu-util",
    flash_arguments=("-d", "1209:5af0", "-a", "0", "-D", "{file}"),
    usb_vendor="1209",
    plug="hold its button while you plug it in, so that its boot loader starts",
)
