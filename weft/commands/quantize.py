"""``weft quantize``: a float model and sample data to a quantised model."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weft.compiler.calibrate import Method, calibrate
from weft.compiler.calibration_data import load_arrays
from weft.compiler.float_graph import FloatGraph
from weft.compiler.network import Network
from weft.compiler.onnx_reader import load_onnx
from weft.compiler.qdq_writer import write_qdq
from weft.compiler.quantize import quantize
from weft.console import say, step, table
from weft.errors import InputError, RefusedError
from weft.models import is_tflite


@dataclass(frozen=True, eq=False)
class Quantized:
    """The integer graph that was written.

    Parameters
    ----------
    network : Network
    output : Path
        The QDQ file.
    samples : int
        Calibration samples seen.
    calibrator : str
    """

    network: Network
    output: Path
    samples: int
    calibrator: str

    holds = True

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``json.dumps``."""
        return {
            "output": str(self.output),
            "samples": self.samples,
            "scales": "shift",
            "calibrator": self.calibrator,
            "tensors": [
                {"name": tensor.name, "scale": tensor.scale, "zero_point": tensor.zero_point}
                for tensor in self.network.tensors.values()
            ],
        }

    def show(self) -> None:
        """Print it for a person."""
        rows = [
            (tensor.name, " x ".join(map(str, tensor.shape)), f"2^{_exponent(tensor.scale)}")
            for tensor in self.network.tensors.values()
        ]
        table(["activation", "H x W x C", "scale"], rows)
        say(f"{self.output} written, from {self.samples} samples ({self.calibrator})")


def quantize_model(
    model: Path, data: Path, output: Path, *, calibrator: Method = "minmax"
) -> Quantized:
    """Calibrate a float model, quantise it by power-of-two scales and write QDQ ONNX.

    Parameters
    ----------
    model : Path
        A float ONNX model.
    data : Path
        An .npz file with `inputs`, N x the model's own shape.
    output : Path
        The QDQ ONNX file to write.
    calibrator : str
        "minmax" or "mse".
    """
    graph = read_float(model)
    shapes = {name: graph.tensors[name].file_shape for name in graph.inputs}
    arrays = load_arrays(data, shapes)
    samples = len(next(iter(arrays.values())))
    with step(f"calibrating on {samples} samples") as running:
        scales = calibrate(model, graph, arrays, calibrator, running.progress)
        network = quantize(graph, scales, method=calibrator)
    write_qdq(network, output)
    return Quantized(network, output, samples, calibrator)


def read_float(model: Path) -> FloatGraph:
    """The graph of a float model.

    Raises
    ------
    InputError
        If it is a TFLite model.
    RefusedError
        If the model is quantised already.
    """
    if is_tflite(model):
        raise InputError(
            f"{model} is a TFLite model, and only ONNX models are quantised here; one in full INT8 "
            f"is compiled as it is: weft compile {model} --board B -o DIR"
        )
    graph = load_onnx(model)
    if graph.scales:
        raise RefusedError(
            f"{model} is quantised already; compile it: weft compile {model} --board B -o DIR"
        )
    return graph


def _exponent(scale: float) -> int:
    """`n` of a scale 2**n."""
    return math.frexp(scale)[1] - 1
