"""What the page of ``weft validate`` shows, as plain data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from weft.console import percent
from weft.report.profile import Scale, draw_profile, scale_of
from weft.report.strips import Strip
from weft.validation.result import Exceeded, LayerError, Validation


@dataclass(frozen=True, eq=False)
class ValidationView:
    """The page's contents.

    Parameters
    ----------
    result : Validation
    layers : sequence of (LayerError, Strip)
    scale : Scale
        Of the strips.
    """

    result: Validation
    layers: Sequence[tuple[LayerError, Strip]]
    scale: Scale

    @property
    def title(self) -> str:
        """Of the page."""
        return f"{self.result.quantised.name}: weft validate"

    def score(self, value: float) -> str:
        """A value of the metric: top1 in per cent."""
        return f"{value:.2%}" if self.result.score.metric == "top1" else f"{value:.5g}"

    def loss(self, value: float) -> str:
        """How much worse: top1 in percentage points."""
        return self._unit(f"{value:.2f}" if self.result.score.metric == "top1" else f"{value:.4g}")

    def plain(self, value: float) -> str:
        """A tolerance, in the unit of a loss."""
        return self._unit(f"{value:g}")

    def beyond(self, found: Exceeded) -> str:
        """How far beyond its limits a tensor goes, as a share of what lies between them."""
        return "all" if math.isinf(found.beyond_share) else percent(found.beyond_share)

    def _unit(self, text: str) -> str:
        return f"{text} points" if self.result.score.metric == "top1" else text


def validation_view(result: Validation) -> ValidationView:
    """All that is shown, figures drawn."""
    scale = scale_of([x for layer in result.layers for x in (layer.sqnr_db, layer.own_sqnr_db)])
    strips = draw_profile(
        [{"before": layer.own_sqnr_db, "after": layer.sqnr_db} for layer in result.layers],
        scale, ("after",),
    )  # fmt: skip
    return ValidationView(result, list(zip(result.layers, strips, strict=True)), scale)
