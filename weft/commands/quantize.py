"""``weft quantize``: a float model and sample data to a quantised model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from weft.compiler.calibrate import choose_scales, collect, kept_tensors
from weft.compiler.calibrate_affine import choose_affine_scales
from weft.compiler.calibrate_types import WEIGHTS, fix_types
from weft.compiler.calibration_images import parse_pixels
from weft.compiler.calibration_report import TensorReport, report
from weft.compiler.calibration_samples import Source
from weft.compiler.calibrators import parse_calibrator
from weft.compiler.collect_bits import BitCollector
from weft.compiler.fixed_point import FixedType, parse_type
from weft.compiler.network import Network
from weft.compiler.qdq_writer import write_qdq
from weft.compiler.quantize import quantize
from weft.compiler.tflite_float_samples import open_real_samples
from weft.console import WIDTH, say, short, step, table
from weft.errors import InputError
from weft.models import read_float

#: Spaces between two columns of a table.
GAP = 3


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
        With its parameter: "percentile:99.99".
    tensors : list of TensorReport
        Every activation, all weights and biases: their values, types, and what those cost.
    scales : str
        "shift" or "multiplier".
    """

    network: Network
    output: Path
    samples: int
    calibrator: str
    tensors: list[TensorReport]
    scales: str = "shift"

    holds = True

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``json.dumps``."""
        kinds = {"tensors": "activation", "weights": "weights", "biases": "bias"}
        return {
            "output": str(self.output),
            "samples": self.samples,
            "scales": self.scales,
            "calibrator": self.calibrator,
            **{
                key: [tensor.to_json() for tensor in self.tensors if tensor.kind == kind]
                for key, kind in kinds.items()
            },
        }

    def show(self) -> None:
        """Print it for a person."""
        for heading, kind in (("activation", "activation"), ("weights of", "weights")):
            _show_types(heading, [tensor for tensor in self.tensors if tensor.kind == kind])
        fixed = f", {count} fixed" if (count := sum(t.fixed for t in self.tensors)) else ""
        say(f"{self.output} written, from {self.samples} samples ({self.calibrator}{fixed})")


def _show_types(heading: str, tensors: list[TensorReport]) -> None:
    """Print a table as wide as the longest name needs and the screen allows."""
    headings = ("type", "", "scale", "saturate", "vanish", "SQNR")
    cells = [_cells(tensor) for tensor in tensors]
    room = WIDTH - sum(GAP + max(map(len, column)) for column in zip(headings, *cells, strict=True))
    names = [short(tensor.name.removesuffix(WEIGHTS), room) for tensor in tensors]
    if tensors:
        rows = [(name, *row) for name, row in zip(names, cells, strict=True)]
        table([heading, *headings], rows)


def _cells(tensor: TensorReport) -> tuple[str, ...]:
    types = sorted(set(tensor.types), key=lambda kind: kind.fraction)
    if not types:
        zero = f"zero {tensor.zero_point}" if tensor.kind == "activation" else ""
        kind = ("", zero, f"{max(tensor.scales):.3g}")
    elif len(types) == 1:
        kind = (types[0].q, types[0].sfix, types[0].power)
    else:  # the coarsest and the finest
        kind = (f"{types[0].q} …", "per channel", f"{types[0].power} … {-types[-1].fraction}")
    shares = tensor.shares
    return (
        *kind,
        "" if shares is None else _percent(shares.saturated),
        "" if shares is None else _percent(shares.vanished),
        "" if tensor.sqnr is None else _decibels(tensor.sqnr),
    )


def _percent(share: float) -> str:
    """Two places, but never 0 where there are some."""
    if 0 < share < 0.0001:
        return "<0.01%"
    return f"{share:.2%}" if share else "0"


def _decibels(ratio: float) -> str:
    return "exact" if math.isinf(ratio) else f"{ratio:.1f} dB"


def quantize_model(
    model: Path,
    data: Source,
    output: Path,
    *,
    calibrator: str = "minmax",
    types: Mapping[str, str | FixedType] | None = None,
    per_channel: bool = False,
    pixels: str | None = None,
    scales: Literal["shift", "multiplier"] | None = None,
) -> Quantized:
    """Calibrate a float model, quantise it and write QDQ ONNX.

    Parameters
    ----------
    model : Path
        A float model, ONNX or TFLite; or with `scales` an INT8 TFLite model, which is taken
        back to the real values that its codes stand for.
    data : Path, mapping or iterable
        An .npz file with `inputs`, N x the model's own shape, an .npy file, a folder of such
        files or of images; arrays by input name; or an iterable of batches. Arrays of int8
        for an int8 input of the source are its codes.
    output : Path
        The QDQ ONNX file to write.
    calibrator : str
        How types of activations are chosen: "minmax", "absmax", "percentile:99.99", "mse",
        "entropy" or "msb:99.9"; docs/calibration.md says which is for what.
    types : mapping of tensor name to type, optional
        Types that are fixed, in any notation of `parse_type`; NODE.weights for weights.
    per_channel : bool
        A type of its own for the weights of every output channel.
    pixels : str, optional
        What black and white of images mean to the model: "0..1".
    scales : str, optional
        "shift" for powers of two, which is the default; "multiplier" for any scales and zero
        points, per channel for weights. Saying so takes INT8 TFLite models as well.
    """
    chosen = parse_calibrator(calibrator)
    multiplies = scales == "multiplier"
    if multiplies and chosen.name != "minmax":
        raise InputError(
            f"--scales multiplier spans the whole range of values; calibrator {chosen} is for "
            "shifts: leave it out, or choose minmax"
        )
    fixed = {
        name: parse_type(kind) if isinstance(kind, str) else kind
        for name, kind in (types or {}).items()
    }
    real = read_float(model, take_back=scales is not None)
    graph = fix_types(real.graph, fixed)
    shapes = {name: graph.tensors[name].file_shape for name in graph.inputs}
    meaning = None if pixels is None else parse_pixels(pixels)
    samples = open_real_samples(real.codes, data, shapes, meaning)
    count = f" on {samples.total} samples" if samples.total else ""
    with step(f"calibrating{count}") as running:
        seen = collect(
            real.runs, graph, samples, kept_tensors(graph),
            kind=BitCollector, progress=running.progress,
        )  # fmt: skip
        found = (
            choose_affine_scales(graph, seen) if multiplies else choose_scales(graph, seen, chosen)
        )
        network = quantize(
            graph, found, method=chosen.weights, per_channel=per_channel or multiplies
        )
    write_qdq(network, output)
    first = graph.inputs[0]
    number = seen[first].range.count // math.prod(graph.tensors[first].shape)
    return Quantized(
        network, output, number, str(chosen), report(graph, network, seen), scales or "shift"
    )


def _exponent(scale: float) -> int:
    """`n` of a scale 2**n."""
    return math.frexp(scale)[1] - 1
