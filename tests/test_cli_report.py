"""``--report`` and ``--bits`` on the command line."""

import json
import subprocess
import sys

import numpy as np
import pytest

from weft.cli import main


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "x.npz"
    images = np.random.default_rng(0).integers(0, 17, (40, 1, 8, 8)).astype(np.float32)
    np.savez(path, inputs=images)
    return path


def weft(*arguments) -> int:
    return main([str(argument) for argument in arguments])


def quantize(model, samples, folder, *more) -> int:
    return weft("quantize", model, "--data", samples, "-o", folder / "q.onnx", *more)


def test_reports_of_both_commands(digits_onnx, samples, tmp_path, capsys):
    report = tmp_path / "quantize.html"
    assert quantize(digits_onnx, samples, tmp_path, "--report", report, "--json") == 0
    streams = capsys.readouterr()
    json.loads(streams.out)
    assert f"report {report} (" in streams.err
    page = report.read_text()
    assert "<h2>Dynamic range of activations</h2>" in page
    assert "max_pool2d_1" in page

    report = tmp_path / "validate.html"
    command = ["validate", digits_onnx, tmp_path / "q.onnx", "--data", samples, "--no-choices"]
    assert weft(*command, "--report", report) == 0
    assert "<h2>Error, layer by layer</h2>" in report.read_text()


def test_a_report_of_what_does_not_hold(digits_onnx, samples, tmp_path):
    """Status 1 comes after the page that says why."""
    assert quantize(digits_onnx, samples, tmp_path, "--type", "logits=Q7.0") == 0
    report = tmp_path / "r.html"
    command = ["validate", digits_onnx, tmp_path / "q.onnx", "--data", samples, "--no-choices"]
    options = ["--metric", "mse", "--tolerance", "1e-9", "--report", report]
    assert weft(*command, *options) == 1
    assert "INT8 is worse than float by" in report.read_text()


def test_a_place_that_is_not_there_is_refused_before_the_work(
    digits_onnx, samples, tmp_path, capsys
):
    assert quantize(digits_onnx, samples, tmp_path, "--report", tmp_path / "no" / "r.html") == 2
    error = capsys.readouterr().err
    assert error == (
        f"error: there is no folder {tmp_path / 'no'} for the report; make it, or give another "
        "--report\n"
    )
    assert not (tmp_path / "q.onnx").exists()


def test_bits(digits_onnx, samples, tmp_path, capsys):
    assert quantize(digits_onnx, samples, tmp_path, "--bits") == 0
    printed = capsys.readouterr().out
    assert "bits of activations 2^4" in printed
    assert printed.index("bits of weights") < printed.index("q.onnx written")


def test_bits_are_in_the_json(digits_onnx, samples, tmp_path, capsys):
    assert quantize(digits_onnx, samples, tmp_path, "--bits", "--json") == 2
    assert "--json has the bits of every tensor; leave --bits out." in capsys.readouterr().err


def test_nothing_of_it_is_imported_before_it_is_needed():
    command = (
        "import sys, weft.cli, weft.commands.quantize, weft.commands.validate, "
        "weft.report.terminal; "
        "assert 'matplotlib' not in sys.modules and 'weft.report.page' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", command], check=True)
