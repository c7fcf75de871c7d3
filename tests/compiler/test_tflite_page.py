"""docs/tflite.md names every operator that the reader knows."""

import re
from pathlib import Path

from weft.compiler import tflite_reader  # noqa: F401  # fills the table
from weft.compiler.tflite_operators import OPERATORS

PAGE = Path(__file__).parents[2] / "docs" / "tflite.md"


def test_every_operator_is_named():
    assert OPERATORS.keys() - set(re.findall(r"\w+", PAGE.read_text())) == set()
