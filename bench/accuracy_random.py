"""What repairs give on random networks and samples not seen, for `accuracy.py`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

from weft.commands.quantize import quantize_model
from weft.compiler.onnx_reader import load_onnx
from weft.repairing.samples import HeldSamples

TOP = Path(__file__).parents[1]

#: Networks; samples that each is calibrated on, and as many to measure on.
NETWORKS, SAMPLES = 40, 64

REPAIRS = ("round", "bias", "auto")


def random_networks(count: int = NETWORKS) -> dict[str, dict[str, float]]:
    """Decibels that each repair brings with signed types: mean, worst and best network."""
    sys.path.insert(0, str(TOP / "tests"))
    from float_models import random_model  # noqa: PLC0415  # where the tests are

    found: dict[str, list[float]] = {name: [] for name in REPAIRS}
    for seed in range(count):
        with tempfile.TemporaryDirectory() as folder:
            path, output = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
            given = random_model(seed, path)["x"]
            random = np.random.default_rng([seed, 1])
            samples = random.normal(0, given.std(), (2 * SAMPLES, *given.shape[1:]))
            seen, other = samples.astype(np.float32).reshape(2, SAMPLES, *given.shape[1:])
            held = HeldSamples(load_onnx(path), {"x": other})

            def outputs(name: str, path=path, output=output, seen=seen, held=held) -> float:
                made = quantize_model(path, {"x": seen}, output, repair=name)
                return held.errors(made.network).outputs

            before = outputs("none")
            for name, gains in found.items():
                gains.append(outputs(name) - before)
    return {
        name: {"mean": float(np.mean(gains)), "worst": min(gains), "best": max(gains)}
        for name, gains in found.items()
    }
