"""Names that lead to no model's bytes: the same sentence whatever the format."""

import os
from pathlib import Path

import pytest

from weft.compiler.onnx_reader import read_onnx
from weft.compiler.tflite_file import read_tflite_file
from weft.errors import InputError

#: By the ending: the reader, what it calls its files, and what to do about an empty one.
READERS = {
    "onnx": (read_onnx, "an .onnx file", "export the model again"),
    "tflite": (read_tflite_file, "a .tflite file", "copy it again, or convert the model again"),
}


@pytest.fixture(params=READERS)
def kind(request):
    return request.param


def failure(kind, path):
    with pytest.raises(InputError) as caught:
        READERS[kind][0](path)
    return str(caught.value)


def test_missing(kind, tmp_path):
    path = tmp_path / f"no.{kind}"
    assert failure(kind, path) == f"there is no file {path}; check the name of the model"


def test_folder(kind, tmp_path):
    assert failure(kind, tmp_path) == f"{tmp_path} is not a file; name {READERS[kind][1]}"


def test_empty(kind, tmp_path):
    path = tmp_path / f"model.{kind}"
    path.touch()
    assert failure(kind, path) == f"{path} is empty; {READERS[kind][2]}"


def test_name_with_a_null_character(kind):
    assert failure(kind, Path("a\0b")) == "there is no file a\0b; check the name of the model"


def test_name_that_is_too_long(kind):
    path = Path("a" * 5000)
    expected = f"{path} cannot be read (File name too long); check its name and permissions"
    assert failure(kind, path) == expected


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PermissionError(13, os.strerror(13)), "Permission denied"),
        (ValueError("embedded null byte"), "embedded null byte"),
    ],
    ids=["permission", "null"],
)
def test_unreadable(kind, error, reason, tmp_path, monkeypatch):
    def refuse(path):
        raise error

    path = tmp_path / f"model.{kind}"
    path.write_bytes(b"x")
    monkeypatch.setattr(Path, "read_bytes", refuse)
    expected = f"{path} cannot be read ({reason}); check its name and permissions"
    assert failure(kind, path) == expected


def test_too_large(kind, tmp_path):
    path = tmp_path / f"model.{kind}"
    path.touch()
    os.truncate(path, 2**31)  # takes no room on the disk
    assert failure(kind, path) == (
        f"{path} is too large (2147483648 bytes, of 2 GiB at most); "
        "no such network fits an FPGA, use a smaller one"
    )
