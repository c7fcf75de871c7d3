"""Small float networks, and what ONNX Runtime's static quantisation makes of them."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from float_models import FloatModel
from onnx_session import onnx_session
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)

#: Samples to calibrate with, and samples to compare.
CALIBRATION, SAMPLES = 16, 24


def conv(model):
    """Convolutions with and without bias, strides, Relu and Relu6; a maximum."""
    value = model.node("Conv", ["x", model.weights(6, 3, 3, 3), model.weights(6)], pads=[1] * 4)
    value = model.node("Relu", [value])
    value = model.node("MaxPool", [value], kernel_shape=[2, 2], strides=[2, 2])
    value = model.node("Conv", [value, model.weights(7, 6, 3, 3)], strides=[2, 2])
    limits = [model.constant(np.float32(limit)) for limit in (0, 6)]
    value = model.node("Clip", [value, *limits])
    return model.node("Conv", [value, model.weights(4, 7, 1, 1), model.weights(4)])


def depthwise(model):
    """Depthwise and pointwise convolutions."""
    value = model.node("Conv", ["x", model.weights(8, 3, 1, 1), model.weights(8)])
    value = model.node("Relu", [value])
    value = model.node(
        "Conv", [value, model.weights(8, 1, 3, 3), model.weights(8)], group=8, pads=[1, 0, 1, 2]
    )
    value = model.node("Relu", [value])
    return model.node("Conv", [value, model.weights(5, 8, 1, 1), model.weights(5)])


def residual(model):
    """Sums of branches, with Relu behind and without, and a concatenation."""
    stem = model.node("Conv", ["x", model.weights(5, 3, 3, 3), model.weights(5)])
    value = model.node("Relu", [stem])
    branch = model.node("Conv", [value, model.weights(5, 5, 3, 3, spread=3)], pads=[1] * 4)
    value = model.node("Add", [branch, value])
    value = model.node("Relu", [value])
    branch = model.node("Conv", [value, model.weights(4, 5, 1, 1, spread=0.3)])
    value = model.node("Concat", [value, branch], axis=1)
    return model.node("Conv", [value, model.weights(3, 9, 1, 1), model.weights(3)])


def dense(model):
    """Matrix products, a sigmoid and a leaky Relu."""
    value = model.node("Flatten", ["x"])
    value = model.node("Gemm", [value, model.weights(20, 300), model.weights(20)], transB=1)
    value = model.node("Relu", [value])
    value = model.node("Gemm", [value, model.weights(12, 20), model.weights(12)], transB=1)
    value = model.node("LeakyRelu", [value], alpha=0.1)
    value = model.node(
        "MatMul", [value, model.constant(model.rng.normal(size=(12, 6)).astype("f"))]
    )
    return model.node("Sigmoid", [value])


def pooled(model):
    """Averages over windows and over everything; means of 9 and 16 at other scales: few ties."""
    value = model.node("Conv", ["x", model.weights(6, 3, 3, 3), model.weights(6)])
    value = model.node("Relu", [value])
    value = model.node("AveragePool", [value], kernel_shape=[3, 3], strides=[2, 2])
    value = model.node("Conv", [value, model.weights(8, 6, 1, 1), model.weights(8)])
    value = model.node("GlobalAveragePool", [value])
    value = model.node("Flatten", [value])
    return model.node("Gemm", [value, model.weights(5, 8), model.weights(5)], transB=1)


#: Networks and the shapes of their outputs.
NETWORKS = {
    "conv": (conv, (4, 2, 2)),
    "depthwise": (depthwise, (5, 10, 10)),
    "residual": (residual, (3, 8, 8)),
    "dense": (dense, (6,)),
    "pooled": (pooled, (5,)),
}


class _Reader(CalibrationDataReader):
    def __init__(self, samples):
        self.samples = iter([{"x": sample[None]} for sample in samples])

    def get_next(self):
        return next(self.samples, None)


def float_network(name: str, seed: int, path: Path, count: int = SAMPLES) -> np.ndarray:
    """Save a float network of 3 x 10 x 10 inputs; samples to calibrate with, and `count` others."""
    rng = np.random.default_rng(seed)
    model = FloatModel(rng, (3, 10, 10))
    build, shape = NETWORKS[name]
    model.save(path, {build(model): shape})
    return rng.normal(0.2, 1, (CALIBRATION + count, 3, 10, 10)).astype(np.float32)


def quantized_by_onnxruntime(
    name: str, seed: int, folder: Path, count: int = SAMPLES, **options
) -> tuple[Path, dict]:
    """A network as `quantize_static` writes it, and samples of which it saw none."""
    samples = float_network(name, seed, folder / "float.onnx", count)
    target = folder / "int8.onnx"
    logging.disable(logging.WARNING)  # it recommends to simplify the model first
    try:
        quantize_static(folder / "float.onnx", target, _Reader(samples[:CALIBRATION]), **options)
    finally:
        logging.disable(logging.NOTSET)
    return target, {"x": samples[CALIBRATION:]}


#: Ways to quantise: formats, types, zero points, scales per channel.
OPTIONS = {
    "qdq int8 per tensor": {
        "quant_format": QuantFormat.QDQ, "activation_type": QuantType.QInt8,
        "weight_type": QuantType.QInt8, "per_channel": False,
    },
    "qdq uint8 per channel": {
        "quant_format": QuantFormat.QDQ, "activation_type": QuantType.QUInt8,
        "weight_type": QuantType.QInt8, "per_channel": True,
    },
    "qdq symmetric per channel": {
        "quant_format": QuantFormat.QDQ, "activation_type": QuantType.QInt8,
        "weight_type": QuantType.QInt8, "per_channel": True,
        "extra_options": {"ActivationSymmetric": True},
    },
    "qoperator int8": {
        "quant_format": QuantFormat.QOperator, "activation_type": QuantType.QInt8,
        "weight_type": QuantType.QInt8, "per_channel": False,
    },
    "qoperator uint8 per channel": {
        "quant_format": QuantFormat.QOperator, "activation_type": QuantType.QUInt8,
        "weight_type": QuantType.QInt8, "per_channel": True,
    },
}  # fmt: skip


def run_onnxruntime(path: Path, inputs: dict, *, precise: bool = True) -> list[np.ndarray]:
    """Outputs as a user gets them."""
    return onnx_session(path, precise=precise).run(None, inputs)
