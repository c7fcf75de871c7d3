"""Files that are not what they should be: one sentence, never a traceback."""

import contextlib
import json
from dataclasses import asdict

import numpy as np
import onnx
import pytest
from onnx_evaluate import compare
from onnx_models import Model

from weft.compiler.onnx_reader import read_onnx
from weft.compiler.onnx_shapes import Shapes
from weft.errors import InputError


def small_model():
    """A bit of everything, so that mutations have something to hit."""
    model = Model(18)
    x = model.input(["N", 2, 6, 6])
    y = model.node("Conv", x, model.weights(4, 2, 3, 3), model.weights(4), pads=[1, 1, 1, 1])
    y = model.node("Clip", y, np.float32(0), np.float32(6))
    z = model.node("MaxPool", y, kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)
    z = model.node("Add", z, model.weights(4, 1, 1))
    z = model.node("Concat", z, z, axis=1)
    z = model.node("Pad", z, np.array([0, 0, 1, 0, 0, 0, 0, 1]))
    z = model.node("Slice", z, np.array([0]), np.array([3]), np.array([2]), np.array([2]))
    codes = model.node("QuantizeLinear", z, np.float32(0.5), np.array(0, np.int8))
    z = model.node("DequantizeLinear", codes, np.float32(0.5), np.array(0, np.int8))
    z = model.node("ReduceMean", z, np.array([2, 3]), keepdims=0)
    shape = model.node("Concat", model.node("Shape", z, end=1), np.array([-1]), axis=0)
    z = model.node("Gemm", model.node("Reshape", z, shape), model.weights(8, 3))
    return model.output(model.node("Softmax", z), y)


def failure(path):
    with pytest.raises(InputError) as caught:
        read_onnx(path)
    return str(caught.value)


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n" * 9, b"{}", b"import weft\n", b"\0" * 64])
def test_something_else(tmp_path, content):
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    assert failure(path).startswith(f"{path} is not an ONNX model")


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.9, 0.99])
def test_truncated(tmp_path, share):
    path = small_model().save(tmp_path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    assert "truncated" in failure(path) or "no graph" in failure(path)


def with_external_data(tmp_path):
    model = Model()
    y = model.node("Conv", model.input([1, 2, 6, 6]), model.weights(4, 2, 3, 3), model.weights(4))
    path = model.output(y).save(tmp_path)
    onnx.save(
        onnx.load(path), path, save_as_external_data=True, location="weights.bin", size_threshold=0,
        convert_attribute=True,
    )  # fmt: skip
    return path


def test_external_data(tmp_path):
    compare(with_external_data(tmp_path))


@pytest.mark.parametrize("location", ["../weights.bin", "/etc/passwd", "a/../../w", "", "..\\w"])
def test_external_data_outside_the_folder(tmp_path, location):
    path = with_external_data(tmp_path)
    model = onnx.load(path, load_external_data=False)
    for tensor in model.graph.initializer:
        next(entry for entry in tensor.external_data if entry.key == "location").value = location
    path.write_bytes(model.SerializeToString())
    assert "outside the model's folder; put them beside the model" in failure(path)


def test_external_data_behind_a_link(tmp_path):
    inside = tmp_path / "inside"
    inside.mkdir()
    path = with_external_data(inside)
    (inside / "weights.bin").rename(tmp_path / "weights.bin")
    (inside / "weights.bin").symlink_to(tmp_path / "weights.bin")
    assert "outside the model's folder" in failure(path)


def test_external_data_missing_or_truncated(tmp_path):
    path = with_external_data(tmp_path)
    data = tmp_path / "weights.bin"
    data.write_bytes(data.read_bytes()[:50])
    assert "are truncated in weights.bin" in failure(path)
    data.unlink()
    assert "put that file beside the model" in failure(path)


def test_data_that_do_not_fit_their_shape(tmp_path):
    model = small_model().proto()
    model.graph.initializer[0].dims[0] = 1000
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    assert failure(path) == (
        f"{path}: the data of tensor 'c0' do not fit its type and shape; export the model again"
    )


@pytest.fixture
def no_inference(request, monkeypatch):
    """Most damaged files go without the process that infers shapes: it takes a second."""
    if request.node.callspec.params["seed"] % 30:
        monkeypatch.setattr(Shapes, "_inferred", {})


def test_a_name_that_is_not_text(tmp_path):
    path = small_model().save(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"Softmax", b"Soft\xf8ax"))
    assert failure(path) == f"{path} is damaged: a name in it is not text; export the model again"


def read_anything(path):
    """Reading says what is wrong in its own words, or reads."""
    with contextlib.suppress(InputError):
        graph, problems = read_onnx(path)
        json.dumps([asdict(problem) for problem in problems])
        assert problems or graph.outputs


@pytest.mark.usefixtures("no_inference")
@pytest.mark.parametrize("seed", range(300))
def test_random_bytes(tmp_path, seed):
    random = np.random.default_rng(seed)
    path = small_model().save(tmp_path)
    data = np.frombuffer(path.read_bytes(), np.uint8).copy()
    for _ in range(random.integers(1, 6)):
        place = random.integers(len(data))
        choice = random.integers(3)
        if choice == 0:
            data[place] = random.integers(256)
        elif choice == 1:
            data[place] ^= 1 << random.integers(8)
        else:
            data = np.delete(data, slice(place, place + random.integers(1, 9)))
    path.write_bytes(data.tobytes())
    read_anything(path)


@pytest.mark.usefixtures("no_inference")
@pytest.mark.parametrize("seed", range(300))
def test_random_contents(tmp_path, seed):
    """Mutations that leave a protobuf, which reach deeper than random bytes."""
    random = np.random.default_rng(seed)
    model = small_model().proto()
    for _ in range(random.integers(1, 4)):
        mutate(model, random)
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    read_anything(path)


NUMBERS = [-(2**40), -7, -1, 0, 1, 2, 3, 5, 100, 2**31, 2**62]


def mutate(model, random):
    graph = model.graph
    node = graph.node[random.integers(len(graph.node))]
    tensor = graph.initializer[random.integers(len(graph.initializer))]
    number = NUMBERS[random.integers(len(NUMBERS))]
    names = [name for each in graph.node for name in (*each.input, *each.output)]
    choice = random.integers(11)
    if choice == 0:
        del node.input[random.integers(len(node.input)) :]
    elif choice == 1 and node.input:
        node.input[random.integers(len(node.input))] = names[random.integers(len(names))]
    elif choice == 2:
        node.op_type = graph.node[random.integers(len(graph.node))].op_type
    elif choice == 3 and node.attribute:
        attribute = node.attribute[random.integers(len(node.attribute))]
        attribute.i = number
        attribute.ints[:] = [number] * random.integers(5)
    elif choice == 4 and node.attribute:
        node.attribute[0].type = int(random.integers(15))
    elif choice == 5:
        tensor.dims[:] = [number] * random.integers(4)
    elif choice == 6:
        tensor.data_type = int(random.integers(25))
    elif choice == 7 and tensor.data_type == onnx.TensorProto.INT64:
        count = max(1, int(np.prod(tensor.dims)))
        tensor.raw_data = np.full(count, number, np.int64).tobytes()
    elif choice == 8:
        dims = graph.input[0].type.tensor_type.shape.dim
        dims[random.integers(len(dims))].dim_value = number
    elif choice == 9:
        node.output[0] = names[random.integers(len(names))]
    else:
        tensor.raw_data = b"\xff" * len(tensor.raw_data)
