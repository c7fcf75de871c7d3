"""From what the user names, a file, a folder or a shape, to a network or a program."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from zipfile import ZipFile

import numpy as np

from weft.compiler.calibration_data import load_arrays
from weft.compiler.float_graph import FloatGraph
from weft.compiler.network import Network
from weft.compiler.program import Program
from weft.compiler.quantize import quantize
from weft.compiler.tflite_file import TfliteModel, read_tflite_file
from weft.compiler.tflite_float import float_graph, is_float_model
from weft.compiler.tflite_reader import integer_graph
from weft.errors import InputError, RefusedError, UnsupportedError

if TYPE_CHECKING:
    from weft.compiler.float_run import Model
    from weft.compiler.tflite_float_samples import Codes

# ONNX and its runtime take most of a second to import, and an INT8 TFLite model needs neither:
# what reads and runs real values is imported where a function is called for it.

#: How TFLite's kernels multiply: `docs/arithmetic.md`.
TfliteRounding = Literal["double", "single", "litert"]
DEFAULT_ROUNDING: TfliteRounding = "double"

#: Files in a folder that ``weft compile`` and ``weft build`` fill, beside the program's own.
VERILOG = "weft_core.v"
SUMMARY = "summary.json"
#: The model itself, with the suffix of its format.
_MODEL = "model"
BUILD = "build.json"


def rounding_of(path: Path, rounding: TfliteRounding | None = None) -> str:
    """How a model is rounded where it was asked for `rounding`: see `docs/arithmetic.md`."""
    return rounding or (DEFAULT_ROUNDING if is_tflite(path) else "shift")


def read_network(path: Path, rounding: TfliteRounding | None = None) -> Network:
    """The integer graph of a quantised model, ONNX or TFLite.

    Parameters
    ----------
    path : Path
    rounding : str, optional
        How a TFLite model's kernels multiply: "double" (as TFLite Micro, the default),
        "single", or "litert" (as LiteRT's reference).

    Raises
    ------
    RefusedError
        If the model is a float model.
    """
    if is_tflite(path):
        return int8_network(read_tflite_file(path), rounding)
    if rounding is not None:
        raise InputError(
            f"{path} is no TFLite model, and only those are rounded in several ways; "
            "leave --rounding out"
        )
    from weft.compiler.onnx_reader import load_onnx  # noqa: PLC0415

    graph = load_onnx(path)
    if not graph.scales:
        raise _without_scales(path)
    with naming(str(path)):
        return quantize(graph, graph.scales)


def int8_network(model: TfliteModel, rounding: TfliteRounding | None = None) -> Network:
    """The integer graph of a quantised TFLite model; as `read_network`."""
    if is_float_model(model):
        raise _without_scales(Path(model.path))
    return integer_graph(model, rounding or DEFAULT_ROUNDING)


def _without_scales(path: Path) -> RefusedError:
    return RefusedError(
        f"{path} is a float model without scales; quantize it first: "
        f"weft quantize {path} --data X.npz -o {path.stem}_int8.onnx"
    )


@dataclass(frozen=True, eq=False)
class FloatModel:
    """A model with real values.

    Parameters
    ----------
    graph : FloatGraph
    runs : Path or onnx.ModelProto
        What ONNX Runtime runs for it.
    codes : mapping of input name to (scale, zero point)
        What int8 samples mean, of an INT8 model taken back to real values; else empty.
    """

    graph: FloatGraph
    runs: Model
    codes: Codes = field(default_factory=dict)


def read_float(path: Path, *, take_back: bool = False) -> FloatModel:
    """A float model, ONNX or TFLite.

    Parameters
    ----------
    path : Path
    take_back : bool
        Also take an INT8 TFLite model, as the real values that its codes stand for.

    Raises
    ------
    RefusedError
        If the model is quantised already.
    """
    from weft.compiler.onnx_reader import load_onnx  # noqa: PLC0415

    compiled = f"weft compile {path} --board B -o DIR"
    if not is_tflite(path):
        graph = load_onnx(path)
        if graph.scales:
            raise RefusedError(f"{path} is quantised already; compile it: {compiled}")
        return FloatModel(graph, path)
    model = read_tflite_file(path)
    if not take_back and not is_float_model(model):
        raise RefusedError(
            f"{path} is quantised already; compile it as it is: {compiled}; or choose --scales "
            "shift to take it back to real values and quantise these by powers of two"
        )
    return real_model(model)


def real_model(model: TfliteModel) -> FloatModel:
    """A TFLite model as real values, which codes stand for where it has any."""
    from weft.compiler.float_onnx import float_onnx  # noqa: PLC0415
    from weft.compiler.tflite_float_samples import input_codes  # noqa: PLC0415

    graph = float_graph(model)
    return FloatModel(graph, float_onnx(graph, model.path), input_codes(model))


def is_tflite(path: Path) -> bool:
    """Whether a file says it is a TFLite model, by its name or its identifier."""
    if path.suffix.lower() == ".tflite":
        return True
    try:
        with path.open("rb") as file:
            return file.read(8)[4:] == b"TFL3"
    except OSError:
        return False


def read_program(folder: Path) -> Program:
    """The program in a folder that ``weft compile`` wrote.

    Raises
    ------
    InputError
        If it is no such folder.
    """
    check_folder(folder)
    return Program.load(folder)


def keep_model(model: Path, folder: Path) -> None:
    """Copy a model into the folder it was compiled into."""
    kept = folder / f"{_MODEL}{'.tflite' if is_tflite(model) else '.onnx'}"
    if not (kept.exists() and kept.samefile(model)):
        kept.write_bytes(model.read_bytes())


def kept_model(folder: Path, sha256: str) -> Path:
    """The model that a folder was compiled from.

    Parameters
    ----------
    folder : Path
    sha256 : str
        Of the model, as summary.json has it.

    Raises
    ------
    InputError
        If it is not there any more.
    """
    for suffix in (".tflite", ".onnx"):
        kept = folder / f"{_MODEL}{suffix}"
        if kept.is_file() and hashlib.sha256(kept.read_bytes()).hexdigest() == sha256:
            return kept
    raise InputError(
        f"{folder} has not the model any more that it was compiled from; compile it again with: "
        f"weft compile MODEL -o {folder}"
    )


def check_folder(folder: Path) -> None:
    """Refuse what is no folder.

    Raises
    ------
    InputError
        If it is a file, or nothing.
    """
    if is_folder(folder):
        return
    if os.path.lexists(folder):
        raise InputError(f"{folder} is a file and no folder; give a folder that weft compile wrote")
    raise InputError(f"there is no folder {folder}; make it with: weft compile MODEL -o {folder}")


def is_folder(path: Path) -> bool:
    """Whether it is a folder, and not a name that no file could have."""
    try:
        return path.is_dir()
    except OSError:
        return False


@contextmanager
def naming(what: str) -> Iterator[None]:
    """Have an `UnsupportedError` name what the user gave, not what the file calls itself."""
    try:
        yield
    except UnsupportedError as error:
        raise UnsupportedError(what, error.problems) from None


def read_samples(path: Path, network: Network) -> dict[str, np.ndarray]:
    """Arrays by the model's own input names, checked, from an .npz file."""
    return load_arrays(
        path,
        {port.name: (1, *port.shape) for port in network.inputs},
        {port.name: port.dtype for port in network.inputs},
        {
            port.name: (network.tensors[port.tensor].scale, network.tensors[port.tensor].zero_point)
            for port in network.inputs
        },
    )


def check_output(path: Path, option: str = "-o") -> None:
    """Refuse a file for outputs that has no folder, before they take their time.

    Raises
    ------
    InputError
        If its folder is not there.
    """
    if not is_folder(path.parent):
        raise InputError(
            f"{path} cannot be written (there is no folder {path.parent}); give another path "
            f"with {option}"
        )


def write_samples(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Save outputs as .npz: `outputs` where there is one, by the model's names where more."""
    keys = ["outputs"] if len(arrays) == 1 else list(arrays)
    named: dict[str, Any] = dict(zip(keys, arrays.values(), strict=True))
    try:
        # As np.savez does, which has no place for an array called "file".
        with path.open("wb") as file, ZipFile(file, "w") as archive:
            for name, array in named.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                    np.lib.format.write_array(entry, np.asarray(array), allow_pickle=False)
    except OSError as error:
        raise InputError(
            f"{path} cannot be written ({error.strerror}); give another path with -o"
        ) from None


def make_folder(folder: Path) -> None:
    """Make a folder for results, or say why not."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"the folder {folder} cannot be made ({error.strerror}); give another with -o"
        ) from None


@contextmanager
def filling(folder: Path) -> Iterator[None]:
    """Make a folder for results, and say it where something cannot be written into it."""
    make_folder(folder)
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{error.filename or folder} cannot be written ({error.strerror}); "
            "give another folder with -o"
        ) from None
