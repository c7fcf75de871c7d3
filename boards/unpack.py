"""A bitstream read back: the configuration that was packed, and what is in its block RAMs."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from weft.boards.board import Family
from weft.boards.tools import find_tool, run_tool

#: Tools that read a bitstream into a routed design as a text.
UNPACKERS: dict[Family, str] = {"ice40": "iceunpack", "ecp5": "ecpunpack"}

#: The word before a paragraph with the contents of a block RAM.
_BLOCKS = {"ice40": ".ram_data", "ecp5": ".bram_init"}
#: Paragraphs that say nothing about the configuration: remarks, names of nets.
_REMARKS = (".comment", ".sym")

#: Of an ECP5 the tiles with logic and those with wires to hard blocks; in them wires, but for those
#: within a slice, and tables, but for those of ones, which an empty FPGA has.
_TRELLIS_TILES = re.compile(r"\.tile \S+:(PLC2|CIB\w*)")
_TRELLIS_LINES = re.compile(r"arc: (?!.*_SLICE$).*|word: (?!.*\.INIT 1+$).*")


@dataclass(frozen=True)
class Configuration:
    """A routed design as IceStorm or Project Trellis writes it.

    Parameters
    ----------
    settings : dict of str to set of str
        The lines of each paragraph that has some, by its first line.
    blocks : dict of str to str
        Contents of block RAMs by place.
    """

    settings: dict[str, frozenset[str]]
    blocks: dict[str, str]


def read_configuration(text: str, family: Family) -> Configuration:
    """Parse a routed design."""
    settings: dict[str, frozenset[str]] = {}
    blocks: dict[str, str] = {}
    for paragraph in re.split(r"^(?=\.)", text, flags=re.MULTILINE):
        first, _, rest = paragraph.strip().partition("\n")
        name, _, place = first.partition(" ")
        if not name or name in _REMARKS:
            continue
        if name == _BLOCKS[family]:
            blocks[place] = rest.strip()
            continue
        lines = frozenset(line.strip() for line in rest.splitlines() if line.strip())
        settings[first] = settings.get(first, frozenset()) | lines
    return Configuration(settings, blocks)


def unpack(bitstream: Path, family: Family) -> Configuration:
    """Read a bitstream back.

    Raises
    ------
    RefusedError
        If the tool is missing, or cannot read it.
    """
    tool = find_tool(UNPACKERS[family])
    with tempfile.TemporaryDirectory(prefix="weft-unpack-") as scratch:
        place = Path(scratch)
        # The tools of WebAssembly see their own folder alone.
        (place / bitstream.name).write_bytes(bitstream.read_bytes())
        paths = [bitstream.name, "unpacked"]
        if family == "ecp5":
            paths = ["--input", bitstream.name, "--textcfg", "unpacked"]
        run_tool([tool, *paths], directory=place, log=place / "unpack.log")
        return read_configuration((place / "unpacked").read_text(encoding="utf-8"), family)


def first_difference(packed: Configuration, unpacked: Configuration, family: Family) -> str | None:
    """Where a bitstream is not what was packed, or None.

    Contents of block RAMs are compared, and every setting; of an ECP5's those that Project Trellis
    writes in one way alone: lookup tables, and the wires of logic and of hard blocks' surroundings.
    It leaves out what is as in an empty FPGA, and has several names for the rest.

    Parameters
    ----------
    packed : Configuration
        What the packer read.
    unpacked : Configuration
        What is in the bitstream.
    """
    for first in sorted(packed.settings.keys() | unpacked.settings.keys()):
        wanted, found = (_comparable(side, first, family) for side in (packed, unpacked))
        if wanted != found:
            lines = sorted(wanted ^ found)
            where = "only there" if lines[0] in wanted else "not there"
            return f"{first}: {lines[0]!r} is {where} in the configuration"
    for place in sorted(packed.blocks.keys() | unpacked.blocks.keys()):
        want, have = (_digits(side.blocks.get(place, "")) for side in (packed, unpacked))
        # A block RAM that nothing is said of has zeros.
        if want != have and (want or have.strip("0")):
            return f"the block RAM {place} has other contents"
    return None


def _comparable(side: Configuration, first: str, family: Family) -> frozenset[str]:
    lines = side.settings.get(first, frozenset())
    if family != "ecp5":
        return lines
    if not _TRELLIS_TILES.fullmatch(first):
        return frozenset()
    return frozenset(line for line in lines if _TRELLIS_LINES.fullmatch(line))


def _digits(text: str) -> str:
    return "".join(text.split())
