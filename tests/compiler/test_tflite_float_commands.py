"""From a float or INT8 TFLite model and samples to QDQ ONNX, by the commands."""

from contextlib import nullcontext

import numpy as np
import onnx
import pytest
from published import folder
from tflite_floats import Floats
from tflite_graphs import Graph
from tflite_writer import activation

import weft
from weft.cli import main
from weft.compiler import tflite_file
from weft.compiler.onnx_reader import load_onnx
from weft.compiler.tflite_file import read_tflite_file
from weft.compiler.tflite_float_samples import input_codes, real_inputs
from weft.errors import InputError, RefusedError, UnsupportedError

FILES = {
    "ic": ("pretrainedResnet.tflite", "pretrainedResnet_quant.tflite"),
    "vww": ("vww_96_float.tflite", "vww_96_int8.tflite"),
}


def small(path):
    """A float classifier of images of 6 x 6 pixels."""
    w, rng = Floats(), np.random.default_rng(0)
    x = w.real(1, 6, 6, 2, name="image")
    y = w.conv(
        x, w.values(rng.normal(0, 0.3, (4, 3, 3, 2))), (1, 6, 6, 4),
        fusedActivationFunction=activation("RELU6"),
    )  # fmt: skip
    y = w.made("MEAN", [y, w.constant([1, 2])], 1, 4)
    y = w.made("FULLY_CONNECTED", [y, w.values(rng.normal(0, 1, (3, 4))), -1], 1, 3)
    last = w.real(1, 3, name="chances")
    w.operator("SOFTMAX", [y], [last], beta=1.0)
    path.write_bytes(w.finish([x], [last]))
    return path


def small_int8(path):
    g = Graph(0)
    x = g.codes((1, 5, 5, 3), 0.05)
    path.write_bytes(g.finish([x], [g.dense(g.conv(x, 4, (3, 3)), 3)]))
    return path


def save(path, samples):
    np.savez(path, inputs=samples)
    return path


def ports(path):
    graph = onnx.load(path).graph
    return [
        (v.name, [d.dim_value or d.dim_param for d in v.type.tensor_type.shape.dim])
        for v in (*graph.input, *graph.output)
    ]


def test_the_whole_way(tmp_path):
    model = small(tmp_path / "small.tflite")
    samples = np.random.default_rng(1).normal(0, 1, (20, 6, 6, 2)).astype(np.float32)
    data, q = save(tmp_path / "x.npz", samples), tmp_path / "q.onnx"
    assert weft.check(model).holds
    assert weft.quantize_model(model, data, q).samples == 20
    assert ports(q) == [("image", ["N", 6, 6, 2]), ("chances", ["N", 3])]
    weft.compile_model(q, tmp_path / "out", array=(4, 4))
    golden = weft.simulate(q, data, tmp_path / "golden.npz", level="golden")
    weft.simulate(tmp_path / "out", data, tmp_path / "program.npz", level="program")
    assert golden.holds
    expected = np.load(tmp_path / "golden.npz")["outputs"]
    assert expected.shape == (20, 3)
    assert np.array_equal(np.load(tmp_path / "program.npz")["outputs"], expected)


def test_samples_may_have_the_files_batch_axis(tmp_path):
    model = small(tmp_path / "small.tflite")
    samples = np.random.default_rng(1).normal(0, 1, (4, 6, 6, 2)).astype(np.float32)
    one, two = tmp_path / "one.onnx", tmp_path / "two.onnx"
    weft.quantize_model(model, save(tmp_path / "x.npz", samples), one)
    weft.quantize_model(model, save(tmp_path / "y.npz", samples[:, None]), two)
    assert one.read_bytes() == two.read_bytes()


@pytest.mark.parametrize("kind", ["npz", "mapping", "batches", "mappings", "folder"])
def test_int8_samples_are_codes_wherever_they_come_from(kind, tmp_path):
    model = small_int8(tmp_path / "model.tflite")
    codes = np.random.default_rng(2).integers(-128, 128, (6, 5, 5, 3)).astype(np.int8)
    meaning = input_codes(read_tflite_file(model))
    real = real_inputs(meaning, {"inputs": codes})["inputs"]

    def source(samples):
        if kind == "mapping":
            return {"inputs": samples}
        if kind == "batches":
            return iter([samples[:4], samples[4:]])
        if kind == "mappings":
            return iter([{"tensor0": samples[:4]}, {"tensor0": samples[4:]}])
        if kind == "npz":
            return save(tmp_path / "x.npz", samples)
        there = tmp_path / f"samples_{samples.dtype}"
        there.mkdir()
        for index, sample in enumerate(samples):
            np.save(there / f"{index}.npy", sample)
        return there

    one, two = tmp_path / "one.onnx", tmp_path / "two.onnx"
    weft.quantize_model(model, source(codes), one, scales="shift")
    weft.quantize_model(model, source(real), two, scales="shift")
    assert one.read_bytes() == two.read_bytes()
    assert load_onnx(one).inputs == ["tensor0"]


def test_a_folder_of_codes_and_real_values_is_refused(tmp_path):
    model = small_int8(tmp_path / "model.tflite")
    there = tmp_path / "samples"
    there.mkdir()
    np.save(there / "a.npy", np.ones((5, 5, 3), np.int8))
    np.save(there / "b.npy", np.ones((5, 5, 3), np.float32))
    with pytest.raises(InputError, match="arrays of int8, which are codes, and others"):
        weft.quantize_model(model, there, tmp_path / "q.onnx", scales="shift")


def test_an_int8_model_is_taken_back_only_when_asked(tmp_path):
    model = small_int8(tmp_path / "model.tflite")
    data = save(tmp_path / "x.npz", np.ones((2, 5, 5, 3), np.int8))
    with pytest.raises(RefusedError, match=r"compile it as it is: .*; or choose --scales shift"):
        weft.quantize_model(model, data, tmp_path / "q.onnx")
    arguments = ["quantize", str(model), "--data", str(data), "-o", str(tmp_path / "q.onnx")]
    assert main([*arguments, "--scales", "shift"]) == 0
    assert ports(tmp_path / "q.onnx")[0] == ("tensor0", ["N", 5, 5, 3])


@pytest.mark.parametrize("make", [small, small_int8])
@pytest.mark.parametrize("command", ["check", "compile", "quantize"])
def test_a_file_is_read_once(command, make, tmp_path, monkeypatch):
    model, data = make(tmp_path / "model.tflite"), tmp_path / "x.npz"
    shape = (2, 6, 6, 2) if make is small else (2, 5, 5, 3)
    save(data, np.random.default_rng(0).normal(0, 1, shape).astype(np.float32))
    read, plain = [], tflite_file.verify
    monkeypatch.setattr(tflite_file, "verify", lambda data: read.append(data) or plain(data))
    if command == "check":
        assert weft.check(model).holds
    elif command == "quantize":
        weft.quantize_model(model, data, tmp_path / "q.onnx", scales="shift")
    else:
        with nullcontext() if make is small_int8 else pytest.raises(RefusedError):
            weft.compile_model(model, tmp_path / "out", array=(4, 4))
    assert read == [model.read_bytes()]


def test_a_float_model_is_not_compiled(tmp_path):
    model = small(tmp_path / "small.tflite")
    with pytest.raises(RefusedError, match="is a float model without scales; quantize it first"):
        weft.compile_model(model, tmp_path / "out", array=(4, 4))


def test_samples_that_overflow_are_refused_with_the_files_name(tmp_path):
    w, model = Floats(), tmp_path / "small.tflite"
    x = w.real(1, 4)
    y = w.made("FULLY_CONNECTED", [x, w.values(np.full((2, 4), 10.0)), -1], 1, 2)
    model.write_bytes(w.finish([x], [y]))
    data = save(tmp_path / "x.npz", np.full((1, 4), 3e38, np.float32))
    with pytest.raises(InputError, match=r"small\.tflite: tensor .* becomes infinite or NaN"):
        weft.quantize_model(model, data, tmp_path / "q.onnx")


def test_check_names_what_is_in_the_way(tmp_path):
    w = Floats()
    x = w.real(1, 4)
    y = w.made("MUL", [x, x], 1, 4)
    z = w.made("SOFTMAX", [y], 1, 4, beta=2.0)
    path = tmp_path / "model.tflite"
    path.write_bytes(w.finish([x], [z]))
    checked = weft.check(path)
    assert [problem.op for problem in checked.problems] == ["MUL", "SOFTMAX"]
    data = save(tmp_path / "x.npz", np.ones((1, 4), np.float32))
    with pytest.raises(UnsupportedError, match=r"model\.tflite"):
        weft.quantize_model(path, data, tmp_path / "q.onnx")


@pytest.mark.parametrize("which", [0, 1], ids=["float", "int8"])
@pytest.mark.parametrize("scales", ["shift", "multiplier"])
@pytest.mark.parametrize("name", FILES)
def test_published_classifiers_keep_their_answers(name, scales, which, tmp_path):
    """Calibrated on the real inputs themselves: top-1 is that of the float model."""
    tests = np.load(folder(name) / "tests.npz")
    meaning = input_codes(read_tflite_file(folder(name) / FILES[name][1]))
    real = save(tmp_path / "real.npz", real_inputs(meaning, {"inputs": tests["inputs"]})["inputs"])
    data = folder(name) / "tests.npz" if which else real
    weft.quantize_model(folder(name) / FILES[name][which], data, tmp_path / "q.onnx", scales=scales)
    weft.simulate(tmp_path / "q.onnx", real, tmp_path / "y.npz", level="golden")
    made = np.load(tmp_path / "y.npz")["outputs"]
    expected = tests["outputs_float"].reshape(made.shape)
    assert np.array_equal(made.argmax(1), expected.argmax(1))
