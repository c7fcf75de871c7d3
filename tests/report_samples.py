"""Results to report on, made without running a network."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from weft.commands.quantize import Quantized
from weft.compiler.calibration_report import TensorReport
from weft.compiler.collect_bits import BitCollector
from weft.compiler.network import Network
from weft.compiler.repair_report import RepairReport
from weft.compiler.weight_statistics import weight_hints, weight_statistics
from weft.hw.area import Area
from weft.validation.result import (
    Choice,
    Culprit,
    Exceeded,
    Hardware,
    LayerError,
    Score,
    Validation,
)


def tensor(
    name: str, values: Sequence[float] | np.ndarray, *scales: float, zero_point: int = 0, **more
) -> TensorReport:
    """An activation, or with ``.weights`` or ``.bias`` in its name one of these."""
    kind = name.rpartition(".")[2]
    kind = kind if kind in ("weights", "bias") else "activation"
    seen = BitCollector()
    seen.update(np.asarray(values, np.float32))
    bits = 32 if kind == "bias" else 8
    coarsest = max(scales)
    return TensorReport(
        name, kind, scales, zero_point, bits, seen, seen.shares(coarsest, zero_point, bits),
        seen.sqnr(coarsest, zero_point, bits), **more,
    )  # fmt: skip


def weights(name: str, values: np.ndarray, *scales: float) -> TensorReport:
    """Weights with their statistics and hints."""
    found = weight_statistics(values)
    hints = weight_hints(found, per_channel=len(scales) > 1)
    return tensor(f"{name}.weights", values, *scales, statistics=found, hints=hints)


def layers(random: np.random.Generator, names: Sequence[str], *, multiplier: bool = False):
    """Tensors of a network: an activation, weights and a bias for every name."""
    activations, constants = [], []
    for i, name in enumerate(names):
        size = 2.0 ** random.integers(-3, 4)
        values = random.normal(0, size, 400)
        values = np.maximum(values, 0) if i % 2 else values
        limit = float(np.abs(values).max())
        scale = np.ptp(values) / 255 if multiplier else 2.0 ** (np.ceil(np.log2(limit)) - 7)
        zero = round(-128 - values.min() / scale) if multiplier else 0
        activations.append(tensor(name, values, scale, zero_point=zero, fixed=i == 1))
        kernel = random.normal(0, 0.2, (4, 50)) * 2.0 ** -random.integers(0, 3, (4, 1))
        steps = np.abs(kernel).max(axis=1) / 127
        if not multiplier:
            steps = 2.0 ** np.ceil(np.log2(steps))
        constants.append(weights(name, kernel, *(steps if i % 3 else steps.max(keepdims=True))))
        constants.append(tensor(f"{name}.bias", random.normal(0, 1, 4), 2.0**-20))
    return [*activations, *constants]


def quantized(tensors: list[TensorReport], repairs: Sequence[RepairReport] = ()) -> Quantized:
    """What ``weft quantize`` would return."""
    return Quantized(
        Network("n"), Path("net_int8.onnx"), 1234, "mse", tensors, "shift", tuple(repairs)
    )


def repairs(names: Sequence[str]) -> list[RepairReport]:
    """One repair that was kept, one undone, one with nothing to do."""
    change = {name: (30.0 - i, 31.0 - i / 2) for i, name in enumerate(names)}
    return [
        RepairReport("equalize", "idle", note="no two layers can be equalised"),
        RepairReport("round", "kept", 25.0, 28.5, change, "weights of 2 layers rounded anew"),
        RepairReport("bias", "undone", 28.5, 27.0, dict.fromkeys(change, (20.0, 19.0))),
    ]


@cache
def small() -> Quantized:
    """Five activations and all that a report can have."""
    names = ["image", "relu", "pool", "relu_1", "logits"]
    return quantized(layers(np.random.default_rng(5), names), repairs(names))


@cache
def large(*, multiplier: bool = False) -> Quantized:
    """150 tensors, with long names, as a MobileNetV2 has them."""
    names = [
        f"model/mobilenetv2_1.00_224/block_{i}_expand_BN/FusedBatchNormV3;model/block_{i}/Relu6"
        for i in range(50)
    ]
    return quantized(layers(np.random.default_rng(50), names, multiplier=multiplier))


def validation(count: int = 5, **changes) -> Validation:
    """What ``weft validate`` would return; `changes` are of its fields."""
    found = [
        LayerError(
            f"model/block_{i}/Relu6", f"block_{i}", f"conv_{i}", "Conv2D",
            sqnr_db=40 - 20 * i / count, mse=0.1, largest_error=0.25, own_sqnr_db=45.0 - i % 3,
            output_sqnr_db=50.0, share=1 / count,
        )
        for i in range(count)
    ]  # fmt: skip
    fields = {
        "model": Path("models/net.onnx"),
        "quantised": Path("net_int8.onnx"),
        "samples": 355,
        "score": Score("top1", "labels are class numbers", "labels", 0.9915, 0.9859, 0.56),
        "sqnr_db": 31.25,
        "tolerance": 1.0,
        "layers": tuple(found),
        "unmatched": ("scaled",),
        "layer_samples": 32,
        "hurts_most": Culprit(found[-1], "type", "Its output saturates: use --calibrator mse."),
        "choices": (
            Choice("shift per tensor", "", 0.9859, 0.56, 31.25, Area(4100, 64, 20, 0)),
            Choice("multiplier", "--scales multiplier", None, None, None, None, "It is too large."),
        ),
        "choices_data": "the validation data",
        "hardware": Hardware("an array of 8 x 8", 8, 8, 4, "ecp5", 0.04),
        "exceeded": (
            Exceeded("relu", "calibration", 0.0, 4.0, -0.0, 5.0, 1.0, 0.25, 0.5, 0.001),
            Exceeded("flat", "representable", 0.0, 0.0, 0.0, 5.0, 5.0, np.inf, 0.5, 0.001),
        ),
        "warnings": ("The validation data goes beyond what calibration saw.",),
    }  # fmt: skip
    return Validation(**{**fields, **changes})
