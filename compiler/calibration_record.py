"""What calibration saw, kept in the quantised file: so that other data can be compared with it.

It is one entry of an ONNX file's ``metadata_props``, which every other tool leaves alone.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

import onnx

#: Key of the entry.
KEY = "weft.calibration"

#: Smallest and largest value by tensor name.
Ranges: TypeAlias = Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class CalibrationRecord:
    """Ranges of the activations on the calibration samples.

    Parameters
    ----------
    samples : int
    calibrator : str
        With its parameter: "percentile:99.99".
    ranges : mapping of tensor name to (low, high)
        By the name in the quantised file.
    """

    samples: int
    calibrator: str
    ranges: Ranges


def write_record(model: onnx.ModelProto, record: CalibrationRecord) -> None:
    """Put a record into a model."""
    model.metadata_props.append(
        onnx.StringStringEntryProto(key=KEY, value=json.dumps(asdict(record), sort_keys=True))
    )


def read_record(path: Path) -> CalibrationRecord | None:
    """The record of an ONNX file that is known to be readable; None where it has none.

    An entry that is not what weft writes is none either: another tool may have cut it.
    """
    try:
        model = onnx.load(path, load_external_data=False)
        (text,) = (entry.value for entry in model.metadata_props if entry.key == KEY)
        found = json.loads(text)
        ranges = {name: (float(low), float(high)) for name, (low, high) in found["ranges"].items()}
        record = CalibrationRecord(int(found["samples"]), str(found["calibrator"]), ranges)
    except Exception:  # protobuf, JSON and what a wrong entry may raise share no base
        return None
    edges = [edge for limits in ranges.values() for edge in limits]
    return record if all(map(math.isfinite, edges)) else None
