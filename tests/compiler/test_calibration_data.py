"""Samples from .npz files that are small enough to be read whole."""

import numpy as np
import pytest

from weft.compiler.calibration_data import load_arrays
from weft.errors import InputError

EXPECTED = {"image": (1, 3, 4)}


def saved(tmp_path, **arrays):
    np.savez(tmp_path / "x.npz", **arrays)
    return tmp_path / "x.npz"


def test_samples_by_the_key_inputs_or_by_name(tmp_path):
    samples = np.arange(24, dtype=np.float64).reshape(2, 3, 4)
    for key in ("inputs", "image"):
        arrays = load_arrays(saved(tmp_path, **{key: samples}), EXPECTED)
        assert list(arrays) == ["image"]
        assert arrays["image"].dtype == np.float32
        np.testing.assert_array_equal(arrays["image"], samples)


def test_several_inputs_by_name(tmp_path):
    path = saved(tmp_path, a=np.zeros((2, 3)), b=np.ones((2, 5), np.int32))
    arrays = load_arrays(path, {"a": (1, 3), "b": ("N", 5)}, {"b": "int8"})
    assert (arrays["a"].dtype, arrays["b"].dtype) == (np.float32, np.int8)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": np.zeros((2, 3, 4))},
         r"has no array 'inputs' \(found: 'images'\); save it with numpy.savez\('x.npz', inputs="),
        ({"inputs": np.zeros((2, 4, 3))},
         "array 'inputs' has shape 2 x 4 x 3 where N x 3 x 4 was expected; reshape or crop"),
        ({"inputs": np.zeros((3, 4))},
         "has shape 3 x 4 where N x 3 x 4 was expected; add the axis of samples"),
        ({"inputs": np.zeros((0, 3, 4))}, "array 'inputs' has no samples; give at least one"),
        ({"inputs": np.full((1, 3, 4), np.nan)},
         r"holds nan at index \(0, 0, 0\), and 12 values in samples 0 to 0 are not finite"),
        ({"inputs": np.full((1, 3, 4), 1e300)}, "holds values beyond float32; scale the samples"),
        ({"inputs": np.full((1, 3, 4), "a")}, "array 'inputs' has dtype <U1; convert it to"),
        ({"inputs": np.full((1, 3, 4), 2**24 + 1)},
         "has dtype int64 and values that float32 does not hold exactly; convert it to float32"),
        ({"inputs": np.full((1, 3, 4), None)}, "damaged or holds Python objects, which are never"),
    ],
)  # fmt: skip
def test_bad_arrays_are_named(arrays, message, tmp_path):
    with pytest.raises(InputError, match=message):
        load_arrays(saved(tmp_path, **arrays), EXPECTED)


def test_codes_that_do_not_fit_int8_are_refused(tmp_path):
    path = saved(tmp_path, inputs=np.full((1, 2), 200))
    with pytest.raises(InputError) as error:
        load_arrays(path, {"x": (1, 2)}, {"x": "int8"})
    assert str(error.value) == (
        f"{path}: array 'inputs' has dtype int64 and values that int8 does not hold exactly; "
        "convert it to int8: codes = round(x / scale) + zero_point of real values x, with "
        "this input's own scale and zero point"
    )


@pytest.mark.parametrize(
    "array",
    [np.full((1, 2), 200, np.uint8), np.full((1, 2), 0.5, np.float32)],
    ids=["uint8", "float32"],
)
@pytest.mark.parametrize(
    ("meaning", "formula"),
    [
        ((np.float32(1 / 255), -128), "round(x / 0.003921569) - 128"),
        ((0.5, 7), "round(x / 0.5) + 7"),
    ],
    ids=["negative", "positive"],
)
def test_how_to_make_codes_of_real_values_is_said(array, meaning, formula, tmp_path):
    path = saved(tmp_path, inputs=array)
    with pytest.raises(InputError) as error:
        load_arrays(path, {"x": (1, 2)}, {"x": "int8"}, {"x": meaning})
    assert str(error.value) == (
        f"{path}: array 'inputs' has dtype {array.dtype} and values that int8 does not hold "
        f"exactly; convert it to int8: codes = {formula} of real values x"
    )


def test_different_numbers_of_samples_are_refused(tmp_path):
    path = saved(tmp_path, a=np.zeros((2, 3)), b=np.zeros((3, 3)))
    with pytest.raises(InputError, match=r"different numbers of samples \('a' has 2, 'b' has 3\)"):
        load_arrays(path, {"a": (1, 3), "b": (1, 3)})


def test_a_missing_input_of_several_is_named(tmp_path):
    path = saved(tmp_path, a=np.zeros((2, 3)), inputs=np.zeros((2, 3)))
    with pytest.raises(InputError, match="has no array 'b'"):
        load_arrays(path, {"a": (1, 3), "b": (1, 3)})


def test_bad_files_are_named(tmp_path):
    with pytest.raises(InputError, match=r"none.npz does not exist; give the path of an .npz file"):
        load_arrays(tmp_path / "none.npz", EXPECTED)
    good = saved(tmp_path, inputs=np.zeros((2, 3, 4))).read_bytes()
    for content in (b"", b"text", good[: len(good) // 2]):
        (tmp_path / "bad.npz").write_bytes(content)
        with pytest.raises(InputError, match=r"bad.npz is not a readable .npz file; save the"):
            load_arrays(tmp_path / "bad.npz", EXPECTED)
    np.save(tmp_path / "one.npy", np.zeros((2, 3, 4)))
    with pytest.raises(InputError, match=r"one.npy is a single array, not an .npz file"):
        load_arrays(tmp_path / "one.npy", EXPECTED)
    with pytest.raises(InputError, match="is not a readable"):
        load_arrays(tmp_path, EXPECTED)
