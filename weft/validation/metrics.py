"""How good a model's outputs are: what ``--metric`` names, or what fits."""

from __future__ import annotations

import importlib
import math
import os
import sys
from collections.abc import Mapping

import numpy as np

from weft.errors import InputError
from weft.validation.labels import class_labels, target_labels
from weft.validation.result import Against, Score
from weft.validation.scorers import Cosine, Function, Own, Scorer, SquaredError, Top1

#: Metrics of weft's own, and whether more is better.
METRICS = {"top1": True, "mse": False, "cosine": True}


class Metric:
    """A metric that was chosen.

    Parameters
    ----------
    name : str
    reason : str
        Why it, where nobody chose it.
    function : callable or None
        The user's own.
    labels : array or None
        Checked for this metric.
    """

    def __init__(
        self, name: str, reason: str, function: Function | None, labels: np.ndarray | None
    ):
        self.name = name
        self.reason = reason
        self.labels = labels
        self._function = function

    def scorer(self) -> Scorer:
        """For one model."""
        if self._function is not None:
            return Own(self.name, self._function)
        scorers: dict[str, type[Scorer]] = {"top1": Top1, "mse": SquaredError, "cosine": Cosine}
        return scorers[self.name]()

    def compare(self, real: float, held: float) -> Score:
        """A score of the float model beside one of INT8."""
        against: Against = "float" if self.labels is None else "labels"
        against = against if self._function is None else "function"
        loss = real - held if METRICS.get(self.name, True) else held - real
        points = 100 if self.name == "top1" else 1
        return Score(self.name, self.reason, against, real, held, points * loss)


def choose_metric(
    name: str | Function | None,
    labels: np.ndarray | None,
    outputs: Mapping[str, tuple[int, ...]],
    inputs: int,
) -> Metric:
    """The metric by its name, or one that fits.

    Parameters
    ----------
    name : str, callable or None
        "top1", "mse", "cosine", "module:function", or such a function.
    labels : array or None
    outputs : mapping of output name to shape of a sample
    inputs : int
        Numbers in one sample.

    Raises
    ------
    InputError
        If there is no such metric, or labels do not fit it.
    """
    reason = ""
    if name is None:
        name, reason = _default(labels, outputs, inputs)
    if callable(name):
        return Metric(getattr(name, "__name__", "function"), "", name, labels)
    if ":" in name:
        return Metric(name, "", load_function(name), labels)
    if name not in METRICS:
        raise InputError(
            f"there is no metric {name!r}; choose {', '.join(METRICS)}, or name a function of your "
            "own as module:function"
        )
    if len(outputs) > 1 and (name == "top1" or labels is not None):
        raise InputError(
            f"the model has outputs {', '.join(outputs)}, and {name} takes one; give a function of "
            "your own with --metric module:function"
        )
    shape = next(iter(outputs.values()))
    if name == "top1" and math.prod(shape) < 2:
        raise InputError("the output is a single number, which has no classes; choose --metric mse")
    if labels is not None:
        labels = (
            class_labels(labels, math.prod(shape))
            if name == "top1"
            else target_labels(labels, shape)
        )
    return Metric(name, reason, None, labels)


def _default(
    labels: np.ndarray | None, outputs: Mapping[str, tuple[int, ...]], inputs: int
) -> tuple[str, str]:
    """The metric that users expect, and why."""
    shape = next(iter(outputs.values()))
    size = math.prod(shape)
    vector = len(outputs) == 1 and size == max(shape, default=1)
    if vector and labels is not None and labels.size == len(labels) and labels.dtype.kind in "iu":
        return "top1", "labels are class numbers"
    if vector and labels is None and 2 <= size < inputs:
        return "top1", f"the output looks like {size} classes"
    return "mse", "the output does not look like classes"


def load_function(name: str) -> Function:
    """A user's function by "module:function"; modules of the current directory are found too.

    Raises
    ------
    InputError
        If there is none.
    """
    module, _, attribute = name.partition(":")
    where = os.getcwd()
    sys.path.insert(0, where)
    try:
        loaded = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module}.".startswith(f"{error.name}."):
            raise InputError(
                f"there is no module {module!r} for metric {name}, neither installed nor in "
                f"{where}; correct the name, or run weft where {module.split('.')[0]}.py lies"
            ) from None
        raise InputError(
            f"module {module!r} of metric {name} needs {error.name}: install it"
        ) from error
    except (Exception, SystemExit) as error:  # a user's own code raises what it likes
        raise InputError(
            f"module {module!r} of metric {name} cannot be imported "
            f"({type(error).__name__}: {error}); correct it"
        ) from error
    finally:
        sys.path.remove(where)
    found = getattr(loaded, attribute, None)
    if not callable(found):
        raise InputError(
            f"module {module!r} has no function {attribute!r}; metric {name} is called with "
            "(outputs, labels)"
        )
    return found
