"""``weft quantize``: a float model and sample data to a quantised model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from weft.compiler.calibrate import collect, kept_tensors
from weft.compiler.calibrate_types import fix_types
from weft.compiler.calibration_images import parse_pixels
from weft.compiler.calibration_record import CalibrationRecord
from weft.compiler.calibration_report import TensorReport, ranges_of, report
from weft.compiler.calibration_samples import Source
from weft.compiler.calibrators import parse_calibrator
from weft.compiler.collect_bits import BitCollector
from weft.compiler.fixed_point import FixedType, parse_type
from weft.compiler.network import Network
from weft.compiler.qdq_writer import write_qdq
from weft.compiler.repair_report import RepairReport
from weft.compiler.tflite_float_samples import open_real_samples
from weft.console import say, step
from weft.errors import InputError
from weft.models import read_float
from weft.quantized_show import show_hints, show_repairs, show_types
from weft.repairing.repair import (
    EQUALIZE,
    Choices,
    chosen_repairs,
    parse_repairs,
    repair_graph,
    repair_network,
)
from weft.repairing.samples import HeldSamples, hold


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
    repairs : tuple of RepairReport
        What was repaired, in that order, and what it gave.
    """

    network: Network
    output: Path
    samples: int
    calibrator: str
    tensors: list[TensorReport]
    scales: str = "shift"
    repairs: tuple[RepairReport, ...] = ()

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
            "repairs": [repair.to_json() for repair in self.repairs],
        }

    def _repr_html_(self) -> str:
        """Show it in a notebook."""
        from weft.report.page import notebook_html  # noqa: PLC0415 - slow, and it needs this module

        return notebook_html(self)

    def show(self) -> None:
        """Print it for a person."""
        for heading, kind in (("activation", "activation"), ("weights of", "weights")):
            show_types(heading, [tensor for tensor in self.tensors if tensor.kind == kind])
        show_hints(self.tensors)
        show_repairs(self.repairs)
        fixed = f", {count} fixed" if (count := sum(t.fixed for t in self.tensors)) else ""
        say(f"{self.output} written, from {self.samples} samples ({self.calibrator}{fixed})")


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
    zero_points: bool = False,
    repair: str = "auto",
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
    zero_points : bool
        With shifts: activations that are never negative get unsigned types.
    repair : str
        "auto", "none", "all", or names of REPAIRS with commas between them.
    """
    chosen = parse_calibrator(calibrator)
    multiplies = scales == "multiplier"
    if multiplies and chosen.name != "minmax":
        raise InputError(
            f"--scales multiplier spans the whole range of values; calibrator {chosen} is for "
            "shifts: leave it out, or choose minmax"
        )
    if multiplies and zero_points:
        raise InputError(
            "--scales multiplier gives every activation a zero point; leave --zero-points out"
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
    asked = parse_repairs(repair)
    choices = Choices(chosen, per_channel, multiplies, zero_points)
    with step(f"calibrating{count}") as running:
        arrays, samples = hold(graph, samples)
        repairs = chosen_repairs(asked, chosen, len(arrays[graph.inputs[0]]))
        runs, reports = real.runs, []
        if EQUALIZE in repairs:
            running.stage("equalising")
            graph, runs, equalized = repair_graph(graph, runs, arrays, choices)
            reports.append(equalized)
        seen = collect(
            runs, graph, samples, kept_tensors(graph),
            kind=BitCollector, progress=running.progress,
        )  # fmt: skip
        found = choices.scales(graph, seen)
        network = choices.network(graph, found)
        if repairs:
            running.stage("repairing")
            network, more = repair_network(
                network, HeldSamples(graph, arrays), repairs,
                lambda: choices.network(graph, found, "mse"),
            )  # fmt: skip
            reports += more
    first = graph.inputs[0]
    number = seen[first].range.count // math.prod(graph.tensors[first].shape)
    tensors = report(graph, network, seen)
    write_qdq(network, output, CalibrationRecord(number, str(chosen), ranges_of(tensors)))
    return Quantized(
        network, output, number, str(chosen), tensors, scales or "shift", tuple(reports)
    )
