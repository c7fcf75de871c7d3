"""Published networks on simulated boards, as a user runs them: files in, files out."""

import json

import numpy as np
import published
import pytest

from weft.cli import main
from weft.examples.digits.data import load_digits
from weft.models import read_program

#: Each with the samples that it runs on.
SAMPLES = {"digits": 3, "kws": 2, "ic": 2, "ad": 3}

BOARDS = [
    ("icebreaker", "digits"),
    ("icebreaker", "kws"),
    ("ulx3s-85f", "ic"),
    ("ulx3s-85f", "kws"),
    ("ulx3s-85f", "ad"),
]


def done(*arguments):
    assert main([str(argument) for argument in arguments]) == 0


def shifting(model, samples, folder):
    """The same model with power-of-two scales."""
    data, made = folder / "data.npz", folder / "int8.onnx"
    np.savez(data, inputs=samples)
    done("quantize", model, "--data", data, "--scales", "shift", "-o", made)
    return made


@pytest.mark.slow
@pytest.mark.parametrize(("board", "name"), BOARDS)
def test_outputs_equal_golden(tmp_path, capsys, digits_onnx, board, name):
    if name == "digits":
        model, inputs = digits_onnx, load_digits().test_images
    else:
        model, inputs = published.model_file(name), published.arrays(name, "tests.npz")["inputs"]
    if board == "icebreaker":
        model = shifting(model, inputs, tmp_path)
    out, given, found = tmp_path / "out", tmp_path / "x.npz", tmp_path / "y.npz"
    wanted = tmp_path / "golden.npz"
    np.savez(given, inputs=inputs[: SAMPLES[name]])
    done("compile", model, "--board", board, "-o", out)
    done("simulate", out, "--inputs", given, "--level", "golden", "-o", wanted)
    capsys.readouterr()
    done("run", out, "--port", "sim", "--inputs", given, "-o", found, "--json")
    cycles = json.loads(capsys.readouterr().out)["cycles"]
    assert cycles == [sum(layer["cycles"] for layer in read_program(out).layers)] * SAMPLES[name]
    with np.load(found) as ran, np.load(wanted) as golden:
        np.testing.assert_array_equal(ran["outputs"], golden["outputs"])
