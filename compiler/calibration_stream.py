"""Reads samples out of .npy and .npz files a batch at a time, however large they are."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from weft.compiler.calibration_data import UNREADABLE, open_file
from weft.errors import InputError


@dataclass(frozen=True)
class StoredArray:
    """An array in a file, of which only the header has been read.

    Parameters
    ----------
    path : Path
        An .npy or .npz file.
    key : str
        Name of the array in an .npz file; empty for an .npy file.
    shape : tuple of int
    dtype : numpy.dtype
    fortran : bool
        Whether the first axis varies fastest. The samples then lie scattered over the
        file, and such an array alone is read whole.
    """

    path: Path
    key: str
    shape: tuple[int, ...]
    dtype: np.dtype
    fortran: bool

    @property
    def where(self) -> str:
        """How messages call it."""
        return f"{self.path}: array {self.key!r}" if self.key else str(self.path)

    def batches(self, size: int) -> Iterator[np.ndarray]:
        """`size` samples after another; the last may be fewer.

        Raises
        ------
        InputError
            If the file ends early or is damaged.
        """
        step = size * int(np.prod(self.shape[1:], dtype=np.int64))
        try:
            with open_file(self.path) as file, _member(file, self.key) as stream:
                _read_header(stream)
                if self.fortran:
                    whole = _read(stream, self.dtype, int(np.prod(self.shape)))
                    whole = whole.reshape(self.shape, order="F")
                    yield from (whole[i : i + size] for i in range(0, self.shape[0], size))
                    return
                for start in range(0, self.shape[0], size):
                    count = min(size, self.shape[0] - start)
                    values = _read(stream, self.dtype, step // size * count)
                    yield values.reshape(count, *self.shape[1:])
        except UNREADABLE as error:
            raise InputError(f"{self.where} is damaged; save it again") from error


def stored_arrays(path: Path) -> dict[str, StoredArray]:
    """Headers of all arrays of an .npz file by name, or of an .npy file by the name "".

    Raises
    ------
    InputError
        If it is no such file, or damaged, or holds Python objects.
    """
    try:
        with open_file(path) as file:
            if not zipfile.is_zipfile(file):
                return {"": _stored(path, "", file)}
            with zipfile.ZipFile(file) as archive:
                names = [n.removesuffix(".npy") for n in archive.namelist() if n.endswith(".npy")]
            return {name: _stored(path, name, file) for name in names}
    except UNREADABLE as error:
        name = path.with_suffix(".npz").name
        raise InputError(
            f"{path} is not a readable .npz or .npy file; save the samples with "
            f"numpy.savez({name!r}, inputs=samples)"
        ) from error


def _stored(path: Path, key: str, file: IO[bytes]) -> StoredArray:
    file.seek(0)
    with _member(file, key) as stream:
        shape, fortran, dtype = _read_header(stream)
    stored = StoredArray(path, key, shape, dtype, fortran)
    if any(size < 0 for size in shape):
        raise InputError(f"{stored.where} has the impossible shape {shape}; save it again")
    if dtype.hasobject:
        raise InputError(
            f"{stored.where} holds Python objects, which are never loaded; save it again as an "
            "array of float32"
        )
    return stored


class _member:  # noqa: N801 - a context manager
    """The stream of one array: an entry of an archive, or the file itself."""

    def __init__(self, file: IO[bytes], key: str):
        self._archive = zipfile.ZipFile(file) if key else None
        self._stream = self._archive.open(f"{key}.npy") if self._archive else file

    def __enter__(self) -> IO[bytes]:
        return self._stream

    def __exit__(self, *_: object) -> None:
        if self._archive:
            self._stream.close()
            self._archive.close()


def _read_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(stream)
    return np.lib.format.read_array_header_2_0(stream)


def _read(stream: IO[bytes], dtype: np.dtype, count: int) -> np.ndarray:
    data = stream.read(count * dtype.itemsize)
    if len(data) < count * dtype.itemsize:
        raise EOFError("the file ends before its array")
    return np.frombuffer(data, dtype)
