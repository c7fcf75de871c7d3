"""Where samples come from: files, folders, images, arrays and iterables of batches."""

import sys
import tracemalloc

import numpy as np
import pytest

from weft.compiler.calibration_images import parse_pixels
from weft.compiler.calibration_samples import open_samples
from weft.compiler.float_run import BATCH
from weft.errors import InputError

IMAGE = {"image": (1, 3, 4)}
TWO = {"a": (1, 3), "b": (1, 5)}
MANY = 2 * BATCH + 6


def samples(count=MANY, shape=(3, 4), seed=0):
    return np.random.default_rng(seed).normal(0, 1, (count, *shape)).astype(np.float32)


def read(source, expected=IMAGE, pixels=None):
    """All samples of a source by input name; batches must be small."""
    opened = open_samples(source, expected, pixels)
    batches = list(opened.batches)
    assert max(len(array) for batch in batches for array in batch.values()) <= BATCH
    whole = {name: np.concatenate([batch[name] for batch in batches]) for name in expected}
    assert opened.total in (0, len(next(iter(whole.values()))))
    return whole


def as_npz(folder, array):
    np.savez(folder / "x.npz", inputs=array)
    return folder / "x.npz"


def as_compressed(folder, array):
    np.savez_compressed(folder / "x.npz", image=array, other=np.zeros(3))
    return folder / "x.npz"


def as_npy(folder, array):
    np.save(folder / "x.npy", array)
    return str(folder / "x.npy")


def as_fortran(folder, array):
    np.save(folder / "x.npy", np.asfortranarray(array))
    return folder / "x.npy"


def as_doubles(folder, array):
    return as_npz(folder, array.astype(np.float64))


def as_folder_of_batches(folder, array):
    np.save(folder / "2.npy", array[:9])
    np.savez(folder / "10.npz", inputs=array[9:])
    (folder / "notes.txt").write_text("")
    return folder


def as_folder_of_samples(folder, array):
    for i, sample in enumerate(array):
        np.save(folder / f"{i}.npy", sample)
    return folder


def as_arrays(_, array):
    return {"image": array}


def as_inputs(_, array):
    return {"inputs": array.tolist()}


def as_batches(_, array):
    return [array[:40], array[40], {"image": array[41:]}]


def as_generator(_, array):
    return (array[i : i + 7] for i in range(0, len(array), 7))


@pytest.mark.parametrize(
    "form",
    [
        as_npz, as_compressed, as_npy, as_fortran, as_doubles, as_folder_of_batches,
        as_folder_of_samples, as_arrays, as_inputs, as_batches, as_generator,
    ],
)  # fmt: skip
def test_every_form_gives_the_same_samples(form, tmp_path):
    array = samples()
    found = read(form(tmp_path, array))["image"]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, array)


def test_the_number_of_samples_is_known_but_for_iterables(tmp_path):
    array = samples()
    totals = {
        form.__name__: open_samples(form(tmp_path, array), IMAGE).total
        for form in (as_npz, as_npy, as_arrays, as_generator)
    }
    assert totals == {"as_npz": MANY, "as_npy": MANY, "as_arrays": MANY, "as_generator": 0}


@pytest.mark.parametrize("folder", [False, True])
def test_several_inputs(folder, tmp_path):
    arrays = {"a": samples(40, (3,)), "b": samples(40, (5,), 1)}
    np.savez(tmp_path / "x.npz", **arrays)
    sources = [tmp_path if folder else tmp_path / "x.npz", arrays, iter([arrays])]
    for source in sources:
        found = read(source, TWO)
        for name, array in arrays.items():
            np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize("form", [as_npz, as_compressed, as_npy])
def test_files_are_not_read_whole(form, tmp_path):
    array = samples(20_000)
    opened = open_samples(form(tmp_path, array), IMAGE)
    tracemalloc.start()
    total = sum(float(batch["image"].sum()) for batch in opened.batches)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == pytest.approx(float(array.sum(dtype=np.float64)), abs=0.1)
    assert peak < array.nbytes / 2


# Images -------------------------------------------------------------------------------


def images(folder, mode, count=3, suffix=".png", size=(5, 4)):
    """Save random images; their bytes (N, H, W, channels)."""
    image_module = pytest.importorskip("PIL.Image")
    channels = len(image_module.new(mode, (1, 1)).getbands())
    made = np.random.default_rng(0).integers(0, 256, (count, size[1], size[0], channels), np.uint8)
    for i, values in enumerate(made):
        image_module.fromarray(values.squeeze()).save(folder / f"{i}{suffix}")
    return made


@pytest.mark.parametrize(
    ("shape", "mode", "view"),
    [
        ((3, 4, 5), "RGB", lambda x: x.transpose(0, 3, 1, 2)),
        ((4, 5, 3), "RGB", lambda x: x),
        ((1, 4, 5), "L", lambda x: x.transpose(0, 3, 1, 2)),
        ((4, 5, 1), "L", lambda x: x),
        ((4, 5), "L", lambda x: x[..., 0]),
        ((3, 4, 5), "RGBA", lambda x: x[..., :3].transpose(0, 3, 1, 2)),
        ((3, 4, 5), "L", lambda x: np.repeat(x, 3, axis=3).transpose(0, 3, 1, 2)),
    ],
)
def test_images_in_the_models_own_layout(shape, mode, view, tmp_path):
    made = images(tmp_path, mode, count=BATCH + 2)
    found = read(tmp_path, {"x": (1, *shape)}, parse_pixels("-1..1"))["x"]
    # 10.png comes after 9.png.
    np.testing.assert_allclose(found, view(made) / 127.5 - 1, atol=1e-6)


def test_a_range_of_pixels_per_channel(tmp_path):
    made = images(tmp_path, "RGB")
    pixels = parse_pixels("0..1,-1..1,0..255")
    found = read(tmp_path, {"x": (1, 4, 5, 3)}, pixels)["x"]
    low, high = np.array([0, -1, 0]), np.array([1, 1, 255])
    np.testing.assert_allclose(found, low + made / 255 * (high - low), atol=1e-4)


def test_jpeg(tmp_path):
    made = images(tmp_path, "L", suffix=".JPG")
    found = read(tmp_path, {"x": (1, 1, 4, 5)}, parse_pixels("0..255"))["x"]
    assert found.shape == (len(made), 1, 4, 5)


@pytest.mark.parametrize(
    ("shape", "pixels", "message"),
    [
        ((3, 4, 5), None, "has images; say what their pixels mean to the model, by the values of"),
        ((3, 5, 4), "0..1", "0.png has 5 x 4 pixels where the model takes 4 x 5; resize the imag"),
        ((2, 4, 5), "0..1", "images are no samples of shape 2 x 4 x 5; give arrays in .npy or .n"),
        ((3, 4, 5), "0..1,0..1", "2 ranges of pixels were given for 3 channels; give one for all"),
    ],
)
def test_images_that_do_not_fit(shape, pixels, message, tmp_path):
    images(tmp_path, "RGB")
    with pytest.raises(InputError, match=message):
        read(tmp_path, {"x": (1, *shape)}, pixels and parse_pixels(pixels))


def test_bad_images(tmp_path):
    image_module = pytest.importorskip("PIL.Image")
    image_module.fromarray(np.zeros((4, 5), np.uint16)).save(tmp_path / "1.png")
    shapes, pixels = {"x": (1, 1, 4, 5)}, parse_pixels("0..1")
    with pytest.raises(InputError, match=r"1.png has pixels of mode I;16; convert it to 8 bits"):
        read(tmp_path, shapes, pixels)
    (tmp_path / "1.png").write_bytes(b"text")
    with pytest.raises(InputError, match=r"1.png is not a readable image .*; replace it"):
        read(tmp_path, shapes, pixels)


def test_without_pillow(tmp_path, monkeypatch):
    (tmp_path / "1.png").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(InputError, match=r"which is not installed: pip install 'weft\[images\]'"):
        read(tmp_path, {"x": (1, 1, 4, 5)}, parse_pixels("0..1"))


@pytest.mark.parametrize("text", ["", "1", "0..0", "0..1..2", "0..inf", "a..b", "0..1,"])
def test_pixels_that_say_nothing(text):
    with pytest.raises(InputError, match="does not say what pixels mean; write the values of"):
        parse_pixels(text)


# Refusals -----------------------------------------------------------------------------


def test_bad_values_are_named_by_their_place_in_the_file(tmp_path):
    array = samples()
    array[40, 1, 2] = np.inf
    for source in (as_npz(tmp_path, array), as_npy(tmp_path, array), {"inputs": array}):
        with pytest.raises(InputError, match=r"holds inf at index \(40, 1, 2\), and 1 values in"):
            read(source)


@pytest.mark.parametrize(
    ("source", "expected", "message"),
    [
        (3, IMAGE, "samples cannot be read from int; give a path, arrays by input name, or an"),
        ([], IMAGE, "there are no samples: the iterable of batches is empty"),
        ([(samples(2), np.zeros(2))], IMAGE, "batch 0 is of type tuple; give arrays, or mappings"),
        ([samples(2, (3,))], TWO, "batch 0 is of type ndarray; give arrays, or .* without labels"),
        ([samples(2), samples(2, (4, 3))], IMAGE, "batch 1: array 'inputs' has shape 2 x 4 x 3"),
        ([{"b": samples(2)}], IMAGE, r"batch 0 has no array 'inputs' \(found: 'b'\)"),
        (
            [{"image": [[1, 2], [3]]}],
            IMAGE,
            "batch 0: 'image' is of type list, which makes no array",
        ),
        ({"image": samples(2, (3, 5))}, IMAGE, "array 'image' has shape 2 x 3 x 5 where N x 3 x 4"),
        ({"a": np.zeros((2, 3)), "b": np.zeros((3, 5))}, TWO, "different numbers of samples"),
        ([{"a": np.zeros((2, 3)), "b": np.zeros((3, 5))}], TWO, "batch 0: .* different numbers"),
    ],
)
def test_bad_arrays(source, expected, message):
    with pytest.raises(InputError, match=message):
        read(source, expected)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "has no .npy, .npz, .png or .jpg file; give a folder of one kind of samples"),
        ({"a.npy": samples(2), "b.png": b""}, "has both images and arrays; give a folder of one"),
        ({"a.npy": b"text"}, "a.npy is not a readable .npz or .npy file; save the samples with"),
        ({"a.npy": np.zeros((3, 5))}, "a.npy has shape 3 x 5 where N x 3 x 4 was expected"),
        ({"a.npy": np.full((2, 3, 4), "a")}, "a.npy has dtype <U1; convert it to float32"),
        ({"a.npy": np.full((2, 3, 4), None)}, "a.npy holds Python objects, which are never loaded"),
        (
            {"a.npy": samples(2), "b.npy": np.zeros((0, 3, 4))},
            "b.npy has no samples; give at least",
        ),
    ],
)
def test_bad_folders(files, message, tmp_path):
    for name, content in files.items():
        if isinstance(content, bytes):
            (tmp_path / name).write_bytes(content)
        else:
            np.save(tmp_path / name, content, allow_pickle=True)
    with pytest.raises(InputError, match=message):
        read(tmp_path)


def test_files_that_end_early(tmp_path):
    for form in (as_npy, as_npz):
        path = tmp_path / form(tmp_path, samples()).__str__().rpartition("/")[2]
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
        with pytest.raises(InputError, match=r"x.np[yz] is (damaged; save|not a readable)"):
            read(path)


def test_what_fits_no_file(tmp_path):
    with pytest.raises(InputError, match="is a single array, and the model has inputs a, b; save"):
        read(as_npy(tmp_path, samples()), TWO)
    with pytest.raises(InputError, match=r"none.npz does not exist; give the path of an .npz file"):
        read(tmp_path / "none.npz")
    with pytest.raises(InputError, match=r"has no images .*, so what pixels mean says nothing"):
        read(as_npy(tmp_path, samples()), IMAGE, parse_pixels("0..1"))
