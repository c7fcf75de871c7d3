"""Chooses power-of-two scales for the activations of a float graph from sample data.

The float model runs on the samples once, and a collector per tensor sees its values.
Collectors can be pickled and merge, so several processes can each take a part of the
samples and `choose_scales` then looks at the whole.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import numpy as np

from weft.compiler.calibrate_limits import Fractions, apply_limits
from weft.compiler.calibration_samples import Samples, Source, open_samples
from weft.compiler.calibrators import Calibrator, Collector, parse_calibrator
from weft.compiler.collect_range import RangeCollector
from weft.compiler.fixed_point import FRACTION_LIMITS, fraction_bits, power_of_two
from weft.compiler.float_graph import FloatGraph, Scale
from weft.compiler.float_run import FloatRunner, Model, Progress, tensors_of, title_of
from weft.compiler.quantize_fuse import MOVES, FusedNode, fuse, tensor_names
from weft.errors import InputError

AnyCollector = TypeVar("AnyCollector", bound=Collector)

#: TFLite's output of SOFTMAX: probabilities from 0 to 255/256.
SOFTMAX_SCALE = Scale(np.array(1 / 256), np.array(-128))

#: Functions whose values lie within [-1, 1]: 7 fraction bits hold all but the very end.
BOUNDED = ("Sigmoid", "HardSigmoid", "Tanh")


def calibrate(
    model: Model,
    graph: FloatGraph,
    data: Source | Samples,
    method: str | Calibrator = "minmax",
    progress: Progress | None = None,
    *,
    zero_points: bool = False,
) -> dict[str, Scale]:
    """Scale of every activation that remains in the integer graph, by name.

    Scales that the file gives, or the user fixed, are kept as they are.

    Parameters
    ----------
    model : str, Path or onnx.ModelProto
        The model that `graph` was read from.
    data : path, mapping of input name to float32 array (N, *the model's shape), or iterable
        As `open_samples` takes it.
    method : str or Calibrator
        NAME or NAME:PARAMETER, one of CALIBRATORS.
    progress : callable, optional
        Called with (samples done, samples in all).
    zero_points : bool
        As in `choose_scales`.
    """
    calibrator = parse_calibrator(method)
    derived = _derived(fuse(graph))
    names = [name for name in kept_tensors(graph) if name not in derived]
    names = [name for name in names if name not in graph.scales]
    collectors = collect(model, graph, data, names, kind=calibrator.collector, progress=progress)
    return choose_scales(graph, collectors, calibrator, zero_points=zero_points)


def kept_tensors(graph: FloatGraph) -> list[str]:
    """Tensors of the float graph that the integer graph will have."""
    return tensor_names(graph, fuse(graph))


def collect(
    model: Model,
    graph: FloatGraph,
    data: Source | Samples,
    names: Iterable[str],
    *,
    kind: type[AnyCollector],
    progress: Progress | None = None,
) -> dict[str, AnyCollector]:
    """Collectors by tensor name after one run over `data`.

    Tensors that the model's file has no name for are left out; they hold what the tensor
    before them holds.

    Parameters
    ----------
    kind : type
        RangeCollector, HistogramCollector or BitCollector: what is to be known.
    """
    there = tensors_of(model)
    collectors = {name: kind() for name in names if name in there}
    if not isinstance(data, Samples):
        data = open_samples(data, {name: graph.tensors[name].file_shape for name in graph.inputs})
    runner = FloatRunner(model, [name for name in collectors if name not in graph.inputs])
    done = 0
    for batch in data.batches:
        for name in graph.inputs:
            if name in collectors:
                collectors[name].update(batch[name])
        for tensors in runner.run(batch) if runner.names else ():
            for name, values in tensors.items():
                if not np.isfinite(values).all():
                    raise InputError(
                        f"{title_of(model)}: tensor {name!r} becomes infinite or NaN on these "
                        "samples; check that they are scaled as in training"
                    )
                collectors[name].update(values)
        done += len(next(iter(batch.values())))
        if progress:
            progress(done, data.total)
    return collectors


def merge(parts: Iterable[Mapping[str, AnyCollector]]) -> dict[str, AnyCollector]:
    """One set of collectors from those of several processes; the parts stay as they are."""
    result: dict[str, AnyCollector] = {}
    for part in parts:
        for name, collector in part.items():
            _merge_into(result.setdefault(name, type(collector)()), collector)
    return result


def choose_scales(
    graph: FloatGraph,
    collectors: Mapping[str, Collector],
    method: str | Calibrator = "minmax",
    *,
    zero_points: bool = False,
) -> dict[str, Scale]:
    """Scales from what the collectors saw, such that every node can compute with them.

    Parameters
    ----------
    zero_points : bool
        Give tensors that are never negative an unsigned type, with zero point -128, where the
        nodes around them can compute with it by shifts: one more fraction bit for the same range.
    """
    calibrator = parse_calibrator(method)
    nodes = fuse(graph)
    result = dict(graph.scales)
    result.update({name: SOFTMAX_SCALE for name in _softmax_outputs(nodes) if name not in result})
    fixed = {
        name: fraction
        for name, scale in graph.scales.items()
        if scale.scale.size == 1
        and (fraction := fraction_bits(float(scale.scale.reshape(-1)[0]))) is not None
    }
    names = [name for name in tensor_names(graph, nodes) if name not in result]
    fractions = Fractions(nodes, names, fixed)
    bounded = {fused.node.output for fused in nodes if _is_bounded(fused)}
    derived = _derived(nodes)
    barred = _signed(nodes) if zero_points else set(names)
    unsigned: set[str] = set()
    for members in fractions.groups():
        # What a move makes was counted before it.
        merged = _merged(
            [collectors[name] for name in members if name in collectors and name not in derived]
        )
        for value in _pad_values(nodes, members):
            merged.update(np.full(1, value, np.float32))
        fraction = calibrator.choose(merged)
        seen = _range(merged)
        if bounded.intersection(members) and seen.low >= -1 and seen.high <= 1:
            fraction = max(fraction, 7)
        if seen.low >= 0 and barred.isdisjoint(members):
            unsigned.update(members)
            fraction = min(fraction + 1, FRACTION_LIMITS[1])
        fractions.set(members[0], fraction)
    apply_limits(nodes, fractions)
    result.update(
        {
            name: power_of_two(fractions[name], -128 if name in unsigned else 0)
            for name in fractions.free()
        }
    )
    return result


def _signed(nodes: list[FusedNode]) -> set[str]:
    """Tensors that nodes meet which work on codes as they are, and change their scale."""
    return {
        name
        for fused in nodes
        if fused.node.op in ("AveragePool", "Concat")
        for name in (*fused.node.inputs, fused.node.output)
    }


def _pad_values(nodes: list[FusedNode], members: list[str]) -> list[float]:
    return [
        float(fused.node.attributes.get("value", 0))
        for fused in nodes
        if fused.node.op == "Pad" and fused.node.output in members
    ]


def _merged(collectors: list[Collector]) -> Collector:
    result: Collector = type(collectors[0])()
    for collector in collectors:
        _merge_into(result, collector)
    return result


def _merge_into(result: Any, collector: Collector) -> None:
    result.merge(collector)


def _range(collector: Collector) -> RangeCollector:
    return collector if isinstance(collector, RangeCollector) else collector.range


def _is_bounded(fused: FusedNode) -> bool:
    return fused.node.op == "Unary" and fused.node.attributes["function"] in BOUNDED


def _derived(nodes: list[FusedNode]) -> set[str]:
    """Tensors that need not be looked at: a move makes only values that its input has."""
    moves = {
        fused.node.output
        for fused in nodes
        if fused.node.op in MOVES and fused.low == -math.inf and fused.high == math.inf
    }
    return moves | _softmax_outputs(nodes)


def _softmax_outputs(nodes: list[FusedNode]) -> set[str]:
    return {fused.node.output for fused in nodes if fused.node.op == "Softmax"}
