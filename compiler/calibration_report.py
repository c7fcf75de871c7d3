"""What quantisation does with every tensor: its range, its type and what that costs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from weft.compiler.calibrate_types import BIAS, WEIGHTED, WEIGHTS
from weft.compiler.collect_bits import LOWEST_POWER, BitCollector, Shares
from weft.compiler.fixed_point import FixedType, fraction_bits
from weft.compiler.float_graph import FloatGraph, FloatNode
from weft.compiler.network import Conv2D, FullyConnected, Network
from weft.compiler.quantize_fuse import fuse, memory_of
from weft.compiler.weight_statistics import Statistics, weight_hints, weight_statistics

Kind = Literal["activation", "weights", "bias"]


@dataclass(frozen=True, eq=False)
class TensorReport:
    """One tensor, and the type that it got.

    Parameters
    ----------
    name : str
        Of the activation, or NODE.weights or NODE.bias.
    kind : "activation", "weights" or "bias"
    scales : tuple of float
        One, or one for each output channel.
    zero_point : int
    bits : int
        8, and 32 for a bias.
    seen : BitCollector or None
        Its values; None for a tensor without a name in the file, which an operator makes by
        moving the values of another.
    shares : Shares or None
        What its type does not hold.
    sqnr : float or None
        Signal-to-quantisation-noise ratio in dB; infinite where every value holds.
    fixed : bool
        Whether the user fixed its type.
    statistics : Statistics or None
        Of weights.
    hints : tuple of str
        Sentences about what the statistics foretell.
    """

    name: str
    kind: Kind
    scales: tuple[float, ...]
    zero_point: int
    bits: int
    seen: BitCollector | None
    shares: Shares | None
    sqnr: float | None
    fixed: bool = False
    statistics: Statistics | None = None
    hints: tuple[str, ...] = ()

    @property
    def types(self) -> tuple[FixedType, ...]:
        """Fixed-point types for `scales`; none where one is no power of two, or zero elsewhere."""
        fractions = [fraction_bits(scale) for scale in self.scales]
        known = [fraction for fraction in fractions if fraction is not None]
        if self.zero_point not in (0, -128) or len(known) < len(fractions):
            return ()
        return tuple(FixedType(fraction, self.bits, not self.zero_point) for fraction in known)

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``json.dumps``; an infinite ratio is None beside shares of 0."""
        single = len(self.scales) == 1
        result: dict[str, Any] = {
            "name": self.name,
            "scale": self.scales[0] if single else list(self.scales),
            "zero_point": self.zero_point,
        }
        for key, texts in (
            ("type", [kind.q for kind in self.types]),
            ("sfix", [kind.sfix for kind in self.types]),
        ):
            result[key] = (texts[0] if single else texts) if texts else None
        result["fixed"] = self.fixed
        result["hints"] = list(self.hints)
        if self.statistics:
            result["statistics"] = self.statistics.to_json()
        if self.seen and self.shares and self.sqnr is not None:
            result.update(
                low=self.seen.range.low,
                high=self.seen.range.high,
                saturated=self.shares.saturated,
                vanished=self.shares.vanished,
                imprecise=self.shares.imprecise,
                sqnr_db=None if math.isinf(self.sqnr) else self.sqnr,
                bits=bits_json(self.seen),
            )
        return result


def bits_json(seen: BitCollector) -> dict[str, Any]:
    """The histogram of most significant bits, from the lowest power of two that occurs.

    ``positive[i]`` counts the values whose most significant bit is at 2**(power + i).
    """
    positive, negative = seen.positive, seen.negative
    used = np.flatnonzero(positive + negative)
    first, last = (int(used[0]), int(used[-1]) + 1) if used.size else (-LOWEST_POWER,) * 2
    return {
        "power": LOWEST_POWER + first,
        "positive": positive[first:last].tolist(),
        "negative": negative[first:last].tolist(),
        "zeros": seen.zeros,
    }


def ranges_of(reports: Iterable[TensorReport]) -> dict[str, tuple[float, float]]:
    """Smallest and largest value of every activation that calibration looked at."""
    return {
        each.name: (each.seen.range.low, each.seen.range.high)
        for each in reports
        if each.kind == "activation" and each.seen is not None
    }


def report(
    graph: FloatGraph, network: Network, collectors: Mapping[str, BitCollector]
) -> list[TensorReport]:
    """Every activation, then weights and bias of every node, in the network's order.

    Parameters
    ----------
    graph : FloatGraph
        With the types that the user fixed among its scales.
    network : Network
        What became of it.
    collectors : mapping of tensor name to BitCollector
        What calibration saw.
    """
    return [*_activations(graph, network, collectors), *_constants(graph, network)]


def _activations(
    graph: FloatGraph, network: Network, collectors: Mapping[str, BitCollector]
) -> Iterator[TensorReport]:
    # The network may call a tensor by the name of the output that shows it.
    known = {port.tensor: memory_of(graph, port.name) for port in network.outputs}
    for tensor in network.tensors.values():
        name = known.get(tensor.name, tensor.name)
        seen = collectors.get(name)
        scale, zero = tensor.scale, tensor.zero_point
        yield TensorReport(
            tensor.name, "activation", (scale,), zero, 8, seen,
            None if seen is None else seen.shares(scale, zero),
            None if seen is None else seen.sqnr(scale, zero),
            fixed=name in graph.scales,
        )  # fmt: skip


def _constants(graph: FloatGraph, network: Network) -> Iterator[TensorReport]:
    made = {node.name: node for node in network.nodes if isinstance(node, Conv2D | FullyConnected)}
    for fused in fuse(graph):
        node = fused.node
        if node.op not in WEIGHTED or node.name not in made:
            continue
        integers = made[node.name]
        weights = channel_scales(network, integers)
        bias = weights * network.tensors[integers.inputs[0]].scale
        yield _with_statistics(_constant(node, "weights", weights, integers.weights, 8), node)
        yield _constant(node, "bias", bias, integers.bias, 32)


def _with_statistics(report: TensorReport, node: FloatNode) -> TensorReport:
    found = weight_statistics(node.constants["weights"])
    hints = weight_hints(found, per_channel=len(report.scales) > 1)
    return replace(report, statistics=found, hints=hints)


def _constant(
    node: FloatNode,
    kind: Literal["weights", "bias"],
    scales: np.ndarray,
    codes: np.ndarray,
    bits: int,
) -> TensorReport:
    values = node.constants[kind].reshape(len(scales), -1)
    seen, steps = BitCollector(), BitCollector()
    seen.update(values)
    # In steps of their channel all channels have the scale 1, and no bit is lost by that.
    steps.update(values / scales[:, None])
    held = codes.reshape(values.shape).astype(np.float64) * scales[:, None]
    noise = float(((values - held) ** 2).sum())
    signal = float((values**2).sum())
    same = (scales == scales[0]).all()
    return TensorReport(
        f"{node.name}{WEIGHTS if kind == 'weights' else BIAS}", kind,
        tuple(float(scale) for scale in (scales[:1] if same else scales)), 0, bits,
        seen, steps.shares(1.0, 0, bits),
        10 * math.log10(signal / noise) if noise and signal else math.inf,
        fixed=kind in node.scales,
    )  # fmt: skip


def channel_scales(network: Network, node: Conv2D | FullyConnected) -> np.ndarray:
    """Scale of each output channel's weights: the requantizer has input x weights / output."""
    given, output = (network.tensors[name].scale for name in (node.inputs[0], node.output))
    requantize = node.requantize
    shift = np.broadcast_to(requantize.shift, len(node.bias)).astype(np.float64)
    if requantize.multiplier is None:
        return output / given * 2.0**-shift
    return output / given * requantize.multiplier * 2.0 ** (shift - 31)
