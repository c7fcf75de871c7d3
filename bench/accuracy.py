"""How accurate INT8 is: shift scales, multiplier scales and ONNX Runtime side by side.

Usage: ``python bench/accuracy.py [--models DIR]``. It quantises the float models of MLPerf
Tiny in DIR (by default ../shared/models beside the repository) in several ways, calibrated on
every other real input, and compares each with the float model on the inputs in between and, of
images, random crops and flips of these. ONNX Runtime's ``quantize_static`` sees the same
samples. Then come the digits over five splits, the published network and where PyTorch is
installed one that is trained anew for each, and repairs of random networks. It prints tables
and writes results/accuracy.json and results/accuracy.md beside this file.

A ratio is ``10 log10(sum v^2 / sum (v - q)^2)`` in dB over all samples, v the float model's
outputs and q what the INT8 ones stand for. What goes into a last Softmax stands for what comes
out of it, which the host computes; the other ratio is of the model's outputs as they are.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from accuracy_digits import digits_splits  # a script finds what is beside it
from accuracy_onnxruntime import outputs_of, quantize_static_model, tools
from accuracy_random import NETWORKS, random_networks
from published_models import models_folder

from weft.commands.quantize import quantize_model
from weft.compiler.edges import dequantize_output, encode_inputs
from weft.compiler.float_onnx import float_onnx
from weft.compiler.float_run import run_float
from weft.compiler.network import Softmax
from weft.compiler.tflite_file import read_tflite_file
from weft.compiler.tflite_float_samples import input_codes
from weft.models import FloatModel, read_float
from weft.sim import golden

RESULTS = Path(__file__).parent / "results"

#: The float model, the INT8 one that says what its inputs mean, and whether inputs are images.
FILES = {
    "ic": ("pretrainedResnet.tflite", "pretrainedResnet_quant.tflite", True),
    "vww": ("vww_96_float.tflite", "vww_96_int8.tflite", True),
    "kws": ("kws_ref_model_float32.tflite", "kws_ref_model.tflite", False),
    "ad": ("ad01_fp32.tflite", "ad01_int8.tflite", False),
}

#: Random crops and flips of each image that is tested.
MORE = 50

#: Ways to quantise: options of `quantize_model`.
POINTS = {"per_channel": True, "zero_points": True}
MULTIPLIER = {"scales": "multiplier"}
WAYS: dict[str, dict[str, Any]] = {
    "shift, per tensor": {},
    "shift": {"per_channel": True},
    "shift, zero points": POINTS,
    "… no repair": {**POINTS, "repair": "none"},
    "… equalize": {**POINTS, "repair": "equalize"},
    "… clip": {**POINTS, "repair": "clip"},
    "… round": {**POINTS, "repair": "round"},
    "… bias": {**POINTS, "repair": "bias"},
    "… all repairs": {**POINTS, "repair": "all"},
    "multiplier": MULTIPLIER,
    "multiplier, no repair": {**MULTIPLIER, "repair": "none"},
    "multiplier, all repairs": {**MULTIPLIER, "repair": "all"},
}
RUNTIME = "ONNX Runtime"

#: Real values of an output's Softmax, before and after it, by sample.
Outputs = tuple[np.ndarray, np.ndarray]


def real_inputs(models: Path, name: str) -> np.ndarray:
    """The real inputs of a model, as its float version takes them."""
    codes = np.load(models / name / "tests.npz")["inputs"]
    if codes.dtype == np.float32:
        return codes
    ((scale, zero),) = input_codes(read_tflite_file(models / name / FILES[name][1])).values()
    return (codes.astype(np.float32) - zero) * np.float32(scale)


def variants(images: np.ndarray, count: int) -> np.ndarray:
    """Images cropped by up to an eighth on each side, edges repeated, half of them flipped."""
    random = np.random.default_rng(0)
    result = []
    for image in images:
        height, width, _ = image.shape
        margin = height // 8
        wide = np.pad(image, ((margin, margin), (margin, margin), (0, 0)), mode="edge")
        for _ in range(count):
            top, left = random.integers(0, 2 * margin + 1, 2)
            part = wide[top : top + height, left : left + width]
            result.append(part[:, ::-1] if random.random() < 0.5 else part)
    return np.stack(result)


def measure_model(models: Path, name: str, more: int = MORE) -> dict[str, Any]:
    """All `WAYS` and ONNX Runtime on one model."""
    file, _, images = FILES[name]
    real = read_float(models / name / file)
    (given,) = real.graph.inputs
    shape = tuple(real.graph.tensors[given].file_shape[1:])
    inputs = real_inputs(models, name).reshape(-1, *shape)
    seen, tested = inputs[0::2], inputs[1::2]
    if images:
        tested = np.concatenate([tested, variants(tested, more)])
    sets = {"calibration": seen, "test": tested, "real": inputs}
    expected = {key: float_outputs(real, array) for key, array in sets.items()}
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "int8.onnx"
        for way, options in WAYS.items():
            found = quantize_model(models / name / file, {given: seen}, path, **options)
            rows[way] = compared(expected, sets, lambda x, n=found.network: golden_outputs(n, x))
            rows[way]["repairs"] = [
                {key: repair.to_json()[key] for key in ("name", "outcome", "before_db", "after_db")}
                for repair in found.repairs
            ]
        quantize_static_model(float_onnx(real.graph), seen, path)
        rows[RUNTIME] = compared(expected, sets, lambda x: outputs_of(path, x))
    counts = {key: len(array) for key, array in sets.items()}
    return {"samples": counts, "ways": rows}


def float_outputs(real: FloatModel, inputs: np.ndarray) -> Outputs:
    """Before a last Softmax and after it."""
    graph = real.graph
    (made,) = graph.outputs
    last = next(node for node in graph.nodes if node.output == made)
    names = [last.inputs[0] if last.op == "Softmax" else made, made]
    found = run_float(real.runs, {graph.inputs[0]: inputs}, list(dict.fromkeys(names)))
    return found[names[0]], found[names[1]]


def golden_outputs(network, inputs: np.ndarray) -> Outputs:
    """What the integer graph computes, as real values."""
    (port,) = network.outputs
    codes = encode_inputs(network, {network.inputs[0].name: inputs})
    values = golden.run_network(network, codes)
    last = network.nodes[-1]
    before = last.inputs[0] if isinstance(last, Softmax) else port.tensor
    return tuple(
        dequantize_output(port, network.tensors[name], values[name])
        for name in (before, port.tensor)
    )  # type: ignore[return-value]


def compared(
    expected: dict[str, Outputs], sets: dict[str, np.ndarray], run: Callable[[np.ndarray], Outputs]
) -> dict[str, Any]:
    """Ratios and the share of samples with the float model's first class, of each set."""
    result: dict[str, Any] = {}
    for key, inputs in sets.items():
        (before, after), (found, shown) = expected[key], run(inputs)
        result[key] = {
            "db": ratio(before, found),
            "outputs_db": ratio(after, shown),
            "same_class": int((first(before) == first(found)).sum()),
        }
    return result


def first(values: np.ndarray) -> np.ndarray:
    """Each sample's class."""
    return values.reshape(len(values), -1).argmax(axis=1)


def ratio(exact: np.ndarray, found: np.ndarray) -> float | None:
    """Signal to noise in dB; None where there is no noise."""
    wide = exact.astype(np.float64)
    noise = np.square(wide - found.reshape(wide.shape)).sum()
    return float(10 * np.log10(np.square(wide).sum() / noise)) if noise else None


def markdown(found: dict[str, Any]) -> str:
    """A table for each model, and one of the digits."""
    parts = []
    for name, model in found["models"].items():
        count = model["samples"]
        classes = FILES[name][2] or name == "kws"
        heading = f"{name}: calibrated on {count['calibration']}, tested on {count['test']} inputs"
        rows = [
            ("", "calibration", "test", "after Softmax", "same class, real", "test"),
            ("---", "---:", "---:", "---:", "---:", "---:"),
        ]
        for way, row in model["ways"].items():
            same = [f"{row[k]['same_class']} of {count[k]}" for k in ("real", "test")]
            softmax = _db(row["test"]["outputs_db"]) if classes else ""
            ratios = (_db(row["calibration"]["db"]), _db(row["test"]["db"]), softmax)
            rows.append((way, *ratios, *(same if classes else ("", ""))))
        parts.append(f"{heading}\n\n" + "\n".join(f"| {' | '.join(row)} |" for row in rows))
    rows = [("digits, split", "images", "float", "shift", "multiplier"), ("---", *["---:"] * 4)]
    for kind, splits in found["digits"].items():
        for split, row in enumerate(splits):
            cells = [f"{row[key]:.2%}" for key in ("float", "shift", "multiplier")]
            rows.append((f"{kind}, {split}", str(row["images"]), *cells))
    parts.append("\n".join(f"| {' | '.join(row)} |" for row in rows))
    rows = [(f"{NETWORKS} random networks", "mean", "worst", "best"), ("---", *["---:"] * 3)]
    for name, row in found["random"].items():
        rows.append((name, *(f"{row[key]:+.2f} dB" for key in ("mean", "worst", "best"))))
    parts.append("\n".join(f"| {' | '.join(row)} |" for row in rows))
    parts.append(", ".join(f"{name} {number}" for name, number in found["tools"].items()))
    return "\n\n".join(parts) + "\n"


def _db(value: float | None) -> str:
    return "exact" if value is None else f"{value:.1f} dB"


def main(arguments: list[str]) -> int:
    """Print and write the results."""
    models = models_folder(
        arguments,
        [
            f"{name}/{needed}"
            for name, (file, integers, _) in FILES.items()
            for needed in (file, integers, "tests.npz")
        ],
        __doc__,
    )
    if models is None:
        return 2
    found = {
        "models": {name: measure_model(models, name) for name in FILES},
        "digits": digits_splits(),
        "random": random_networks(),
        "tools": tools(),
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "accuracy.json").write_text(json.dumps(found, indent=1) + "\n")
    (RESULTS / "accuracy.md").write_text(markdown(found))
    print(markdown(found), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
