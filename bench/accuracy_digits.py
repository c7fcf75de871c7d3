"""The digits over five stratified splits, for `accuracy.py`: float, shifts and multipliers."""

from __future__ import annotations

import runpy
import tempfile
from importlib.resources import as_file, files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from weft.commands.quantize import quantize_model
from weft.compiler.edges import decode_outputs, encode_inputs
from weft.compiler.float_run import run_float
from weft.examples.digits.data import FOLDS, Digits, load_digits
from weft.sim import golden

TRAINING = Path(__file__).parents[1] / "examples" / "digits" / "train.py"

#: Options of `quantize_model`; all others are the command's defaults.
WAYS: dict[str, dict[str, Any]] = {"shift": {}, "multiplier": {"scales": "multiplier"}}


def digits_splits(train: bool = True) -> dict[str, list[dict[str, float]]]:
    """Accuracies on each split's held-out images.

    "published" is the network of examples/digits, calibrated on each split's other images. It
    was trained on one of the five splits, so of the others' held-out images it knows most: the
    difference between its columns is what counts. "trained" are networks that know none of
    theirs; they need PyTorch, and are left out without it.

    Parameters
    ----------
    train : bool
        Leave these out where it is False.
    """
    with as_file(files("weft.examples.digits") / "digits.onnx") as model:
        found = {"published": [accuracies(model, load_digits(i)) for i in range(FOLDS)]}
    if train and find_spec("torch") is not None:
        found["trained"] = [trained_accuracies(load_digits(i)) for i in range(FOLDS)]
    return found


def trained_accuracies(digits: Digits) -> dict[str, float]:
    """Of a network trained on this split."""
    training = runpy.run_path(str(TRAINING))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "digits.onnx"
        model = training["train"](digits, training["EPOCHS"], training["SEED"])
        training["export"](model, path)
        return accuracies(path, digits)


def accuracies(model: Path, digits: Digits) -> dict[str, float]:
    """Share of a split's held-out images that are classified right, and how many there are."""
    given = {"image": digits.test_images}
    logits = run_float(model, given, ["logits"])["logits"]
    result = {"images": len(digits.test_labels), "float": _share(logits, digits.test_labels)}
    with tempfile.TemporaryDirectory() as folder:
        for way, options in WAYS.items():
            samples = {"image": digits.train_images}
            network = quantize_model(model, samples, Path(folder) / "q.onnx", **options).network
            codes = golden.run_network(network, encode_inputs(network, given))
            found = decode_outputs(network, codes)["logits"]
            result[way] = _share(found, digits.test_labels)
    return result


def _share(logits: np.ndarray, labels: np.ndarray) -> float:
    return float((logits.reshape(len(labels), -1).argmax(axis=1) == labels).mean())
