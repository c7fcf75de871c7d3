"""What travels on the core's ports."""

from __future__ import annotations

from amaranth.lib import data

#: One write at the load port: a 32-bit word, its word address, and the memory (a `Space`).
LoadWord = data.StructLayout({"data": 32, "address": 24, "space": 3})
