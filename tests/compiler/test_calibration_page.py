"""docs/calibration.md lists what there is."""

import re
from pathlib import Path

import numpy as np
import pytest

from weft.commands.quantize import quantize_model
from weft.compiler.calibrators import CALIBRATORS
from weft.compiler.fixed_point import FixedType, parse_type

PAGE = (Path(__file__).parents[2] / "docs" / "calibration.md").read_text()


def first_cells(heading: str) -> list[str]:
    section = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| (`[^|]*`) \|", section, re.MULTILINE)
    return [name for cell in cells for name in re.findall("`([^`]*)`", cell)]


def test_every_calibrator_with_its_default():
    rows = [cell.removesuffix(":P") for cell in first_cells("Calibrators")]
    assert rows == list(CALIBRATORS)
    for name, default in CALIBRATORS.items():
        (row,) = re.findall(rf"^\| `{name}(?::P)?` .*", PAGE, re.MULTILINE)
        assert re.findall(r"([\d.]+) where P is left out", row) == (
            [] if default is None else [f"{default:g}"]
        )


@pytest.mark.parametrize("text", ["Q4.3", "sfix8_En3", "2^-3", "scale 2^-3"])
def test_every_notation(text):
    assert f"`{text}`" in PAGE
    assert parse_type(text) == FixedType(3)


def test_every_key_of_a_tensor(digits_onnx, tmp_path):
    images = np.random.default_rng(0).integers(0, 17, (3, 1, 8, 8)).astype(np.float32)
    found = quantize_model(digits_onnx, [images], tmp_path / "q.onnx").to_json()
    keys = [*found["tensors"][0]]
    assert sorted(["name", *first_cells("What the table says")]) == sorted(keys)
