"""What came of a build, as build.json has it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from weft.boards.board import Family

#: What nextpnr's names for the resources that matter mean.
RESOURCES = {
    "ICESTORM_LC": "logic cells",
    "ICESTORM_RAM": "block RAMs",
    "ICESTORM_DSP": "DSP blocks",
    "ICESTORM_SPRAM": "single-port RAMs",
    "TRELLIS_COMB": "LUTs",
    "TRELLIS_FF": "flip-flops",
    "TRELLIS_RAMW": "distributed RAMs",
    "DP16KD": "block RAMs",
    "MULT18X18D": "multipliers",
    "LUT4": "LUTs",
    "ALU": "adder cells",
    "DFF": "flip-flops",
    "BSRAM": "block RAMs",
    "MULT9X9": "9 x 9 multipliers",
    "MULT18X18": "18 x 18 multipliers",
}


def netlist_files(family: Family) -> dict[str, str]:
    """Names of the netlists that a build leaves: Yosys's, and as it was packed, placed and routed.

    A routed design for Gowin's FPGAs is a netlist itself.
    """
    routed = "top.pnr.json" if family == "gowin" else "top.routed.json"
    return {"netlist": "top.json", "routed": routed}


@dataclass
class BuildReport:
    """What came of a build; build.json holds the same.

    Parameters
    ----------
    board : str
    config : dict
    config_digest : str
    program_digest : str or None
        Of the program in the bitstream, or for its boot loader; None where it has to be loaded
        over the link.
    fmax_mhz : float
        Highest frequency after routing; where the board has a `derating`, that share of it.
    target_mhz : float
        The core's clock, as the PLL makes it.
    baud : int
        Bits per second of the link.
    timing_met : bool
    seed : int
        Of the placement that was kept.
    utilization : dict of str to {"used": int, "available": int}
    tools : dict of str to str
        Versions.
    seconds : dict of str to float
        Per stage; near 0 where it came from the cache.
    cached : dict of str to bool
        Per stage.
    files : dict of str to str
        Relative to build.json: bitstream, report, logs, netlists; and `program` where the gateware
        loads one from flash memory.
    sums : dict of str to str
        Digests of those files that are flashed.
    patched : dict or None
        Of a bitstream that was made from another (`weft.boards.patch`): the other's `folder` and
        `program_digest`.
    """

    board: str
    config: dict[str, Any]
    config_digest: str
    program_digest: str | None
    fmax_mhz: float
    target_mhz: float
    baud: int
    timing_met: bool
    seed: int
    utilization: dict[str, dict[str, int]]
    tools: dict[str, str]
    seconds: dict[str, float] = field(default_factory=dict)
    cached: dict[str, bool] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    sums: dict[str, str] = field(default_factory=dict)
    patched: dict[str, Any] | None = None
