"""Programs on disk: they come back whole, and damage is one sentence."""

import copy
import io
import json
import shutil
import zipfile

import numpy as np
import pytest
from random_networks import OPERATORS, random_inputs, single_operator

from weft.compiler import program_file
from weft.compiler.compile import compile_network, fit
from weft.compiler.network_file import to_plain
from weft.compiler.program import Program
from weft.errors import InputError
from weft.hw.config import Config
from weft.sim import golden, interpreter


def compiled(operator="Conv2D", seed=0) -> Program:
    network = single_operator(np.random.default_rng(seed), operator, size=1500)
    return compile_network(network, fit(network, Config(rows=4, columns=6)))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("program")
    compiled().save(folder)
    return folder


@pytest.fixture
def folder(saved, tmp_path):
    """A copy to be damaged."""
    return shutil.copytree(saved, tmp_path / "p")


def damaged(folder) -> str:
    with pytest.raises(InputError) as caught:
        Program.load(folder)
    text = str(caught.value)
    assert str(folder) in text
    assert text.endswith(f"with `weft compile MODEL -o {folder}`")
    assert "\n" not in text
    return text


@pytest.mark.parametrize("operator", OPERATORS)
def test_round_trip(operator, tmp_path):
    program = compiled(operator)
    program.save(tmp_path / "new" / "folder")
    loaded = Program.load(tmp_path / "new" / "folder")
    assert loaded.config == program.config
    assert loaded.digest == program.digest
    assert loaded.placements == program.placements
    assert loaded.layers == program.layers
    assert list(loaded.images) == sorted(program.images)
    for space, image in program.images.items():
        np.testing.assert_array_equal(loaded.images[space], image)
    assert to_plain(loaded.network)[0] == to_plain(program.network)[0]
    inputs = random_inputs(np.random.default_rng(0), program.network, 2)
    for run in (golden.run, interpreter.run):
        expected, actual = run(program, inputs).outputs, run(loaded, inputs).outputs
        for name in program.core_outputs:
            np.testing.assert_array_equal(actual[name], expected[name])


@pytest.mark.parametrize("operator", ["Conv2D", "Table", "Concat"])
def test_the_same_program_gives_the_same_bytes(operator, tmp_path):
    for name in ("one", "other"):
        compiled(operator).save(tmp_path / name)
    for file in (program_file.DESCRIPTION, program_file.ARRAYS):
        one, other = ((tmp_path / name / file).read_bytes() for name in ("one", "other"))
        assert one == other


def test_saving_again_replaces(folder):
    other = compiled(seed=1)
    other.save(folder)
    assert Program.load(folder).digest == other.digest


def test_arrays_are_compressed(saved):
    with zipfile.ZipFile(saved / program_file.ARRAYS) as archive:
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_DEFLATED}


# Damage ----------------------------------------------------------------------------------


def test_no_program(tmp_path):
    assert damaged(tmp_path).startswith(f"{tmp_path} holds no compiled program; ")


def test_a_file_in_place_of_the_folder(tmp_path):
    (tmp_path / "f").write_text("")
    assert "holds no compiled program" in damaged(tmp_path / "f")


def test_another_format(folder):
    change(folder, lambda data: data.update(format=99))
    assert damaged(folder).startswith(
        f"{folder}: it was made by another version of weft (format 99, not 6); "
    )


def test_no_arrays(folder):
    (folder / program_file.ARRAYS).unlink()
    assert damaged(folder).startswith(f"the program in {folder} is damaged (")


def test_wrong_digest(folder):
    change(folder, lambda data: data.update(digest="0" * 16))
    assert "does not match its digest" in damaged(folder)


def test_another_configuration(folder):
    change(folder, lambda data: data["config"].update(tables=5))
    assert "does not match its digest" in damaged(folder)


def test_changed_weights(folder):
    arrays = read_arrays(folder)
    arrays["image_WEIGHT"].flat[0] ^= 1
    np.savez(folder / program_file.ARRAYS, **arrays)
    assert "does not match its digest" in damaged(folder)


def test_missing_image(folder):
    arrays = read_arrays(folder)
    del arrays["image_PARAMETER"]
    np.savez(folder / program_file.ARRAYS, **arrays)
    assert "does not match its digest" in damaged(folder)


def test_misplaced_tensor(folder):
    def move(data):
        for place in data["placements"].values():
            place["base"] += 1000

    change(folder, move)
    assert f"{folder}: the program is not valid: tensors" in damaged(folder)


@pytest.mark.parametrize("size", [0, 1, 100, -1, -100])
@pytest.mark.parametrize("name", [program_file.DESCRIPTION, program_file.ARRAYS])
def test_truncated(folder, name, size):
    content = (folder / name).read_bytes()
    end = len(content.rstrip()) + size if size < 0 else size
    (folder / name).write_bytes(content[:end])
    assert f"the program in {folder} is damaged (" in damaged(folder)


def test_pickled_array_is_not_loaded(folder):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("the file ran code",))

    arrays = read_arrays(folder)
    arrays["array0"] = np.array([Trap()], object)
    np.savez(folder / program_file.ARRAYS, **arrays)
    assert "is damaged" in damaged(folder)


def test_whole_pickle_is_not_loaded(folder):
    content = io.BytesIO()
    np.save(content, np.array([{}], object), allow_pickle=True)
    (folder / program_file.ARRAYS).write_bytes(content.getvalue())
    assert "is damaged" in damaged(folder)


def test_array_that_claims_to_be_huge(folder):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": (1 << 60,)}
    )
    with zipfile.ZipFile(folder / program_file.ARRAYS, "w") as archive:
        archive.writestr("image_WEIGHT.npy", header.getvalue())
    assert "is damaged" in damaged(folder)


def test_deeply_nested_description(folder):
    (folder / program_file.DESCRIPTION).write_text("[" * 100_000)
    assert "is damaged" in damaged(folder)


@pytest.mark.parametrize(
    "text", ["", "null", "[]", "3", '"x"', "{}", "\xff", "NaN", '{"format": 6}']
)
def test_not_a_description(folder, text):
    (folder / program_file.DESCRIPTION).write_bytes(text.encode("latin-1"))
    assert "is damaged" in damaged(folder)


def read_arrays(folder):
    with np.load(folder / program_file.ARRAYS) as data:
        return dict(data)


def change(folder, edit):
    path = folder / program_file.DESCRIPTION
    data = json.loads(path.read_text())
    edit(data)
    path.write_text(json.dumps(data))


def places(data):
    """Every (container, key) of JSON data."""
    keys = data.keys() if isinstance(data, dict) else range(len(data))
    for key in list(keys):
        yield data, key
        if isinstance(data[key], (dict, list)):
            yield from places(data[key])


HOSTILE = [None, True, -1, 0, 1 << 70, 1e308, float("nan"), "", "x" * 300, [], {}, [[]], "Network",
           {"class": "Softmax", "fields": {}}, {"array": "array0"}, {"tuple": [1]}]  # fmt: skip


@pytest.mark.parametrize("seed", range(0, 400, 40))
def test_hostile_descriptions(folder, seed):
    """A mutated description gives one sentence, or a program that is still valid."""
    path = folder / program_file.DESCRIPTION
    original = json.loads(path.read_text())
    for number in range(seed, seed + 40):
        rng = np.random.default_rng(number)
        data = copy.deepcopy(original)
        found = list(places(data))
        container, key = found[int(rng.integers(len(found)))]
        kind = rng.integers(4)
        if kind == 0:
            del container[key]
        elif kind == 1 and isinstance(container, list):
            container.append(container[key])
        elif kind == 2 and isinstance(container, dict):
            container[f"{key}_"] = container.pop(key)
        else:
            container[key] = HOSTILE[int(rng.integers(len(HOSTILE)))]
        path.write_text(json.dumps(data))
        try:
            loaded = Program.load(folder)
        except InputError as error:
            assert "\n" not in str(error)  # noqa: PT017
        else:
            assert loaded.digest == original["digest"]
            loaded.load_words()
            loaded.output_addresses()


@pytest.mark.parametrize("seed", range(0, 150, 30))
@pytest.mark.parametrize("name", [program_file.DESCRIPTION, program_file.ARRAYS])
def test_flipped_bits(folder, name, seed):
    content = (folder / name).read_bytes()
    digest = Program.load(folder).digest
    for number in range(seed, seed + 30):
        rng = np.random.default_rng(number)
        flipped = bytearray(content)
        for at in rng.integers(0, len(content), int(rng.integers(1, 4))):
            flipped[at] ^= 1 << int(rng.integers(8))
        (folder / name).write_bytes(flipped)
        try:
            loaded = Program.load(folder)
        except InputError as error:
            assert str(folder) in str(error)  # noqa: PT017
        else:
            assert loaded.digest == digest
