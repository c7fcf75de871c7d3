"""Random models against TFLite Micro itself, where its Python package is installed."""

import numpy as np
import pytest
from tflite_graphs import GRAPHS
from tflite_models import OPERATORS, random_model
from tflite_writer import litert, random_inputs

from weft.compiler.edges import decode_outputs, encode_inputs
from weft.compiler.tflite_reader import read_tflite
from weft.errors import UnsupportedError
from weft.sim import golden

runtime = pytest.importorskip(
    "tflite_micro.python.tflite_micro.runtime", reason="pip install tflite-micro to run these"
)

#: TFLite Micro has no such operators.
MISSING = {"RELU_N1_TO_1", "RELU_0_TO_1"}
MODELS = 200
SAMPLES = 2


def run_micro(model: bytes, samples: list[list[np.ndarray]], outputs: int):
    """Outputs of each sample; None where TFLite Micro does not take the model."""
    try:
        interpreter = runtime.Interpreter.from_bytes(model, arena_size=1_000_000)
    except RuntimeError:
        return None
    results = []
    for sample in samples:
        for index, array in enumerate(sample):
            interpreter.set_input(array, index)
        interpreter.invoke()
        results.append([np.array(interpreter.get_output(index)) for index in range(outputs)])
    return results


def largest_difference(model: bytes, seed: int, folder) -> float | None:
    """Between golden and TFLite Micro, over all outputs; None where one refuses the model."""
    path = folder / "model.tflite"
    path.write_bytes(model)
    try:
        net = read_tflite(path, "double")
    except UnsupportedError:  # RELU6 between two scales
        return None
    rng, interpreter = np.random.default_rng(seed), litert(model)
    samples = [random_inputs(interpreter, rng) for _ in range(SAMPLES)]
    arrays = {port.name: np.stack([s[port.number] for s in samples]) for port in net.inputs}
    made = decode_outputs(net, golden.run_network(net, encode_inputs(net, arrays)))
    ordered = [[sample[port.number] for port in net.inputs] for sample in samples]
    results = run_micro(model, ordered, len(net.outputs))
    if results is None:
        return None
    return max(
        float(np.abs(made[port.name][i].astype(float) - results[i][index]).max())
        for index, port in enumerate(net.outputs)
        for i in range(SAMPLES)
    )


@pytest.mark.parametrize("operator", sorted(set(OPERATORS) - MISSING - {"LEAKY_RELU"}))
def test_golden_equals_tflite_micro(operator, tmp_path):
    found = [largest_difference(random_model(operator, n), n, tmp_path) for n in range(MODELS)]
    assert {difference for difference in found if difference is not None} == {0}
    assert sum(difference is not None for difference in found) > MODELS / 5


def test_leaky_relu_is_off_by_one_where_newer_versions_multiply_float64(tmp_path):
    found = [largest_difference(random_model("LEAKY_RELU", n), n, tmp_path) for n in range(MODELS)]
    assert max(found) <= 1
    assert found.count(0) > 0.97 * MODELS


@pytest.mark.parametrize("name", GRAPHS)
def test_graphs_equal_tflite_micro(name, tmp_path):
    assert [largest_difference(GRAPHS[name](seed), seed, tmp_path) for seed in range(5)] == [0] * 5
