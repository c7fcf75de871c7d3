"""Names of classes: a list, or a file with one on each line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from weft.compiler.network import Network
from weft.errors import InputError


def read_labels(path: Path) -> list[str]:
    """The lines of a text file, without empty ones at its end.

    Raises
    ------
    InputError
        If it is no readable text.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no UTF-8 text"
        raise InputError(
            f"{path} is not a readable file of labels ({reason}); give a text file with the name "
            "of a class on each line"
        ) from None
    while lines and not lines[-1].strip():
        lines.pop()
    return [line.strip() for line in lines]


def check_labels(labels: Sequence[str] | Path | str, network: Network) -> tuple[str, ...]:
    """Labels for the only output of a network, one for each of its values.

    Parameters
    ----------
    labels : sequence of str, or Path, or str
        Names in the order of the classes, or a file of them.

    Raises
    ------
    InputError
        If there are more or fewer than the output has values, or several outputs.
    """
    where = "the labels"
    if isinstance(labels, str | Path):
        where = str(labels)
        labels = read_labels(Path(labels))
    if len(network.outputs) != 1:
        names = ", ".join(repr(port.name) for port in network.outputs)
        raise InputError(f"{where}: the model has several outputs ({names}); leave labels out")
    port = network.outputs[0]
    classes = network.tensors[port.tensor].size
    if len(labels) != classes:
        raise InputError(
            f"{where}: there are {len(labels)} labels for the {classes} values of output "
            f"{port.name!r}; give one label for each, in the order of the classes"
        )
    return tuple(str(label) for label in labels)


def classify(outputs: Mapping[str, np.ndarray]) -> np.ndarray:
    """The class with the largest value of each sample, the first where several have it: (N,)."""
    (array,) = outputs.values()
    return np.argmax(array.reshape(len(array), -1), axis=1)
