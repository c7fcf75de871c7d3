"""Model and sample files that mean harm: refused in a sentence, or harmless.

Nothing that a file says makes weft read, write or run anything outside the model's folder and the
output's, take memory that the file does not justify, or put its own code into a page, Verilog or a
script.
"""

from __future__ import annotations

import io
import json
import os
import re
import struct
import zipfile
from html.parser import HTMLParser
from pathlib import Path
from unittest import mock

import numpy as np
import onnx
import pytest
from onnx_models import Model
from tflite_tiny import SCALE, file_of
from tflite_writer import ModelWriter

import weft
from weft.cli import main
from weft.compiler import calibration_data, onnx_reader
from weft.compiler.compile import problems_of
from weft.compiler.network import Network, Permute, Port, Tensor
from weft.compiler.onnx_reader import load_onnx
from weft.errors import InputError, RefusedError, UnsupportedError
from weft.validation.labels import load_labels

F = np.float32

#: Names that a file system, a shell, a page, Verilog, a terminal or a formula would act upon.
NAMES = {
    "parent": "../../escaped",
    "absolute": "/tmp/weft-escaped",
    "windows": "..\\..\\escaped",
    "script": "<script>alert(1)</script>",
    "attribute": "\"'><img src=x onerror=alert(1)>",
    "template": "{{ 7 * 7 }}{% raw %}",
    "verilog": "x\nendmodule\n`include \"/etc/passwd\"\nmodule y",
    "comment": "*/ initial $system(\"touch escaped\"); /*",
    "shell": "$(touch escaped)`touch escaped`; touch escaped",
    "terminal": "\x1b]0;title\x07\x1b[2J",
    "formula": "$\\frac{1}{$",
    "markup": "[/red][link=file:///etc/passwd]x",
    "null": "a\0b",
    "long": "n" * 5000,
    "right to left": "\u202egnp.exe",
}  # fmt: skip

hostile_names = pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)


def everything_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


# Names ----------------------------------------------------------------------------------


def named_onnx(name: str, path: Path) -> Path:
    """A convolution and a dense layer, in which everything has the same sort of name."""
    model = Model()
    value = model.node("Conv", model.input([1, 2, 4, 4], name + "-in"), model.weights(3, 2, 3, 3))
    value = model.node("Flatten", model.node("Relu", value))
    value = model.node("Gemm", value, model.weights(4, 12), transB=1)
    proto = model.output(value).proto()
    proto.graph.name = name
    text = {"t0": name + "-t0", value: name + "-out"}
    for index, node in enumerate(proto.graph.node):
        node.name = f"{name}-{index}"
        for side in (node.input, node.output):
            side[:] = [text.get(each, each) for each in side]
    proto.graph.output[0].name = name + "-out"
    path.write_bytes(proto.SerializeToString())
    return path


def named_tflite(name: str, path: Path) -> Path:
    writer = ModelWriter()
    given = writer.tensor((1, 4, 4, 2), SCALE, name=name + "-in")
    made = writer.tensor((1, 4, 4, 2), SCALE, name=name + "-out")
    writer.operator("ADD", [given, given], [made])
    writer.finish([given], [made])
    writer.model.description = name
    path.write_bytes(file_of(writer))
    return path


class Page(HTMLParser):
    """Tags of a page, and what in it would run or load."""

    def __init__(self, text: str):
        super().__init__()
        self.harm: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if (tag, dict(attrs)) == ("link", {"rel": "icon", "href": "data:,"}):
            return  # the page's own: no icon
        if tag in ("script", "img", "iframe", "object", "embed", "link", "base", "form"):
            self.harm.append(tag)
        for key, value in attrs:
            local = (value or "").startswith("#")
            if key.startswith("on") or (key in ("href", "src", "xlink:href") and not local):
                self.harm.append(f"{tag} {key}={value}")


@hostile_names
def test_names_of_onnx_from_quantize_to_verilog(name, tmp_path, monkeypatch):
    work = tmp_path / "deep" / "work"
    work.mkdir(parents=True)
    monkeypatch.chdir(work)
    model = named_onnx(name, work / "m.onnx")
    rng = np.random.default_rng(0)
    np.savez("x.npz", inputs=rng.normal(size=(4, 2, 4, 4)).astype(F))
    given = ["quantize", str(model), "--data", "x.npz", "-o", "q.onnx", "--report", "r.html"]
    assert main(given) == 0
    assert Page(Path("r.html").read_text()).harm == []
    weft.compile_model(Path("q.onnx"), Path("out"), array=(4, 4))
    weft.simulate(Path("out"), Path("x.npz"), Path("y.npz"), level="program")
    assert weft.verify(Path("out"), Path("x.npz"), level="program").holds
    with np.load("y.npz") as made:
        assert made.files == ["outputs"]
    files = {"deep", "deep/work"} | {f"deep/work/{path}" for path in everything_in(work)}
    assert everything_in(tmp_path) == files
    assert {path for path in everything_in(work) if "escaped" in path} == set()
    assert everything_in(work) == {"m.onnx", "q.onnx", "r.html", "x.npz", "y.npz", "out"} | {
        f"out/{file}" for file in everything_in(work / "out")
    }
    assert not Path("/tmp/weft-escaped").exists()
    check_written(work / "out", name)


@hostile_names
def test_names_of_tflite(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = named_tflite(name, tmp_path / "m.tflite")
    weft.compile_model(model, Path("out"), array=(4, 4))
    check_written(tmp_path / "out", name)
    assert everything_in(tmp_path) == {"m.tflite", "out"} | {
        f"out/{file}" for file in everything_in(tmp_path / "out")
    }


def check_written(folder: Path, name: str) -> None:
    """No name of the model is in the Verilog, and the files of a folder are always the same."""
    files = everything_in(folder)
    (model,) = files - {"weft_core.v", "summary.json", "program.json", "program.npz"}
    assert model in {"model.onnx", "model.tflite"}
    verilog = (folder / "weft_core.v").read_text()
    assert name not in verilog
    assert not re.search(r"`include|\$system|\$fopen|\$readmem", verilog)
    json.loads((folder / "summary.json").read_text())
    with zipfile.ZipFile(folder / "program.npz") as archive:
        assert all(re.fullmatch(r"\w+\.npy", entry) for entry in archive.namelist())


@hostile_names
def test_names_on_the_terminal(name, tmp_path, capsys):
    """What `weft check` and errors print has no line ends or commands out of a name."""
    model = Model()
    value = model.node("Relu", model.input([1, 4]), name=name, **{"a" + name: 1})
    value = model.node("Q" + name, value)
    path = model.output(value).save(tmp_path)
    assert main(["check", str(path)]) == 1
    printed = capsys.readouterr()
    assert all(line.isprintable() for line in printed.out.split("\n"))
    assert printed.err == ""
    assert main(["compile", str(path), "--array", "4x4", "-o", str(tmp_path / "out")]) == 1
    assert all(line.isprintable() for line in capsys.readouterr().err.split("\n"))


@pytest.mark.parametrize("name", ["../../out", "/tmp/weft-escaped", "a/b"])
def test_outputs_with_names_of_paths(name, tmp_path):
    """Several outputs are saved by their names: entries of the archive, never files."""
    model = Model()
    value = model.input([1, 4], "x")
    names = [model.node("Relu", value), model.node("Sigmoid", value)]
    proto = model.output(*names).proto()
    for node, output, new in zip(proto.graph.node, proto.graph.output, (name, "b"), strict=True):
        node.output[0] = output.name = new
    path = tmp_path / "m.onnx"
    path.write_bytes(proto.SerializeToString())
    samples, target = tmp_path / "x.npz", tmp_path / "y.npz"
    np.savez(samples, inputs=np.ones((2, 4), F))
    weft.quantize_model(path, samples, tmp_path / "q.onnx")
    weft.simulate(tmp_path / "q.onnx", samples, target, level="golden")
    assert everything_in(tmp_path) == {"m.onnx", "q.onnx", "x.npz", "y.npz"}
    with np.load(target) as made:
        assert set(made.files) == {name, "b"}


# Data outside of the file ----------------------------------------------------------------


def external(tensor: onnx.TensorProto, location: str) -> None:
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    del tensor.external_data[:]
    tensor.external_data.add(key="location", value=location)


def placed(place: str, location: str) -> onnx.ModelProto:
    """A model of which one tensor lies elsewhere; the outputs depend on few of them."""
    model = Model()
    value = model.node("Gemm", model.input([1, 4]), model.weights(3, 4), transB=1)
    proto = model.output(value).proto()
    if place == "initializer":
        external(proto.graph.initializer[0], location)
        return proto
    tensor = onnx.numpy_helper.from_array(np.ones((3, 4), F), "w")
    external(tensor, location)
    dead = onnx.helper.make_node("Constant", [], ["dead"], value=tensor)
    inner = onnx.helper.make_graph([dead], "inner", [], [onnx.ValueInfoProto(name="dead")])
    if place == "unused initializer":
        proto.graph.initializer.append(tensor)
    elif place == "unused Constant":
        proto.graph.node.append(dead)
    elif place == "subgraph":
        truth = onnx.numpy_helper.from_array(np.array(True), "truth")
        proto.graph.initializer.append(truth)
        proto.graph.node.append(
            onnx.helper.make_node("If", ["truth"], ["d"], then_branch=inner, else_branch=inner)
        )
    elif place == "function":
        opset = [onnx.helper.make_opsetid("", 17)]
        proto.functions.append(onnx.helper.make_function("own", "f", [], ["dead"], [dead], opset))
    elif place == "training":
        proto.training_info.add().initialization.CopyFrom(inner)
    elif place == "sparse":
        sparse = proto.graph.sparse_initializer.add(dims=[3, 4])
        sparse.values.CopyFrom(tensor)
    return proto


PLACES = ("initializer", "unused initializer", "unused Constant", "subgraph", "function",
          "training", "sparse")  # fmt: skip


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/passwd", "a/../../secret.bin",
                                      "..\\secret.bin", "link.bin", "linked/secret.bin", "",
                                      "loop"])  # fmt: skip
@pytest.mark.parametrize("place", PLACES)
def test_external_data_outside_the_folder(place, location, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret.bin").write_bytes(bytes(1000))
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    (folder / "linked").symlink_to(tmp_path)
    (folder / "loop").symlink_to(folder / "loop")
    path = folder / "m.onnx"
    path.write_bytes(placed(place, location).SerializeToString())
    with pytest.raises(InputError, match="outside the model's folder; put them beside the model"):
        weft.check(path)
    np.savez(tmp_path / "x.npz", inputs=np.ones((1, 4), F))
    with pytest.raises(InputError, match="outside the model's folder"):
        weft.quantize_model(path, tmp_path / "x.npz", tmp_path / "q.onnx")


def test_external_data_that_is_no_file(tmp_path):
    """A device or a pipe would never end."""
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for location in ("folder", "pipe"):
        path = tmp_path / "m.onnx"
        path.write_bytes(placed("initializer", location).SerializeToString())
        with pytest.raises(InputError, match=r"cannot be read|are truncated"):
            load_onnx(path)


def test_contents_of_tflite_outside_of_the_file(tmp_path):
    writer = ModelWriter()
    given, made = writer.tensor((1, 4), SCALE), writer.tensor((1, 4), SCALE)
    other = writer.constant(np.ones((1, 4)), "int8", scale=SCALE)
    writer.operator("ADD", [given, other], [made])
    writer.finish([given], [made])
    buffer = writer.model.buffers[writer.graph.tensors[other].buffer]
    buffer.data, buffer.offset, buffer.size = None, 16, 4
    path = tmp_path / "m.tflite"
    path.write_bytes(file_of(writer))
    with pytest.raises(RefusedError, match="contents outside of the model's tables"):
        weft.check(path)


# Sizes -----------------------------------------------------------------------------------


def test_huge_declared_shapes_of_onnx(tmp_path):
    """2^60 elements are a number in the file, and no memory is asked for."""
    model = Model()
    value = model.node("Relu", model.input([1, 1 << 30, 1 << 30]))
    with pytest.raises(UnsupportedError, match="more than"):
        load_onnx(model.output(value).save(tmp_path))
    model = Model()
    shape = model.node("Expand", F([1]), np.array([1 << 40]))
    value = model.node("Add", model.input([1, 4]), shape)
    with pytest.raises(UnsupportedError, match="its constant result would be too large"):
        load_onnx(model.output(value).save(tmp_path))


@pytest.mark.parametrize("op", ["Relu", "MaxPool", "Transpose"])
@pytest.mark.timeout(300)
def test_a_small_file_of_many_large_tensors(op, tmp_path):
    """A kilobyte took 3 GB: every tensor has an array of where its elements lie."""
    model, more = (
        Model(),
        {"MaxPool": {"kernel_shape": [1, 1]}, "Transpose": {"perm": [0, 1, 3, 2]}},
    )
    value = model.input([1, 16, 512, 512])
    for _ in range(12):
        value = model.node(op, value, **more.get(op, {}))
        value = model.node("Relu", value)
    with pytest.raises(UnsupportedError, match="the tensors up to here have more than 33554432"):
        load_onnx(model.output(value).save(tmp_path))


def test_many_inputs_that_are_better_laid_out_otherwise(tmp_path):
    """Each had the reading start again."""
    model, turned = Model(), []
    for _ in range(40):
        value = model.node("Reshape", model.input([1, 12]), np.array([1, 3, 2, 2]))
        turned.append(model.node("Conv", value, model.weights(2, 3, 1, 1)))
    with mock.patch.object(onnx_reader, "_Reader", wraps=onnx_reader._Reader) as reader:
        load_onnx(model.output(*turned).save(tmp_path))
    assert reader.call_count == 17


@pytest.mark.timeout(300)
def test_a_small_tflite_file_of_many_large_tensors(tmp_path):
    """Five kilobytes took 7 GB and two minutes."""
    writer, shape, turned = ModelWriter(), (1, 512, 512, 16), (1, 512, 16, 512)
    given = value = writer.tensor(shape, SCALE)
    for index in range(10):
        made = writer.tensor(shape if index % 2 else turned, SCALE)
        writer.operator("TRANSPOSE", [value, writer.constant([0, 1, 3, 2])], [made])
        value = made
    writer.finish([given], [value])
    path = tmp_path / "m.tflite"
    path.write_bytes(file_of(writer))
    problems = weft.check(path).problems
    assert "the tensors up to here have more than 33554432 elements" in problems[0].reason


@pytest.mark.parametrize("op", ["Slice", "Concat", "Pad"])
def test_moves_of_very_many_channels(op, tmp_path):
    """A kernel has a number for each pair of channels: that was 80 GB."""
    model = Model()
    value = model.input([1, 100_000])
    if op == "Slice":
        value = model.node("Slice", value, np.array([1]), np.array([99_999]), np.array([1]))
    elif op == "Concat":
        value = model.node("Concat", value, model.input([1, 99_999]), value, axis=1)
    else:
        value = model.node("Pad", value, np.array([0, 1, 0, 1]), F(0))
    (problem, *_) = weft.check(model.output(model.node("Relu", value)).save(tmp_path)).problems
    assert "it moves channels by a kernel of" in problem.reason


@pytest.mark.parametrize("shape", [(1, 300, 300, 1), (1, 2048, 2048, 2)])
def test_permutations_of_very_many_parts(shape, tmp_path):
    """Pixels in no order took a pass for each."""
    order = np.random.default_rng(0).permutation(np.prod(shape))
    tensors = {name: Tensor(name, shape[1:], 0.5, 0) for name in ("x", "y")}
    port = [Port(name, name, shape[1:], "int8") for name in ("x", "y")]
    network = Network("n", tensors, [Permute("p", ("x",), "y", order)], port[:1], port[1:])
    (problem,) = problems_of(network)
    assert re.match(r"it moves [\d,]+ elements in [\d,]+ parts, of 4,194,304 and", problem.reason)


def test_huge_declared_shapes_of_tflite(tmp_path):
    writer = ModelWriter()
    given, made = (writer.tensor((1, 1 << 30, 1, 1), SCALE) for _ in range(2))
    writer.operator("ADD", [given, given], [made])
    writer.finish([given], [made])
    path = tmp_path / "m.tflite"
    path.write_bytes(file_of(writer))
    (problem,) = weft.check(path).problems
    assert "is too large" in problem.reason


# Samples ---------------------------------------------------------------------------------


@pytest.fixture
def model(tmp_path) -> Path:
    small = Model()
    value = small.node("Gemm", small.input([1, 4]), small.weights(3, 4), transB=1)
    return small.output(value).save(tmp_path)


class Touch:
    """A pickle that makes a file when it is loaded."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def npy(shape: tuple[int, ...], data: bytes = b"", descr: str = "<f4") -> bytes:
    """An .npy file that says what it likes."""
    header = repr({"descr": descr, "fortran_order": False, "shape": shape}).encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


def archive(path: Path, entry: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("inputs.npy", entry)
    return path


def test_pickles_are_never_loaded(tmp_path, model):
    target = tmp_path / "touched"
    for name in ("x.npz", "x.npy"):
        path = tmp_path / name
        objects = np.array([Touch(target)], object)
        if name == "x.npz":
            np.savez(path, inputs=objects)
        else:
            np.save(path, objects)
        with pytest.raises(
            InputError, match=r"Python objects, which are never loaded|not an \.npz"
        ):
            weft.quantize_model(model, path, tmp_path / "q.onnx")
        with pytest.raises(InputError):
            calibration_data.load_arrays(path, {"x0": (1, 4)})
    (tmp_path / "raw.npz").write_bytes(b"cposix\nsystem\n(S'touch touched'\ntR.")
    with pytest.raises(InputError):
        calibration_data.load_arrays(tmp_path / "raw.npz", {"x0": (1, 4)})
    assert not target.exists()


@pytest.mark.parametrize("shape", [(1 << 40, 4), (1 << 62, 4), (1 << 20, 1 << 20), (-1, 4)])
@pytest.mark.parametrize("descr", ["<f4", "<U100000"])
def test_arrays_that_say_they_are_huge(shape, descr, tmp_path, model):
    path = archive(tmp_path / "x.npz", npy(shape, bytes(64), descr))
    with pytest.raises(InputError, match=r"x\.npz"):
        calibration_data.load_arrays(path, {"x0": (1, 4)})
    with pytest.raises(InputError, match=r"x\.npz"):
        weft.quantize_model(model, path, tmp_path / "q.onnx")
    labels = tmp_path / "y.npy"
    labels.write_bytes(npy(shape, bytes(64), descr))
    with pytest.raises(InputError, match=r"y\.npy"):
        load_labels(labels, path)


def test_zip_bomb(tmp_path, monkeypatch):
    """A few kilobytes that unpack to more than an array file may hold."""
    monkeypatch.setattr(calibration_data, "LARGEST", 1 << 20)
    data = np.zeros((1 << 18, 4), F)
    stream = io.BytesIO()
    np.save(stream, data)
    path = archive(tmp_path / "x.npz", stream.getvalue())
    assert path.stat().st_size < 10_000
    with pytest.raises(InputError, match=r"unpacks to .* bytes, .* at most; give fewer samples"):
        calibration_data.load_arrays(path, {"x0": (1, 4)})
    monkeypatch.setattr(calibration_data, "LARGEST", 8 << 20)
    assert len(calibration_data.load_arrays(path, {"x0": (1, 4)})["x0"]) == 1 << 18


def test_entries_with_names_of_paths(tmp_path):
    """An entry's name is a key, never a file."""
    path = tmp_path / "x.npz"
    stream = io.BytesIO()
    np.save(stream, np.ones((1, 4), F))
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("../../escaped.npy", stream.getvalue())
        file.writestr("inputs.npy", stream.getvalue())
    assert set(calibration_data.load_arrays(path, {"x0": (1, 4)})) == {"x0"}
    assert everything_in(tmp_path) == {"x.npz"}


def test_a_page_that_does_harm_is_seen():
    """The check of reports can fail."""
    for text in ("<script>1</script>", "<img src=x onerror=alert(1)>", "<p onclick=x>",
                 '<a href="https://example.org">x</a>', "<svg onload=x></svg>"):  # fmt: skip
        assert Page(text).harm
    assert Page('<p title="&lt;script&gt;"><a href="#t">&lt;script&gt;</a></p>').harm == []
