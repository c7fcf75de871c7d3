"""boards.md: what bench/boards.py measured, as tables."""

from __future__ import annotations

from typing import Any

HEAD = """\
# MLPerf Tiny's networks on the boards

INT8, batch 1. Cycles are exact: the compiler's, from the start of the program to its last result.
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
    for record in records.values():
        tools.update(record.get("tools", {}))
    # The tools of a board say their names with their versions.
    named = [
        f"{name} {number}" if number[:1].isdigit() else f"{number} ({name})"
        for name, number in tools.items()
    ]
    return "\n".join([*parts, ", ".join(named), ""])


def fmax(record: dict[str, Any]) -> float | None:
    """The best of the seeds, in MHz."""
    found = [route["fmax_mhz"] for route in record.get("route", {}).values() if "fmax_mhz" in route]
    return max(found, default=None)


def _table(title: str, head: list[str], rows: list[list[str]]) -> str:
    lines = [f"## {title}", "", f"| {' | '.join(head)} |", "| --- |" + " ---: |" * (len(head) - 1)]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows), ""])


def _hardware(records: dict[str, Any]) -> str:
    rows, notes = [], []
    for name, record in records.items():
        made = record.get("synthesis")
        if made is None:
            continue
        config = record["config"]
        best = fmax(record)
        routes = record.get("route", {})
        each = ", ".join(
            f"{seed}: {route.get('fmax_mhz', 'none')}" for seed, route in routes.items()
        )
        rows.append([
            name, f"{config['rows']} x {config['columns']}", f"{record['multipliers']}",
            f"{made['lut4']:,}", f"{made['lut4'] / record['multipliers']:.0f}",
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
        best = fmax(record)
        for model, row in record["models"].items():
            if "reasons" in row:
                rows.append([name, model, _reasons(row["reasons"]), "", ""])
                continue
            latency = "-" if best is None else f"{row['cycles'] / best / 1e3:.3f} ms"
            rows.append([name, model, f"{row['cycles']:,}", f"{row['utilization']:.1%}", latency])
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
        rows += [
            [name, f"compile {model}", shown(row["compile_seconds"])]
            for model, row in record["models"].items()
            if "compile_seconds" in row
        ]
        rows += [
            [name, f"simulate one inference of {model}", shown(row["simulate_seconds"])]
            for model, row in record["models"].items()
            if "simulate_seconds" in row
        ]
        rows += [
            [name, stage, shown(record.get(key))]
            for stage, key in (("elaborate", "elaborate_seconds"),)
            if key in record
        ]
        if "synthesis" in record:
            rows.append([name, "synthesis", shown(record["synthesis"]["seconds"])])
        rows += [
            [name, f"place and route, seed {seed}", shown(route["seconds"])]
            for seed, route in record.get("route", {}).items()
            if "seconds" in route
        ]
    return _table("Times", ["board", "what", "seconds"], rows)
