"""Things that take long to build, kept by the digest of everything they are made of."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import platformdirs

from weft.errors import RefusedError

try:
    import fcntl
except ImportError:  # not on Windows; without it two processes may both do the work
    fcntl = None  # type: ignore[assignment]


def cache_folder() -> Path:
    """Where results are kept: ``$WEFT_CACHE``, or the system's place for caches."""
    return Path(os.environ.get("WEFT_CACHE") or platformdirs.user_cache_dir("weft"))


def digest(parts: Iterable[str | bytes]) -> str:
    """Hexadecimal identity of `parts`, 24 digits; their boundaries count."""
    state = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        state.update(len(data).to_bytes(8, "big") + data)
    return state.hexdigest()[:24]


def cached(kind: str, key: str, build: Callable[[Path], None]) -> Path:
    """Folder with what `build` made for `key`; calls it only where that is not there yet.

    Parameters
    ----------
    kind : str
        Name of the folder for this kind of thing.
    key : str
        A `digest` of everything the result depends on.
    build : callable
        Fills the empty folder it is given. What it leaves is kept when it returns,
        and thrown away when it raises.

    Returns
    -------
    Path
        The complete folder. Other processes never see a half-built one.

    Raises
    ------
    RefusedError
        If the cache folder cannot be written.
    """
    shelf = cache_folder() / kind
    place = shelf / key
    if place.is_dir():
        return place
    try:
        shelf.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{key}-", dir=shelf))
    except OSError as error:
        raise RefusedError(
            f"the cache folder {shelf} cannot be written ({error.strerror}); "
            "set WEFT_CACHE to a folder that can"
        ) from None
    try:
        with _alone(shelf / f".{key}.lock"):
            if not place.is_dir():
                build(draft)
                # A process without locks may have been faster: its folder is as good.
                with contextlib.suppress(FileExistsError, OSError):
                    draft.rename(place)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return place


@contextlib.contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """One process at a time; the system frees the lock of one that dies."""
    if fcntl is None:
        yield
        return
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
