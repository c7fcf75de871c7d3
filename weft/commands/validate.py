"""``weft validate``: a float model and a quantised one, on data that calibration has not seen."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from weft.compiler.calibration_images import Pixels, parse_pixels
from weft.compiler.calibration_record import Ranges, read_record
from weft.compiler.calibration_samples import Samples, Source
from weft.compiler.calibrators import parse_calibrator
from weft.compiler.collect_range import RangeCollector
from weft.compiler.network import Network
from weft.compiler.tflite_float_samples import Codes, open_real_samples
from weft.console import short, step
from weft.errors import InputError
from weft.hw.config import Config
from weft.models import FloatModel, TfliteRounding, is_folder, read_float, read_network
from weft.validation.choices import Candidate, Place, find_place, make_candidates
from weft.validation.labels import check_count, load_labels
from weft.validation.layers import culprit
from weft.validation.metrics import choose_metric
from weft.validation.result import Choice, Exceeded, LayerError, Validation
from weft.validation.run import Subject, Trial
from weft.validation.scorers import Function
from weft.validation.tensors import Matching, match

#: Calibration does not represent data that goes beyond its range by more than a share FAR of it,
#: or by more than NEAR in more than a share OFTEN of the samples.
FAR, NEAR, OFTEN = 0.25, 0.05, 0.1


def validate(
    model: Path,
    quantised: Path,
    data: Source,
    *,
    labels: Any = None,
    metric: str | Function | None = None,
    tolerance: float | None = None,
    calibration: Source | None = None,
    choices: bool = True,
    board: str | None = None,
    array: Config | tuple[int, int] | None = None,
    pixels: str | None = None,
    rounding: TfliteRounding | None = None,
) -> Validation:
    """Compare a float model and a quantised one on samples.

    Parameters
    ----------
    model : Path
        A float model, ONNX or TFLite, or an INT8 TFLite model, taken back to the real values
        that its codes stand for. ONNX Runtime runs it.
    quantised : Path
        Any quantised model that weft reads. Golden runs it.
    data : path, mapping or iterable
        Samples, as `quantize_model` takes them; arrays of int8 are codes where either model's
        input is int8.
    labels : path, str or array, optional
        An .npz file with `labels`, an .npy file, the key of an array in the .npz file of `data`,
        or an array.
    metric : str or callable, optional
        "top1", "mse", "cosine", "module:function", or a function: called with (outputs, labels),
        it returns a float, and more is better. Without it one that fits the output.
    tolerance : float, optional
        How much worse INT8 may be: percentage points for top1, else in the metric's own unit.
    calibration : path, mapping or iterable, optional
        What the side by side of scales is calibrated on; without it on `data`.
    choices : bool
        Whether to make that side by side.
    board : str, optional
    array : Config or (rows, columns), optional
        The hardware whose cost the side by side shows; by default an array of 8 x 8.
    pixels : str, optional
        What black and white of images mean to the model: "0..1".
    rounding : str, optional
        Of a quantised TFLite model, as `read_network` takes it.

    Raises
    ------
    RefusedError
        If the models are not of the same network.
    InputError
        If samples, labels or metric do not fit.
    """
    if tolerance is not None and not 0 <= tolerance < math.inf:
        raise InputError(f"the tolerance must be a number from 0, not {tolerance!r}")
    model, quantised = Path(model), Path(quantised)
    place = find_place(board, array)
    real = read_float(model, take_back=True)
    network = read_network(quantised, rounding)
    matching = match(real, network, model, quantised)
    given = None if labels is None else load_labels(labels, data)
    shapes = {port.name: port.shape for port in map(matching.ports.get, matching.outputs) if port}
    inputs = sum(math.prod(real.graph.tensors[name].shape) for name in real.graph.inputs)
    chosen = choose_metric(metric, given, shapes, inputs)
    meaning = None if pixels is None else parse_pixels(pixels)
    real = replace(real, codes={**_codes(network, matching), **real.codes})
    samples = _open(real, data, meaning)
    if samples.total:
        check_count(chosen.labels, samples.total)
    record = read_record(quantised)
    ranges = {} if record is None else record.ranges
    warnings: list[str] = []
    candidates: list[Candidate] = []
    if choices and calibration is None and isinstance(data, Iterator):
        warnings.append(
            "The side by side of scales is left out: it reads the data twice, and an iterator "
            "gives it once. Give a file, a list, or calibration data of its own."
        )
    elif choices:
        source = data if calibration is None else calibration
        calibrator = parse_calibrator("minmax" if record is None else record.calibrator)
        with step("calibrating for the side by side") as running:
            again = _open(real, source, meaning if _is_folder(source) else None)
            candidates = make_candidates(real, again, calibrator, running)
    subject = Subject(network, matching, chosen.scorer(), str(quantised))
    others = {
        candidate.name: Subject(
            candidate.network, match(real, candidate.network, model, quantised),
            chosen.scorer(), f"{model} with {candidate.options}",
        )
        for candidate in candidates if candidate.network is not None
    }  # fmt: skip
    trial = Trial(
        real, model, subject, chosen,
        ranges=ranges, others=list(others.values()),
    )  # fmt: skip
    count = f" on {samples.total} samples" if samples.total else ""
    with step(f"validating{count}") as running:
        trial.run(samples, running.progress)
    layers = _layers(network, matching, trial)
    exceeded = _exceeded(trial)
    return Validation(
        model=model,
        quantised=quantised,
        samples=trial.samples,
        score=trial.score,
        sqnr_db=subject.outputs.sqnr,
        tolerance=tolerance,
        layers=tuple(layers),
        unmatched=matching.unmatched,
        layer_samples=trial.own_samples,
        hurts_most=culprit(
            network, layers, trial.own, _seen(trial, ranges),
            None if record is None else record.calibrator,
        ),
        choices=tuple(_choice(candidate, trial, others, place) for candidate in candidates),
        choices_data=_name(calibration, "the calibration data") if calibration is not None
        else f"the validation data, {_name(data, 'as given')}",
        hardware=place.hardware if candidates else None,
        exceeded=tuple(exceeded),
        warnings=(*warnings, *_warnings(exceeded, trial, tolerance)),
    )  # fmt: skip


def _codes(network: Network, matching: Matching) -> Codes:
    """What int8 samples mean where the quantised model takes codes."""
    tensors = {port.tensor: network.tensors[port.tensor] for port in network.inputs
               if port.dtype == "int8"}  # fmt: skip
    return {
        matching.ports[name].name: (np.float32(tensor.scale), tensor.zero_point)
        for name, tensor in tensors.items()
    }


def _open(real: FloatModel, source: Source, pixels: Pixels | None) -> Samples:
    shapes = {name: real.graph.tensors[name].file_shape for name in real.graph.inputs}
    return open_real_samples(real.codes, source, shapes, pixels)


def _is_folder(source: Source) -> bool:
    return isinstance(source, str | Path) and is_folder(Path(source))


def _name(source: Source, otherwise: str) -> str:
    return str(source) if isinstance(source, str | Path) else otherwise


def _seen(trial: Trial, ranges: Ranges) -> dict[str, RangeCollector]:
    """What calibration and validation saw of every tensor."""
    seen = {name: sums.range for name, sums in trial.observer.errors.items()}
    for name in seen.keys() & ranges.keys():
        seen[name].update(np.array(ranges[name]))
    return seen


def _layers(network: Network, matching: Matching, trial: Trial) -> list[LayerError]:
    """Every tensor that both models have."""
    nodes = {node.output: node for node in network.nodes}
    total = sum(own.output_noise for own in trial.own.values())
    layers = []
    for name, port in matching.ports.items():
        node, own, sums = nodes.get(name), trial.own[name], trial.observer.errors[name]
        layers.append(
            LayerError(
                tensor=name,
                float_tensor=port.name,
                node="" if node is None else node.name,
                op="Input" if node is None else type(node).__name__,
                sqnr_db=sums.sqnr,
                mse=sums.mse,
                largest_error=sums.largest,
                own_sqnr_db=own.sqnr,
                output_sqnr_db=own.output_sqnr,
                share=own.output_noise / total if total else 0.0,
            )
        )
    return layers


def _choice(
    candidate: Candidate, trial: Trial, others: Mapping[str, Subject], place: Place
) -> Choice:
    if candidate.network is None:
        return Choice(
            candidate.name, candidate.options, None, None, None, None, candidate.problem
        )  # fmt: skip
    subject = others[candidate.name]
    score = trial.score_of(subject)
    area, problem = place.area(candidate.network)
    return Choice(
        candidate.name, candidate.options, score.int8_score, score.loss, subject.outputs.sqnr,
        area, problem,
    )  # fmt: skip


def _exceeded(trial: Trial) -> list[Exceeded]:
    """Tensors whose values go beyond their limits, the furthest first."""
    found = [excess.found() for excess in trial.observer.excess.values()]
    return sorted(filter(None, found), key=lambda each: -each.beyond_share)


def _warnings(exceeded: list[Exceeded], trial: Trial, tolerance: float | None) -> Iterator[str]:
    """What a user should not overlook."""
    far = [
        each
        for each in exceeded
        if each.beyond_share > FAR or (each.beyond_share > NEAR and each.samples_share > OFTEN)
    ]
    if far:
        worst, limit = far[0], far[0].limit
        what = "what calibration saw" if limit == "calibration" else "what its codes can hold"
        yield (
            f"The validation data goes beyond {what} in {len(far)} tensor{'s' * (len(far) > 1)}, "
            f"in {short(worst.tensor)!r} by {worst.beyond_share:.0%} of its range and in "
            f"{worst.samples_share:.1%} of the samples: calibrate with data like this."
        )
    if tolerance is not None and trial.score.metric == "top1" and 100 / trial.samples > tolerance:
        yield (
            f"One sample of {trial.samples} is {100 / trial.samples:.2g} points, more than the "
            "tolerance: give more samples."
        )
