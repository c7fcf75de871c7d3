"""What travels down the pipeline beside the data: plain flags of a step and of a pixel."""

from __future__ import annotations

from amaranth.lib import data, enum


class Next(enum.Enum, shape=2):  # type: ignore[call-arg]  # Amaranth has no types
    """Which loop moves after a pixel."""

    OX = 0
    OY = 1
    TILE = 2
    END = 3


#: A pixel's last step has been issued; of pairs, one that has a result: `second` is the later one
#: of a pixel's two. `last_tile` says it belongs to the last tile.
Pixel = data.StructLayout({"valid": 1, "second": 1, "next": Next, "last_tile": 1})
