"""The search in model files finds what is planted, and a short one finds nothing."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from fuzz import reader_target
from fuzz.reader_target import Finding, Target
from fuzz.reader_worker import Counts, Order, Search
from fuzz.readers import FOUND, LARGEST_SEED, search, seeds
from onnx_models import Model
from tflite_writer import ModelWriter

from weft.compiler import onnx_reader
from weft.compiler.onnx_reader import load_onnx
from weft.compiler.quantize import quantize
from weft.compiler.tflite_reader import read_tflite
from weft.errors import InputError, UnsupportedError, WeftError

READERS = ("tflite", "onnx")

readers = pytest.mark.parametrize("reader", READERS)


searching = pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None,
    reason="atheris is not installed: pip install -e '.[fuzz]', where it has wheels",
)


@searching
@pytest.mark.timeout(300)
def test_a_short_search(tmp_path, capsys):
    holds = search(tmp_path, READERS, executions=3000, minutes=2, seed=7)
    assert holds, capsys.readouterr().out
    for reader in READERS:
        counts = Counts(tmp_path / f"counts-{reader}").read()
        assert counts["executions"] > 100
        assert counts["refused"] > 0 < counts["read"]
        assert counts["findings"] == 0


@searching
def test_a_search_of_some_seconds(tmp_path):
    assert search(tmp_path, READERS, executions=None, minutes=0.1, seed=3)


@readers
def test_seeds_are_small_and_most_are_read(reader, tmp_path):
    target, outcomes = Target(reader, tmp_path), []
    with target.ready():
        for data in seeds(reader):
            assert len(data) <= LARGEST_SEED
            outcomes.append(target.execute(data))
    assert len(outcomes) > 50
    assert outcomes.count("refused") < 0.2 * len(outcomes)


@pytest.mark.parametrize("path", sorted(FOUND.glob("*.*")), ids=lambda path: path.name)
def test_what_was_found(path, tmp_path):
    """The smallest file of each finding is read or refused by now."""
    target = Target(path.suffix[1:], tmp_path)
    with target.ready():
        target.execute(path.read_bytes())


# A search that could find nothing -------------------------------------------------------


def some_onnx() -> bytes:
    return next(seeds("onnx"))


def searching(tmp_path, target) -> Search:
    order = Order("onnx", 1, 1, 1, "", str(tmp_path), str(tmp_path / "counts"))
    return Search(order, target)


def test_a_traceback_is_found_and_saved(tmp_path, monkeypatch):
    def broken(*_):
        raise KeyError("planted")

    monkeypatch.setattr(onnx_reader, "live_nodes", broken)
    target = Target("onnx", tmp_path)
    with target.ready():
        searching(tmp_path, target)(some_onnx())
    (saved,) = tmp_path.glob("onnx-*-KeyError.onnx")
    assert saved.read_bytes() == some_onnx()
    assert "planted" in saved.with_suffix(".txt").read_text()
    assert Counts(tmp_path / "counts").read()["findings"] == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"SECONDS": -1.0}, "it takes"),
        ({"BYTES": 0, "QUICK": -1.0}, "the process has taken"),
    ],
)
def test_time_and_memory_are_found(change, message, tmp_path, monkeypatch):
    for name, value in change.items():
        monkeypatch.setattr(reader_target, name, value)
    target = Target("onnx", tmp_path)
    with target.ready(), pytest.raises(Finding, match=message):
        target.execute(some_onnx())


@pytest.mark.parametrize("text", ["no name", "{path} of\ntwo lines", "{path} \x1b[2J"])
def test_poor_messages_are_found(text, tmp_path, monkeypatch):
    target = Target("onnx", tmp_path)

    def refuse(*_):
        raise InputError(text.replace("{path}", str(target.path)))

    monkeypatch.setattr(onnx_reader, "open_file", refuse)
    with target.ready(), pytest.raises(Finding, match="its refusal"):
        target.execute(some_onnx())


# What the search found -------------------------------------------------------------------


def test_a_line_end_in_the_name_of_an_attribute(tmp_path):
    model = Model()
    value = model.node("LeakyRelu", model.input([1, 4]), **{"a\nb\x1b": 1})
    with pytest.raises(UnsupportedError, match=r"attribute a\\nb\\x1b is not known") as caught:
        load_onnx(model.output(value).save(tmp_path))
    assert len(str(caught.value).split("\n")) == 2


def test_a_line_end_in_the_name_of_a_graph(tmp_path):
    model = Model()
    proto = model.output(model.node("Relu", model.input([1, 4]))).proto()
    proto.graph.name = "a\nb"
    (tmp_path / "m.onnx").write_bytes(proto.SerializeToString())
    with pytest.raises(UnsupportedError, match=r"^a\\nb cannot run") as caught:
        quantize(load_onnx(tmp_path / "m.onnx"), {})
    assert len(str(caught.value).split("\n")) == 1 + len(caught.value.problems)


def test_scales_too_far_apart_around_a_move(tmp_path):
    """Which has no scales of its own to complain of: a FactorError went up to the user."""
    model, zero = Model(), np.int8(0)

    def coded(value, scale):
        value = model.node("QuantizeLinear", value, np.float32(scale), zero)
        return model.node("DequantizeLinear", value, np.float32(scale), zero)

    value = coded(model.input([1, 2, 4, 4]), 1e25)
    value = coded(model.node("MaxPool", value, kernel_shape=[2, 2]), 1e-10)
    graph = load_onnx(model.output(value).save(tmp_path))
    with pytest.raises(UnsupportedError, match=r"MaxPool .*its scales ask for a factor of 1e\+35"):
        quantize(graph, graph.scales)
    with pytest.raises(WeftError):
        quantize(graph)


def test_an_operator_with_more_outputs_than_it_makes(tmp_path):
    """The second one's tensor was looked up, and was not there."""
    writer = ModelWriter()
    value, first, second = (writer.tensor((1, 2, 2, 4), 0.5) for _ in range(3))
    writer.operator("RELU", [value], [first, second])
    (tmp_path / "m.tflite").write_bytes(writer.finish([value], [first]))
    with pytest.raises(
        UnsupportedError, match=r"it has 2 outputs, and RELU makes 1; convert the model again"
    ):
        read_tflite(tmp_path / "m.tflite")


def test_a_training_mode_that_is_no_bool(tmp_path):
    model = Model()
    value = model.node("Dropout", model.input([1, 4]), np.float32(0.5), np.float32(0))
    with pytest.raises(UnsupportedError, match="its training_mode is float32; make it bool"):
        load_onnx(model.output(value).save(tmp_path))
