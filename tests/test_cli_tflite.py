"""The command line with `.tflite` models: what a user does, and what a user may do wrong."""

import json
import shutil

import numpy as np
import published
import pytest
from tflite_graphs import GRAPHS, Graph
from tflite_models import random_model

from weft.cli import main

#: Of the input of small.tflite.
SHAPE = (8, 6, 3)


def small() -> bytes:
    """A convolution, a dense layer and a softmax."""
    graph = Graph(0)
    x = graph.codes((1, *SHAPE))
    y = graph.dense(graph.conv(x, 8, (3, 3), 2), 5)
    return graph.finish([x], [graph.unary("SOFTMAX", y, beta=1.0)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory, digits_onnx):
    """Small models: whole graphs, single operators, some under the wrong name."""
    made = tmp_path_factory.mktemp("models")
    (made / "small.tflite").write_bytes(small())
    for name in ("branches", "floats"):
        (made / f"{name}.tflite").write_bytes(GRAPHS[name](0))
    for name, operator, seed in (("softmax", "SOFTMAX", 1), ("relu6", "RELU6", 0)):
        (made / f"{name}.tflite").write_bytes(random_model(operator, seed))
    shutil.copy(made / "small.tflite", made / "small.onnx")
    shutil.copy(made / "small.tflite", made / "small")
    (made / "cut.tflite").write_bytes((made / "small.tflite").read_bytes()[:999])
    (made / "empty.tflite").write_bytes(b"")
    (made / "folder.tflite").mkdir()
    shutil.copy(digits_onnx, made / "digits.tflite")
    shutil.copy(digits_onnx, made / "digits.onnx")
    return made


@pytest.fixture(scope="module")
def compiled(folder):
    """The same folder with small.tflite compiled in `out`, and samples of its shape."""
    np.savez(folder / "x.npz", inputs=samples())
    assert run(folder, "compile", "small.tflite", "--array", "4x4", "-o", "out") == 0
    return folder


def samples() -> np.ndarray:
    return np.random.default_rng(0).integers(-128, 128, (3, 1, *SHAPE)).astype(np.int8)


def run(folder, *arguments) -> int:
    """A command whose arguments that name files mean files of the folder."""
    return main(resolved(folder, arguments))


def resolved(folder, arguments):
    files = {".tflite", ".onnx", ".npz", ".npy"}
    names = {"out", "small", "other"}
    return [
        str(folder / a) if a in names or any(a.endswith(end) for end in files) else str(a)
        for a in map(str, arguments)
    ]


def run_json(capsys, folder, *arguments) -> tuple[int, dict]:
    capsys.readouterr()
    status = run(folder, *arguments, "--json")
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    return status, json.loads(out)


def failure(capsys, folder, *arguments) -> tuple[int, str]:
    capsys.readouterr()
    status = run(folder, *arguments)
    streams = capsys.readouterr()
    assert streams.out == ""
    assert "Traceback" not in streams.err
    assert "internal error" not in streams.err
    return status, streams.err[streams.err.rindex("rror: ") + len("rror: ") :]


# A published model, as a user has it ------------------------------------------------------


@pytest.fixture(scope="module")
def ic(tmp_path_factory):
    """The folder of the published model, and where it is compiled, by each rounding."""
    there, made = published.folder("ic"), tmp_path_factory.mktemp("ic")
    for rounding in ([], ["--rounding", "litert"]):
        target = made / "-".join(["out", *rounding[1:]])
        model = str(published.model_file("ic"))
        assert main(["compile", model, "--array", "8x8", *rounding, "-o", str(target)]) == 0
    return there, made


def test_compile_of_ic(ic, capsys):
    _, made = ic
    model = str(published.model_file("ic"))
    assert main(["compile", model, "--array", "8x8", "-o", str(made / "again"), "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary.pop("folder") == str(made / "again")
    assert summary == json.loads((made / "out" / "summary.json").read_text())
    assert (summary["rounding"], summary["macs"]) == ("double", 12_501_632)
    assert summary["model"]["file"] == "pretrainedResnet_quant.tflite"
    assert json.loads((made / "out-litert" / "summary.json").read_text())["rounding"] == "litert"


@pytest.mark.parametrize("rounding", published.REFERENCES)
@pytest.mark.parametrize("level", ["golden", "program"])
@pytest.mark.parametrize("kind", ["model", "compiled"])
def test_simulate_ic(kind, level, rounding, ic, capsys):
    there, made = ic
    chosen = [] if rounding == "double" else ["--rounding", rounding]
    source = [made / "-".join(["out", *chosen[1:]])]
    if kind == "model":
        source = [published.model_file("ic"), *chosen]
    status, result = run_json(
        capsys, made, "simulate", *source, "--inputs", there / "tests.npz",
        "--level", level, "-o", "y.npz",
    )  # fmt: skip
    assert (status, result["level"], result["macs"]) == (0, level, 12_501_632)
    assert result["cycles"] is None if level == "golden" else len(result["cycles"]) == 5
    wanted = np.load(there / "tests.npz")[f"outputs_{published.REFERENCES[rounding]}"]
    have = np.load(made / "y.npz")["outputs"]
    assert (have.shape, have.dtype) == ((5, 1, 10), np.int8)
    np.testing.assert_array_equal(have, wanted)


@pytest.mark.parametrize("rounding", published.REFERENCES)
def test_verify_ic(rounding, ic, capsys, tmp_path):
    there, made = ic
    source = made / ("out" if rounding == "double" else f"out-{rounding}")
    layers = there / f"layers_{published.REFERENCES[rounding]}.npz"
    status, result = run_json(
        capsys, tmp_path, "verify", source, "--inputs", there / "tests.npz",
        "--level", "program", "--reference", layers,
    )  # fmt: skip
    assert (status, result["equal"], result["samples"]) == (0, True, 5)
    assert result["levels"] == ["golden", "program"]
    assert result["references"] == [{"file": str(layers), "tensors": 17, "samples": 1}]


def test_verify_names_the_layer_that_is_not_the_references(ic, capsys, tmp_path):
    there, made = ic
    arrays = dict(np.load(there / "layers_tflm.npz"))
    key = sorted(arrays, key=int)[5]
    arrays[key].flat[0] ^= 1
    np.savez(tmp_path / "layers.npz", **arrays)
    status, result = run_json(
        capsys, tmp_path, "verify", made / "out", "--inputs", there / "tests.npz",
        "--level", "golden", "--reference", "layers.npz",
    )  # fmt: skip
    assert (status, result["equal"]) == (1, False)
    assert result["first_divergence"]["number"] == int(key)


# Right inputs, in other forms --------------------------------------------------------------


@pytest.mark.parametrize("name", ["small.onnx", "small"])
def test_a_tflite_model_under_another_name(name, compiled, capsys):
    """What it is says its contents, not its name."""
    folder = compiled
    assert run_json(capsys, folder, "check", name) == (0, {"runs": True, "problems": []})
    assert run(folder, "simulate", name, "--inputs", "x.npz", "-o", "y.npz") == 0
    wanted = np.load(folder / "y.npz")["outputs"]
    assert run(folder, "simulate", "small.tflite", "--inputs", "x.npz", "-o", "y.npz") == 0
    np.testing.assert_array_equal(np.load(folder / "y.npz")["outputs"], wanted)


@pytest.mark.parametrize(
    "form", [lambda x: x[:, 0], lambda x: x.astype(np.float32), lambda x: x.astype(np.int64)]
)
def test_codes_in_another_form(form, compiled):
    """Without the batch's axis, or in a type that holds the same codes."""
    folder = compiled
    np.savez(folder / "form.npz", inputs=form(samples()))
    assert run(folder, "simulate", "out", "--inputs", "form.npz", "-o", "form_y.npz") == 0
    assert run(folder, "simulate", "out", "--inputs", "x.npz", "-o", "y.npz") == 0
    made = [np.load(folder / name)["outputs"] for name in ("form_y.npz", "y.npz")]
    np.testing.assert_array_equal(*made)


def test_several_inputs_and_outputs_by_name(folder, tmp_path):
    shapes = {"tensor0": (2, 1, 6, 5, 8), "tensor1": (2, 1, 1, 1, 8)}
    np.savez(tmp_path / "x.npz", **{name: np.ones(shape) for name, shape in shapes.items()})
    x, y = tmp_path / "x.npz", tmp_path / "y.npz"
    assert run(folder, "simulate", "branches.tflite", "--inputs", x, "-o", y) == 0
    made = {name: array.shape for name, array in np.load(y).items()}
    assert made == {"tensor15": (2, 1, 5, 8, 6), "tensor16": (2, 1, 6, 5, 8), "tensor18": (2, 1, 7)}


def test_real_numbers_in_and_out(folder, tmp_path):
    np.savez(tmp_path / "x.npz", inputs=np.random.default_rng(0).normal(size=(2, 1, 60)))
    x, y = tmp_path / "x.npz", tmp_path / "y.npz"
    assert run(folder, "simulate", "floats.tflite", "--inputs", x, "-o", y) == 0
    assert {array.dtype for array in np.load(y).values()} == {np.dtype(np.float32)}


def test_a_model_that_leaves_nothing_to_the_array(folder, capsys, tmp_path):
    np.savez(tmp_path / "x.npz", inputs=np.zeros((1, 1, 4, 36), np.int8))
    x, y = tmp_path / "x.npz", tmp_path / "y.npz"
    assert run(folder, "simulate", "softmax.tflite", "--inputs", x, "-o", y) == 0
    status, text = failure(capsys, folder, "compile", "softmax.tflite", "--array", "4x4",
                           "-o", "other")  # fmt: skip
    assert status == 1
    assert "it computes nothing on the array" in text


def test_check_takes_a_rounding(folder, capsys):
    """RELU6 between two scales is LiteRT's alone."""
    status, result = run_json(capsys, folder, "check", "relu6.tflite")
    assert (status, result["problems"][0]["op"]) == (1, "RELU6")
    good = {"runs": True, "problems": []}
    assert run_json(capsys, folder, "check", "relu6.tflite", "--rounding", "litert") == (0, good)


def test_compile_says_whose_numbers_it_gives(folder, capsys):
    arguments = ("compile", "small.tflite", "--array", "4x4", "-o", "other")
    for rounding, words in (
        ("double", "double: rounded twice, as by TFLite Micro"),
        ("litert", "litert: rounded as by LiteRT's reference kernels"),
    ):
        assert run(folder, *arguments, "--rounding", rounding) == 0
        assert words in capsys.readouterr().out


# Wrong inputs -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda x: x.transpose(0, 1, 4, 2, 3),
            "has shape 3 x 1 x 3 x 8 x 6 where N x 1 x 8 x 6 x 3",
        ),
        (lambda x: x[0, 0, :, :, 0], "has shape 8 x 6 where"),
        (lambda x: x.astype(np.uint8), "has dtype uint8 and values that int8 does not hold"),
        (lambda x: x / 255, "has dtype float64 and values that int8 does not hold exactly"),
        (lambda x: x * np.nan, "holds nan at index"),
        (lambda x: x[:0], "has no samples"),
        (lambda x: x.astype("U8"), "has dtype <U8; convert it to int8"),
    ],
)
@pytest.mark.parametrize("source", ["out", "small.tflite"])
def test_unfit_samples(source, change, words, compiled, capsys):
    np.savez(compiled / "bad.npz", inputs=change(samples()))
    arguments = ("simulate", source, "--inputs", "bad.npz", "-o", "y.npz")
    status, text = failure(capsys, compiled, *arguments)
    assert status == 2
    assert words in text


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ("check missing.tflite", 2, "there is no file"),
        ("check empty.tflite", 2, "empty.tflite is empty"),
        ("check cut.tflite", 2, "cut.tflite is damaged"),
        ("check folder.tflite", 2, "is not a file"),
        ("check digits.tflite", 2, "is not a TensorFlow Lite model"),
        ("check digits.onnx --rounding double", 2, "digits.onnx is no TFLite model"),
        ("check small.tflite --board nosuch", 2, "no board 'nosuch'; the boards are"),
        ("compile small.tflite -o other", 2, "Give either --board BOARD or --array RxC."),
        ("compile small.tflite --array 8x8 --lanes 3 -o other", 2, "lanes must divide"),
        ("compile small.tflite --array 16x8 --window 6 -o other", 2, "window needs rows"),
        ("compile small.tflite --array 8x8 --multiplier-bits 40 -o other", 2, "40 is not in"),
        ("compile small.tflite --array 8x8 --rounding up -o other", 2, "'up' is not one of"),
        ("compile small.tflite --lanes 2 --board icebreaker -o other", 2, "give that too"),
        ("compile digits.onnx --array 8x8 --rounding litert -o other", 2, "leave --rounding out"),
        ("compile small.tflite --board icebreaker -o other", 1, "'requantizer': it only shifts"),
        ("compile relu6.tflite --array 8x8 -o other", 1, "TFLite Micro's RELU6 does not rescale"),
        ("simulate out --rounding litert --inputs x.npz -o y.npz", 2, "leave --rounding out"),
        ("simulate out --array 4x4 --inputs x.npz -o y.npz", 2, "leave --array out"),
        ("simulate small.tflite --inputs missing.npz -o y.npz", 2, "missing.npz does not exist"),
        ("simulate small.tflite --inputs cut.tflite -o y.npz", 2, "not a readable .npz file"),
        ("simulate floats.tflite --inputs x.npz -o y.npz", 2, "where N x 1 x 60 was expected"),
        ("simulate branches.tflite --inputs x.npz -o y.npz", 2, "has no array 'tensor0'"),
        ("simulate folder.tflite --inputs x.npz -o y.npz", 2, "holds no compiled program"),
        ("verify small.tflite --inputs x.npz", 2, "small.tflite is a file and no folder"),
        ("verify out --inputs x.npz --reference missing.npz", 2, "missing.npz does not exist"),
        ("verify out --inputs x.npz --reference x.npz", 2, "has no array for any tensor"),
        ("quantize small.tflite --data x.npz -o q.onnx", 1, "--scales shift to take it back"),
    ],
)
def test_wrong_use(arguments, status, words, compiled, capsys):
    found, text = failure(capsys, compiled, *arguments.split())
    assert words in " ".join(text.split())
    assert found == status
