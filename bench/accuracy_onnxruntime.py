"""What `accuracy.py` compares with: a float model as ONNX Runtime's own tool quantises it."""

from __future__ import annotations

import logging
import platform
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)


class _Reader(CalibrationDataReader):
    def __init__(self, name: str, samples: np.ndarray):
        self._samples = iter([{name: sample[None]} for sample in samples])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._samples, None)


def quantize_static_model(model: onnx.ModelProto, samples: np.ndarray, path: Path) -> None:
    """Quantise by `quantize_static`: QDQ, int8, per channel, its default range (min/max)."""
    _leave_out_dead_nodes(model.graph)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "float.onnx"
        onnx.save(model, source)
        logging.disable(logging.WARNING)  # it recommends to simplify the model first
        try:
            quantize_static(
                source, path, _Reader(model.graph.input[0].name, samples),
                quant_format=QuantFormat.QDQ, per_channel=True,
                activation_type=QuantType.QInt8, weight_type=QuantType.QInt8,
            )  # fmt: skip
        finally:
            logging.disable(logging.NOTSET)


def _leave_out_dead_nodes(graph: onnx.GraphProto) -> None:
    """Nodes that no output needs: they would be quantised as well."""
    needed = {value.name for value in graph.output}
    kept = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            needed.update(node.input)
            kept.append(node)
    used = [constant for constant in graph.initializer if constant.name in needed]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(reversed(kept))
    graph.initializer.extend(used)


def outputs_of(path: Path, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Real values before a Softmax at the end, if there is one, and of the output."""
    model = onnx.load(path)
    (made,) = (value.name for value in model.graph.output)
    softmaxes = [node for node in model.graph.node if node.op_type == "Softmax"]
    before = softmaxes[0].input[0] if softmaxes else made
    if softmaxes:
        model.graph.output.append(onnx.ValueInfoProto(name=before))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    # Without VNNI, sums of two products saturate at 16 bits on x86 unless told otherwise.
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    name = session.get_inputs()[0].name
    found = [session.run([before, made], {name: sample[None]}) for sample in inputs]
    logits, outputs = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return logits, outputs


def tools() -> dict[str, str]:
    """What the figures may depend on."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for name in ("weft", "numpy", "onnx", "onnxruntime", "scikit-learn", "torch"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
