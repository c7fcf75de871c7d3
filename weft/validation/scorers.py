"""Scores of a model's outputs, batch by batch, beside those of the float model."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np

from weft.errors import InputError

#: Outputs by name, float32, shape (N, *the float model's own).
Outputs = Mapping[str, np.ndarray]

#: A user's metric: called with (outputs, labels or None), more is better.
Function = Callable[[Any, np.ndarray | None], float]


class Scorer(Protocol):
    """The score of one model."""

    def update(self, outputs: Outputs, real: Outputs, labels: np.ndarray | None) -> None:
        """Take a batch into account: the model's outputs, and the float model's."""

    def score(self, labels: np.ndarray | None) -> float:
        """The score of everything so far; `labels` are all of them."""


class Top1:
    """Share of samples whose largest output is the label's, or where the float model's is."""

    def __init__(self) -> None:
        self._right = self._samples = 0

    def update(self, outputs: Outputs, real: Outputs, labels: np.ndarray | None) -> None:
        """Take a batch into account."""
        wanted = _largest(real) if labels is None else labels
        self._right += int((_largest(outputs) == wanted).sum())
        self._samples += len(wanted)

    def score(self, _: np.ndarray | None) -> float:
        """From 0 to 1."""
        return self._right / max(self._samples, 1)


class SquaredError:
    """Mean squared difference to the labels, or to the float model."""

    def __init__(self) -> None:
        self._sum = 0.0
        self._count = 0

    def update(self, outputs: Outputs, real: Outputs, labels: np.ndarray | None) -> None:
        """Take a batch into account."""
        for name, values in outputs.items():
            error = values.astype(np.float64) - (real[name] if labels is None else labels)
            self._sum += float(np.square(error).sum())
            self._count += error.size

    def score(self, _: np.ndarray | None) -> float:
        """From 0."""
        return self._sum / max(self._count, 1)


class Cosine:
    """Mean cosine of the angle between a sample's output and its label, or the float model's.

    1 where both are zero, and 0 where one is.
    """

    def __init__(self) -> None:
        self._sum = 0.0
        self._samples = 0

    def update(self, outputs: Outputs, real: Outputs, labels: np.ndarray | None) -> None:
        """Take a batch into account."""
        one = _flat(outputs)
        two = _flat(real) if labels is None else labels.reshape(len(labels), -1)
        lengths = np.linalg.norm(one, axis=1), np.linalg.norm(two, axis=1)
        product = lengths[0] * lengths[1]
        cosine = (one * two).sum(axis=1) / np.where(product == 0, 1, product)
        cosine[(lengths[0] == 0) & (lengths[1] == 0)] = 1
        self._sum += float(cosine.sum())
        self._samples += len(one)

    def score(self, _: np.ndarray | None) -> float:
        """From -1 to 1."""
        return self._sum / max(self._samples, 1)


class Own:
    """A user's function, called once with the outputs for all samples."""

    def __init__(self, name: str, function: Function):
        self._name = name
        self._function = function
        self._parts: list[Outputs] = []

    def update(self, outputs: Outputs, real: Outputs, labels: np.ndarray | None) -> None:
        """Keep a batch."""
        self._parts.append(outputs)

    def score(self, labels: np.ndarray | None) -> float:
        """What the function says.

        Raises
        ------
        InputError
            If it raises, or returns what is no number.
        """
        whole = {name: np.concatenate([p[name] for p in self._parts]) for name in self._parts[0]}
        outputs = whole if len(whole) > 1 else next(iter(whole.values()))
        try:
            result = self._function(outputs, labels)
        except Exception as error:  # a user's own code raises what it likes
            raise InputError(
                f"metric {self._name} raises {type(error).__name__}: {error}; it is called with "
                f"(outputs, labels), {_described(outputs)} and {_described(labels)}"
            ) from error
        try:
            number = float(result)
        except (TypeError, ValueError):
            raise InputError(
                f"metric {self._name} returns {type(result).__name__}, not a number; return a float"
            ) from None
        if not math.isfinite(number):
            raise InputError(f"metric {self._name} returns {number}; return a finite number")
        return number


def _largest(outputs: Outputs) -> np.ndarray:
    return _flat(outputs).argmax(axis=1)


def _flat(outputs: Outputs) -> np.ndarray:
    flat = [values.reshape(len(values), -1) for values in outputs.values()]
    return np.concatenate(flat, axis=1).astype(np.float64)


def _described(value: Any) -> str:
    if value is None:
        return "no labels"
    if isinstance(value, Mapping):
        return "outputs by name"
    return f"an array of shape {' x '.join(map(str, value.shape))}"
