"""Scales with zero points for the activations of a float graph, from what collectors saw.

``real = scale * (code - zero_point)``. A scale spans the smallest and the largest value and
zero, so that zero is a code exactly: padding and Relu depend on it. Scales are numbers that
float32 holds, as a file does.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from weft.compiler.calibrate import Collector
from weft.compiler.collect_range import RangeCollector
from weft.compiler.float_graph import FloatGraph, Scale
from weft.compiler.quantize_fuse import MOVES, FusedNode, fuse, tensor_names

#: TFLite's output of SOFTMAX: probabilities from 0 to 255/256.
_SOFTMAX = Scale(np.array(1 / 256), np.array(-128))

#: Values of an average from which its own range counts.
ENOUGH_AVERAGES = 10_000

#: Scales of tensors that are nearly or always zero.
_SMALLEST, _OF_ZERO = 2.0**-40, 1.0


def choose_affine_scales(
    graph: FloatGraph, collectors: Mapping[str, Collector]
) -> dict[str, Scale]:
    """Scale and zero point of every activation that remains in the integer graph, by name.

    What a move makes has its input's scale, and all inputs of a Concat have its output's: the
    range is that of all together. So has an average of which few values were seen, because the
    largest of these is no bound for others. Scales that the file gives are kept.

    Parameters
    ----------
    graph : FloatGraph
    collectors : mapping of tensor name to collector
        Of the tensors that `calibrate.collect` looks at.
    """
    nodes = fuse(graph)
    result = dict(graph.scales)
    for fused in nodes:
        if fused.node.op == "Softmax":
            result.setdefault(fused.node.output, _SOFTMAX)
    for members in _groups(graph, nodes, _few_averages(nodes, collectors)):
        given = [result[name] for name in members if name in result]
        if given:
            scale = given[0]
        else:
            seen = [_range(collectors[name]) for name in members if name in collectors]
            edges = [*(r.low for r in seen), *(r.high for r in seen), *_pad_values(nodes, members)]
            scale = affine_scale(min(edges), max(edges))
        for name in members:
            result.setdefault(name, scale)
    return result


def affine_scale(low: float, high: float) -> Scale:
    """The finest scale, and the zero point, whose 256 codes span `low`, `high` and zero."""
    low, high = min(low, 0.0), max(high, 0.0)
    if low == high:
        return Scale(np.array(_OF_ZERO), np.array(0))
    scale = float(np.float32(max((high - low) / 255, _SMALLEST)))
    point = int(np.clip(np.rint(-128 - low / scale), -128, 127))
    return Scale(np.array(scale), np.array(point))


def _few_averages(nodes: list[FusedNode], collectors: Mapping[str, Collector]) -> set[str]:
    """Averages of which calibration saw too few to know their range."""
    return {
        fused.node.output
        for fused in nodes
        if fused.node.op == "AveragePool"
        and fused.node.output in collectors
        and _range(collectors[fused.node.output]).count < ENOUGH_AVERAGES
    }


def _groups(graph: FloatGraph, nodes: list[FusedNode], few: set[str]) -> list[list[str]]:
    """Tensors that share a scale."""
    names = tensor_names(graph, nodes)
    group = {name: [name] for name in names}
    for fused in nodes:
        if fused.node.op not in (*MOVES, "Concat") and fused.node.output not in few:
            continue
        for name in fused.node.inputs:
            one, two = group[fused.node.output], group[name]
            if one is not two:
                one.extend(two)
                group.update(dict.fromkeys(two, one))
    return list({id(members): members for members in group.values()}.values())


def _range(collector: Collector) -> RangeCollector:
    return collector if isinstance(collector, RangeCollector) else collector.range


def _pad_values(nodes: list[FusedNode], members: list[str]) -> list[float]:
    return [
        float(fused.node.attributes.get("value", 0))
        for fused in nodes
        if fused.node.op == "Pad" and fused.node.output in members
    ]
