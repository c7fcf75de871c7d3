"""Float and dequantised TFLite models, run by ONNX Runtime, against LiteRT's float kernels.

LiteRT does not run what INT8 models mean as real values; it runs the same models with
float32 in the place of all codes (`as_float`).
"""

import numpy as np
import onnx
import pytest
from onnx_session import onnx_session
from published import folder
from tflite_floats import as_float
from tflite_graphs import GRAPHS
from tflite_models import OPERATORS, random_model
from tflite_writer import litert

from weft.compiler.float_graph import FloatGraph
from weft.compiler.float_onnx import float_onnx
from weft.compiler.tflite_builder import tensor_names
from weft.compiler.tflite_file import read_tflite_file
from weft.compiler.tflite_float import load_tflite_float
from weft.compiler.tflite_float_samples import input_codes, real_inputs
from weft.errors import UnsupportedError

MODELS = 40  # of an operator in one test

#: LiteRT's float kernels have no such operator between two tensors of codes.
CODES_ONLY = ("QUANTIZE", "DEQUANTIZE")

#: What weft says of a random model whose meaning a FloatGraph has no place for.
NOT_IN_A_FLOAT_GRAPH = (
    "it broadcasts between shapes",
    "it multiplies two computed tensors",
    "its constant varies over height or width",
    "to the tensor's shape",  # a constant that enlarges the tensor
    "its beta is",
    "its output is",  # a constant that adds an axis
)


def run(graph: FloatGraph, samples: dict[str, np.ndarray], names: list[str]):
    """Tensors by name."""
    model = float_onnx(graph)
    onnx.checker.check_model(model)
    shown = {value.name for value in model.graph.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=n) for n in names if n not in shown)
    return dict(
        zip(names, onnx_session(model.SerializeToString()).run(names, samples), strict=True)
    )


def differences(graph: FloatGraph, model: bytes, path, samples: dict[str, np.ndarray]):
    """Largest difference of every tensor that both have, over the largest value, by name.

    `samples` are N x the file's shape, with its batch axis.
    """
    interpreter = litert(model)
    numbers = {name: i for i, name in enumerate(tensor_names(read_tflite_file(path).tensors))}
    names = [name for name in graph.tensors if name in numbers and name not in graph.inputs]
    shaped = {
        name: array.reshape(-1, *graph.tensors[name].file_shape[1:])
        for name, array in samples.items()
    }
    made = run(graph, shaped, names)
    worst, largest = dict.fromkeys(names, 0.0), dict.fromkeys(names, 1e-3)
    for index in range(len(next(iter(samples.values())))):
        for name, array in samples.items():
            interpreter.set_tensor(numbers[name], array[index])
        interpreter.invoke()
        for name in names:
            expected = interpreter.get_tensor(numbers[name])
            file_shape = graph.tensors[name].file_shape
            assert expected.size == np.prod(file_shape)
            difference = np.abs(expected.reshape(file_shape[1:]) - made[name][index]).max()
            worst[name] = max(worst[name], float(difference))
            largest[name] = max(largest[name], float(np.abs(expected).max()))
    return {name: worst[name] / largest[name] for name in names}


def read_if_there_is_a_place(path) -> FloatGraph | None:
    """The graph; None for a model refused for one of the reasons above."""
    try:
        return load_tflite_float(path)
    except UnsupportedError as error:
        reasons = [problem.reason for problem in error.problems]
        if all(any(known in reason for known in NOT_IN_A_FLOAT_GRAPH) for reason in reasons):
            return None
        raise


def random_samples(graph: FloatGraph, model: bytes, seed: int, count: int = 2):
    rng = np.random.default_rng(seed)
    shapes = {d["name"]: tuple(d["shape"]) for d in litert(model).get_input_details()}
    return {
        name: rng.normal(0, 2, (count, *shapes[name])).astype(np.float32) for name in graph.inputs
    }


@pytest.mark.parametrize("operator", [name for name in OPERATORS if name not in CODES_ONLY])
def test_random_models_of_one_operator(operator, tmp_path):
    path, different, read = tmp_path / "model.tflite", [], 0
    for seed in range(MODELS):
        codes = random_model(operator, seed)
        path.write_bytes(codes)
        graph = read_if_there_is_a_place(path)
        if graph is None:
            continue
        read += 1
        model = as_float(codes)
        samples = random_samples(graph, model, seed)
        worst = differences(graph, model, path, samples)
        if not all(value < 1e-5 for value in worst.values()):
            different.append((seed, worst))
    assert different == []
    assert read >= MODELS / 4  # so that it says something


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", [name for name in GRAPHS if name != "branches"])
def test_every_tensor_of_a_graph(name, seed, tmp_path):
    codes = GRAPHS[name](seed)
    path = tmp_path / "model.tflite"
    path.write_bytes(codes)
    graph = load_tflite_float(path)
    path.write_bytes(as_float(codes))
    assert [n.op for n in load_tflite_float(path).nodes] == [n.op for n in graph.nodes]
    model = path.read_bytes()
    worst = differences(graph, model, path, random_samples(graph, model, seed))
    assert len(worst) >= 3
    assert max(worst.values()) < 1e-5


PUBLISHED = {
    "ic": ("pretrainedResnet.tflite", "pretrainedResnet_quant.tflite"),
    "vww": ("vww_96_float.tflite", "vww_96_int8.tflite"),
    "ad": ("ad01_fp32.tflite", "ad01_int8.tflite"),
    "kws": ("kws_ref_model_float32.tflite", "kws_ref_model.tflite"),
}


def real_samples(name: str, count: int) -> np.ndarray:
    """Real inputs of a published model as real values, N x 1 x ..."""
    codes = np.load(folder(name) / "tests.npz")["inputs"][:count]
    quantized = read_tflite_file(folder(name) / PUBLISHED[name][1])
    samples = real_inputs(input_codes(quantized), {"inputs": codes})["inputs"]
    return samples.reshape(-1, *quantized.tensors[quantized.inputs[0]].shape)


@pytest.mark.parametrize("which", [0, 1], ids=["float", "int8"])
@pytest.mark.parametrize("name", PUBLISHED)
def test_every_tensor_of_a_published_model(name, which, tmp_path):
    """The float files as they are; kws and the INT8 files with float32 for their codes.

    LiteRT adds 640 products of ad one after another in float32, and is up to 1.1e-4 from
    the float64 result; ONNX Runtime is within 1e-5 of it.
    """
    path = folder(name) / PUBLISHED[name][which]
    graph = load_tflite_float(path)
    model = path.read_bytes()
    if which == 1 or name == "kws":
        model = as_float(model)
    worst = differences(graph, model, path, {graph.inputs[0]: real_samples(name, 5)})
    assert len(worst) >= 10
    assert max(worst.values()) < (2e-4 if name == "ad" else 1e-5)


def test_dynamic_range_kernels_are_near():
    """LiteRT's hybrid kernels also quantise activations; weft's reference does not."""
    path = folder("kws") / PUBLISHED["kws"][0]
    graph = load_tflite_float(path)
    samples = real_samples("kws", 7)
    (made,) = run(graph, {graph.inputs[0]: samples[:, 0]}, graph.outputs).values()
    interpreter = litert(path.read_bytes())
    expected = []
    for sample in samples:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], sample)
        interpreter.invoke()
        expected.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0])
    assert np.abs(made - np.array(expected)).max() < 0.02
    assert (made.argmax(1) == np.argmax(expected, 1)).all()
