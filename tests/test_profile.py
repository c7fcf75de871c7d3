"""``weft profile``: estimated and simulated cycles side by side, and where they part."""

import json
import shutil

import numpy as np
import pytest

from weft.cli import main
from weft.compiler.program import Program


@pytest.fixture(scope="module")
def files(tmp_path_factory, digits_onnx):
    """The digits network for a small array, and two samples."""
    folder = tmp_path_factory.mktemp("files")
    random = np.random.default_rng(0)
    for name, count in (("calibration", 16), ("x", 1)):
        images = random.integers(0, 17, (count, 1, 8, 8)).astype(np.float32)
        np.savez(folder / f"{name}.npz", inputs=images)
    int8, data = folder / "int8.onnx", folder / "calibration.npz"
    assert main(["quantize", str(digits_onnx), "--data", str(data), "-o", str(int8)]) == 0
    assert main(["compile", str(int8), "--array", "4x4", "-o", str(folder / "out")]) == 0
    return folder


@pytest.fixture(scope="module")
def profiled(files):
    """What --json says and the plot, of Amaranth's simulator."""
    run = ["profile", str(files / "out"), "--inputs", str(files / "x.npz"), "--level", "rtl"]
    with pytest.MonkeyPatch.context() as patch:
        lines = []
        patch.setattr("click.echo", lambda text, **more: lines.append(text))
        assert main([*run, "--plot", str(files / "p.svg"), "--json"]) == 0
    return json.loads(lines[-1])


def failure(capsys, *arguments):
    capsys.readouterr()
    status = main(["profile", *map(str, arguments)])
    streams = capsys.readouterr()
    assert streams.out == ""
    return status, streams.err[streams.err.rindex("rror: ") + len("rror: ") :]


def test_json(files, profiled):
    summary = json.loads((files / "out" / "summary.json").read_text())
    assert profiled.keys() == {
        "folder", "level", "simulator", "samples", "sample", "equal", "estimated", "simulated",
        "multipliers", "utilization", "layers", "plot",
    }  # fmt: skip
    assert profiled["level"] == "rtl"
    assert profiled["simulator"] is None
    assert profiled["equal"] is True
    assert profiled["estimated"] == profiled["simulated"] == summary["cycles"]
    assert profiled["utilization"] == summary["macs"] / (16 * summary["cycles"])
    said = [(layer["name"], layer["cycles"]) for layer in summary["layers"]]
    for side in ("estimated", "simulated"):
        assert [(layer["name"], layer[side]) for layer in profiled["layers"]] == said
    for layer in profiled["layers"]:
        assert layer.keys() == {
            "name", "op", "macs", "estimated", "simulated", "equal", "utilization", "bound",
            "ideal",
        }  # fmt: skip
        assert layer["utilization"] == layer["macs"] / (16 * layer["simulated"])
        assert layer["ideal"][layer["bound"]] == max(layer["ideal"].values())


def test_plot(files, profiled):
    text = (files / "p.svg").read_text()
    assert profiled["plot"] == str(files / "p.svg")
    assert text.startswith("<?xml")
    assert text.count("<path") > 2 * len(profiled["layers"])


def test_a_wrong_estimate_is_shown(files, profiled, tmp_path, capsys, monkeypatch):
    """A program whose estimate was written for another core: status 1, the layer, the table."""
    monkeypatch.setenv("COLUMNS", "80")
    shutil.copytree(files / "out", tmp_path / "out")
    program = Program.load(tmp_path / "out")
    program.layers[1]["cycles"] += 7
    program.save(tmp_path / "out")
    run = ["profile", tmp_path / "out", "--inputs", files / "x.npz", "--level", "rtl",
           "--plot", tmp_path / "p.png"]  # fmt: skip
    capsys.readouterr()
    assert main([str(argument) for argument in run]) == 1
    out = capsys.readouterr().out
    assert max(len(line) for line in out.splitlines() if str(tmp_path) not in line) <= 80
    assert "differs" in out
    wrong = [line for line in out.splitlines() if " -7 " in line]
    assert len(wrong) == 1
    text = " ".join(out.split())
    assert f"in sample 0, 1 of {len(program.layers)} layers did not take the cycles" in text
    assert "compile the model again" in text
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.skipif(not shutil.which("iverilog"), reason="Icarus is not installed")
def test_the_folder_s_own_verilog(files, profiled, capsys):
    """In Icarus, which has nothing to compile for minutes; Verilator is the default."""
    run = ["profile", files / "out", "--inputs", files / "x.npz", "--simulator", "icarus", "--json"]
    capsys.readouterr()
    assert main([str(argument) for argument in run]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["level"], found["simulator"]) == ("verilog", "icarus")
    assert found["layers"] == profiled["layers"]


def test_messages(files, tmp_path, capsys):
    run = [files / "out", "--inputs", files / "x.npz"]
    assert failure(capsys, *run, "--plot", "p.pdf") == (
        2,
        "p.pdf is no .png or .svg file; give one with --plot\n",
    )
    nowhere = tmp_path / "no" / "p.png"
    assert failure(capsys, *run, "--plot", nowhere) == (
        2,
        f"there is no folder {nowhere.parent} for the plot; make it, or give another --plot\n",
    )
    status, message = failure(capsys, tmp_path / "none", *run[1:])
    assert status == 2
    assert message.startswith(f"there is no folder {tmp_path / 'none'}; make it with: weft compile")
    status, message = failure(capsys, *run, "--level", "golden")
    assert status == 2
    assert "'golden' is not one of 'rtl', 'verilog'" in message
    shutil.copytree(files / "out", tmp_path / "out")
    program = Program.load(tmp_path / "out")
    program.layers = program.layers[1:]
    program.save(tmp_path / "out")
    status, message = failure(capsys, tmp_path / "out", *run[1:])
    assert (status, message) == (
        2,
        "the program does not say which instructions belong to which node; "
        "compile the model again\n",
    )
