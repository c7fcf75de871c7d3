"""The cycles of every layer as a chart: estimated and simulated, and what bounds them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib.style
from matplotlib import rc_context
from matplotlib.figure import Figure

from weft.console import short
from weft.errors import InputError

if TYPE_CHECKING:
    from weft.commands.profile import Profiled

#: A colour for each bound, told apart by colour-blind people, too (Okabe and Ito).
COLOURS = {
    "array": "#009E73",
    "elementwise": "#CC79A7",
    "requantizer": "#E69F00",
    "reads": "#0072B2",
    "start": "#999999",
}

#: Inches: width, height of a layer, and of all else.
_WIDTH, _ROW, _REST = 9.0, 0.34, 1.4


def draw_cycles(found: Profiled, path: Path) -> None:
    """Draw a profile into a .png or .svg file; the same profile gives the same bytes.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    layers = found.layers
    with matplotlib.style.context("default"), rc_context({"svg.hashsalt": "weft"}):
        figure = Figure(figsize=(_WIDTH, _REST + _ROW * len(layers)), layout="constrained")
        axes = figure.add_subplot()
        for bound, colour in COLOURS.items():
            own = [i for i, layer in enumerate(layers) if layer.time.bound == bound]
            if own:
                axes.barh(
                    [i + 0.2 for i in own], [layers[i].simulated for i in own], height=0.38,
                    color=colour, label=f"simulated, bound by {bound}",
                )  # fmt: skip
        axes.barh(
            [i - 0.2 for i in range(len(layers))], [layer.estimated for layer in layers],
            height=0.38, facecolor="none", edgecolor="black", linewidth=0.8, label="estimated",
        )  # fmt: skip
        for i, layer in enumerate(layers):
            wrong = "" if layer.equal else f", differs by {layer.simulated - layer.estimated:+,}"
            axes.annotate(
                f"{layer.utilization:.0%}{wrong}", (max(layer.simulated, layer.estimated), i),
                xytext=(4, 0), textcoords="offset points", va="center", fontsize=8,
            )  # fmt: skip
        # A "$" in a name is no formula.
        names = [short(layer.time.name).replace("$", r"\$") for layer in layers]
        axes.set_yticks(range(len(layers)), names, fontsize=8)
        axes.set_ylim(len(layers) - 0.4, -0.6)
        axes.margins(x=0.12)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.set_xlabel("cycles; beside the bars, useful MACs per multiplier and cycle")
        axes.set_title(f"{found.simulated:,} cycles, utilization {found.utilization:.1%}")
        axes.legend(fontsize=8)
        try:
            svg = path.suffix.lower() == ".svg"
            figure.savefig(path, dpi=120, metadata={"Date": None} if svg else None)
        except OSError as error:
            raise InputError(
                f"{path} cannot be written ({error.strerror}); give another --plot"
            ) from None
