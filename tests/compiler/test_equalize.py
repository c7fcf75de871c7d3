"""Cross-layer equalisation: other weights, the same function, values that fill their types."""

import numpy as np
import pytest
from float_models import FloatModel, random_model

from weft.compiler.equalize import equalize
from weft.compiler.equalize_groups import free_groups
from weft.compiler.float_onnx import float_onnx
from weft.compiler.float_run import run_float
from weft.compiler.onnx_reader import load_onnx
from weft.compiler.quantize_fuse import fuse, tensor_names
from weft.repairing.samples import HeldSamples


def run(graph, data):
    return run_float(float_onnx(graph), data, list(graph.outputs))


def assert_same_function(graph, better, data):
    before, after = run(graph, data), run(better, data)
    for name, values in before.items():
        size = np.abs(values).max()
        np.testing.assert_allclose(after[name], values, rtol=1e-4, atol=1e-5 * size)


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("seed", range(15))
def test_random_networks_compute_the_same(seed, per_channel, tmp_path):
    data = random_model(seed, tmp_path / "m.onnx")
    graph = load_onnx(tmp_path / "m.onnx")
    largest = HeldSamples(graph, data).largest()
    better, names = equalize(graph, largest, per_channel=per_channel)
    assert_same_function(graph, better, data)
    assert set(better.tensors) == {names.get(name, name) for name in graph.tensors}
    assert not {*graph.inputs, *graph.outputs} & set(names)


def chain(tmp_path, ranges, between="Relu", **attributes):
    """Two convolutions, the first with channels of these ranges, depthwise in between."""
    rng = np.random.default_rng(0)
    count = len(ranges)
    model = FloatModel(rng, (3, 6, 6))
    first = rng.uniform(-1, 1, (count, 3, 1, 1)) * np.reshape(ranges, (-1, 1, 1, 1))
    weights = [model.constant(first.astype(np.float32)), model.weights(count)]
    value = model.node("Conv", ["x", *weights], "conv")
    more = [model.constant(np.float32(limit)) for limit in attributes.pop("limits", ())]
    value = model.node(between, [value, *more], "t", **attributes)
    depthwise = model.weights(count, 1, 3, 3)
    value = model.node("Relu", [model.node("Conv", [value, depthwise], group=count)], "u")
    model.node("Conv", [value, model.weights(2, count, 1, 1)], "y")
    path = model.save(tmp_path / "m.onnx", {"y": (2, 4, 4)})
    return load_onnx(path), {"x": rng.normal(size=(20, 3, 6, 6)).astype(np.float32)}


def spreads(graph):
    """Ratio of the largest channel's range to the smallest's, of every node's weights."""
    found = []
    for node in graph.nodes:
        if node.op == "Conv2D":
            weights = node.constants["weights"]
            each = np.abs(weights.reshape(len(weights), -1)).max(axis=1)
            found.append(each.max() / each.min())
    return found


@pytest.mark.parametrize(
    ("between", "attributes"), [("Relu", {}), ("LeakyRelu", {"alpha": 0.2})], ids=["Relu", "Leaky"]
)
def test_channels_become_alike(between, attributes, tmp_path):
    graph, data = chain(tmp_path, [1, 0.1, 0.02, 0.5], between, **attributes)
    better, names = equalize(graph, HeldSamples(graph, data).largest(), per_channel=False)
    assert spreads(better)[0] < 0.3 * spreads(graph)[0]
    assert_same_function(graph, better, data)
    assert names["t"] == "t/equalized"


def test_no_channel_becomes_larger_than_the_largest_was(tmp_path):
    graph, data = chain(tmp_path, [1, 0.1, 1e-7, 0.5])
    better, names = equalize(graph, HeldSamples(graph, data).largest(), per_channel=False)
    before, after = (HeldSamples(g, data).largest() for g in (graph, better))
    # Filling a type makes the whole tensor up to twice as large afterwards.
    for name in ("t", "u"):
        assert after[names[name]].max() < 2.0001 * before[name].max()


def test_a_channel_of_zeros_stays(tmp_path):
    graph, data = chain(tmp_path, [1, 0, 0.3])
    better, _ = equalize(graph, HeldSamples(graph, data).largest(), per_channel=False)
    assert all(np.isfinite(node.constants["weights"]).all() for node in better.nodes[:1])
    assert_same_function(graph, better, data)


def test_with_a_scale_per_channel_whole_tensors_alone_take_a_factor(tmp_path):
    graph, data = chain(tmp_path, [1, 0.1, 0.02, 0.5])
    better, _ = equalize(graph, HeldSamples(graph, data).largest(), per_channel=True)
    ratio = better.nodes[0].constants["weights"] / graph.nodes[0].constants["weights"]
    np.testing.assert_allclose(ratio, ratio.flat[0])


def test_the_bound_of_a_clamp_moves_along(tmp_path):
    graph, data = chain(tmp_path, [1, 0.1, 0.02, 0.5], "Clip", limits=(0, 0.7))
    better, names = equalize(graph, HeldSamples(graph, data).largest(), per_channel=False)
    (group,) = (group for group in free_groups(graph) if "t" in group.tensors)
    assert not group.by_channel
    bounds = [g.nodes[1].attributes["high"] for g in (graph, better)]
    weights = [g.nodes[0].constants["weights"].flat[0] for g in (graph, better)]
    assert "t" in names
    assert bounds[1] / bounds[0] == pytest.approx(weights[1] / weights[0])
    assert_same_function(graph, better, data)


def test_values_fill_their_types(tmp_path):
    """Of three tensors between layers, each with its own factor, none wastes half a bit."""
    graph, data = chain(tmp_path, [1, 0.9, 1.1, 1])
    better, names = equalize(graph, HeldSamples(graph, data).largest(), per_channel=True)

    def waste(found):  # bits between the largest value and what its type holds
        return sum(-np.log2(found[name].max() / 127.5) % 1 for name in found if name[0] in "tu")

    before, after = (HeldSamples(g, data).largest() for g in (graph, better))
    assert waste(after) < waste(before)
    assert set(names) == {"conv", "t", "u", graph.nodes[2].output}


def test_groups(tmp_path):
    """A residual sum takes one factor; sigmoids, inputs, outputs and given scales take none."""
    rng = np.random.default_rng(0)
    model = FloatModel(rng, (3, 6, 6))
    a = model.node("Conv", ["x", model.weights(4, 3, 1, 1)], "a")
    b = model.node("Conv", [a, model.weights(4, 4, 1, 1)], "b")
    c = model.node("MaxPool", [model.node("Add", [a, b], "sum")], "c", kernel_shape=[2, 2])
    d = model.node("Sigmoid", [model.node("Conv", [c, model.weights(4, 4, 1, 1)], "d")], "e")
    model.node("Conv", [d, model.weights(2, 4, 1, 1)], "y")
    graph = load_onnx(model.save(tmp_path / "m.onnx", {"y": (2, 5, 5)}))
    (group,) = free_groups(graph)
    assert sorted(group.tensors) == ["a", "b", "c", "sum"]
    assert group.by_channel
    assert [node.output for node in group.makers] == ["a", "b"]
    assert [node.output for node in group.readers] == ["b", "d"]
    graph.scales["sum"] = object()
    assert free_groups(graph) == []


def test_nothing_to_share(tmp_path):
    model = FloatModel(np.random.default_rng(0), (3, 6, 6))
    model.node("Conv", ["x", model.weights(4, 3, 1, 1)], "y")
    graph = load_onnx(model.save(tmp_path / "m.onnx", {"y": (4, 6, 6)}))
    largest = {name: np.ones(4) for name in tensor_names(graph, fuse(graph))}
    better, names = equalize(graph, largest, per_channel=False)
    assert names == {}
    np.testing.assert_array_equal(
        better.nodes[0].constants["weights"], graph.nodes[0].constants["weights"]
    )
