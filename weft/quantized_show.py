"""What ``weft quantize`` prints: a type for each tensor, hints about weights, and repairs."""

from __future__ import annotations

from collections.abc import Sequence

from weft.compiler.calibrate_types import WEIGHTS
from weft.compiler.calibration_report import TensorReport
from weft.compiler.repair_report import RepairReport
from weft.console import WIDTH, decibels, percent, say, short, table, wrap

#: Spaces between two columns of a table.
GAP = 3

#: Hints about weights that are shown; all are in the JSON.
SHOWN_HINTS = 3


def show_types(heading: str, tensors: list[TensorReport]) -> None:
    """Print a table as wide as the longest name needs and the screen allows."""
    headings = ("type", "", "scale", "saturate", "vanish", "SQNR")
    cells = [_cells(tensor) for tensor in tensors]
    room = WIDTH - sum(GAP + max(map(len, column)) for column in zip(headings, *cells, strict=True))
    names = [short(tensor.name.removesuffix(WEIGHTS), room) for tensor in tensors]
    if tensors:
        rows = [(name, *row) for name, row in zip(names, cells, strict=True)]
        table([heading, *headings], rows)


def show_hints(tensors: Sequence[TensorReport]) -> None:
    """Print the first hints about weights."""
    hints = [f"{short(tensor.name)}: {hint}" for tensor in tensors for hint in tensor.hints]
    for hint in hints[:SHOWN_HINTS]:
        say(wrap(hint))
    if len(hints) > SHOWN_HINTS:
        say(f"{len(hints) - SHOWN_HINTS} more hints about weights with --json")
    if hints:
        say()


def show_repairs(repairs: Sequence[RepairReport]) -> None:
    """Print a table of what repairs gave, and a sentence where one is not kept."""
    rows = [
        (
            repair.name,
            "" if repair.before is None else decibels(repair.before),
            "" if repair.after is None else decibels(repair.after),
            repair.outcome,
        )
        for repair in repairs
    ]
    if rows:
        table(["repair", "outputs before", "after", ""], rows)
    for repair in repairs:
        if repair.note:
            say(wrap(f"{repair.name}: {repair.note}"))


def _cells(tensor: TensorReport) -> tuple[str, ...]:
    types = sorted(set(tensor.types), key=lambda kind: kind.fraction)
    if not types:
        zero = f"zero {tensor.zero_point}" if tensor.kind == "activation" else ""
        kind = ("", zero, f"{max(tensor.scales):.3g}")
    elif len(types) == 1:
        kind = (types[0].q, types[0].sfix, types[0].power)
    else:  # the coarsest and the finest
        kind = (f"{types[0].q} …", "per channel", f"{types[0].power} … {-types[-1].fraction}")
    shares = tensor.shares
    return (
        *kind,
        "" if shares is None else percent(shares.saturated),
        "" if shares is None else percent(shares.vanished),
        "" if tensor.sqnr is None else decibels(tensor.sqnr),
    )
