"""Ten thousand damaged `.tflite` files and more: each is read, or refused in a sentence."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from tflite_meanings import mutate_meaning
from tflite_models import OPERATORS, random_model
from tflite_mutations import mutate
from tflite_tiny import TINY, file_of

from weft.compiler.compile import problems_of
from weft.compiler.network import Network
from weft.compiler.tflite_file import TfliteModel, read_tflite_file
from weft.compiler.tflite_reader import read_tflite
from weft.errors import UnsupportedError, WeftError
from weft.sim.golden import run_network

resource = pytest.importorskip("resource", reason="memory is limited through POSIX")

MODELS = Path(__file__).parents[2] / "../shared/models"
PUBLISHED = {path.stem: path for path in sorted(MODELS.glob("*/*.tflite"))}

Mutation = Callable[[bytes, int], bytes]
MUTATIONS: dict[str, Mutation] = {"bytes": mutate, "meaning": mutate_meaning}

#: Seconds that one file may take.
SECONDS = 1.0

#: Bytes of address space that reading may need beyond what the process has.
ROOM = 256 << 20

#: Elements of a network that is lowered and computed as well, so that a test stays short.
COMPUTED = 1 << 17


@contextlib.contextmanager
def limited_memory() -> Iterator[None]:
    """Let whoever asks for much memory meet a MemoryError."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + ROOM, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def fuzz(base: bytes, path: Path, mutation: Mutation, seeds: range) -> None:
    for seed in seeds:
        data = mutation(base, seed)
        path.write_bytes(data)
        start = time.process_time()
        with limited_memory():
            model = _read(path, read_tflite_file)
            network = model and _read(path, read_tflite)
            assert time.process_time() - start < SECONDS, f"seed {seed}"
            if model:
                check_model(model)
            if network:
                check_network(network, seed)


def _read(path: Path, reader: Callable):
    """What the reader returns; None where it says why not."""
    try:
        return reader(path)
    except WeftError as error:
        lines = str(error).splitlines()
        assert lines[0]
        assert str(path) in lines[0]
        problems = error.problems if isinstance(error, UnsupportedError) else ()
        assert len(lines) == 1 + len(problems), "a line for each problem"
        return None


def check_model(model: TfliteModel) -> None:
    """What the rest of the compiler relies on."""
    there = {tensor.number for tensor in model.tensors if tensor.data is not None}
    there.update(tensor.number for tensor in model.tensors if tensor.is_variable)
    there.update(model.inputs)
    for operator in model.operators:
        assert there.issuperset(set(operator.inputs) - {-1})
        assert operator.outputs
        assert there.isdisjoint(operator.outputs) or any(t.is_variable for t in model.tensors)
        there.update(operator.outputs)
    assert there.issuperset(model.outputs)
    for tensor in model.tensors:
        assert tensor.name.isprintable()
        assert all(size > 0 for size in tensor.shape) or tensor.data is not None
        if tensor.data is not None and tensor.dtype == "int8":
            assert tensor.data.shape == tensor.shape
            assert tensor.data.dtype == np.int8
        if tensor.scale is not None:
            assert len(tensor.scale) == len(tensor.zero_point)
            assert len(tensor.scale) in (1, *tensor.shape[tensor.axis : tensor.axis + 1])


def check_network(network: Network, seed: int) -> None:
    """Whoever takes an integer graph can take this one, or says why not."""
    for port in (*network.inputs, *network.outputs, *network.activations):
        assert np.prod(port.shape) == np.prod(network.tensors[port.tensor].shape)
    if _elements(network) > COMPUTED or problems_of(network):
        return
    rng = np.random.default_rng(seed)
    inputs = {
        port.tensor: rng.integers(
            -128, 128, (1, *network.tensors[port.tensor].shape), dtype=np.int8
        )
        for port in network.inputs
    }
    with contextlib.suppress(OverflowError):  # golden's word for sums that leave 32 bits
        run_network(network, inputs, keep=True)


def _elements(network: Network) -> int:
    """Of all tensors with their padding, and of all windows: how long computing takes."""
    count = 0
    for tensor in network.tensors.values():
        count += math.prod(tensor.shape)
    for node in network.nodes:
        height, width, channels = network.tensors[node.inputs[0]].shape
        top, left, bottom, right = map(int, getattr(node, "padding", (0, 0, 0, 0)))
        count += (height + top + bottom) * (width + left + right) * channels
        count += math.prod(getattr(node, "kernel", ())) * channels
    return count


@pytest.mark.parametrize("seed", range(0, 3200, 800))
@pytest.mark.parametrize("name", TINY)
@pytest.mark.timeout(120)
def test_tiny_models_with_other_bytes(tmp_path, name, seed):
    base = file_of(TINY[name]())
    fuzz(base, tmp_path / "model.tflite", mutate, range(seed, seed + 800))


@pytest.mark.parametrize("seed", range(0, 400, 200))
@pytest.mark.parametrize("name", TINY)
@pytest.mark.timeout(120)
def test_tiny_models_that_say_something_else(tmp_path, name, seed):
    base = file_of(TINY[name]())
    fuzz(base, tmp_path / "model.tflite", mutate_meaning, range(seed, seed + 200))


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.timeout(120)
def test_operators_that_say_something_else(tmp_path, operator):
    for model in range(2):
        base = random_model(operator, model)
        fuzz(base, tmp_path / "model.tflite", mutate_meaning, range(25))


@pytest.mark.skipif(not PUBLISHED, reason="no ../shared/models")
@pytest.mark.parametrize("mutation", MUTATIONS)
@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.timeout(120)
def test_published_models(tmp_path, name, mutation):
    base = PUBLISHED[name].read_bytes()
    fuzz(base, tmp_path / "model.tflite", MUTATIONS[mutation], range(100))
