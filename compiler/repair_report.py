"""What a repair gave: the network's error on calibration samples before and after it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

#: Kept, taken back because it made the outputs worse, or nothing was there to repair.
Outcome = Literal["kept", "undone", "idle"]


@dataclass(frozen=True, eq=False)
class RepairReport:
    """One repair, measured where the network runs as a whole.

    All ratios are signal to quantisation noise in dB, `10 log10(sum v^2 / sum (v - q)^2)`,
    of a tensor's float values v and what its codes stand for in the running network, so with
    the errors of the layers before; infinite where there is none.

    Parameters
    ----------
    name : str
        One of REPAIRS.
    outcome : "kept", "undone" or "idle"
    before, after : float or None
        Over all outputs of the network; that of Softmax counts before it. None where idle.
    layers : mapping of tensor name to (before, after)
    note : str
        A sentence for a person.
    """

    name: str
    outcome: Outcome
    before: float | None = None
    after: float | None = None
    layers: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``json.dumps``; an infinite ratio is None."""
        return {
            "name": self.name,
            "outcome": self.outcome,
            "before_db": _finite(self.before),
            "after_db": _finite(self.after),
            "layers": {
                name: {"before_db": _finite(before), "after_db": _finite(after)}
                for name, (before, after) in self.layers.items()
            },
            "note": self.note,
        }


def _finite(ratio: float | None) -> float | None:
    return None if ratio is None or math.isinf(ratio) else ratio
