"""The clock of a netlist, by the parameters of its PLL."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from weft.boards.board import Board
from weft.errors import RefusedError

Cell = Mapping[str, Any]


def check_clock(cells: Iterable[Cell], board: Board, clock: float) -> None:
    """Refuse a netlist whose PLL makes another clock of the board's oscillator.

    In a simulation of the netlist the PLL passes its reference on; what it makes of the frequency
    is looked at here.

    Parameters
    ----------
    cells : iterable of dict
        As in Yosys's JSON.
    board : Board
    clock : float
        What the build says, in Hz.

    Raises
    ------
    RefusedError
        If it is another, or there is not one PLL.
    """
    plls = [cell for cell in cells if cell["type"] in _RATIOS]
    if len(plls) != 1:
        raise RefusedError(f"the netlist for {board.title} has {len(plls)} PLLs instead of one")
    (pll,) = plls
    source = board.platform().default_clk_frequency
    found = source * _RATIOS[pll["type"]](lambda name: int(pll["parameters"][name], 2))
    # The build's number is rounded to a hertz.
    if not math.isclose(found, clock, abs_tol=1):
        raise RefusedError(
            f"the PLL in the netlist makes {found / 1e6:.6f} MHz of the {board.title}'s oscillator "
            f"and the build says {clock / 1e6:.6f} MHz; build it again"
        )


Number = Callable[[str], int]


def _ecp5(number: Number) -> float:
    """Its own output is the feedback: the output's divider cancels out."""
    return number("CLKFB_DIV") / number("CLKI_DIV")


def _ice40(number: Number) -> float:
    return (number("DIVF") + 1) / (number("DIVR") + 1) / 2 ** number("DIVQ")


def _gowin(number: Number) -> float:
    return (number("FBDIV_SEL") + 1) / (number("IDIV_SEL") + 1)


_RATIOS: dict[str, Callable[[Number], float]] = {
    "EHXPLLL": _ecp5,
    "SB_PLL40_CORE": _ice40,
    "SB_PLL40_PAD": _ice40,
    "ICESTORM_PLL": _ice40,
    "rPLL": _gowin,
}
