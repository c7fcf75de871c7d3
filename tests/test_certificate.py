"""Certificates: what one says, that it can be done again, and what is wrong with a bad one."""

import json
import re

import numpy as np
import pytest

from weft.cli import main
from weft.commands.quantize import quantize_model
from weft.examples.digits.data import load_digits
from weft.models import BUILD


@pytest.fixture(scope="module")
def compiled(digits_onnx, tmp_path_factory):
    """The digits network in a folder of its own, and three images."""
    folder = tmp_path_factory.mktemp("certificate")
    images = load_digits()
    np.savez(folder / "data.npz", inputs=images.train_images)
    np.savez(folder / "x.npz", inputs=images.test_images[:3])
    quantize_model(digits_onnx, folder / "data.npz", folder / "int8.onnx")
    assert main(["compile", str(folder / "int8.onnx"), "--array", "4x4", "-o", str(folder)]) == 0
    (folder / "int8.onnx").unlink()
    return folder


def weft(capsys, *arguments):
    capsys.readouterr()
    status = main(["verify", *map(str, arguments)])
    seen = capsys.readouterr()
    return status, seen.out, re.sub(r"\s+", " ", seen.err)


@pytest.fixture
def certificate(compiled, capsys):
    path = compiled / "certificate.json"
    status, _, said = weft(
        capsys, compiled, "--inputs", compiled / "x.npz", "--level", "program",
        "--certificate", path,
    )  # fmt: skip
    assert status == 0, said
    return path


def test_a_certificate_is_done_again(certificate, tmp_path, capsys):
    status, out, _ = weft(capsys, "--replay", certificate, "-o", tmp_path / "again", "--json")
    assert status == 0
    found = json.loads(out)
    assert found["holds"]
    assert found["differing"] == []
    assert found["digests"] == found["certified"]
    assert set(found["digests"]) == {"model", "config", "program", "verilog", "outputs"}
    assert found["result"]["levels"] == ["golden", "program"]
    assert found["result"]["samples"] == 3
    # What is left behind is a folder like any other.
    status, out, _ = weft(
        capsys, tmp_path / "again", "--inputs", tmp_path / "again" / "certified_inputs.npz",
        "--level", "program",
    )  # fmt: skip
    assert status == 0


def test_two_certificates_are_the_same(certificate, compiled, capsys):
    first = certificate.read_bytes()
    weft(capsys, compiled, "--inputs", compiled / "x.npz", "--level", "program",
         "--certificate", certificate)  # fmt: skip
    assert certificate.read_bytes() == first


@pytest.mark.parametrize("name", ["config", "program", "verilog", "outputs"])
def test_another_digest(certificate, tmp_path, capsys, name):
    found = json.loads(certificate.read_text())
    found["digests"][name] = "0" * 64
    changed = tmp_path / "changed.json"
    changed.write_text(json.dumps(found))
    status, out, _ = weft(capsys, "--replay", changed)
    assert status == 1
    assert re.search(rf"{name} +[0-9a-f]{{16}} +differs", out)
    assert out.count("differs") == 1
    assert "all is as the certificate says" not in out


def test_another_result_and_other_tools(certificate, tmp_path, capsys):
    found = json.loads(certificate.read_text())
    found["result"]["samples"] = 4
    found["tools"]["numpy"] = "0.1"
    changed = tmp_path / "changed.json"
    changed.write_text(json.dumps(found))
    status, out, _ = weft(capsys, "--replay", changed)
    assert status == 1
    assert "the comparison ended otherwise than the certificate says" in out
    assert f"another numpy: 0.1 made the certificate, here it is {np.__version__}" in out


def test_other_inputs_are_damage(certificate, tmp_path, capsys):
    found = json.loads(certificate.read_text())
    content = found["files"]["inputs"]["content"]
    found["files"]["inputs"]["content"] = found["files"]["model"]["content"]
    changed = tmp_path / "changed.json"
    changed.write_text(json.dumps(found))
    assert weft(capsys, "--replay", changed)[::2] == (
        2, f"error: {changed}: what it has for 'inputs' is damaged; make the certificate again "
    )  # fmt: skip
    found["files"]["inputs"]["content"] = content[: len(content) // 2] + "*"
    changed.write_text(json.dumps(found))
    assert weft(capsys, "--replay", changed)[0] == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no certificate"),
        ("[]", "is no certificate"),
        ('{"equal": true}', "is no certificate"),
        ('{"certificate": 999}', "is a certificate of another version of weft"),
        ('{"certificate": 1}', "is a damaged certificate"),
        (None, "cannot be read (No such file or directory)"),
    ],
)
def test_no_certificate(tmp_path, capsys, text, said):
    path = tmp_path / "c.json"
    if text is not None:
        path.write_text(text)
    status, _, error = weft(capsys, "--replay", path)
    assert status == 2
    assert error.strip() == (
        f"error: {path} {said}; make it with: weft verify DIR --inputs X.npz --certificate C.json"
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("config", {"rows": "many"}),
        ("config", {"depth": 4}),
        ("model", {"file": "a.onnx", "rounding": "up"}),
        ("model", {"file": 3, "rounding": "shift"}),
        ("files", {}),
        ("model", {"file": "a.\0b", "rounding": "up"}),
        ("files", {"model": {"name": "a"}}),
        ("digests", []),
        ("level", "gates"),
        ("level", "routed"),
        ("build", {"baud": 9600, "seed": 1}),
        ("level", None),
        ("simulator", "none"),
        ("layers", "some"),
        ("board", "nothing"),
        ("board", 3),
        ("tools", 5),
    ],
)
def test_a_damaged_certificate(certificate, tmp_path, capsys, field, value):
    found = json.loads(certificate.read_text())
    found[field] = value
    changed = tmp_path / "changed.json"
    changed.write_text(json.dumps(found))
    status, _, error = weft(capsys, "--replay", changed)
    assert status == 2
    assert error.startswith(f"error: {changed}")


def test_the_model_is_gone(compiled, tmp_path, capsys):
    model = compiled / "model.onnx"
    kept = model.read_bytes()
    try:
        model.write_bytes(kept + b"x")
        status, _, error = weft(
            capsys, compiled, "--inputs", compiled / "x.npz", "--level", "golden",
            "--certificate", tmp_path / "c.json",
        )  # fmt: skip
    finally:
        model.write_bytes(kept)
    assert status == 2
    assert error.strip() == (
        f"error: {compiled} has not the model any more that it was compiled from; compile it "
        f"again with: weft compile MODEL -o {compiled}"
    )


def test_usage(compiled, certificate, tmp_path, capsys):
    assert "give a DIR and its --inputs X.npz, or --replay C.json" in weft(capsys)[2]
    assert weft(capsys, compiled)[0] == 2
    status, _, said = weft(capsys, compiled, "--replay", certificate)
    assert status == 2
    assert "--replay says it all; leave '[DIR]' out" in said
    status, _, said = weft(capsys, "--level", "golden", "--replay", certificate)
    assert status == 2
    assert "--replay says it all; leave '--level' out" in said
    status, _, said = weft(
        capsys, compiled, "--inputs", compiled / "x.npz", "--level", "golden",
        "--certificate", tmp_path / "no" / "c.json",
    )  # fmt: skip
    assert status == 2
    assert "(there is no folder" in said
    assert "give another path with --certificate" in said


def test_a_bitstream_made_of_another_build_s(compiled, monkeypatch, tmp_path):
    from weft.commands import certificate as module  # noqa: PLC0415
    from weft.errors import InputError  # noqa: PLC0415

    (tmp_path / BUILD).write_text(json.dumps({"patched": {"folder": "x"}}))
    monkeypatch.setattr(module, "read_build", lambda folder: None)
    with pytest.raises(InputError, match="was made out of another build's; to certify it"):
        module._of_build(tmp_path)


@pytest.mark.parametrize("role", ["reference/../x", "../x", "reference 1\0"])
def test_a_role_is_no_path(certificate, tmp_path, capsys, role):
    found = json.loads(certificate.read_text())
    found["files"][role] = found["files"]["inputs"]
    changed = tmp_path / "changed.json"
    changed.write_text(json.dumps(found))
    status, _, said = weft(capsys, "--replay", changed)
    assert status == 2
    assert said.startswith(f"error: {changed} is a damaged certificate; make it with: ")


def test_a_build_without_its_netlists(compiled, monkeypatch, tmp_path):
    """As an earlier weft left it."""
    from weft.commands import certificate as module  # noqa: PLC0415
    from weft.errors import InputError  # noqa: PLC0415

    (tmp_path / BUILD).write_text(json.dumps({"files": {"bitstream": "top.bin"}}))
    monkeypatch.setattr(module, "read_build", lambda folder: None)
    with pytest.raises(InputError, match="has not all files of its build; build it again with"):
        module._of_build(tmp_path)
