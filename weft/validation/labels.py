"""Labels of validation samples: where they are read from, and what is wrong with them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from weft.compiler.calibration_data import UNREADABLE, open_file, read_arrays
from weft.errors import InputError

#: The key of labels in an .npz file.
KEY = "labels"


def load_labels(given: Any, data: Any) -> np.ndarray:
    """Labels as an array, whatever they are for.

    Parameters
    ----------
    given : path, str or array
        An .npz or .npy file, the key of an array in the .npz file of the data, or an array.
    data : path or anything else
        Where the samples come from.

    Raises
    ------
    InputError
        If there are none.
    """
    if not isinstance(given, str | Path):
        return _numbers(np.asarray(given), "labels")
    path = Path(given)
    if path.suffix.lower() == ".npy":
        return _numbers(_single(path), str(path))
    if path.suffix.lower() == ".npz" or os.path.exists(path):
        arrays = read_arrays(path, f"save the labels with numpy.savez({path.name!r}, {KEY}=labels)")
        key = KEY if KEY in arrays or len(arrays) != 1 else next(iter(arrays))
        return _array(arrays, key, path)
    if not isinstance(data, str | Path) or Path(data).suffix.lower() != ".npz":
        raise InputError(
            f"there is no file of labels {given!r}, and the data is no .npz file that could have "
            "an array of that name; give an .npz or .npy file"
        )
    source = Path(data)
    return _array(read_arrays(source, "save it with numpy.savez"), str(given), source)


def _array(arrays: dict[str, np.ndarray], key: str, path: Path) -> np.ndarray:
    if key not in arrays:
        found = ", ".join(repr(name) for name in sorted(arrays)) or "none"
        raise InputError(
            f"{path} has no array {key!r} of labels (found: {found}); save them as "
            f"numpy.savez(..., {KEY}=labels), or name the array with --labels"
        )
    return _numbers(arrays[key], f"{path}: array {key!r}")


def _single(path: Path) -> np.ndarray:
    try:
        with open_file(path) as file:
            return np.load(file, allow_pickle=False)
    except UNREADABLE as error:
        raise InputError(
            f"{path} is not a readable .npy file; save the labels with numpy.save"
        ) from error


def _numbers(labels: np.ndarray, where: str) -> np.ndarray:
    if labels.dtype.kind not in "biuf":
        raise InputError(f"{where} has dtype {labels.dtype}; give labels as numbers")
    if not labels.ndim:
        raise InputError(f"{where} is a single number; give one label for every sample")
    return labels


def class_labels(labels: np.ndarray, classes: int) -> np.ndarray:
    """Labels for top1, int64 of shape (N,), checked.

    Raises
    ------
    InputError
        Unless they are integers from 0 to `classes` - 1, one for each sample.
    """
    if labels.size != len(labels):
        shape = " x ".join(map(str, labels.shape))
        raise InputError(
            f"labels have shape {shape}, and top1 wants one class number for every sample; for "
            "one-hot labels give labels.argmax(axis=1)"
        )
    flat = labels.reshape(-1)
    if flat.dtype.kind not in "iu":
        raise InputError(
            f"labels have dtype {flat.dtype}, and top1 wants class numbers; convert them to int64"
        )
    wrong = np.flatnonzero((flat < 0) | (flat >= classes))
    if wrong.size:
        raise InputError(
            f"label {flat[wrong[0]]} of sample {wrong[0]} is no class: the model has {classes}, "
            f"from 0 to {classes - 1}; check that labels belong to this model"
        )
    return flat.astype(np.int64)


def target_labels(labels: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Labels for mse and cosine, float64 of shape (N, *shape): what the output should be."""
    wanted = tuple(side for side in shape if side != 1)
    if tuple(side for side in labels.shape[1:] if side != 1) != wanted:
        found = " x ".join(map(str, labels.shape))
        expected = " x ".join(("N", *map(str, shape)))
        raise InputError(
            f"labels have shape {found}, and this metric compares them with the output, "
            f"{expected}; give what the output should be, or --metric top1 for class numbers"
        )
    if not np.isfinite(labels.astype(np.float64)).all():
        raise InputError("labels hold values that are not finite; drop these samples")
    return labels.astype(np.float64).reshape(len(labels), *shape)


def check_count(labels: np.ndarray | None, samples: int) -> None:
    """Refuse another number of labels than of samples."""
    if labels is not None and len(labels) != samples:
        raise InputError(
            f"there are {len(labels)} labels for {samples} samples; give one for every sample"
        )
