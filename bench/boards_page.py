"""boards.md: what bench/boards.py measured, as tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

HEAD = """\
# MLPerf Tiny's networks on the boards

INT8, batch 1; on boards whose gateware only shifts, with power-of-two scales. Where a board has a
second configuration, larger and slower, a model that does not fit the first runs there. Cycles are
exact: the compiler's, from the start of the program to its last result.
Utilisation is the share of the network's multiply-accumulates in the array's multipliers times
cycles. Fmax is nextpnr's after place and route of the whole design, the link to the host
included; latency is cycles by the best Fmax. Cells are those of the same design after synthesis.
Times are seconds of processor time. Written by `python bench/boards.py`;
[docs/performance.md](../../docs/performance.md) says how to read it.
"""

#: Reasons why a model does not fit, in the table.
SHOWN = 3


def markdown(whole: dict[str, Any]) -> str:
    """The whole page."""
    records = whole["boards"]
    parts = [HEAD, _hardware(records), _models(whole), _times(records)]
    tools = dict(whole["tools"])
    for _, part in _parts(records):
        tools.update(part.get("tools", {}))
    # The tools of a board say their names with their versions.
    named = [
        f"{name} {number}" if number[:1].isdigit() else f"{number} ({name})"
        for name, number in tools.items()
    ]
    return "\n".join([*parts, ", ".join(named), ""])


def fmax(part: dict[str, Any]) -> float | None:
    """The best of a configuration's seeds, in MHz."""
    found = [route["fmax_mhz"] for route in part.get("route", {}).values() if "fmax_mhz" in route]
    return max(found, default=None)


def _table(title: str, head: list[str], rows: list[list[str]]) -> str:
    lines = [f"## {title}", "", f"| {' | '.join(head)} |", "| --- |" + " ---: |" * (len(head) - 1)]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows), ""])


def _parts(records: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each configuration of each board, by a name for it."""
    for name, record in records.items():
        for which, part in record.get("configs", {}).items():
            yield name if which == "config" else f"{name}, {which}", part


def _hardware(records: dict[str, Any]) -> str:
    rows, notes = [], []
    for name, part in _parts(records):
        made = part.get("synthesis")
        if made is None:
            continue
        config = part["config"]
        best = fmax(part)
        routes = part.get("route", {})
        each = ", ".join(
            f"{seed}: {route.get('fmax_mhz', 'none')}" for seed, route in routes.items()
        )
        rows.append([
            name, f"{config['rows']} x {config['columns']}", f"{part['multipliers']}",
            f"{made['lut4']:,}", f"{made['lut4'] / part['multipliers']:.0f}",
            f"{made['multipliers']}", f"{made['block_rams']}",
            "not routed" if best is None else f"{best:.1f} MHz", each or "-",
        ])  # fmt: skip
        reasons = {route["reason"] for route in routes.values() if "reason" in route}
        notes += [f"{name}: {reason}" for reason in sorted(reasons)]
    head = ["board", "array", "MACs", "LUT4", "LUT4 per MAC", "DSP blocks", "block RAMs",
            "Fmax", "each seed"]  # fmt: skip
    return "\n".join([_table("Hardware", head, rows), *(f"{note}\n" for note in notes)])


def _models(whole: dict[str, Any]) -> str:
    rows = []
    for name, record in whole["boards"].items():
        for model, row in record["models"].items():
            shown = model if record["scales"] == "published" else f"{model}, {record['scales']}"
            if "reasons" in row:
                rows.append([name, shown, _reasons(row["reasons"]), "", ""])
                continue
            best = fmax(record["configs"][row["configuration"]])
            latency = "-" if best is None else f"{row['cycles'] / best / 1e3:.3f} ms"
            rows.append([name, shown, f"{row['cycles']:,}", f"{row['utilization']:.1%}", latency])
    return _table("Models", ["board", "model", "cycles", "utilisation", "latency"], rows)


def _reasons(reasons: list[str]) -> str:
    """Why a model does not fit; boards.json has all of it."""
    shown, more = reasons[:SHOWN], len(reasons) - SHOWN
    return "does not fit: " + "; ".join([*shown, *([f"and {more} more"] if more > 0 else [])])


def _times(records: dict[str, Any]) -> str:
    def shown(seconds: float | None) -> str:
        return "-" if seconds is None else f"{seconds:.1f}"

    rows = []
    for name, record in records.items():
        for what, key in (
            ("compile", "compile_seconds"),
            ("simulate one inference of", "simulate_seconds"),
        ):
            rows += [
                [name, f"{what} {model}", shown(row[key])]
                for model, row in record["models"].items()
                if key in row
            ]
    for name, part in _parts(records):
        if "elaborate_seconds" in part:
            rows.append([name, "elaborate", shown(part["elaborate_seconds"])])
        if "synthesis" in part:
            rows.append([name, "synthesis", shown(part["synthesis"]["seconds"])])
        rows += [
            [name, f"place and route, seed {seed}", shown(route["seconds"])]
            for seed, route in part.get("route", {}).items()
            if "seconds" in route
        ]
    return _table("Times", ["board", "what", "seconds"], rows)
