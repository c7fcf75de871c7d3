"""A result as HTML: a page of its own, or a part of a notebook's."""

from __future__ import annotations

import math
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import DictLoader, Environment, StrictUndefined

from weft.commands.quantize import Quantized
from weft.console import percent, short
from weft.errors import InputError
from weft.report.heatmap import THRESHOLDS
from weft.report.quantized import LOW, MUCH, QuantizedView, quantized_view
from weft.report.validated import ValidationView, validation_view
from weft.validation.result import Validation

#: What there are reports of.
Reportable = Quantized | Validation

#: Tensors that are noted at a page's top; the rest can be opened.
SHOWN_NOTES = 6

TEMPLATES = (".html", ".css")

#: Characters of a name in a column.
NAME = 60

MINUS = "\N{MINUS SIGN}"


def check_place(path: Path) -> None:
    """Refuse a path for a report before the work that it reports on is done.

    Raises
    ------
    InputError
        If its folder does not exist, or it is a folder itself.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder; give a file with --report, as {path / 'r.html'}")
    if not path.parent.is_dir():
        raise InputError(
            f"there is no folder {path.parent} for the report; make it, or give another --report"
        )


def write_report(result: Reportable, path: Path) -> None:
    """Write a page that needs no other file and no network.

    The same result gives the same bytes.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    text = page_html(result)
    try:
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise InputError(
            f"{path} cannot be written ({error.strerror}); give another path with --report"
        ) from None


def page_html(result: Reportable) -> str:
    """A whole page."""
    return _render("page.html", result, "")


def notebook_html(result: Reportable) -> str:
    """The same as part of another page; styles and links are its own."""
    return _render("part.html", result, f"weft-{type(result).__name__.lower()}-")


def _render(template: str, result: Reportable, prefix: str) -> str:
    view: QuantizedView | ValidationView
    if isinstance(result, Quantized):
        body, view = "quantized.html", quantized_view(result)
    else:
        body, view = "validation.html", validation_view(result)
    return _templates().get_template(template).render(body=body, view=view, prefix=prefix)


@cache
def _templates() -> Environment:
    parts = [file for file in files("weft.report").iterdir() if file.name.endswith(TEMPLATES)]
    environment = Environment(
        # Names of tensors come from files that others made.
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        keep_trailing_newline=True,
        loader=DictLoader({file.name: file.read_text(encoding="utf-8") for file in parts}),
    )  # fmt: skip
    environment.globals.update(thresholds=THRESHOLDS, low=LOW, much=MUCH, shown_notes=SHOWN_NOTES)
    environment.filters.update(
        breaks=_breaks, decibels=_decibels, label=_label, number=_number, percent=percent,
        power=_power,
    )  # fmt: skip
    return environment


def _number(value: float, digits: int = 4) -> str:
    """A number for reading."""
    return f"{value:.{digits}g}".replace("-", MINUS)


def _decibels(ratio: float) -> str:
    """Without the unit, which stands above the column."""
    if ratio == math.inf:
        return "exact"
    return _number(ratio, 1) if math.isinf(ratio) else f"{ratio:.1f}".replace("-", MINUS)


def _power(exponent: int) -> str:
    """The exponent of a power of two."""
    return str(exponent).replace("-", MINUS)


def _label(name: str) -> str:
    """A name for a narrow column; the whole one is in its title."""
    return short(name, NAME).removesuffix(";…")


def _breaks(name: str) -> list[Any]:
    """Parts of a name, between which a line may break."""
    parts = [""]
    for character in name:
        parts[-1] += character
        if character in "/_.:;-":
            parts.append("")
    return [part for part in parts if part]
