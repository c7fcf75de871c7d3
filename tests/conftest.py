"""Fixtures for all tests."""

from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="session")
def digits_onnx() -> Path:
    """The float digits network."""
    return Path(__file__).parent.parent / "examples" / "digits" / "digits.onnx"


@pytest.fixture(scope="session")
def digits_network(digits_onnx, tmp_path_factory):
    """The digits network as the demo quantises it: calibrated on the images of its training."""
    # Imported when it is wanted: half of what a short run of pytest takes.
    from weft.commands.quantize import quantize_model  # noqa: PLC0415
    from weft.examples.digits.data import load_digits  # noqa: PLC0415
    from weft.models import read_network  # noqa: PLC0415

    folder = tmp_path_factory.mktemp("digits")
    data, model = folder / "data.npz", folder / "int8.onnx"
    np.savez(data, inputs=load_digits().train_images)
    quantize_model(digits_onnx, data, model)
    return read_network(model)


@pytest.fixture(scope="session")
def digits_samples(digits_network):
    """Three held-out images as the network's input, int8, by the tensor's name."""
    from weft.examples.digits.data import load_digits  # noqa: PLC0415 - as above

    tensor = digits_network.tensors[digits_network.inputs[0].tensor]
    codes = np.clip(np.rint(load_digits().test_images[:3] / tensor.scale), -128, 127)
    return {tensor.name: codes.astype(np.int8).reshape(3, *tensor.shape)}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What may take longest comes first, so that the others fill the time that is left."""
    items.sort(key=_patience, reverse=True)


def _patience(item: pytest.Item) -> float:
    """Seconds that a test may take; among equals the order stays."""
    marker = item.get_closest_marker("timeout")
    return float(marker.args[0] if marker else item.config.getini("timeout"))
