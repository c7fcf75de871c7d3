"""What ``weft validate`` found: plain data, for programs, for people and for a report.

Ratios in decibels are infinite where nothing differs, and minus infinity where there is no
signal at all; ``to_json()`` has None for the former.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from weft.hw.area import Area

#: What outputs are judged by: labels, what the float model says, or the user's own function.
Against = Literal["labels", "float", "function"]

#: Where the limits of a tensor come from: what calibration saw, or what its codes can hold.
Limit = Literal["calibration", "representable"]


@dataclass(frozen=True)
class Score:
    """The metric of both models.

    Parameters
    ----------
    metric : str
        "top1", "mse", "cosine", or the user's "module:function".
    reason : str
        Why this metric, where nobody chose it; else empty.
    against : "labels", "float" or "function"
        With "float" the float model is compared with itself: its score is perfect. With
        "function" the user's own judges each model, with labels or without.
    float_score, int8_score : float
        Top1 is a share from 0 to 1.
    loss : float
        How much worse INT8 is; negative where it is better. Percentage points for top1, else
        in the metric's own unit.
    """

    metric: str
    reason: str
    against: Against
    float_score: float
    int8_score: float
    loss: float


@dataclass(frozen=True)
class LayerError:
    """One tensor that both models have, and what its layer adds to the error.

    Parameters
    ----------
    tensor : str
        Name in the quantised model.
    float_tensor : str
        Name in the float model.
    node : str
        The node of the quantised model that makes it; empty for an input.
    op : str
        What the node is, as "Conv2D"; "Input" for an input.
    sqnr_db : float
        Signal-to-quantisation-noise ratio of the tensor with the errors of all layers before it.
    mse : float
    largest_error : float
        The largest absolute difference, with all errors before it.
    own_sqnr_db : float
        The same ratio where the layer gets exact inputs, rounded to their types: the error of
        its weights, its bias and its output's type alone.
    output_sqnr_db : float
        Ratio of the model's outputs where this layer alone is quantised.
    share : float
        Of the noise that all layers bring to the outputs, each alone: from 0 to 1.
    """

    tensor: str
    float_tensor: str
    node: str
    op: str
    sqnr_db: float
    mse: float
    largest_error: float
    own_sqnr_db: float
    output_sqnr_db: float
    share: float


@dataclass(frozen=True)
class Culprit:
    """The layer that hurts most.

    Parameters
    ----------
    layer : LayerError
    cause : "weights" or "type"
        Which part of its error is larger: that of weights and bias, or of its output's type.
    remedy : str
        A sentence that says what to try.
    """

    layer: LayerError
    cause: Literal["weights", "type"]
    remedy: str


@dataclass(frozen=True)
class Choice:
    """One way of choosing scales, made from the same calibration data.

    Parameters
    ----------
    name : str
        "shift per tensor", "shift per channel" or "multiplier".
    options : str
        Of ``weft quantize``, as "--scales multiplier".
    score, loss, sqnr_db : float or None
        As of the model itself; None where `problem` says why there are none.
    area : Area or None
        What the array takes whose requantizer this needs.
    problem : str
        Why the network cannot be made in this way, or not fit the hardware; else empty.
    """

    name: str
    options: str
    score: float | None
    loss: float | None
    sqnr_db: float | None
    area: Area | None
    problem: str = ""


@dataclass(frozen=True)
class Hardware:
    """What the choices' areas are of.

    Parameters
    ----------
    name : str
        A board's title, or "an 8 x 8 array".
    rows, columns, lanes : int
    family : "ecp5", "ice40" or "gowin"
    margin : float
        The model's lookup tables are within this share of Yosys's on every configuration that
        was synthesised; multipliers and block RAMs are exact.
    """

    name: str
    rows: int
    columns: int
    lanes: int
    family: str
    margin: float


@dataclass(frozen=True)
class Exceeded:
    """A tensor whose values go beyond its limits.

    Parameters
    ----------
    tensor : str
    limit : "calibration" or "representable"
        What calibration saw, or what the tensor's codes can hold.
    low, high : float
        The limits.
    seen_low, seen_high : float
        The range of the validation data.
    beyond : float
        The furthest that a value lies beyond its limit.
    beyond_share : float
        That, as a share of the range from `low` to `high`; infinite where that is a point.
    samples_share : float
        Share of samples with such a value.
    values_share : float
        Share of such values.
    """

    tensor: str
    limit: Limit
    low: float
    high: float
    seen_low: float
    seen_high: float
    beyond: float
    beyond_share: float
    samples_share: float
    values_share: float


@dataclass(frozen=True)
class Validation:
    """A float model and a quantised one, on the same data.

    Parameters
    ----------
    model, quantised : Path
    samples : int
    score : Score
    sqnr_db : float
        Of the outputs, INT8 against float.
    tolerance : float or None
        How much worse INT8 may be, in the unit of ``score.loss``.
    layers : tuple of LayerError
        In the order in which they are computed.
    unmatched : tuple of str
        Tensors of the quantised model that the float model has no tensor for.
    layer_samples : int
        Samples on which `own_sqnr_db`, `output_sqnr_db` and `share` were measured: the first.
    hurts_most : Culprit or None
        None where no layer hurts.
    choices : tuple of Choice
        Empty where they were left out.
    choices_data : str
        What the choices were calibrated on.
    hardware : Hardware or None
        Of the choices' areas.
    exceeded : tuple of Exceeded
        The furthest first.
    warnings : tuple of str
        Sentences.
    """

    model: Path
    quantised: Path
    samples: int
    score: Score
    sqnr_db: float
    tolerance: float | None
    layers: tuple[LayerError, ...]
    unmatched: tuple[str, ...]
    layer_samples: int
    hurts_most: Culprit | None
    choices: tuple[Choice, ...]
    choices_data: str
    hardware: Hardware | None
    exceeded: tuple[Exceeded, ...]
    warnings: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """INT8 is not worse than `tolerance` allows; True where that was not asked."""
        return self.tolerance is None or self.score.loss <= self.tolerance

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``json.dumps``; a number that is not finite is None."""
        result = _finite({**asdict(self), "holds": self.holds})
        return {**result, "model": str(self.model), "quantised": str(self.quantised)}

    def _repr_html_(self) -> str:
        """Show it in a notebook."""
        from weft.report.page import notebook_html  # noqa: PLC0415 - slow, and it needs this module

        return notebook_html(self)

    def show(self) -> None:
        """Print it for a person."""
        from weft.validation.show import show  # noqa: PLC0415 - it needs this module

        show(self)


def _finite(value: Any) -> Any:
    """The same without infinities, which JSON has no numbers for."""
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def decibels(signal: float, noise: float) -> float:
    """``10 log10(signal / noise)``."""
    if not noise:
        return math.inf
    return 10 * math.log10(signal / noise) if signal else -math.inf
