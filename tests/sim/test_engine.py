import json

import numpy as np
import pytest

from weft.sim.engine import Divergence, compare


def tensors(**values):
    return {name: np.array(x, np.int8).reshape(2, 1, 2, 2) for name, x in values.items()}


EXPECTED = tensors(a=range(8), b=range(8), c=range(8))


def test_equal():
    assert compare(EXPECTED, dict(reversed(EXPECTED.items()))) is None


def test_first_divergence_is_in_execution_order():
    actual = tensors(c=[1] * 8, b=[0, 1, 2, 3, 4, 5, -6, -7], a=range(8))
    found = compare(EXPECTED, actual, level="rtl")
    assert found == Divergence("rtl", "b", (1, 0, 1, 0), 6, -6)
    assert str(found) == (
        "rtl differs first in tensor 'b', sample 1, row 0, column 1, channel 0: -6 instead of 6"
    )


def test_json():
    found = Divergence("rtl", "b", (1, 0, 1, 0), 6, -6, 120)
    assert json.loads(json.dumps(found.to_json())) == {
        "level": "rtl", "tensor": "b", "index": [1, 0, 1, 0], "expected": 6, "actual": -6,
        "cycle": 120, "name": "b", "number": None, "against": None,
    }  # fmt: skip
    assert str(found).endswith("-6 instead of 6 in cycle 120")


def test_the_models_own_name():
    found = Divergence("golden", "b", (1, 0, 1, 0), 6, -6, None, "conv/Relu", 12, "layers.npz")
    assert str(found) == (
        "golden differs first from layers.npz in tensor 'conv/Relu' (number 12), sample 1, row 0, "
        "column 1, channel 0: -6 instead of 6"
    )
    plain = json.loads(json.dumps(found.to_json()))
    assert (plain["name"], plain["number"], plain["against"]) == ("conv/Relu", 12, "layers.npz")


def test_real_numbers():
    expected = {"a": np.array([[[[0.5]]]], np.float32)}
    found = compare(expected, {"a": np.array([[[[0.25]]]], np.float32)}, level="golden")
    assert str(found).endswith("channel 0: 0.25 instead of 0.5")


def test_only_tensors_of_both_sides_unless_named():
    actual = tensors(b=range(8))
    assert compare(EXPECTED, actual) is None
    with pytest.raises(ValueError, match="tensor 'a' is missing from the actual result"):
        compare(EXPECTED, actual, names=EXPECTED)


def test_nothing_to_compare():
    with pytest.raises(ValueError, match="no tensor in common"):
        compare(EXPECTED, {})


def test_shapes():
    with pytest.raises(ValueError, match=r"'a' has shape \(1,\), expected \(2, 1, 2, 2\)"):
        compare(EXPECTED, {"a": np.zeros(1, np.int8)})
