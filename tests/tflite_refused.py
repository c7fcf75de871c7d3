"""Tables of graphs that have one problem each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tflite_graphs import Graph

from weft.compiler.tflite_reader import check_tflite
from weft.errors import Problem

#: Fills a writer; the numbers of the graph's inputs and outputs.
Make = Callable[[Any], tuple[list[int], list[int]]]


class Refused:
    """Collects graphs with what is said of them: ``@refused(op, reason, remedy)``."""

    def __init__(self):
        self._cases: list[tuple[Make, str, str, str]] = []

    def __call__(self, op: str, reason: str, remedy: str) -> Callable[[Make], Make]:
        """Register a graph that has this one problem."""

        def register(make: Make) -> Make:
            self._cases.append((make, op, reason, remedy))
            return make

        return register

    def parametrize(self) -> pytest.MarkDecorator:
        """For a test of (make, op, reason, remedy), with every case."""
        # The functions have no names, and their addresses differ from process to process.
        names = [
            f"{number}-{op}: {reason[:50]}" for number, (_, op, reason, _) in enumerate(self._cases)
        ]
        return pytest.mark.parametrize(("make", "op", "reason", "remedy"), self._cases, ids=names)


# Of INT8 models ---------------------------------------------------------------------------

ANOTHER_SCALE = (
    "it moves codes, but its output has another scale or zero point than its input",
    "quantise both alike, or put QUANTIZE between",
)


def problems(model: bytes, folder: Path, rounding="double") -> list[Problem]:
    path = folder / "model.tflite"
    path.write_bytes(model)
    return check_tflite(path, rounding)[1]


def found(make: Make, folder: Path) -> list[tuple[str, str, str]]:
    """(op, reason, remedy) of everything in the way of a graph."""
    g = Graph(0)
    inputs, outputs = make(g)
    return [(p.op, p.reason, p.remedy) for p in problems(g.finish(inputs, outputs), folder)]


def image(g: Graph) -> int:
    return g.codes((1, 6, 6, 4))


def simple(g: Graph, op: str, x: int, shape, *inputs: int, **options):
    """An operator whose output has its input's scale."""
    return [x], [g.move(op, x, shape, *inputs, **options)]
