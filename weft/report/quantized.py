"""What the page of ``weft quantize`` shows, as plain data."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from weft.commands.quantize import Quantized
from weft.compiler.calibrate_types import BIAS, WEIGHTS
from weft.compiler.calibration_report import TensorReport
from weft.compiler.repair_report import RepairReport
from weft.console import decibels, percent
from weft.report.bits import Axis, BitRow, axis_of, bit_row
from weft.report.heatmap import GAP, draw_heatmap, units
from weft.report.profile import Scale, draw_profile, scale_of
from weft.report.strips import Strip

#: Share of saturated values from which on a tensor is noted.
MUCH = 0.01

#: Ratio in dB below which a tensor is noted: its error is a tenth of its size.
LOW = 20.0

#: What may help such a tensor, by scales and kind.
REMEDIES = {
    ("shift", "activation"): ": try another calibrator (--calibrator) or a type (--type)",
    ("shift", "weights"): ": try a scale for each channel (--per-channel)",
}

#: Labels on an axis, at most.
_LABELS = 6


@dataclass(frozen=True, eq=False)
class Row:
    """One tensor.

    Parameters
    ----------
    id : str
        Unique on the page.
    name : str
        Of the activation, or of the node whose weights or bias they are.
    tensor : TensorReport
    q, sfix, scale : str
        Its type in three notations; the first two empty where the scale is no power of two.
    """

    id: str
    name: str
    tensor: TensorReport
    q: str
    sfix: str
    scale: str

    @property
    def title(self) -> str:
        """What it is called among tensors of other kinds."""
        kind = self.tensor.kind
        return self.name if kind == "activation" else f"{kind} of {self.name}"


@dataclass(frozen=True, eq=False)
class Heat:
    """A heat map.

    Parameters
    ----------
    rows : sequence of (Row, Strip, text)
        The text says the same as the strip.
    labels : sequence of (per cent from the left, power of two)
    less, zeros : float
        Where the columns of lesser values and of zeros lie, in per cent.
    """

    rows: Sequence[tuple[Row, Strip, str]]
    axis: Axis
    labels: Sequence[tuple[float, int]]
    less: float
    zeros: float


@dataclass(frozen=True, eq=False)
class Repaired:
    """Every layer before the first repair and after the last that was kept."""

    rows: Sequence[tuple[str, float, float, Strip]]
    scale: Scale


@dataclass(frozen=True, eq=False)
class QuantizedView:
    """The page's contents, from top to bottom."""

    result: Quantized
    notes: Sequence[tuple[Row, Sequence[str]]]
    lowest: Sequence[Row]
    fixed: int
    per_channel: bool
    activations: Sequence[Row]
    weights: Sequence[Row]
    biases: Sequence[Row]
    heat: Sequence[tuple[str, Heat]]
    repaired: Repaired | None

    @property
    def title(self) -> str:
        """Of the page."""
        return f"{self.result.output.name}: weft quantize"


def quantized_view(result: Quantized) -> QuantizedView:
    """All that is shown, figures drawn."""
    rows = [_row(i, tensor) for i, tensor in enumerate(result.tensors)]
    kinds = {
        kind: [row for row in rows if row.tensor.kind == kind]
        for kind in ("activation", "weights", "bias")
    }
    shown = [("activations", kinds["activation"]), ("weights", kinds["weights"])]
    return QuantizedView(
        result,
        notes=_notes(rows, result.scales),
        lowest=[row for _, group in shown for row in _lowest(group)],
        fixed=sum(tensor.fixed for tensor in result.tensors),
        per_channel=any(len(row.tensor.scales) > 1 for row in kinds["weights"]),
        activations=kinds["activation"],
        weights=kinds["weights"],
        biases=kinds["bias"],
        heat=[(title, _heat(group)) for title, group in shown if group],
        repaired=_repaired(result.repairs),
    )


def notations(tensor: TensorReport) -> tuple[str, str, str]:
    """A type as Qm.n, sfix and scale; of several the coarsest and the finest."""
    types = sorted(set(tensor.types), key=lambda kind: kind.fraction)
    if types:
        ends = types if len(types) == 1 else [types[0], types[-1]]
        texts = [(kind.q, kind.sfix, kind.power) for kind in ends]
        q, sfix, scale = (" … ".join(column) for column in zip(*texts, strict=True))
        return q, sfix, scale
    low, high = min(tensor.scales), max(tensor.scales)
    return "", "", f"{low:.3g}" if low == high else f"{low:.3g} … {high:.3g}"


def _row(i: int, tensor: TensorReport) -> Row:
    name = tensor.name
    if tensor.kind != "activation":
        name = name.removesuffix(WEIGHTS if tensor.kind == "weights" else BIAS)
    return Row(f"tensor{i}", name, tensor, *notations(tensor))


def _notes(rows: Iterable[Row], scales: str) -> list[tuple[Row, list[str]]]:
    """Tensors with something to know, that which its type holds worst first."""
    found = [(row, [*_costs(row.tensor, scales), *row.tensor.hints]) for row in rows]
    return sorted((each for each in found if each[1]), key=lambda each: _ratio(each[0]))


def _ratio(row: Row) -> float:
    return math.inf if row.tensor.sqnr is None else row.tensor.sqnr


def _costs(tensor: TensorReport, scales: str) -> list[str]:
    """What its type does to a tensor that a reader should know first."""
    if tensor.kind == "bias":  # it has bits to spare, and a repair may have moved it on purpose
        return []
    costs = []
    if tensor.shares is not None and tensor.shares.saturated >= MUCH:
        costs.append(f"{percent(tensor.shares.saturated)} of its values saturate")
    if tensor.sqnr is not None and tensor.sqnr < LOW:
        remedy = REMEDIES.get((scales, tensor.kind), "")
        costs.append(f"its type holds it poorly, with an SQNR of {decibels(tensor.sqnr)}{remedy}")
    return costs


def _lowest(rows: Iterable[Row]) -> list[Row]:
    """The tensor that its type keeps worst, if there is any."""
    measured = [row for row in rows if row.tensor.sqnr is not None]
    return [min(measured, key=_ratio)] if measured else []


def _heat(rows: Sequence[Row]) -> Heat:
    axis = axis_of([row.tensor for row in rows])
    bits = [bit_row(row.tensor, axis) for row in rows]
    strips = draw_heatmap(bits, axis)
    width = units(axis) / 100
    step = next(step for step in (1, 2, 4, 8, 16) if len(axis.powers) <= step * _LABELS)
    labels = [
        ((i + 0.5) / width, power) for i, power in enumerate(axis.powers) if power % step == 0
    ]
    texts = [_text(row, found, axis) for row, found in zip(rows, bits, strict=True)]
    return Heat(
        list(zip(rows, strips, texts, strict=True)), axis, labels,
        (axis.columns - 0.5) / width, (axis.columns + GAP + 0.5) / width,
    )  # fmt: skip


def _text(row: Row, bits: BitRow, axis: Axis) -> str:
    """A row of the heat map in words."""
    if not bits.known:
        return f"{row.name}: its values are those of another tensor, moved"
    names = [f"2^{power}" for power in axis.powers] + [f"below 2^{axis.bottom}"] * axis.less
    sides = [
        f"{side}: "
        + ", ".join(f"{n} {percent(s)}" for n, s in zip(names, shares, strict=True) if s)
        for side, shares in (("positive", bits.positive), ("negative", bits.negative))
        if shares.any()
    ]
    return "; ".join(
        [f"{row.name} ({row.q or row.scale})", *sides, f"zeros: {percent(bits.zeros)}"]
    )


def _repaired(repairs: Sequence[RepairReport]) -> Repaired | None:
    measured = [repair for repair in repairs if repair.layers]
    kept = [repair for repair in measured if repair.outcome == "kept"]
    if not kept:
        return None
    first, last = measured[0].layers, kept[-1].layers
    pairs = {name: (first[name][0], last[name][1]) for name in first if name in last}
    scale = scale_of([ratio for pair in pairs.values() for ratio in pair])
    strips = draw_profile(
        [{"before": before, "after": after} for before, after in pairs.values()],
        scale, ("before", "after"),
    )  # fmt: skip
    return Repaired(
        [(name, *pair, strip) for (name, pair), strip in zip(pairs.items(), strips, strict=True)],
        scale,
    )
