"""Random models against LiteRT's reference kernels, bit for bit."""

import numpy as np
import pytest
from tflite_graphs import GRAPHS, Graph
from tflite_models import OPERATORS, random_model
from tflite_writer import litert, random_inputs, run_litert

from weft.compiler.edges import decode_outputs, encode_inputs
from weft.compiler.network import Network
from weft.compiler.tflite_operators import OPERATORS as READ
from weft.compiler.tflite_reader import read_tflite
from weft.sim import golden

MODELS = 60  # of an operator in one test
SAMPLES = 3


def read(model: bytes, folder, rounding="litert") -> Network:
    path = folder / "model.tflite"
    path.write_bytes(model)
    return read_tflite(path, rounding)


def outputs_of(net: Network, samples: list[dict[int, np.ndarray]]) -> dict[int, np.ndarray]:
    """Golden's outputs by tensor number."""
    arrays = {port.name: np.stack([s[port.number] for s in samples]) for port in net.inputs}
    made = decode_outputs(net, golden.run_network(net, encode_inputs(net, arrays)))
    return {port.number: made[port.name] for port in net.outputs}


def reference(model: bytes, seed: int):
    interpreter = litert(model)
    rng = np.random.default_rng(seed)
    samples = [random_inputs(interpreter, rng) for _ in range(SAMPLES)]
    results = [run_litert(interpreter, sample) for sample in samples]
    return samples, {number: np.stack([r[number] for r in results]) for number in results[0]}


@pytest.mark.parametrize("first", range(0, 4 * MODELS, MODELS))
@pytest.mark.parametrize("operator", OPERATORS)
def test_golden_equals_litert(operator, first, tmp_path):
    different, codes = [], set()
    for seed in range(first, first + MODELS):
        model = random_model(operator, seed)
        samples, expected = reference(model, seed)
        made = outputs_of(read(model, tmp_path), samples)
        if not all(np.array_equal(made[number], expected[number]) for number in expected):
            different.append(seed)
        codes.update(np.unique(np.concatenate([array.ravel() for array in made.values()])))
    assert different == []
    assert len(codes) > 100  # so that it says something


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", GRAPHS)
def test_every_layer_of_a_graph(name, seed, tmp_path):
    model = GRAPHS[name](seed)
    interpreter = litert(model)
    sample = random_inputs(interpreter, np.random.default_rng(seed))
    expected = run_litert(interpreter, sample)
    net = read(model, tmp_path)
    made = outputs_of(net, [sample])
    assert {n: array.tolist() for n, array in expected.items()} == {
        n: array[0].tolist() for n, array in made.items()
    }
    inputs = encode_inputs(net, {port.name: sample[port.number][None] for port in net.inputs})
    values = golden.run_network(net, inputs, keep=True)
    different = [
        port.name
        for port in net.activations
        if not np.array_equal(values[port.tensor].reshape(port.shape),
                              interpreter.get_tensor(port.number))
    ]  # fmt: skip
    assert different == []
    assert len(net.activations) >= len(net.nodes) / 2


def test_every_operator_is_tried():
    graphs_only = {"SHAPE", "PACK"}
    assert set(OPERATORS) == READ.keys() - graphs_only


def test_the_extremes_are_among_them(tmp_path):
    """Factors above 1, and such that TFLite multiplies by 0, in convolutions."""
    nodes = [read(random_model("CONV_2D", seed), tmp_path).nodes[-1] for seed in range(200)]
    scalings = [node.requantize for node in nodes]
    assert sum(bool(np.any(scaling.multiplier == 0)) for scaling in scalings) >= 10
    assert sum(bool(np.any(scaling.shift > 0)) for scaling in scalings) >= 10
    assert sum(bool(np.any(scaling.shift < -20)) for scaling in scalings) >= 10
    assert sum(bool(np.any(np.abs(node.bias) > 2**28)) for node in nodes) >= 5


def test_a_concatenation_of_different_scales_quantizes_first(tmp_path):
    """LiteRT refuses it; the same with QUANTIZE written out it takes."""

    def graph(explicit: bool) -> bytes:
        g = Graph(0)
        parts = [g.tensor((1, 4, 5, 3), 0.03, 7), g.tensor((1, 4, 5, 2), 0.011, -90)]
        inputs = list(parts)
        y = g.tensor((1, 4, 5, 5), 0.02, -3)
        if explicit:
            for i, part in enumerate(inputs):
                parts[i] = g.tensor(g.shape(part), 0.02, -3)
                g.operator("QUANTIZE", [part], [parts[i]])
        g.operator("CONCATENATION", parts, [y], axis=3)
        return g.finish(inputs, [y])

    samples, expected = reference(graph(True), 0)
    for model in (graph(True), graph(False)):
        made = outputs_of(read(model, tmp_path), samples)
        assert np.array_equal(made[2], expected[2])


@pytest.mark.parametrize("operator", OPERATORS)
def test_single_rounding_is_in_every_node(operator, tmp_path):
    model = random_model(operator, 1)
    if operator == "RELU6":
        g = Graph(1)
        model = g.finish([x := g.codes((1, 8))], [g.move("RELU6", x, (1, 8))])
    net = read(model, tmp_path, "single")
    scalings = [
        scaling
        for node in net.nodes
        for scaling in (getattr(node, "requantize", None), *(getattr(node, "scalings", None) or ()))
        if scaling is not None
    ]
    assert {scaling.rounding for scaling in scalings} <= {"single"}
