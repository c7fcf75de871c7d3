"""Estimates as tables in 80 columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from weft.boards.fmax import unknown_because
from weft.compiler.roofline import LayerTime
from weft.console import WIDTH, say, short, table, wrap
from weft.hw.area import MARGIN

if TYPE_CHECKING:
    from weft.commands.estimate import Estimate

#: Bounds in a word that a narrow column holds; they head the columns of ideal cycles, too.
WORDS = {
    "array": "array",
    "elementwise": "pairs",
    "requantizer": "lanes",
    "reads": "reads",
    "start": "start",
}

#: Columns between two columns of a table.
_GAP = 3

#: What the words mean, below a table of them.
LEGEND = (
    "Cycles that each resource needs at the least; the largest is the bound. array: useful MACs "
    "by multipliers; pairs: the elementwise unit; lanes: results by requantize lanes; reads: one "
    "activation word a cycle, more than the array's where words are partly empty; start: "
    "fetching instructions, waiting for results and copies, stalls of a single-ported memory."
)


def show_estimates(model: str, estimates: Sequence[Estimate]) -> None:
    """Print all: a row for each, what stands in the way, and the layers where it is one alone."""
    table(
        ["board", "array", "fits", "cycles", "used", "LUTs", "RAMs", "MHz", "ms"],
        [_row(estimate) for estimate in estimates],
        title=f"{model}: {estimates[0].macs:,} MACs",
    )
    for estimate in estimates:
        _show_reasons(estimate)
    if len(estimates) == 1 and estimates[0].layers:
        show_ideal(estimates[0].layers)
    for line in dict.fromkeys(_notes(estimates)):
        say(wrap(line))


def show_ideal(layers: Sequence[LayerTime]) -> None:
    """Print what each resource needs for each layer, the bound, and the cycles it takes."""
    pairs = any(layer.ideal.elementwise for layer in layers)
    shown = {name: word for name, word in WORDS.items() if pairs or name != "elementwise"}
    numbers = [[*(getattr(layer.ideal, name) for name in shown), layer.cycles] for layer in layers]
    heads = [*shown.values(), "cycles"]
    columns = zip(heads, *numbers, strict=True)
    taken = sum(_GAP + max(len(head), *(len(f"{n:,}") for n in own)) for head, *own in columns)
    room = max(10, WIDTH - taken - _GAP - len("bound"))
    table(
        ["layer", *heads, "bound"],
        [
            [short(layer.name, room), *row, WORDS[layer.bound]]
            for layer, row in zip(layers, numbers, strict=True)
        ],
    )
    say(wrap(LEGEND))
    say()


def _row(estimate: Estimate) -> list[object]:
    config, area = estimate.config, estimate.area
    return [
        estimate.board.name,
        "" if config is None else f"{config.rows}x{config.columns}",
        "yes" if estimate.fits else "no",
        estimate.cycles,
        None if estimate.utilization is None else f"{estimate.utilization:.0%}",
        None if area is None else area.lut4,
        None if area is None else area.block_rams,
        None if estimate.fmax is None else round(estimate.fmax.mhz, 1),
        None if estimate.latency_ms is None else f"{estimate.latency_ms:.3g}",
    ]


def _show_reasons(estimate: Estimate) -> None:
    if estimate.fits:
        return
    count = len(estimate.reasons)
    say(f"{estimate.board.title}: does not fit, {count} reason{'s' * (count > 1)}")
    for reason in estimate.reasons:
        say(wrap(f"{reason.op} {reason.node!r}: {reason.reason}", "  "))
        say(wrap(reason.remedy, "    -> "))
    say()


def _notes(estimates: Sequence[Estimate]) -> Iterable[str]:
    """What the figures are of, and how well they are known."""
    if any(e.config is not None and not e.fits and not e.asked for e in estimates):
        yield (
            "Where it does not fit, the figures are those of the board's array with memories as "
            "deep, and parts as many, as the model needs."
        )
    for e in estimates:
        if e.configuration == "large":
            yield (
                f"On {e.board.name} its configuration for large networks (large) alone has room; "
                "weft compile takes that, too."
            )
    families = {estimate.board.family: estimate.board for estimate in estimates}
    luts = " and ".join(f"{MARGIN[family]:.0%} on {family}" for family in families)
    text = f"Cycles and block RAMs are exact. LUTs, of the core without its link, within {luts}"
    speeds = {e.board.name: e.fmax for e in estimates if e.fmax and not e.fmax.recorded}
    if speeds:
        known = " and ".join(
            f"{fmax.margin:.0%} on {name} ({fmax.builds} builds)" for name, fmax in speeds.items()
        )
        text += f"; MHz, after place and route, within {known}"
    yield f"{text}: the largest errors on configurations left out of the fits."
    made = {e.board.name: None for e in estimates if e.fmax and e.fmax.recorded}
    if made:
        yield f"MHz of a recorded build, after place and route: {', '.join(made)}."
    for e in estimates:
        if e.fmax is not None and e.fmax.unseen:
            yield (
                f"No build with a {' or a '.join(e.fmax.unseen)} is recorded for {e.board.device}: "
                "what that costs the clock is left out."
            )
    unknown = {e.board.name: e for e in estimates if e.fmax is None and e.config}
    for name, e in unknown.items():
        assert e.config is not None
        yield f"The clock on {name} is not estimated: {unknown_because(e.config, e.board)}."
    if len(estimates) > 1:
        yield "Give one --board for its layers and what bounds them, or --json for everything."
