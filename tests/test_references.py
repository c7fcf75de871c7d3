"""Reference tensors: which keys and shapes are taken, and what is said of the others."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from weft.commands.references import compare_reference, read_reference
from weft.commands.verify import verify
from weft.compiler.compile import compile_network, fit
from weft.compiler.edges import encode_inputs
from weft.compiler.network import Network, Port, Softmax, Table, Tensor
from weft.compiler.tflite_reader import read_tflite
from weft.errors import InputError
from weft.hw.config import Config
from weft.sim import golden

#: Channels first in the file, channels last in memory.
ORDER = np.arange(12).reshape(2, 2, 3).transpose(2, 0, 1).reshape(-1)


def network(named=True):
    tensors = {
        "x": Tensor("x", (2, 2, 3), 0.5, 3),
        "h": Tensor("h", (2, 2, 3), 0.25, -3),
        "y": Tensor("y", (2, 2, 3), 1 / 256, -128),
    }
    flip = np.arange(-128, 128, dtype=np.int8)[::-1]
    nodes = [Table("t", ("x",), "h", flip), Softmax("s", ("h",), "y")]
    made = Network("n", tensors, nodes, [Port("in", "x", (3, 2, 2), "int8", ORDER, 0)],
                   [Port("probabilities", "y", (3, 2, 2), "float32", ORDER, 9)])  # fmt: skip
    if named:
        made.activations = [
            Port("in", "x", (3, 2, 2), "int8", ORDER, 0),
            Port("model/flip", "h", (3, 2, 2), "int8", ORDER, 4),
            Port("model/flat", "h", (12,), "int8", None, 5),
            Port("model/softmax", "y", (3, 2, 2), "int8", ORDER, 8),
        ]
    return made


def run(samples=3):
    x = np.random.default_rng(0).integers(-128, 128, (samples, 3, 2, 2)).astype(np.int8)
    tensors = golden.run_network(network(), encode_inputs(network(), {"in": x}), keep=True)
    return x, tensors


def in_file(codes):
    return codes.transpose(0, 3, 1, 2)


def saved(folder, arrays):
    np.savez(folder / "r.npz", **arrays)
    return folder / "r.npz"


def found(folder, arrays, samples=3, named=True):
    made = network(named)
    reference = read_reference(saved(folder, arrays), made)
    return compare_reference(made, reference, run(samples)[1])


def test_equal_by_name_number_and_outputs(tmp_path):
    x, tensors = run()
    real = (in_file(tensors["y"]).astype(np.float32) + 128) / 256
    arrays = {
        "in": x, "4": in_file(tensors["h"]), "model/flat": tensors["h"].reshape(3, 12),
        "8": in_file(tensors["y"]), "9": real, "outputs": real, "0": x.astype(np.int64),
    }  # fmt: skip
    reference = read_reference(saved(tmp_path, arrays), network())
    assert (len(reference.tensors), reference.samples, reference.unknown) == (7, 3, ())
    assert compare_reference(network(), reference, tensors) is None


@pytest.mark.parametrize("change", [lambda a: a[0], lambda a: a[:1], lambda a: a[:2, None]])
@pytest.mark.parametrize("samples", [1, 2, 3])
def test_samples_with_and_without_their_axis(change, samples, tmp_path):
    _, tensors = run()
    assert found(tmp_path, {"4": change(in_file(tensors["h"]))}, samples) is None
    # A batch in the file's own shape as well.
    made = network()
    made.activations[1] = replace(made.activations[1], shape=(1, 3, 2, 2))
    reference = read_reference(tmp_path / "r.npz", made)
    assert compare_reference(made, reference, run(samples)[1]) is None


def test_the_first_difference_in_execution_order(tmp_path):
    _, tensors = run()
    flip, soft = in_file(tensors["h"]).copy(), in_file(tensors["y"]).copy()
    flip[1, 2, 0, 1] ^= 1
    soft[0, 0, 0, 0] ^= 1
    first = found(tmp_path, {"model/softmax": soft, "4": flip})
    assert (first.tensor, first.index) == ("h", (1, 0, 1, 2))
    right, wrong = tensors["h"][first.index], flip[1, 2, 0, 1]
    assert str(first) == (
        "golden differs first from r.npz in tensor 'model/flip' (number 4), sample 1, row 0, "
        f"column 1, channel 2: {right} instead of {wrong}"
    )


def test_real_outputs_are_compared_as_they_are(tmp_path):
    _, tensors = run()
    real = (in_file(tensors["y"]).astype(np.float32) + 128) / 256
    real[0, 1, 0, 0] = 2
    first = found(tmp_path, {"outputs": real})
    assert (first.name, first.number, first.index) == ("probabilities", 9, (0, 0, 0, 1))
    assert (first.expected, first.actual) == (2.0, (float(tensors["y"][0, 0, 0, 1]) + 128) / 256)


def test_a_value_beyond_int8_is_a_difference(tmp_path):
    _, tensors = run()
    wide = in_file(tensors["h"]).astype(np.int16) + 256
    assert found(tmp_path, {"4": wide}).index == (0, 0, 0, 0)


def test_without_names_of_the_file_the_graphs_own_are_taken(tmp_path):
    _, tensors = run()
    assert found(tmp_path, {"h": tensors["h"], "y": tensors["y"]}, named=False) is None
    wrong = found(tmp_path, {"h": tensors["h"] ^ 1}, named=False)
    assert (wrong.name, wrong.number) == ("h", None)


def test_unknown_keys_are_listed(tmp_path):
    x, _ = run()
    reference = read_reference(saved(tmp_path, {"in": x, "7": x, "label": np.arange(3)}), network())
    assert reference.unknown == ("7", "label")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"7": np.zeros(3), "label": np.zeros(3)},
            r"r.npz has no array for any tensor of the model \(found: '7', 'label'\); name the "
            "arrays by the model's tensors, such as 'in', or by their numbers",
        ),
        ({}, r"\(found: none\)"),
        (
            {"4": np.zeros((2, 2, 3), np.int8)},
            "r.npz: array '4' has shape 2 x 2 x 3 where tensor 'model/flip' of the model has "
            "N x 3 x 2 x 2; give the tensors of this model",
        ),
        ({"4": np.zeros((2, 2, 3, 2, 2), np.int8)}, "shape 2 x 2 x 3 x 2 x 2 where tensor"),
        ({"4": np.int8(3)}, "array '4' has shape a single number where"),
        ({"4": np.zeros((0, 3, 2, 2), np.int8)}, "array '4' has no samples; give at least one"),
        ({"4": np.zeros((3, 2, 2), "U3")}, "array '4' has dtype <U3; save numbers"),
    ],
)
def test_unfit_arrays(arrays, message, tmp_path):
    with pytest.raises(InputError, match=message):
        read_reference(saved(tmp_path, arrays), network())


def test_unreadable_files(tmp_path):
    with pytest.raises(InputError, match=r"r.npz does not exist; give the path of an .npz file"):
        read_reference(tmp_path / "r.npz", network())
    (tmp_path / "r.npz").write_bytes(b"PK nothing")
    message = (
        r"r.npz is not a readable .npz file; save the tensors with numpy.savez\('r.npz', "
        r"\*\*tensors\)"
    )
    with pytest.raises(InputError, match=message):
        read_reference(tmp_path / "r.npz", network())


# Published models ---------------------------------------------------------------------

MODELS = Path(__file__).parents[1] / "../shared/models"
PUBLISHED = {
    "ic": "pretrainedResnet_quant", "kws": "kws_ref_model", "vww": "vww_96_int8",
    "ad": "ad01_int8",
}  # fmt: skip


@pytest.fixture(scope="module", params=PUBLISHED)
def published(request, tmp_path_factory):
    """A published model compiled, two of its inputs, and its folder of reference data."""
    there = MODELS / request.param
    if not there.is_dir():
        pytest.skip(f"{there} is not there")
    folder = tmp_path_factory.mktemp(request.param)
    made = read_tflite(there / f"{PUBLISHED[request.param]}.tflite")
    config = fit(made, Config(rows=12, columns=4, window=3))
    compile_network(made, config).save(folder / "out")
    x = np.load(there / "tests.npz")["inputs"]
    np.savez(folder / "x.npz", inputs=x[:2].reshape(2, *made.inputs[0].shape))
    return made, folder, there


def test_every_layer_of_published_models(published):
    made, folder, there = published
    path = there / "layers_tflm.npz"
    result = verify(folder / "out", folder / "x.npz", level="program", references=[path])
    assert result.holds, result.first_divergence
    with np.load(path) as layers:
        assert result.references == ((str(path), len(layers.files), 1),)
        assert set(layers.files) <= {str(port.number) for port in made.activations}
    assert result.warnings == ()
    # Every node's output, by the name the file has for it.
    own = {port.tensor: port.name for port in reversed(made.activations)}
    assert list(result.layers) == [own.get(node.output, node.output) for node in made.nodes]


def test_a_changed_layer_of_a_published_model_is_named(published, tmp_path):
    made, folder, there = published
    with np.load(there / "layers_tflm.npz") as layers:
        arrays = dict(layers)
    port = made.activations[len(made.activations) // 2]
    arrays[str(port.number)].flat[-1] ^= 1
    path = saved(tmp_path, arrays)
    first = verify(folder / "out", folder / "x.npz", references=[path]).first_divergence
    assert (first.level, first.name, first.number) == ("golden", port.name, port.number)
    sides = made.tensors[port.tensor].shape
    assert first.index == (0, *(side - 1 for side in sides))
