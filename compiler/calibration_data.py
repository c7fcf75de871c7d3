"""Reads arrays for a model from .npz files and says what is wrong with them.

A file holds `inputs`, N x the model's own shape, for a model with one input, or one
array by the name of each input.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np

from weft.errors import InputError

#: The key of the only input's samples.
KEY = "inputs"

#: What NumPy and the zip format raise over damaged files, and over arrays that say they are huge.
UNREADABLE = (
    OSError, EOFError, MemoryError, ValueError, zipfile.BadZipFile, zlib.error, NotImplementedError,
)  # fmt: skip

#: Bytes that all arrays of a file may unpack to; a small file could say any number.
LARGEST = 1 << 32

#: What codes of an int8 input mean: its scale and zero point.
Meaning = tuple[float, int]


def load_arrays(
    path: str | Path,
    expected: Mapping[str, tuple[int, ...]],
    dtypes: Mapping[str, str] | None = None,
    codes: Mapping[str, Meaning] | None = None,
) -> dict[str, np.ndarray]:
    """Arrays by input name, checked, from an .npz file.

    Parameters
    ----------
    path : str or Path
    expected : mapping of input name to shape
        The model's own shapes with the batch axis, whose value is ignored.
    dtypes : mapping of input name to dtype, optional
        ``"float32"`` (the default) or ``"int8"``.
    codes : mapping of input name to (scale, zero point), optional
        What codes of int8 inputs mean, for messages.

    Raises
    ------
    InputError
        One sentence that names file, array, what was expected and what was found.
    """
    name = Path(path).with_suffix(".npz").name
    arrays = read_arrays(path, f"save the samples with numpy.savez({name!r}, {KEY}=samples)")
    result = {}
    for name, key in array_keys(arrays, expected, path).items():
        result[name] = check_array(
            arrays[key],
            expected[name][1:],
            (dtypes or {}).get(name, "float32"),
            f"{path}: array {key!r}",
            meaning=(codes or {}).get(name),
        )
    check_lengths({name: len(array) for name, array in result.items()}, str(path))
    return result


def array_keys(
    found: Iterable[str], expected: Mapping[str, tuple[int, ...]], path: str | Path
) -> dict[str, str]:
    """Which array of a file is for which input: by its name, or `inputs` for the only one."""
    there = set(found)
    result = {}
    for name in expected:
        key = name if name in there else KEY
        if key not in there or (key == KEY != name and len(expected) > 1):
            wanted = KEY if len(expected) == 1 else name
            names = ", ".join(repr(key) for key in sorted(there)) or "none"
            raise InputError(
                f"{path} has no array {wanted!r} (found: {names}); save it with "
                f"numpy.savez({Path(path).name!r}, {_keywords(expected)})"
            )
        result[name] = key
    return result


def check_lengths(lengths: Mapping[str, int], where: str) -> int:
    """Number of samples, which must be the same for every input."""
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"{name!r} has {length}" for name, length in lengths.items())
        raise InputError(
            f"{where}: the arrays have different numbers of samples ({found}); "
            "give every input the same number"
        )
    return next(iter(lengths.values()))


def check_array(
    array: np.ndarray,
    shape: tuple[int, ...],
    dtype: str,
    where: str,
    first: int = 0,
    *,
    meaning: Meaning | None = None,
) -> np.ndarray:
    """`array` as (N, *shape) of `dtype`, or an InputError that starts with `where`.

    Where a sample begins with an axis of 1, as a batch in TFLite's files, it may be left out;
    and where it does not, there may be one.
    `first` is the number of the first sample where others came before, `meaning` what codes of
    an int8 input mean.
    """
    check_header(array.shape, array.dtype, shape, dtype, where)
    array = array.reshape(len(array), *shape)
    if array.dtype.kind == "f":
        bad = ~np.isfinite(array)
        if bad.any():
            index = tuple(int(i) for i in np.argwhere(bad)[0])
            place = (first + index[0], *index[1:])
            raise InputError(
                f"{where} holds {array[index]} at index {place}, and {bad.sum()} values in samples "
                f"{first} to {first + len(array) - 1} are not finite; replace or drop these samples"
            )
    return _cast(array, dtype, where, meaning)


def check_header(
    found: tuple[int, ...], kind: np.dtype, shape: tuple[int, ...], dtype: str, where: str
) -> None:
    """Check shape and dtype of an array before its values are known.

    Raises
    ------
    InputError
        Unless the array can be seen as (N, *shape) of `dtype` with N > 0.
    """
    if kind.kind not in "fiub" or kind.itemsize > 8:
        raise InputError(f"{where} has dtype {kind}; convert it to {dtype}")
    shorter = shape[:1] == (1,) and found[1:] == tuple(shape[1:])
    longer = found[1:] == (1, *shape)
    if not found or (found[1:] != tuple(shape) and not shorter and not longer):
        size = " x ".join(str(size) for size in found) or "a single number"
        remedy = (
            "add the axis of samples with array[numpy.newaxis]"
            if found == tuple(shape)
            else "reshape or crop the samples to the model's own shape"
        )
        raise InputError(
            f"{where} has shape {size} where {' x '.join(['N', *map(str, shape)])} "
            f"was expected; {remedy}"
        )
    if not found[0]:
        raise InputError(f"{where} has no samples; give at least one")


def _conversion(dtype: str, meaning: Meaning | None) -> str:
    """How to make an array of `dtype` of numbers that it does not hold."""
    if dtype != "int8":
        return f"convert it to {dtype}"
    if meaning is None:
        return (
            "convert it to int8: codes = round(x / scale) + zero_point of real values x, with "
            "this input's own scale and zero point"
        )
    scale, zero_point = meaning
    sign = "-" if zero_point < 0 else "+"
    return (
        f"convert it to int8: codes = round(x / {np.float32(scale)!s}) {sign} {abs(zero_point)} "
        "of real values x"
    )


def _cast(array: np.ndarray, dtype: str, where: str, meaning: Meaning | None) -> np.ndarray:
    if dtype == "float32" and array.dtype.kind == "f":
        limit = np.finfo(np.float32).max
        if array.dtype.itemsize > 4 and np.abs(array).max(initial=0) > limit:
            raise InputError(f"{where} holds values beyond float32; scale the samples down")
        return array.astype(np.float32)
    with np.errstate(invalid="ignore"):
        cast = array.astype(dtype)
    # Whole numbers are taken where every one of them survives the conversion.
    if not np.array_equal(cast.astype(np.float64), array.astype(np.float64)):
        raise InputError(
            f"{where} has dtype {array.dtype} and values that {dtype} does not hold exactly; "
            f"{_conversion(dtype, meaning)}"
        )
    return cast


def read_arrays(path: str | Path, remedy: str) -> dict[str, np.ndarray]:
    """All arrays of an .npz file; `remedy` says how to save one.

    Raises
    ------
    InputError
        If it is no such file, or damaged.
    """
    path = Path(path)
    try:
        # numpy.load leaves a file open that it opened itself and cannot read.
        with open_file(path) as file:
            _check_size(path, file)
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise InputError(f"{path} is a single array, not an .npz file; {remedy}")
            with archive:
                return {key: _read_array(archive, key, path) for key in archive.files}
    except UNREADABLE as error:
        raise InputError(f"{path} is not a readable .npz file; {remedy}") from error


def _check_size(path: Path, file: BinaryIO) -> None:
    """Refuse an archive that unpacks to far more than anybody computes with."""
    size = 0
    if zipfile.is_zipfile(file):  # of anything else NumPy says what it is
        with zipfile.ZipFile(file) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
    if size > LARGEST:
        raise InputError(
            f"{path} unpacks to {size:,} bytes, of {LARGEST:,} at most; give fewer samples at once"
        )
    file.seek(0)


def open_file(path: Path) -> BinaryIO:
    """Open a file of samples, or an InputError that says why not."""
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; give the path of an .npz file") from None
    except OSError as error:
        raise InputError(
            f"{path} is not a readable file ({error.strerror}); give the path of an .npz file"
        ) from None


def _read_array(archive: np.lib.npyio.NpzFile, key: str, path: Path) -> np.ndarray:
    try:
        array = archive[key]
    except UNREADABLE as error:
        raise InputError(
            f"{path}: array {key!r} is damaged or holds Python objects, which are never loaded; "
            "save it again as an array of float32"
        ) from error
    if not isinstance(array, np.ndarray):
        raise InputError(f"{path}: {key!r} is not an array; save it with numpy.savez")
    return array


def _keywords(expected: Mapping[str, tuple[int, ...]]) -> str:
    if len(expected) == 1:
        return f"{KEY}=samples"
    return f"**{{{', '.join(f'{name!r}: ...' for name in expected)}}}"
