"""The integer graph as plain data: nothing is lost, and nothing foreign is made."""

import json
from dataclasses import fields, is_dataclass

import numpy as np
import pytest
from random_networks import OPERATORS, random_network, single_operator

from weft.compiler import network as graph
from weft.compiler.network import Network, Port, Requantize, Table, Tensor
from weft.compiler.network_file import from_plain, to_plain


def assert_same(a, b, path=""):
    assert type(a) is type(b), path
    if is_dataclass(a):
        for field in fields(a):
            assert_same(getattr(a, field.name), getattr(b, field.name), f"{path}.{field.name}")
    elif isinstance(a, np.ndarray):
        assert a.dtype == b.dtype, path
        np.testing.assert_array_equal(a, b, path)
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b), path
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_same(x, y, f"{path}[{i}]")
    elif isinstance(a, dict):
        assert list(a) == list(b), path
        for key, value in a.items():
            assert_same(value, b[key], f"{path}[{key!r}]")
    else:
        assert a == b, path


def round_trip(network):
    plain, arrays = to_plain(network)
    return from_plain(json.loads(json.dumps(plain)), arrays)


@pytest.mark.parametrize("operator", OPERATORS)
def test_every_node(operator):
    for seed in range(5):
        network = single_operator(np.random.default_rng(seed), operator, size=2000)
        assert_same(round_trip(network), network)


@pytest.mark.parametrize("seed", range(10))
def test_random_networks(seed):
    network = random_network(np.random.default_rng(seed), size=2000)
    assert_same(round_trip(network), network)


def test_what_random_networks_have_not():
    node = Table(
        "t", ("a",), "b", np.arange(256, dtype=np.int8), "Clamp", {"low": -0.1, "high": None}
    )
    port = Port("in:0", "a", (3, 2), "float32", np.array([1, 0, 2, 3, 5, 4]))
    tensor = Tensor("a", (1, 2, 3), 1e-300, -128)
    assert_same(round_trip(Network("ü/\n", {"a": tensor}, [node], [port], [])),
                Network("ü/\n", {"a": tensor}, [node], [port], []))  # fmt: skip


def test_every_class_of_the_graph_is_known():
    nodes = {cls.__name__ for cls in graph.Node.__subclasses__()}
    network = Network("n", nodes=[])
    for name in nodes | {"Requantize", "Tensor", "Port"}:
        data = {"class": name, "fields": {}}
        plain, arrays = to_plain(network)
        plain["fields"]["nodes"] = {"list": [data]}
        with pytest.raises(ValueError, match=r"not an integer graph: .*missing .* argument"):
            from_plain(plain, arrays)


def test_numpy_numbers_become_plain():
    requantize = Requantize(np.zeros(1, np.int32), zero_point=np.int64(5))
    plain, _ = to_plain(requantize)
    assert json.loads(json.dumps(plain))["fields"]["zero_point"] == 5


@pytest.mark.parametrize(
    "data",
    [
        None, 3, "x", [], {}, {"class": "os.system", "fields": {}}, {"class": "Path", "fields": {}},
        {"class": "Network", "fields": {}}, {"class": "Network", "fields": {"name": "n", "x": 1}},
        {"class": "Network", "fields": 5}, {"class": ["Network"], "fields": {}},
        {"class": "Tensor", "fields": {"name": "a", "shape": 1, "scale": 1}},
        {"array": "missing"}, {"array": {}}, {"tuple": 5}, {"list": None}, {"map": [1]},
        {"map": [[[], 1]]}, {"fields": {}},
    ],
)  # fmt: skip
def test_anything_else_is_refused(data):
    with pytest.raises(ValueError, match=r"not an integer graph|unpack"):
        from_plain(data, {})
