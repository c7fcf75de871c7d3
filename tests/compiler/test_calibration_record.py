"""What calibration saw, in the quantised file's metadata."""

import json

import onnx
import pytest
from onnx import helper

from weft.compiler.calibration_record import (
    KEY,
    CalibrationRecord,
    read_record,
    write_record,
)

RECORD = CalibrationRecord(7, "percentile:99.9", {"x": (-1.5, 2.0), "y": (0.0, 0.1)})


def saved(tmp_path, *entries):
    model = helper.make_model(helper.make_graph([], "g", [], []))
    for key, value in entries:
        model.metadata_props.append(onnx.StringStringEntryProto(key=key, value=value))
    onnx.save(model, tmp_path / "m.onnx")
    return tmp_path / "m.onnx"


def test_round_trip(tmp_path):
    model = helper.make_model(helper.make_graph([], "g", [], []))
    model.metadata_props.append(onnx.StringStringEntryProto(key="author", value="somebody"))
    write_record(model, RECORD)
    onnx.save(model, tmp_path / "m.onnx")
    assert read_record(tmp_path / "m.onnx") == RECORD


@pytest.mark.parametrize(
    "value",
    [
        "", "[]", "{}", '{"samples": 1}',
        json.dumps({"samples": 1, "calibrator": "mse", "ranges": {"x": [1]}}),
        json.dumps({"samples": 1, "calibrator": "mse", "ranges": {"x": [0, float("nan")]}}),
    ],
    ids=["empty", "list", "object", "partial", "one-end", "nan"],
)  # fmt: skip
def test_an_entry_of_another_kind_is_none(value, tmp_path):
    assert read_record(saved(tmp_path, (KEY, value))) is None


def test_no_entry(tmp_path):
    assert read_record(saved(tmp_path)) is None
    (tmp_path / "m.tflite").write_bytes(b"    TFL3")
    assert read_record(tmp_path / "m.tflite") is None
