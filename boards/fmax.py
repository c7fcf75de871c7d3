"""How fast a configuration's bitstream runs, from the configuration alone.

Where it is a board's own and its build is recorded (``bench/boards.py``), that build's clock is
given. Else the period after place and route is modelled as a sum over what makes paths long, each
times a coefficient that was fitted to recorded builds (``bench/fmax.py``). Core, link and UART on
a board are meant. Placement is a matter of luck: the same design placed from another seed comes
out differently, which no such model can know.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from weft.boards.board import Board
from weft.boards.builds import recorded_build
from weft.boards.fmax_coefficients import BUILDS, COEFFICIENTS, MARGIN
from weft.hw.area import estimate_area
from weft.hw.config import Config


@dataclass(frozen=True)
class Fmax:
    """A frequency and how well it is known.

    Parameters
    ----------
    mhz : float
        The core's clock after routing, the median of placements; of a recorded build the best.
    margin : float
        Largest error, as a share, on a recorded build that the fit had not seen.
    builds : int
        Configurations that the fit has seen.
    recorded : bool
        Whether it is that of a build: known, and fitted to nothing.
    unseen : tuple of str
        Parts of the configuration that none of them had; the estimate leaves out what they cost.
    """

    mhz: float
    margin: float
    builds: int
    unseen: tuple[str, ...] = ()
    recorded: bool = False


def silicon(board: Board) -> str:
    """What of a board's FPGA decides its speed: ``"LFE5U-6"``, ``"GW2A-18 C8/I7"``."""
    lattice = re.fullmatch(r"(LFE5UM?5?G?)-\d+F-(\d).*", board.device)
    if lattice:
        return f"{lattice[1]}-{lattice[2]}"
    gowin = re.fullmatch(r"(GW\w+)-[A-Z]*(\d+)[A-Z].*?(C\d/I\d)", board.device)
    if gowin:
        return f"{gowin[1]}-{gowin[2]} {gowin[3]}"
    ice = re.match(r"iCE40[A-Z]+", board.device)
    return ice[0] if ice else board.device


def estimate_fmax(config: Config, board: Board) -> Fmax | None:
    """Highest frequency of `config` on a board's FPGA; None where too few builds are recorded."""
    made = recorded_build(board)
    if made is not None and made.config_digest == config.digest:
        return Fmax(made.fmax_mhz, 0.0, 1, recorded=True)
    kind = silicon(board)
    if kind not in COEFFICIENTS:
        return None
    weights, sizes = COEFFICIENTS[kind], terms(config, board)
    period = sum(weight * sizes[name] for name, weight in weights.items())
    unseen = tuple(name for name, size in sizes.items() if size and name not in weights)
    return Fmax(1000 / period, MARGIN[kind], BUILDS[kind], unseen)


def unknown_because(config: Config, board: Board) -> str | None:
    """Why `estimate_fmax` says nothing of a configuration; None where it does."""
    if estimate_fmax(config, board) is not None:
        return None
    kind = silicon(board)
    if board.family == "gowin":
        reason = (
            f"nextpnr knows no delays of the multipliers of {kind}, so its figures of builds are "
            "nothing that a model could be fitted to"
        )
    else:
        reason = f"too few builds are recorded for {kind} to fit a model"
    made = recorded_build(board)
    if made is not None:
        # Of Gowin's the record has the share that is trusted.
        reason += f"; the board's own configuration came out at {made.fmax_mhz:.1f} MHz"
    return f"{reason}; builds for the board run at {board.target_mhz:g} MHz, or are refused"


def terms(config: Config, board: Board) -> dict[str, float]:
    """What the period is counted by."""
    area = estimate_area(config, board.family)
    return {
        "logic": 1,
        # Wires grow with the side of the area that a design takes.
        "wires": math.sqrt(area.lut4),
        # Block RAMs stand in columns all over the FPGA: many of them pull a design apart.
        "memories": area.block_rams,
        "window": int(config.window > 0),
        "multiplier": int(config.multiplier_bits > 0),
    }
