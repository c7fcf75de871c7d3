"""Repairs of what quantisation harms, each measured on calibration samples and kept if it helps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from weft.compiler.calibrate import choose_scales, collect, kept_tensors
from weft.compiler.calibrate_affine import choose_affine_scales
from weft.compiler.calibrators import Calibrator
from weft.compiler.collect_bits import BitCollector
from weft.compiler.equalize import equalize
from weft.compiler.float_graph import FloatGraph, Scale
from weft.compiler.float_onnx import float_onnx
from weft.compiler.float_run import Model, title_of
from weft.compiler.network import Network
from weft.compiler.quantize import quantize
from weft.compiler.quantize_weights import Method
from weft.compiler.repair_report import Outcome, RepairReport
from weft.errors import InputError
from weft.repairing.layers import correct_biases, round_layers
from weft.repairing.samples import Errors, HeldSamples

#: The repair of the float graph; the others are of the integer graph.
EQUALIZE = "equalize"

#: In the order in which they are done.
REPAIRS = (EQUALIZE, "clip", "round", "bias")

#: What "auto" does, and samples from which it corrects biases too: fewer are chance.
AUTO, BIAS_SAMPLES = ("round", "bias"), 32


def parse_repairs(text: str) -> tuple[str, ...] | None:
    """Names from "all", "none" or "clip,bias", in the order in which they are done.

    None stands for "auto".

    Raises
    ------
    InputError
        If one is unknown.
    """
    if text == "auto":
        return None
    if text == "all":
        return REPAIRS
    names = [] if text == "none" else [name.strip() for name in text.split(",")]
    for name in names:
        if name not in REPAIRS:
            raise InputError(
                f"there is no repair {name!r}; give auto, all, none, or some of "
                f"{', '.join(REPAIRS)} with commas between them"
            )
    return tuple(name for name in REPAIRS if name in names)


def chosen_repairs(
    repairs: tuple[str, ...] | None, calibrator: Calibrator, samples: int
) -> tuple[str, ...]:
    """What is done: where it is left to weft, clipping goes with the calibrator that clips."""
    if repairs is not None:
        return repairs
    wanted = AUTO if samples >= BIAS_SAMPLES else AUTO[:1]
    clips = calibrator.weights == "mse"
    return tuple(name for name in REPAIRS if name in wanted or (name == "clip" and clips))


@dataclass(frozen=True)
class Choices:
    """How scales are chosen, with every repair or without.

    Parameters
    ----------
    calibrator : Calibrator
    per_channel, multiplies, zero_points : bool
    """

    calibrator: Calibrator
    per_channel: bool = False
    multiplies: bool = False
    zero_points: bool = False

    def scales(self, graph: FloatGraph, seen: Mapping[str, BitCollector]) -> dict[str, Scale]:
        """Scales of all activations."""
        if self.multiplies:
            return choose_affine_scales(graph, seen)
        return choose_scales(graph, seen, self.calibrator, zero_points=self.zero_points)

    def network(
        self, graph: FloatGraph, scales: Mapping[str, Scale], method: Method = "minmax"
    ) -> Network:
        """The integer graph."""
        per_channel = self.per_channel or self.multiplies
        return quantize(graph, scales, method=method, per_channel=per_channel)


def repair_graph(
    graph: FloatGraph, runs: Model, arrays: Mapping[str, np.ndarray], choices: Choices
) -> tuple[FloatGraph, Model, RepairReport]:
    """Equalise a float graph, and say what it gives; the same graph where it gives nothing.

    Parameters
    ----------
    runs : path or onnx.ModelProto
        What ONNX Runtime runs for `graph`.
    arrays : mapping of input name to float32 array
        Samples held in memory.
    """
    if choices.multiplies:
        note = "scales that are no powers of two fill their types anyway"
        return graph, runs, RepairReport(EQUALIZE, "idle", note=note)
    held = HeldSamples(graph, arrays)
    better, names = equalize(graph, held.largest(), per_channel=choices.per_channel)
    if not names:
        note = "no tensor lies between two layers that could share a factor"
        return graph, runs, RepairReport(EQUALIZE, "idle", note=note)
    model = float_onnx(better, title_of(runs))
    before = held.errors(_network(graph, runs, arrays, choices))
    after = HeldSamples(better, arrays).errors(_network(better, model, arrays, choices))
    found = _compared(EQUALIZE, before, after, names)
    if found.outcome == "undone":
        return graph, runs, found
    return better, model, found


def _network(
    graph: FloatGraph, runs: Model, arrays: Mapping[str, np.ndarray], choices: Choices
) -> Network:
    seen = collect(runs, graph, arrays, kept_tensors(graph), kind=BitCollector)
    return choices.network(graph, choices.scales(graph, seen))


def repair_network(
    network: Network,
    held: HeldSamples,
    repairs: tuple[str, ...],
    clipped: Callable[[], Network],
) -> tuple[Network, tuple[RepairReport, ...]]:
    """Do the repairs of the integer graph, one after another.

    Parameters
    ----------
    repairs : tuple of str
        Of REPAIRS; "equalize" is done before.
    clipped : callable
        Makes the network with weights clipped.
    """
    changes: dict[str, Callable[[Network], Network]] = {
        "clip": lambda _: clipped(),
        "round": lambda given: round_layers(given, held),
        "bias": lambda given: correct_biases(given, held),
    }
    reports: list[RepairReport] = []
    wanted = [name for name in repairs if name in changes]
    before = held.errors(network) if wanted else None
    for name in wanted:
        assert before is not None
        candidate = changes[name](network)
        after = held.errors(candidate)
        found = _compared(name, before, after)
        reports.append(found)
        if found.outcome == "kept":
            network, before = candidate, after
    return network, tuple(reports)


def _compared(
    name: str, before: Errors, after: Errors, names: Mapping[str, str] | None = None
) -> RepairReport:
    """A repair is undone where the outputs are worse with it.

    Parameters
    ----------
    names : mapping, optional
        New names of layers.
    """
    names = names or {}
    worse = after.outputs < before.outputs
    layers = {}
    for old, ratio in before.layers.items():
        new = names.get(old, old)
        if new in after.layers:
            layers[old if worse else new] = (ratio, after.layers[new])
    note = "undone, because it made the outputs worse on these samples" if worse else ""
    outcome: Outcome = "undone" if worse else "kept"
    return RepairReport(name, outcome, before.outputs, after.outputs, layers, note)
