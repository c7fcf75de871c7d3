"""ONNX Runtime as an outside witness."""

from __future__ import annotations

from pathlib import Path

import onnxruntime
from onnxruntime import GraphOptimizationLevel


def onnx_session(model: str | Path | bytes, *, as_written: bool = False, precise: bool = True):
    """A session of a file or of its bytes; `as_written` forbids rewriting of the graph.

    Of an int8 sum ONNX Runtime's kernels for x86 without VNNI keep pairs of products in 16 bits,
    saturated; told to be `precise` it computes them otherwise, equally on all machines. Its
    operators of int8 alone (QLinearConv, QGemm) do so anyway, and cannot be told.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    if precise:
        options.add_session_config_entry("session.x64quantprecision", "1")
    if as_written:
        options.graph_optimization_level = GraphOptimizationLevel.ORT_DISABLE_ALL
    source = model if isinstance(model, bytes) else str(model)
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
