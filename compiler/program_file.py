"""A program on disk: ``program.json`` says what it is, ``program.npz`` holds the arrays."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from weft.compiler.fold import Fold
from weft.compiler.network_file import from_plain, to_plain
from weft.compiler.program import Placement, Program
from weft.compiler.verify_program import verify
from weft.errors import InputError
from weft.hw.config import FORMAT, Config, Space

DESCRIPTION = "program.json"
ARRAYS = "program.npz"


def save(program: Program, directory: Path) -> None:
    """Writes a program; the same program gives the same bytes."""
    directory.mkdir(parents=True, exist_ok=True)
    network, arrays = to_plain(program.network)
    images = {f"image_{space.name}": np.asarray(image) for space, image in program.images.items()}
    description = {
        "format": FORMAT,
        "digest": program.digest,
        "config": asdict(program.config),
        "placements": {name: asdict(place) for name, place in program.placements.items()},
        "layers": program.layers,
        "network": network,
    }
    (directory / DESCRIPTION).write_text(json.dumps(description, indent=1) + "\n")
    _write_arrays(directory / ARRAYS, {**images, **arrays})


def load(directory: Path) -> Program:
    """Reads a program and checks it against its digest.

    Raises
    ------
    InputError
        If the folder holds no program, or one that is damaged, invalid or of another format.
    """
    directory = Path(directory)
    remedy = f"make it again with `weft compile MODEL -o {directory}`"
    if not (directory / DESCRIPTION).is_file():
        raise InputError(f"{directory} holds no compiled program; {remedy}")
    try:
        description: dict[str, Any] = json.loads((directory / DESCRIPTION).read_text())
        if description["format"] != FORMAT:
            raise InputError(
                f"it was made by another version of weft (format {description['format']}, "
                f"not {FORMAT})"
            )
        with (directory / ARRAYS).open("rb") as file, np.load(file, allow_pickle=False) as data:
            arrays = dict(data)
        program = Program(
            Config(**description["config"]),
            from_plain(description["network"], arrays),
            {space: arrays[f"image_{space.name}"] for space in Space
             if f"image_{space.name}" in arrays},
            {name: _placement(place) for name, place in description["placements"].items()},
            description["layers"],
        )  # fmt: skip
        digest = program.digest
        if digest == description["digest"]:
            verify(program)
    except InputError as error:
        raise InputError(f"{directory}: {error}; {remedy}") from error
    except Exception as error:  # a damaged file fails in any way: zlib, memory, recursion, ...
        raise InputError(f"the program in {directory} is damaged ({error}); {remedy}") from error
    if digest != description["digest"]:
        raise InputError(f"the program in {directory} does not match its digest; {remedy}")
    return program


def _placement(description: dict) -> Placement:
    fold = description["fold"]
    if fold is not None:
        fold = Fold(**{name: (int(y), int(x)) for name, (y, x) in fold.items()})
        if min(*fold.step, *fold.size, *fold.count) < 1 or min(fold.before) < 0:
            raise ValueError("a fold has no size")
    return Placement(**{**description, "fold": fold})


def _write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Like ``np.savez_compressed``, which would store the time of day."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, np.ascontiguousarray(array), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy")
            archive.writestr(entry, content.getvalue(), zipfile.ZIP_DEFLATED)
