"""A `Validation` as people read it in a terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

from weft.console import WIDTH, decibels, percent, say, short, table, wrap
from weft.validation.result import Validation

#: Spaces between two columns of a table.
GAP = 3

#: Exceeded ranges that are shown; ``--json`` has all.
SHOWN = 8


def show(found: Validation) -> None:
    """Print everything, the verdict last."""
    _show_score(found)
    _show_layers(found)
    if found.choices:
        _show_choices(found)
    if found.exceeded:
        _show_exceeded(found)
    for warning in found.warnings:
        say(wrap(warning, "warning: "))
    if found.tolerance is not None:
        verdict = "within" if found.holds else "more than"
        say(f"INT8 loses {_loss(found)}, {verdict} the tolerance of {found.tolerance:g}")


def _show_score(found: Validation) -> None:
    score = found.score
    title = f"{found.quantised} against {found.model}, {found.samples:,} samples"
    against = {
        "labels": "with labels",
        "float": "INT8 against float",
        "function": "by your function",
    }[score.against]
    rows = [
        (f"{score.metric}, {against}", _score(score.metric, score.float_score),
         _score(score.metric, score.int8_score), _loss(found)),
    ]  # fmt: skip
    say(wrap(title))
    say()
    table(["metric", "float", "INT8", "loss"], rows)
    reason = f" ({score.metric}, because {score.reason})" if score.reason else ""
    say(f"output SQNR {decibels(found.sqnr_db)}{reason}")
    say()


def _named(headings: Sequence[str], names: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    """Print a table whose first column, of tensors, gets what the others leave of the screen."""
    others = zip(headings[1:], *cells, strict=True)
    room = WIDTH - sum(GAP + max(map(len, column)) for column in others)
    shown = [(short(name, room - 2), *row) for name, row in zip(names, cells, strict=True)]
    table(headings, shown)


def _show_layers(found: Validation) -> None:
    cells = [
        (layer.op, decibels(layer.sqnr_db), decibels(layer.own_sqnr_db),
         decibels(layer.output_sqnr_db), f"{layer.share:.1%}")
        for layer in found.layers
    ]  # fmt: skip
    names = [layer.tensor for layer in found.layers]
    _named(["tensor", "made by", "SQNR", "own", "outputs", "share"], names, cells)
    say(wrap(
        "SQNR with all errors before it; own, the layer alone; outputs and share, what the model's "
        f"outputs lose by the layer alone, on {found.layer_samples} samples."
    ))  # fmt: skip
    if found.unmatched:
        count = len(found.unmatched)
        say(f"{count} tensor{'s' * (count > 1)} of the quantised model {_no(count)} in the float "
            "model")  # fmt: skip
    say()
    if found.hurts_most is not None:
        layer = found.hurts_most.layer
        name = short(layer.node or layer.tensor)
        what = f"{layer.op} {name!r}" if layer.node else f"input {name!r}"
        say(wrap(f"{what} hurts most, {layer.share:.0%} of the noise. {found.hurts_most.remedy}"))
        say()


def _no(count: int) -> str:
    return "has none" if count == 1 else "have none"


def _show_choices(found: Validation) -> None:
    rows = []
    for choice in found.choices:
        area = choice.area
        numbers = (None,) * 3 if area is None else (area.multipliers, area.lut4, area.block_rams)
        score = "" if choice.score is None else _score(found.score.metric, choice.score)
        sqnr = "" if choice.sqnr_db is None else decibels(choice.sqnr_db)
        rows.append((choice.name, score, sqnr, *numbers))
    table(["scales", found.score.metric, "SQNR", "multipliers", "LUTs", "block RAMs"], rows)
    assert found.hardware is not None
    place = found.hardware
    say(wrap(
        f"Calibrated on {found.choices_data}. The hardware is {place.name} ({place.family}, "
        f"{place.lanes} lanes), without a link; LUTs within {place.margin:.0%} of Yosys."
    ))  # fmt: skip
    for choice in found.choices:
        if choice.problem:
            say(wrap(f"{choice.name}: {choice.problem}"))
    say()


def _show_exceeded(found: Validation) -> None:
    shown = found.exceeded[:SHOWN]
    cells = [
        (_range(each.low, each.high), _range(each.seen_low, each.seen_high),
         _share(each.beyond_share), percent(each.samples_share))
        for each in shown
    ]  # fmt: skip
    limits = "calibrated" if shown[0].limit == "calibration" else "representable"
    headings = ["tensor", limits, "validated", "beyond", "samples"]
    _named(headings, [each.tensor for each in shown], cells)
    if len(found.exceeded) > SHOWN:
        say(f"and {len(found.exceeded) - SHOWN} more tensors, which --json has")
        say()


def _range(low: float, high: float) -> str:
    return f"{low:.4g} .. {high:.4g}"


def _share(share: float) -> str:
    return "all of it" if math.isinf(share) else percent(share)


def _score(metric: str, value: float) -> str:
    return f"{value:.2%}" if metric == "top1" else f"{value:.5g}"


def _loss(found: Validation) -> str:
    loss = found.score.loss + 0.0
    return f"{loss:.2f} points" if found.score.metric == "top1" else f"{loss:.4g}"
