"""Fixtures for all tests."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def digits_onnx() -> Path:
    """The float digits network."""
    return Path(__file__).parent.parent / "examples" / "digits" / "digits.onnx"
