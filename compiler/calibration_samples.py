"""Where calibration samples come from: arrays, files, folders and iterables, a batch at a time.

Whatever the source, no more than a batch of it is in memory at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from weft.compiler.calibration_data import KEY, array_keys, check_array, check_header, check_lengths
from weft.compiler.calibration_images import SUFFIXES, ImageFolder, Pixels, natural_order
from weft.compiler.calibration_stream import StoredArray, stored_arrays
from weft.compiler.float_run import BATCH
from weft.errors import InputError

#: Path of an .npz or .npy file or of a folder, arrays by input name, or batches.
Source: TypeAlias = "str | Path | Mapping[str, np.ndarray] | Iterable[Any]"
Shapes: TypeAlias = Mapping[str, tuple[int, ...]]
Batch: TypeAlias = dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Samples:
    """Samples to be read once.

    Parameters
    ----------
    batches : iterator of dict
        float32 arrays (N, *the model's shape) by input name, with N of 1 to BATCH.
    total : int
        Number of samples; 0 where it is not known beforehand.
    """

    batches: Iterator[Batch]
    total: int = 0


def open_samples(source: Source, expected: Shapes, pixels: Pixels | None = None) -> Samples:
    """Open a source of samples; files are checked, as far as their headers tell.

    Parameters
    ----------
    source : path, mapping or iterable
        An .npz file with `inputs` or one array by the name of each input; an .npy file; a
        folder of such files, or of PNG and JPEG images; arrays by input name; or batches,
        each an array or arrays by input name. A batch may also be a single sample.
    expected : mapping of input name to shape
        The model's own shapes with the batch axis, whose value is ignored.
    pixels : Pixels, optional
        What black and white mean, for images.

    Raises
    ------
    InputError
        Here, or while samples are read: which file or batch, what is wrong and what to do.
    """
    if isinstance(source, Mapping):
        return _arrays(source, expected)
    if not isinstance(source, str | Path):
        if not isinstance(source, Iterable):
            raise InputError(
                f"samples cannot be read from {type(source).__name__}; give a path, arrays by "
                "input name, or an iterable of batches"
            )
        return Samples(_cut(_checked(source, expected)))
    path = Path(source)
    folder = _is_folder(path)
    images = _files(path, SUFFIXES) if folder else []
    if pixels is not None and not images:
        raise InputError(f"{path} has no images (PNG, JPEG), so what pixels mean says nothing")
    if not folder:
        return _files_of_arrays([path], expected)
    arrays = _files(path, (".npy", ".npz"))
    if bool(images) == bool(arrays):
        found = "both images and arrays" if images else "no .npy, .npz, .png or .jpg file"
        raise InputError(f"folder {path} has {found}; give a folder of one kind of samples")
    return _images(path, images, expected, pixels) if images else _files_of_arrays(arrays, expected)


def _arrays(source: Mapping[str, np.ndarray], expected: Shapes) -> Samples:
    keys = array_keys(source, expected, "the mapping of samples")
    whole = {name: _array(source[key], f"array {key!r}") for name, key in keys.items()}
    for name, array in whole.items():
        check_header(
            array.shape, array.dtype, expected[name][1:], "float32", f"array {keys[name]!r}"
        )
    total = check_lengths({name: len(array) for name, array in whole.items()}, "samples")
    parts = (
        {
            name: check_array(
                array[i : i + BATCH], expected[name][1:], "float32", f"array {keys[name]!r}", i
            )
            for name, array in whole.items()
        }
        for i in range(0, total, BATCH)
    )
    return Samples(parts, total)


def _files_of_arrays(paths: list[Path], expected: Shapes) -> Samples:
    """Every file's headers are checked now, their values when they are read."""
    opened = [_open_arrays(path, expected) for path in paths]
    total = sum(count for count, _ in opened)
    return Samples((batch for _, read in opened for batch in read()), total)


def _open_arrays(path: Path, expected: Shapes) -> tuple[int, Callable[[], Iterator[Batch]]]:
    """Number of samples of one file, and what reads them."""
    found = stored_arrays(path)
    if list(found) == [""]:  # an .npy file, for the only input
        if len(expected) > 1:
            raise InputError(
                f"{path} is a single array, and the model has inputs {', '.join(expected)}; save "
                "an .npz file with one array by the name of each"
            )
        keys = dict.fromkeys(expected, "")
    else:
        keys = array_keys(found, expected, path)
    arrays = {name: _as_batch(found[key], expected[name][1:]) for name, key in keys.items()}
    for name, array in arrays.items():
        check_header(array.shape, array.dtype, expected[name][1:], "float32", array.where)
    count = check_lengths({name: array.shape[0] for name, array in arrays.items()}, str(path))

    def read() -> Iterator[Batch]:
        start = 0
        streams = [array.batches(BATCH) for array in arrays.values()]
        for parts in zip(*streams, strict=True):
            batch = {
                name: check_array(part, expected[name][1:], "float32", array.where, start)
                for (name, array), part in zip(arrays.items(), parts, strict=True)
            }
            yield batch
            start += len(parts[0])

    return count, read


def _as_batch(array: StoredArray, shape: tuple[int, ...]) -> StoredArray:
    """An .npy file may hold a single sample, as a folder of them does."""
    if array.key or array.shape != tuple(shape):
        return array
    return StoredArray(array.path, "", (1, *array.shape), array.dtype, array.fortran)


def _images(folder: Path, paths: list[Path], expected: Shapes, pixels: Pixels | None) -> Samples:
    if len(expected) > 1:
        raise InputError(
            f"{folder} has images, and the model has inputs {', '.join(expected)}; save .npz "
            "files with one array by the name of each"
        )
    if pixels is None:
        raise InputError(
            f"{folder} has images; say what their pixels mean to the model, by the values of black "
            "and white: --pixels 0..1, --pixels=-1..1 or --pixels 0..255"
        )
    ((name, shape),) = expected.items()
    images = ImageFolder(paths, shape[1:], pixels)
    groups = (paths[i : i + BATCH] for i in range(0, len(paths), BATCH))
    batches = ({name: np.stack([images.read(path) for path in group])} for group in groups)
    return Samples(batches, len(paths))


def _checked(source: Iterable[Any], expected: Shapes) -> Iterator[Batch]:
    """Batches of an iterable as arrays by input name."""
    number = -1
    for number, given in enumerate(source):
        where = f"batch {number}"
        if not isinstance(given, Mapping):
            if len(expected) > 1 or isinstance(given, tuple | list):
                raise InputError(
                    f"{where} is of type {type(given).__name__}; give arrays, or mappings of input "
                    f"names ({', '.join(expected)}) to arrays, without labels"
                )
            given = {KEY: given}  # noqa: PLW2901 - the same batch by its name
        keys = array_keys(given, expected, where)
        batch = {}
        for name, key in keys.items():
            array, shape = _array(given[key], f"{where}: {key!r}"), tuple(expected[name][1:])
            array = array[np.newaxis] if array.shape == shape else array
            batch[name] = check_array(array, shape, "float32", f"{where}: array {key!r}")
        check_lengths({name: len(array) for name, array in batch.items()}, where)
        yield batch
    if number < 0:
        raise InputError("there are no samples: the iterable of batches is empty; give a fresh one")


def _array(value: Any, where: str) -> np.ndarray:
    try:
        return np.asarray(value)
    except Exception as error:  # frameworks raise what they like, over tensors on a GPU and such
        raise InputError(
            f"{where} is of type {type(value).__name__}, which makes no array ({error}); convert it"
        ) from error


def _cut(batches: Iterable[Batch]) -> Iterator[Batch]:
    """Batches of no more than BATCH samples."""
    for batch in batches:
        count = len(next(iter(batch.values())))
        for start in range(0, count, BATCH):
            yield {name: array[start : start + BATCH] for name, array in batch.items()}


def _files(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    try:
        found = [path for path in folder.iterdir() if path.suffix.lower() in suffixes]
    except OSError as error:
        raise InputError(
            f"folder {folder} cannot be read ({error.strerror}); give another"
        ) from None
    return sorted(found, key=natural_order)


def _is_folder(path: Path) -> bool:
    """Whether it is a folder, and not a name that no file could have."""
    try:
        return path.is_dir()
    except OSError:
        return False
