"""What all engines have in common: one call, one result, one comparison."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from weft.compiler.program import Program

# Golden may import nothing of weft, so what it returns is defined there.
from weft.sim.golden import RunResult

__all__ = ["Divergence", "Engine", "RunResult", "compare"]


class Engine(Protocol):
    """Anything that runs a program: golden, interpreter, simulators, boards.

    `inputs` maps the name of each input tensor of the integer graph to an int8 array
    (N, H, W, C); the samples are run one after another. `RunResult.outputs` maps tensor
    names to int8 arrays (N, H, W, C).
    """

    def __call__(self, program: Program, inputs: Mapping[str, np.ndarray]) -> RunResult:
        """Run every sample."""
        ...


@dataclass(frozen=True)
class Divergence:
    """The first place where two engines part.

    Parameters
    ----------
    level : str
        The engine that differs from what is expected.
    tensor : str
        Its name in the integer graph.
    index : (n, y, x, c)
    expected, actual : int
        Real numbers where the tensor is an output in real numbers.
    cycle : int or None
        When the engine computed the element, where it knows.
    name : str or None
        The model's own name for the tensor, where it is another.
    number : int or None
        The tensor's number in the model's file.
    against : str or None
        What is expected, where it is not golden's.
    """

    level: str
    tensor: str
    index: tuple[int, int, int, int]
    expected: float
    actual: float
    cycle: int | None = None
    name: str | None = None
    number: int | None = None
    against: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``json.dumps``."""
        return {
            "level": self.level,
            "tensor": self.tensor,
            "index": list(self.index),
            "expected": self.expected,
            "actual": self.actual,
            "cycle": self.cycle,
            "name": self.tensor if self.name is None else self.name,
            "number": self.number,
            "against": self.against,
        }

    def __str__(self) -> str:
        when = "" if self.cycle is None else f" in cycle {self.cycle}"
        whose = "" if self.against is None else f" from {self.against}"
        number = "" if self.number is None else f" (number {self.number})"
        name = self.tensor if self.name is None else self.name
        n, y, x, c = self.index
        return (
            f"{self.level} differs first{whose} in tensor {name!r}{number}, sample {n}, row {y}, "
            f"column {x}, channel {c}: {self.actual} instead of {self.expected}{when}"
        )


def compare(
    expected: Mapping[str, np.ndarray],
    actual: Mapping[str, np.ndarray],
    *,
    level: str = "",
    names: Iterable[str] | None = None,
) -> Divergence | None:
    """Find the first element that differs, or None.

    Parameters
    ----------
    expected, actual : mapping of tensor name to array, shape (N, H, W, C)
    level : str
        The name of the engine that computed `actual`.
    names : iterable of str, optional
        Tensors to compare, in execution order; each must be on both sides. By default
        the tensors found on both sides, in `expected`'s order: golden's is the order of
        execution.

    Raises
    ------
    ValueError
        If there is nothing to compare, a tensor is missing or shapes differ.
    """
    if names is None:
        names = [name for name in expected if name in actual]
    names = list(names)
    if not names:
        raise ValueError("the two results have no tensor in common")
    for name in names:
        for side, tensors in (("expected", expected), ("actual", actual)):
            if name not in tensors:
                raise ValueError(f"tensor {name!r} is missing from the {side} result")
        want, have = np.asarray(expected[name]), np.asarray(actual[name])
        if want.shape != have.shape:
            raise ValueError(f"tensor {name!r} has shape {have.shape}, expected {want.shape}")
        differing = np.argwhere(want != have)
        if len(differing):
            n, y, x, c = (int(i) for i in differing[0])
            return Divergence(
                level, name, (n, y, x, c), want[n, y, x, c].item(), have[n, y, x, c].item()
            )
    return None
