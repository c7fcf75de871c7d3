"""A cache of finished build steps, by the digest of everything that went in."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import platformdirs


def cache_directory() -> Path:
    """Where finished steps are kept: WEFT_CACHE, or the system's place for caches."""
    chosen = os.environ.get("WEFT_CACHE")
    return Path(chosen) if chosen else Path(platformdirs.user_cache_dir("weft", appauthor=False))


def digest(*parts: str | bytes) -> str:
    """Hexadecimal digest of parts, which cannot run into one another."""
    state = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        state.update(len(data).to_bytes(8, "little") + data)
    return state.hexdigest()


def step(identity: str, directory: Path, outputs: Sequence[str], make: Callable[[], None]) -> bool:
    """Put `outputs` into `directory`, from the cache or else by `make`; True if cached.

    A cache that cannot be written is no reason to fail.
    """
    kept = cache_directory() / "builds" / identity[:2] / identity
    if all((kept / name).is_file() for name in outputs):
        with contextlib.suppress(OSError):  # somebody may be emptying the cache
            for name in outputs:
                shutil.copyfile(kept / name, directory / name)
            return True
    make()
    with contextlib.suppress(OSError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        # Renamed when complete, so that nobody ever sees a half.
        with tempfile.TemporaryDirectory(dir=kept.parent) as scratch:
            whole = Path(scratch) / "step"
            whole.mkdir()
            for name in outputs:
                shutil.copyfile(directory / name, whole / name)
            whole.rename(kept)
    return False
