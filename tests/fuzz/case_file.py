"""A case in a file, whole: it can be run again whatever becomes of the generators."""

from __future__ import annotations

import base64
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from fuzz.network_cases import Case
from weft.compiler.network_file import from_plain, to_plain
from weft.hw.config import Config


def save_case(case: Case, path: Path, *, level: str, stalls: int, why: str) -> None:
    """Write a case, with what it showed at which level."""
    network, arrays = to_plain(case.network)
    data = {
        "level": level,
        "stalls": stalls,
        "why": why.splitlines(),
        "config": asdict(case.config),
        "network": network,
        "arrays": {name: _packed(array) for name, array in arrays.items()},
        "inputs": {name: _packed(array) for name, array in case.inputs.items()},
    }
    path.write_text(json.dumps(data, indent=1) + "\n")


def load_case(path: Path) -> tuple[Case, str, int]:
    """The case, its level and the seed of its stalls."""
    data = json.loads(path.read_text())
    arrays = {name: _unpacked(array) for name, array in data["arrays"].items()}
    inputs = {name: _unpacked(array) for name, array in data["inputs"].items()}
    case = Case(from_plain(data["network"], arrays), Config(**data["config"]), inputs)
    return case, data["level"], data["stalls"]


def _packed(array: np.ndarray) -> dict[str, Any]:
    data = base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
    return {"dtype": str(array.dtype), "shape": list(array.shape), "data": data}


def _unpacked(packed: dict[str, Any]) -> np.ndarray:
    data = base64.b64decode(packed["data"])
    return np.frombuffer(data, packed["dtype"]).reshape(packed["shape"]).copy()
