"""The file memories.json beside a bitstream: which part of which memory lies in which block RAM."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from weft.boards.block_rams import Block
from weft.boards.cache import digest
from weft.errors import InputError

MAP = "memories.json"
#: Raised with every change of the file.
FORMAT = 2


@dataclass(frozen=True)
class MemoryMap:
    """Where the memories of a routed design are.

    Parameters
    ----------
    hardware : str
        Digest of what was built, contents of memories apart.
    routed : str
        Digest of the routed design, with contents.
    blocks : list of Block
    """

    hardware: str
    routed: str
    blocks: list[Block]

    def save(self, folder: Path) -> None:
        """Write it into a build's folder."""
        plain = asdict(self)
        text = json.dumps({"format": FORMAT, "sum": _sum(plain), **plain}, indent=1)
        (folder / MAP).write_text(text + "\n", encoding="utf-8")

    @staticmethod
    def load(folder: Path) -> MemoryMap:
        """Read it from a build's folder.

        Raises
        ------
        InputError
            If there is none, or of another format.
        """
        path = folder / MAP
        again = f"build {folder} again with: weft build {folder}"
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            if (form := found.pop("format")) != FORMAT:
                raise InputError(
                    f"{path} has format {form!r} and this weft reads format {FORMAT}; {again}"
                )
            # A place or a width that is another one would make a wrong bitstream without a word.
            if found.pop("sum") != _sum(found):
                raise ValueError("it was changed")
            blocks = [Block(**block) for block in found.pop("blocks")]
            return MemoryMap(**found, blocks=blocks)
        except FileNotFoundError:
            raise InputError(
                f"{folder} holds no {MAP}, which says where a program goes in its bitstream; "
                f"{again}"
            ) from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            raise InputError(f"{path} cannot be read; {again}") from None


def _sum(plain: dict[str, Any]) -> str:
    return digest(json.dumps(plain, sort_keys=True))
