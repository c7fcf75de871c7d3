"""Where the benchmarks find MLPerf Tiny's published models: ``--models DIR``."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

#: Beside the repository; docs/tflite.md says where the files come from.
MODELS = Path(__file__).parents[1] / "../shared/models"


def models_folder(arguments: list[str], needed: Iterable[str], usage: str | None) -> Path | None:
    """The folder that the arguments name; None, and why on standard error, if it will not do."""
    match arguments:
        case []:
            folder = MODELS
        case ["--models", name]:
            folder = Path(name)
        case _:
            print(usage, file=sys.stderr)
            return None
    for file in needed:
        if not (folder / file).is_file():
            print(f"{folder / file} is not there; give --models DIR", file=sys.stderr)
            return None
    return folder
