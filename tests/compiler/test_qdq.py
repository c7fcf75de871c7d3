"""QDQ files: valid, run by ONNX Runtime as golden says, and read back as they were."""

import numpy as np
import onnx
import pytest
from float_models import FloatModel, alone, random_model, same_network
from onnx_session import onnx_session

from weft.compiler.calibrate import calibrate
from weft.compiler.edges import decode_outputs, dequantize_output, encode_inputs
from weft.compiler.network import FullyConnected, Network, Port, Requantize, Softmax, Tensor
from weft.compiler.onnx_reader import load_onnx
from weft.compiler.qdq_views import factor_permutation, single_transpose
from weft.compiler.qdq_writer import write_qdq
from weft.compiler.quantize import quantize
from weft.errors import InputError, RefusedError
from weft.sim import golden


def quantized(path, data, method="minmax", **options):
    graph = load_onnx(path)
    return quantize(graph, calibrate(path, graph, data, method), method=method, **options)


def run_onnx(path, data):
    return onnx_session(path).run(None, data)


def run_golden(network, data):
    return decode_outputs(network, golden.run_network(network, encode_inputs(network, data)))


@pytest.mark.parametrize("seed", range(16))
def test_round_trip_and_onnxruntime(seed, tmp_path):
    source, target = tmp_path / "float.onnx", tmp_path / "int8.onnx"
    data = random_model(seed, source)
    network = quantized(source, data, ("minmax", "mse")[seed % 2], per_channel=seed % 3 == 0)
    write_qdq(network, target)
    onnx.checker.check_model(str(target), full_check=True)
    assert same_network(network, quantize(load_onnx(target))) == ""
    (expected,) = run_golden(network, data).values()
    (actual,) = run_onnx(target, data)
    # ONNX Runtime rounds ties to even, and the next layers spread the difference.
    assert np.abs(expected - actual).mean() <= network.tensors[network.outputs[0].tensor].scale


@pytest.mark.parametrize("seed", range(16))
def test_each_node_within_one_code_of_onnxruntime(seed, tmp_path):
    data = random_model(seed, tmp_path / "float.onnx")
    network = quantized(tmp_path / "float.onnx", data, per_channel=seed % 2 == 0)
    codes = golden.run_network(network, encode_inputs(network, data), keep=True)
    for node in network.nodes:
        part = alone(network, node)
        write_qdq(part, tmp_path / "part.onnx")
        given = {
            port.name: dequantize_output(port, part.tensors[port.tensor], codes[port.tensor])
            for port in part.inputs
        }
        (actual,) = run_onnx(tmp_path / "part.onnx", given)
        (port,) = part.outputs
        tensor = part.tensors[port.tensor]
        expected = dequantize_output(port, tensor, codes[port.tensor])
        assert np.abs(expected - actual).max() <= tensor.scale, node


@pytest.mark.parametrize("seed", range(3))
def test_quantized_is_near_float(seed, tmp_path):
    source = tmp_path / "float.onnx"
    data = random_model(seed, source)
    network = quantized(source, data, "mse")
    (expected,) = run_onnx(source, data)
    (actual,) = run_golden(network, data).values()
    assert np.sqrt(((expected - actual) ** 2).mean()) < 0.1 * max(np.abs(expected).max(), 0.1)


def test_names_shapes_and_layout_are_the_source_s(tmp_path):
    rng = np.random.default_rng(5)
    model = FloatModel(rng, (6, 5, 2), "image")  # channels last, as Keras exports
    value = model.node("Transpose", ["image"], perm=[0, 3, 1, 2])
    value = model.node("Conv", [value, model.weights(3, 2, 3, 3)])
    model.node("Transpose", [value], "scores", perm=[0, 2, 3, 1])
    model.node("Relu", [value], "positive")
    source = model.save(tmp_path / "f.onnx", {"scores": (4, 3, 3), "positive": (3, 4, 3)})
    data = {"image": rng.normal(size=(4, 6, 5, 2)).astype(np.float32)}
    network = quantized(source, data)
    write_qdq(network, tmp_path / "q.onnx")
    saved = onnx.load(tmp_path / "q.onnx")
    shapes = {
        value.name: [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in (*saved.graph.input, *saved.graph.output)
    }
    assert shapes == {
        "image": ["N", 6, 5, 2], "scores": ["N", 4, 3, 3], "positive": ["N", 3, 4, 3]
    }  # fmt: skip
    assert same_network(network, quantize(load_onnx(tmp_path / "q.onnx"))) == ""
    expected = run_golden(network, data)
    for name, actual in zip(expected, run_onnx(tmp_path / "q.onnx", data), strict=True):
        np.testing.assert_allclose(actual, expected[name], atol=network.tensors[name].scale)


def test_channel_shuffle_is_written_as_views(tmp_path):
    rng = np.random.default_rng(6)
    model = FloatModel(rng, (6, 3, 4))
    value = model.node("Conv", ["x", model.weights(6, 6, 1, 1)])
    value = model.node("Reshape", [value, model.constant(np.array([0, 2, 3, 3, 4]))])
    value = model.node("Transpose", [value], perm=[0, 2, 1, 3, 4])
    value = model.node("Reshape", [value, model.constant(np.array([0, 6, 3, 4]))])
    model.node("Conv", [value, model.weights(4, 6, 1, 1)], "y")
    source = model.save(tmp_path / "f.onnx", {"y": (4, 3, 4)})
    network = quantized(source, {"x": rng.normal(size=(4, 6, 3, 4)).astype(np.float32)})
    assert [type(node).__name__ for node in network.nodes] == ["Conv2D", "Permute", "Conv2D"]
    write_qdq(network, tmp_path / "q.onnx")
    assert same_network(network, quantize(load_onnx(tmp_path / "q.onnx"))) == ""


def test_same_bytes_and_producer(tmp_path):
    data = random_model(3, tmp_path / "f.onnx")
    for name in ("a.onnx", "b.onnx"):
        write_qdq(quantized(tmp_path / "f.onnx", data), tmp_path / name)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
    saved = onnx.load(tmp_path / "a.onnx")
    assert (saved.producer_name, saved.producer_version != "") == ("weft", True)


def dense(**requantize):
    return Network(
        "n",
        {"x": Tensor("x", (1, 1, 2), 0.5), "y": Tensor("y", (1, 1, 1), 0.25)},
        [
            FullyConnected(
                "fc", ("x",), "y", np.array([[3, -4]], np.int8), np.array([7], np.int32),
                Requantize(np.array([2], np.int32), **requantize),
            )
        ],
        [Port("x", "x", (2,), "int8")],
        [Port("y", "y", (1,), "int8")],
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
def test_softmax_is_onnxruntime_s_within_a_code(seed, tmp_path):
    tensors = {"x": Tensor("x", (1, 1, 9), 0.125), "y": Tensor("y", (1, 1, 9), 1 / 256, -128)}
    ports = [Port("x", "x", (9,))], [Port("y", "y", (9,))]
    network = Network("n", tensors, [Softmax("s", ("x",), "y")], *ports)
    write_qdq(network, tmp_path / "q.onnx")
    data = {"x": np.random.default_rng(seed).normal(0, 3, (50, 9)).astype(np.float32)}
    (actual,) = run_onnx(tmp_path / "q.onnx", data)
    assert np.abs(actual - run_golden(network, data)["y"]).max() <= 1 / 256


def test_int8_ports(tmp_path):
    write_qdq(dense(), tmp_path / "q.onnx")
    codes = np.array([[10, 2], [-7, 4]], np.int8)  # no ties: ONNX Runtime breaks them to even
    (actual,) = run_onnx(tmp_path / "q.onnx", {"x": codes})
    np.testing.assert_array_equal(actual, run_golden(dense(), {"x": codes})["y"])


@pytest.mark.parametrize(
    ("rounding", "multiplier", "message"),
    [
        ("double", 1 << 30, "'fc' rounds twice, as TFLite does"),
        ("single", (1 << 30) + 1, "'fc' has a multiplier that no float32 scale of weights gives"),
    ],
)
def test_multipliers_that_no_file_gives_are_refused(rounding, multiplier, message, tmp_path):
    network = dense(rounding=rounding, multiplier=np.array([multiplier], np.int32))
    with pytest.raises(RefusedError, match=message):
        write_qdq(network, tmp_path / "q.onnx")


def test_unwritable_place_is_named(tmp_path):
    with pytest.raises(InputError, match=r"q.onnx cannot be written .*; choose another place"):
        write_qdq(dense(), tmp_path / "missing" / "q.onnx")


@pytest.mark.parametrize("seed", range(20))
def test_factored_transpositions(seed):
    rng = np.random.default_rng(seed)
    shape = tuple(int(n) for n in rng.integers(1, 5, rng.integers(1, 6)))
    perm = tuple(int(n) for n in rng.permutation(len(shape)))
    moved = np.arange(np.prod(shape)).reshape(shape).transpose(perm)
    order = moved.reshape(-1)
    source, found = factor_permutation(order)
    again = np.arange(order.size).reshape(source).transpose(found).reshape(-1)
    np.testing.assert_array_equal(again, order)
    single = single_transpose(order, shape, moved.shape)
    again = np.arange(order.size).reshape(shape).transpose(single)
    np.testing.assert_array_equal(again, moved)


def test_other_permutations_are_not_factored():
    assert factor_permutation(np.array([0, 2, 1, 3, 4])) is None
    assert factor_permutation(np.array([1, 0])) is None
