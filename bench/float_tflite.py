"""What quantising TFLite models by powers of two costs, on MLPerf Tiny.

Usage: ``python bench/float_tflite.py [--models DIR]``. For the float models, and the INT8 ones
taken back to real values, of DIR (by default ../shared/models beside the repository) it
calibrates on their real inputs and compares golden's answers to them with the float model's. It
prints a table and writes results/float_tflite.json beside this file, in half a minute.
"""

from __future__ import annotations

import json
import platform
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from published_models import models_folder  # a script finds what is beside it

import weft
from weft.compiler.float_run import FloatRunner
from weft.compiler.tflite_file import read_tflite_file
from weft.compiler.tflite_float_samples import input_codes, real_inputs
from weft.models import read_float

RESULTS = Path(__file__).parent / "results"
TOOLS = ("weft", "numpy", "onnxruntime")

#: Each model's float file with how its weights are kept, its INT8 file, and whether its outputs
#: are classes.
FILES = {
    "ic": ("pretrainedResnet.tflite", "float", "pretrainedResnet_quant.tflite", True),
    "vww": ("vww_96_float.tflite", "float", "vww_96_int8.tflite", True),
    "kws": ("kws_ref_model_float32.tflite", "dynamic range", "kws_ref_model.tflite", True),
    "ad": ("ad01_fp32.tflite", "float", "ad01_int8.tflite", False),
}

#: Columns: the options of `weft quantize`.
WAYS: dict[str, dict[str, Any]] = {
    "minmax": {"calibrator": "minmax"},
    "mse": {"calibrator": "mse"},
    "minmax, per channel": {"calibrator": "minmax", "per_channel": True},
    "mse, per channel": {"calibrator": "mse", "per_channel": True},
}


def measure(models: Path, names: tuple[str, ...] = tuple(FILES)) -> dict[str, Any]:
    """For each row inputs, and for each way decibels and inputs whose first class differs."""
    found = {}
    for name in names:
        real, kind, int8, classes = FILES[name]
        folder = models / name
        inputs = np.load(folder / "tests.npz")["inputs"]
        meaning = input_codes(read_tflite_file(folder / int8))
        samples = real_inputs(meaning, {"inputs": inputs})["inputs"]
        expected = float_outputs(folder / real, samples)
        for row, file in ((kind, real), ("INT8 taken back", int8)):
            found[f"{name}, {row}"] = {"inputs": len(samples)} | {
                way: compare(expected, outputs(folder / file, samples, options), classes)
                for way, options in WAYS.items()
            }
    return found


def float_outputs(model: Path, samples: np.ndarray) -> np.ndarray:
    """What the float model answers, (N, outputs)."""
    real = read_float(model)
    (name,), (made,) = real.graph.inputs, real.graph.outputs
    shape = real.graph.tensors[name].file_shape[1:]
    runner = FloatRunner(real.runs, [made])
    parts = [part[made] for part in runner.run({name: samples.reshape(-1, *shape)})]
    return np.concatenate(parts).reshape(len(samples), -1)


def outputs(model: Path, samples: np.ndarray, options: dict[str, Any]) -> np.ndarray:
    """What golden answers after quantisation, (N, outputs)."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data, quantized, answers = (folder / n for n in ("x.npz", "q.onnx", "y.npz"))
        np.savez(data, inputs=samples)
        weft.quantize_model(model, data, quantized, scales="shift", **options)
        weft.simulate(quantized, data, answers, level="golden")
        return np.load(answers)["outputs"].reshape(len(samples), -1)


def compare(expected: np.ndarray, made: np.ndarray, classes: bool) -> dict[str, Any]:
    """Signal-to-noise ratio in decibels, and inputs whose most likely class is another."""
    wide = expected.astype(np.float64)
    ratio = 10 * np.log10((wide**2).sum() / ((made - wide) ** 2).sum())
    top1 = int((made.argmax(axis=1) != wide.argmax(axis=1)).sum()) if classes else None
    return {"decibels": round(float(ratio), 1), "top1": top1}


def markdown(found: dict[str, Any]) -> str:
    """A line for each model, a column for each way."""
    lines = [f"| model | inputs | {' | '.join(WAYS)} |", "|---" * (len(WAYS) + 2) + "|"]
    for name, row in found.items():
        cells = [f"{row[way]['decibels']:.1f} dB" for way in WAYS]
        lines.append(f"| {name} | {row['inputs']} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    """Print and write the results."""
    models = models_folder(
        arguments,
        [
            f"{name}/{file}"
            for name, (real, _, int8, _) in FILES.items()
            for file in (real, int8, "tests.npz")
        ],
        __doc__,
    )
    if models is None:
        return 2
    found = measure(models)
    tools = {"python": platform.python_version(), "machine": platform.machine()}
    tools |= {name: version(name) for name in TOOLS}
    result = {"models": found, "tools": tools}
    (RESULTS / "float_tflite.json").write_text(json.dumps(result, indent=2) + "\n")
    print(markdown(found), end="")
    print("other classes:", sum(row[way]["top1"] or 0 for row in found.values() for way in WAYS))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
