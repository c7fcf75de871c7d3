"""The digits network: small, accurate, and what its README says it is."""

import re

import numpy as np
import onnx
import pytest

from weft.compiler.calibrate import calibrate
from weft.compiler.compile import macs
from weft.compiler.edges import decode_outputs, encode_inputs
from weft.compiler.float_run import run_float
from weft.compiler.onnx_reader import load_onnx
from weft.compiler.quantize import quantize
from weft.examples.digits.data import FOLDS, load_digits
from weft.sim import golden


@pytest.fixture(scope="module")
def digits():
    return load_digits()


def accuracy(logits: np.ndarray, labels: np.ndarray) -> float:
    return float(np.mean(logits.argmax(1) == labels))


def test_float_accuracy(digits, digits_onnx):
    logits = run_float(digits_onnx, {"image": digits.test_images}, ["logits"])["logits"]
    assert accuracy(logits, digits.test_labels) >= 0.97
    readme = (digits_onnx.parent / "README.md").read_text()
    stated = re.search(r"\| float \| ([\d.]+) %", readme)
    assert f"{accuracy(logits, digits.test_labels):.2%}" == f"{stated[1]}%"


@pytest.mark.parametrize("method", ["minmax", "mse"])
def test_int8_accuracy_is_within_half_a_point_of_float(method, digits, digits_onnx):
    graph = load_onnx(digits_onnx)
    scales = calibrate(digits_onnx, graph, {"image": digits.train_images}, method)
    network = quantize(graph, scales, method=method)
    codes = golden.run_network(network, encode_inputs(network, {"image": digits.test_images}))
    int8 = accuracy(decode_outputs(network, codes)["logits"], digits.test_labels)
    logits = run_float(digits_onnx, {"image": digits.test_images}, ["logits"])["logits"]
    assert int8 >= accuracy(logits, digits.test_labels) - 0.005
    assert macs(network) == 97088


def test_file(digits_onnx):
    data = digits_onnx.read_bytes()
    assert len(data) < 50_000
    model = onnx.load_from_string(data)
    onnx.checker.check_model(model, full_check=True)
    assert [(x.domain, x.version) for x in model.opset_import] == [("", 18)]
    (image,), (logits,) = model.graph.input, model.graph.output
    shape = image.type.tensor_type.shape.dim
    assert (image.name, logits.name) == ("image", "logits")
    assert shape[0].dim_param
    assert [dim.dim_value for dim in shape[1:]] == [1, 8, 8]
    # The exporter notes the paths of the machine it ran on.
    assert not model.metadata_props
    assert not any(node.metadata_props or node.doc_string for node in model.graph.node)


def test_every_image_is_held_out_in_one_split():
    splits = [load_digits(fold) for fold in range(FOLDS)]
    assert sum(len(split.test_images) for split in splits) == 1797
    for split in splits:
        assert len(split.train_images) + len(split.test_images) == 1797
        counts = np.bincount(split.test_labels)
        assert counts.min() >= 34  # stratified: of 174 to 183 images of each digit
        assert counts.max() <= 37
    pixels = splits[0].train_images
    assert pixels.shape[1:] == (1, 8, 8)
    assert (pixels.dtype, pixels.min(), pixels.max()) == (np.float32, 0, 16)


def test_unknown_split():
    with pytest.raises(ValueError, match="fold must be from 0 to 4, not 5"):
        load_digits(5)
