"""What the gateware asks a platform for: the name of its FPGA."""

from __future__ import annotations

from typing import Any


def device(platform: Any) -> str:
    """Name of a platform's FPGA, as its maker writes it; empty where there is no platform.

    Amaranth's platforms of Gowin's FPGAs call it a part.
    """
    return str(getattr(platform, "device", "") or getattr(platform, "part", ""))
