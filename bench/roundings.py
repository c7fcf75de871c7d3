"""How far weft's roundings, TFLite Micro, LiteRT's reference and XNNPACK are from each other.

Usage: ``python bench/roundings.py [--models DIR]``. It runs the four models of MLPerf Tiny on
every input of DIR (by default ../shared/models beside the repository) and on more random ones,
prints two tables and writes results/roundings.json beside this file.

Weft's numbers are golden's. LiteRT's reference kernels and XNNPACK (LiteRT's default) run live
where ``ai-edge-litert`` is installed; otherwise they are the arrays of DIR's .npz files, as
TFLite Micro's always are, and there are no more inputs than DIR's.
"""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from published_models import models_folder  # a script finds what is beside it

from weft.compiler.edges import decode_outputs, encode_inputs
from weft.compiler.tflite_reader import read_tflite
from weft.sim import golden

RESULTS = Path(__file__).parent / "results"

#: Each model's file, and whether its outputs are classes, of which one is the largest.
FILES = {
    "ic": ("pretrainedResnet_quant.tflite", True),
    "kws": ("kws_ref_model.tflite", True),
    "vww": ("vww_96_int8.tflite", True),
    "ad": ("ad01_int8.tflite", False),
}
INPUTS = {"real": "tests.npz", "random": "random.npz"}

#: How many more inputs a model gets.
MORE = {"ic": 200, "kws": 400, "vww": 40, "ad": 400}

#: weft's three ways, and the names of the others beside the arrays that hold them.
WEFT = {"weft": "double", "weft litert": "litert", "weft single": "single"}
OTHERS = {
    "TFLite Micro": "outputs_tflm",
    "LiteRT reference": "outputs_litert_ref",
    "XNNPACK": "outputs_xnnpack",
}

#: What the tables show; the file has every pair.
SHOWN = (
    "weft / TFLite Micro",
    "weft litert / LiteRT reference",
    "weft / weft litert",
    "weft / weft single",
    "weft / XNNPACK",
    "weft litert / XNNPACK",
    "weft single / XNNPACK",
)

Outputs = dict[str, np.ndarray]


def weft_outputs(file: Path, inputs: np.ndarray) -> Outputs:
    """What weft computes in its three ways, of the reference's shape."""
    result = {}
    for name, rounding in WEFT.items():
        network = read_tflite(file, rounding)  # type: ignore[arg-type]
        codes = encode_inputs(network, {network.inputs[0].name: inputs})
        (array,) = decode_outputs(network, golden.run_network(network, codes)).values()
        result[name] = array
    return result


def live_outputs(file: Path, inputs: np.ndarray) -> Outputs:
    """What LiteRT computes here and now; nothing where it is not installed."""
    try:
        from ai_edge_litert.interpreter import (  # noqa: PLC0415  # optional
            Interpreter,
            OpResolverType,
        )
    except ImportError:
        return {}
    kinds = {"LiteRT reference": OpResolverType.BUILTIN_REF, "XNNPACK": OpResolverType.AUTO}
    result = {}
    for name, resolver in kinds.items():
        interpreter = Interpreter(
            model_path=str(file), num_threads=1, experimental_op_resolver_type=resolver
        )
        interpreter.allocate_tensors()
        source = interpreter.get_input_details()[0]["index"]
        target = interpreter.get_output_details()[0]["index"]
        made = []
        for sample in inputs:
            interpreter.set_tensor(source, sample.reshape(1, *sample.shape[1:]))
            interpreter.invoke()
            made.append(interpreter.get_tensor(target))
        result[name] = np.stack(made)
    return result


def more_inputs(model: str, shape: tuple[int, ...]) -> np.ndarray:
    """Random codes, half of them uniform, half with a bell curve; the same every time."""
    rng = np.random.default_rng([*model.encode()])
    half = (MORE[model] // 2, *shape)
    bell = np.clip(np.rint(rng.normal(0, 30, half)), -128, 127)
    return np.concatenate([rng.integers(-128, 128, half), bell]).astype(np.int8)


def difference(one: np.ndarray, two: np.ndarray, classes: bool) -> dict[str, int | None]:
    """Output codes that differ, by how much at the most, and inputs whose first class differs.

    Parameters
    ----------
    one, two : int8 array, shape (N, ...)
    classes : bool
        Whether outputs are classes; of equal codes the first counts as the largest.
    """
    apart = np.abs(one.astype(int) - two.astype(int))
    first = [array.reshape(len(array), -1).argmax(axis=1) for array in (one, two)]
    return {
        "codes": int((apart > 0).sum()),
        "largest": int(apart.max()),
        "top1": int((first[0] != first[1]).sum()) if classes else None,
    }


def compare(outputs: Mapping[str, np.ndarray], classes: bool) -> dict[str, Any]:
    """The `difference` of every pair."""
    return {
        f"{one} / {two}": difference(outputs[one], outputs[two], classes)
        for one, two in combinations(outputs, 2)
    }


def measure(models: Path, live: bool = True) -> dict[str, Any]:
    """Everything that roundings.json holds.

    Parameters
    ----------
    models : Path
        A folder such as ../shared/models.
    live : bool
        Run LiteRT where it is installed.
    """
    found: dict[str, Any] = {}
    ran, same = False, True
    for model, (name, classes) in FILES.items():
        file, kinds = models / model / name, found.setdefault(model, {})
        for kind, archive in INPUTS.items():
            arrays = dict(np.load(models / model / archive))
            inputs = arrays["inputs"]
            others = {name: arrays[key] for name, key in OTHERS.items()}
            now = live_outputs(file, inputs) if live else {}
            ran = ran or bool(now)
            same = same and all(np.array_equal(now[name], others[name]) for name in now)
            kinds[kind] = summary(weft_outputs(file, inputs) | others | now, classes)
        if ran:
            inputs = more_inputs(model, inputs.shape[1:])
            outputs = weft_outputs(file, inputs) | live_outputs(file, inputs)
            kinds["more"] = summary(outputs, classes)
    return {
        "models": found,
        "litert": {"live": ran, "equal to the arrays": same} if ran else {"live": False},
        "tools": tools(ran),
    }


def summary(outputs: Outputs, classes: bool) -> dict[str, Any]:
    """Number of inputs and of output codes, and how far every pair is apart."""
    weft = outputs["weft"]
    return {"inputs": len(weft), "codes": weft.size, "pairs": compare(outputs, classes)}


def tools(live: bool) -> dict[str, str]:
    """What the figures may depend on."""
    names = ("weft", "numpy", *(["ai-edge-litert"] if live else []))
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found


def markdown(found: dict[str, Any]) -> str:
    """Two tables: DIR's inputs, real and random together, and more random ones."""
    tables = [_table(found["models"], tuple(INPUTS))]
    if found["litert"]["live"]:
        tables.append(_table(found["models"], ("more",)))
    return "\n".join(tables)


def _table(models: Mapping[str, Any], kinds: tuple[str, ...]) -> str:
    """A line for each pair, a column for each model."""
    columns = {name: [model[kind] for kind in kinds] for name, model in models.items()}
    rows = [
        ["", *columns],
        ["---", *("---:" for _ in columns)],
        ["inputs", *(f"{sum(p['inputs'] for p in parts):,}" for parts in columns.values())],
        ["output codes", *(f"{sum(p['codes'] for p in parts):,}" for parts in columns.values())],
    ]
    for pair in SHOWN:
        if all(pair in part["pairs"] for parts in columns.values() for part in parts):
            cells = [_cell([p["pairs"][pair] for p in parts]) for parts in columns.values()]
            rows.append([pair, *cells])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def _cell(parts: list[dict[str, int | None]]) -> str:
    """Codes that differ, the largest difference, inputs whose first class differs."""
    codes, top1 = (sum(part[key] or 0 for part in parts) for key in ("codes", "top1"))
    if not codes:
        return "equal"
    text = f"{codes:,} by up to {max(part['largest'] or 0 for part in parts)}"
    return f"{text}, top-1 of {top1}" if parts[0]["top1"] is not None else text


def main(arguments: list[str]) -> int:
    """Print and write the results."""
    models = models_folder(
        arguments,
        [
            f"{model}/{file}"
            for model, (name, _) in FILES.items()
            for file in (name, *INPUTS.values())
        ],
        __doc__,
    )
    if models is None:
        return 2
    found = measure(models)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "roundings.json").write_text(json.dumps(found, indent=2) + "\n")
    print(markdown(found), end="")
    print(", ".join(f"{name} {number}" for name, number in found["tools"].items()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
