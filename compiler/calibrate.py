"""Chooses power-of-two scales for the activations of a float graph from sample data.

The float model runs on the samples once, and a collector per tensor sees its values.
Collectors merge, so several processes can each take a part of the samples and
`choose_scales` then looks at the whole.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from weft.compiler.calibrate_limits import Fractions, apply_limits
from weft.compiler.collect_histogram import HistogramCollector
from weft.compiler.collect_range import RangeCollector
from weft.compiler.fixed_point import FRACTION_LIMITS, fraction_bits, largest_fraction, power_of_two
from weft.compiler.float_graph import FloatGraph, Scale
from weft.compiler.float_run import FloatRunner, Progress
from weft.compiler.quantize_fuse import MOVES, FusedNode, fuse, tensor_names
from weft.errors import InputError

Method = Literal["minmax", "mse"]
METHODS: tuple[Method, ...] = ("minmax", "mse")

Collector: TypeAlias = RangeCollector | HistogramCollector

#: TFLite's output of SOFTMAX: probabilities from 0 to 255/256.
SOFTMAX_SCALE = Scale(np.array(1 / 256), np.array(-128))

#: Functions whose values lie within [-1, 1]: 7 fraction bits hold all but the very end.
BOUNDED = ("Sigmoid", "HardSigmoid", "Tanh")

#: Fraction bits that the mean-square error may add to those of min/max.
EXTRA_FRACTION = 8


def calibrate(
    model_path: str | Path,
    graph: FloatGraph,
    data: Mapping[str, np.ndarray],
    method: Method = "minmax",
    progress: Progress | None = None,
) -> dict[str, Scale]:
    """Scale of every activation that remains in the integer graph, by name.

    Scales that the file gives are kept as they are.

    Parameters
    ----------
    model_path : str or Path
        The file that `graph` was read from.
    data : mapping of input name to float32 array (N, *the model's shape)
    method : ``"minmax"`` or ``"mse"``
        The finest scale that holds every value, or the one of least squared error.
    progress : callable, optional
        Called with (samples done, samples in all).
    """
    if method not in METHODS:
        raise InputError(f"method must be one of {', '.join(METHODS)}, not {method!r}")
    nodes = fuse(graph)
    names = [name for name in tensor_names(graph, nodes) if name not in graph.scales]
    names = [name for name in names if name not in _derived(nodes)]
    collectors = collect(model_path, graph, data, names, method=method, progress=progress)
    return choose_scales(graph, collectors)


def collect(
    model_path: str | Path,
    graph: FloatGraph,
    data: Mapping[str, np.ndarray],
    names: list[str],
    *,
    method: Method = "minmax",
    progress: Progress | None = None,
) -> dict[str, Collector]:
    """Collectors by tensor name after one run over `data`."""
    kind = RangeCollector if method == "minmax" else HistogramCollector
    collectors: dict[str, Collector] = {name: kind() for name in names}
    for name in names:
        if name in graph.inputs:
            collectors[name].update(data[name])
    inner = [name for name in names if name not in graph.inputs]
    if inner:
        for tensors in FloatRunner(model_path, inner).run(data, progress):
            for name, values in tensors.items():
                if not np.isfinite(values).all():
                    raise InputError(
                        f"{model_path}: tensor {name!r} becomes infinite or NaN on these samples; "
                        "check that they are scaled as in training"
                    )
                collectors[name].update(values)
    return collectors


def choose_scales(graph: FloatGraph, collectors: Mapping[str, Collector]) -> dict[str, Scale]:
    """Scales from what the collectors saw, such that every node can compute with them."""
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
    for members in fractions.groups():
        merged = _merged([collectors[name] for name in members if name in collectors])
        for value in _pad_values(nodes, members):
            merged.update(np.full(1, value, np.float32))
        fraction = _choose(merged)
        seen = _range(merged)
        if bounded.intersection(members) and seen.low >= -1 and seen.high <= 1:
            fraction = max(fraction, 7)
        fractions.set(members[0], fraction)
    apply_limits(nodes, fractions)
    result.update({name: power_of_two(fractions[name]) for name in fractions.free()})
    return result


def _choose(collector: Collector) -> int:
    """Fraction bits: of the whole range, or of least squared error where it is known."""
    seen = _range(collector)
    widest = largest_fraction(seen.low, seen.high)
    if isinstance(collector, RangeCollector) or seen.low == seen.high == 0:
        return widest
    candidates = range(widest, min(widest + EXTRA_FRACTION, FRACTION_LIMITS[1]) + 1)
    return min(candidates, key=collector.squared_error)


def _pad_values(nodes: list[FusedNode], members: list[str]) -> list[float]:
    return [
        float(fused.node.attributes.get("value", 0))
        for fused in nodes
        if fused.node.op == "Pad" and fused.node.output in members
    ]


def _merged(collectors: list[Collector]) -> Collector:
    result: Any = type(collectors[0])()
    for collector in collectors:
        result.merge(collector)
    return result


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
