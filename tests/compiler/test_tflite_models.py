"""The four networks of MLPerf Tiny: every layer and every output, to the bit."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from weft.compiler.network import Network
from weft.compiler.tflite_reader import read_tflite
from weft.errors import UnsupportedError
from weft.sim import golden

SHARED = Path(__file__).parents[2] / "../shared/models"

pytestmark = pytest.mark.skipif(
    not SHARED.exists(), reason="the published models lie beside the repository, not in it"
)

FILES = {
    "ic": "pretrainedResnet_quant",
    "kws": "kws_ref_model",
    "vww": "vww_96_int8",
    "ad": "ad01_int8",
}

#: Whose numbers a rounding gives: outputs, and every tensor of the first real input.
REFERENCES = {
    "double": ("outputs_tflm", "layers_tflm"),
    "litert": ("outputs_litert_ref", "layers_litert_ref"),
}

cases = pytest.mark.parametrize(
    ("model", "rounding"), [(model, rounding) for model in FILES for rounding in REFERENCES]
)


@cache
def network(model: str, rounding: str) -> Network:
    return read_tflite(SHARED / model / f"{FILES[model]}.tflite", rounding)


def run(net: Network, inputs: np.ndarray, keep: bool = False) -> dict[str, np.ndarray]:
    name = net.inputs[0].tensor
    return golden.run_network(net, {name: inputs.reshape(-1, *net.tensors[name].shape)}, keep)


@cases
def test_every_layer(model, rounding):
    net = network(model, rounding)
    references = np.load(SHARED / model / f"{REFERENCES[rounding][1]}.npz")
    values = run(net, np.load(SHARED / model / "tests.npz")["inputs"][:1], keep=True)
    assert {str(port.number) for port in net.activations} == set(references.files)
    different = [
        port.name
        for port in net.activations
        if not np.array_equal(values[port.tensor][0].reshape(port.shape),
                              references[str(port.number)])
    ]  # fmt: skip
    assert different == []


@cases
@pytest.mark.parametrize("data", ["tests", "random"])
def test_every_output(model, rounding, data):
    net = network(model, rounding)
    arrays = np.load(SHARED / model / f"{data}.npz")
    outputs = run(net, arrays["inputs"])[net.outputs[0].tensor]
    expected = arrays[REFERENCES[rounding][0]]
    assert np.array_equal(outputs.reshape(expected.shape), expected)


def test_names_are_the_files_own():
    net = network("kws", "double")
    assert net.name == "kws_ref_model"
    assert [port.name for port in net.inputs] == ["input_1"]
    assert [port.name for port in net.outputs] == ["Identity"]
    assert net.nodes[0].output == net.nodes[0].name
    assert net.nodes[0].name in {port.name for port in net.activations}


def test_a_hybrid_model_is_refused():
    with pytest.raises(UnsupportedError) as error:
        read_tflite(SHARED / "kws" / "kws_ref_model_float32.tflite")
    problem = error.value.problems[0]
    assert (problem.op, problem.reason) == ("CONV_2D", "its input is float32")
    assert problem.remedy == "quantise it to full INT8 when converting"
