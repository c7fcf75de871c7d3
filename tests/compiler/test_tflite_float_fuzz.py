"""Damaged `.tflite` files, read as real values: each is a graph, or refused in a sentence."""

import contextlib

import onnx
import pytest
from tflite_floats import as_float
from tflite_meanings import mutate_meaning
from tflite_models import OPERATORS, random_model
from tflite_mutations import mutate
from tflite_tiny import TINY, file_of

from weft.compiler.float_onnx import float_onnx
from weft.compiler.tflite_float import load_tflite_float
from weft.errors import WeftError

MUTATIONS = {"bytes": mutate, "meaning": mutate_meaning}


def read_all(base: bytes, path, mutation, seeds: range) -> int:
    """Read what a mutation makes of a file; how many of them were read."""
    read = 0
    for seed in seeds:
        path.write_bytes(mutation(base, seed))
        with contextlib.suppress(WeftError):
            model = float_onnx(load_tflite_float(path))
            onnx.checker.check_model(model)
            read += 1
    return read


@pytest.mark.parametrize("mutation", MUTATIONS)
@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize("real", [False, True], ids=["int8", "float"])
def test_tiny_graphs(name, mutation, real, tmp_path):
    base = file_of(TINY[name]())
    base = as_float(base) if real else base
    read_all(base, tmp_path / "model.tflite", MUTATIONS[mutation], range(100))


@pytest.mark.parametrize("operator", OPERATORS)
def test_single_operators(operator, tmp_path):
    path, read = tmp_path / "model.tflite", 0
    for seed in range(5):
        read += read_all(random_model(operator, seed), path, mutate_meaning, range(12))
    assert read > 0
