"""Samples for an INT8 TFLite model taken back to real values: codes or real values.

An array of int8 for an int8 input holds the input's codes, which its own scale and zero point
turn into real values; an array of any other type holds real values.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from weft.compiler.calibration_data import KEY, array_keys
from weft.compiler.calibration_images import Pixels
from weft.compiler.calibration_samples import Batch, Samples, Shapes, Source, open_samples
from weft.compiler.calibration_stream import stored_arrays
from weft.compiler.tflite_builder import quantization, tensor_names
from weft.compiler.tflite_file import TfliteModel
from weft.errors import InputError

#: Scale and zero point by input name.
Codes = Mapping[str, tuple[np.float32, int]]


def input_codes(model: TfliteModel) -> dict[str, tuple[np.float32, int]]:
    """What codes of a model's int8 inputs mean."""
    names = tensor_names(model.tensors)
    return {
        names[number]: quantization(model.tensors[number])
        for number in model.inputs
        if model.tensors[number].dtype == "int8"
    }


def real_inputs(codes: Codes, arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Arrays by input name, or `inputs` for the only one: int8 as float32 real values."""
    result = dict(arrays)
    for key, array in arrays.items():
        meaning = codes.get(key)
        if key == KEY and meaning is None and len(codes) == 1:
            (meaning,) = codes.values()
        if meaning is not None and np.asarray(array).dtype == np.int8:
            result[key] = _real(np.asarray(array), meaning)
    return result


def open_real_samples(
    codes: Codes, source: Source, expected: Shapes, pixels: Pixels | None = None
) -> Samples:
    """As `open_samples`, of any source; int8 arrays become real values.

    Raises
    ------
    InputError
        As `open_samples`, and where a folder holds both codes and real values.
    """
    if isinstance(source, Mapping):
        return open_samples(real_inputs(codes, source), expected, pixels)
    if not isinstance(source, str | Path):
        whole = _decoded(codes, source) if isinstance(source, Iterable) else source
        return open_samples(whole, expected, pixels)
    samples = open_samples(source, expected, pixels)
    found = {name: meaning for name, meaning in codes.items() if _is_int8(source, name, expected)}
    if not found:
        return samples
    batches: Iterator[Batch] = (
        {name: _real(array, found[name]) if name in found else array
         for name, array in batch.items()}
        for batch in samples.batches
    )  # fmt: skip
    return Samples(batches, samples.total)


def _real(codes: np.ndarray, meaning: tuple[np.float32, int]) -> np.ndarray:
    scale, zero_point = meaning
    return scale * (codes.astype(np.float32) - np.float32(zero_point))


def _decoded(codes: Codes, batches: Iterable[Any]) -> Iterator[Any]:
    """Batches of an iterable; what cannot be one is left for `open_samples` to refuse."""
    for batch in batches:
        if isinstance(batch, Mapping):
            yield real_inputs(codes, batch)
        elif isinstance(batch, tuple | list):
            yield batch
        else:
            yield real_inputs(codes, {KEY: batch})[KEY]


def _is_int8(source: str | Path, name: str, expected: Shapes) -> bool:
    """Whether the files' arrays for an input are of int8."""
    path = Path(source)
    folder = os.path.isdir(path)
    files = sorted(path.iterdir()) if folder else [path]
    kinds = set()
    for file in files:
        if file.suffix.lower() in (".npy", ".npz") or not folder:
            stored = stored_arrays(file)
            key = "" if list(stored) == [""] else array_keys(stored, expected, file)[name]
            kinds.add(stored[key].dtype == np.int8)
    if len(kinds) > 1:
        raise InputError(
            f"folder {path} has arrays of int8, which are codes, and others, which are real "
            "values; give one kind"
        )
    return kinds == {True}
