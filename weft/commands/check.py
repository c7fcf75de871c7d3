"""``weft check``: everything that stands in the way of a model, all at once."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from weft.boards.registry import find_board
from weft.commands.compile import compile_for_board
from weft.compiler.calibrate import calibrate
from weft.compiler.compile import problems_of
from weft.compiler.float_graph import FloatGraph
from weft.compiler.network import Network
from weft.compiler.onnx_reader import load_onnx
from weft.compiler.quantize import quantize
from weft.compiler.tflite_file import read_tflite_file
from weft.compiler.tflite_float import is_float_model
from weft.console import say, wrap
from weft.errors import Problem, UnsupportedError
from weft.models import (
    FloatModel,
    TfliteRounding,
    int8_network,
    is_tflite,
    read_network,
    real_model,
)


@dataclass(frozen=True)
class Checked:
    """The problems of a model; none where it runs."""

    model: str
    target: str
    problems: tuple[Problem, ...]

    @property
    def holds(self) -> bool:
        """The model runs."""
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``json.dumps``."""
        return {"runs": self.holds, "problems": [asdict(problem) for problem in self.problems]}

    def show(self) -> None:
        """Print it for a person."""
        if self.holds:
            say(f"{self.model} runs on {self.target}")
            return
        count = len(self.problems)
        say(f"{self.model} does not run on {self.target}: {count} problem{'s' * (count > 1)}")
        for problem in self.problems:
            say(f"\n{problem.op} {problem.node!r}")
            say(wrap(problem.reason, "  "))
            say(wrap(problem.remedy, "  -> "))


def check(
    model: Path, board: str | None = None, *, rounding: TfliteRounding | None = None
) -> Checked:
    """Collect everything that stands in the way of a model.

    A float model has no scales yet: they are made up from random samples, because only
    a whole integer graph shows whether the network fits.

    Parameters
    ----------
    model : Path
        A float or quantised model, ONNX or TFLite.
    board : str, optional
        Also see that it fits this board.
    rounding : str, optional
        Of an INT8 TFLite model, as `read_network` takes it.
    """
    chosen = None if board is None else find_board(board)
    target = "any board that is large enough" if chosen is None else chosen.title
    try:
        network = _read_with_scales(model, rounding)
        if chosen is None:
            return Checked(str(model), target, tuple(problems_of(network)))
        compile_for_board(network, chosen)
    except UnsupportedError as error:
        return Checked(str(model), target, error.problems)
    return Checked(str(model), target, ())


def _read_with_scales(path: Path, rounding: TfliteRounding | None) -> Network:
    """The integer graph; a float model gets scales from random samples."""
    if is_tflite(path):
        model = read_tflite_file(path)
        if rounding or not is_float_model(model):
            return int8_network(model, rounding)
        return _calibrated(real_model(model))
    if rounding:
        return read_network(path, rounding)  # which only TFLite models take
    graph = load_onnx(path)
    return quantize(graph, graph.scales) if graph.scales else _calibrated(FloatModel(graph, path))


def _calibrated(real: FloatModel) -> Network:
    return quantize(real.graph, calibrate(real.runs, real.graph, _random_samples(real.graph)))


def _random_samples(graph: FloatGraph) -> dict[str, np.ndarray]:
    """A few samples in [0, 1], the same every time."""
    random = np.random.default_rng(0)
    return {
        name: random.random((4, *graph.tensors[name].file_shape[1:]), np.float32)
        for name in graph.inputs
    }
