"""Placement in the activation memory: what lives together lies apart, the rest shares."""

import itertools

import numpy as np
import pytest
from random_networks import random_network

from weft.compiler.allocate import allocate, lifetimes
from weft.compiler.lower import Lowering
from weft.compiler.network import Tensor
from weft.compiler.passes import Pass
from weft.compiler.program import Placement
from weft.hw.config import Config


def step(target, *sources):
    nothing = np.zeros(1, np.int64)
    kernel = np.ones((1, len(sources), 1, 1), np.int64)
    return Pass(name=target, sources=sources, target=target, kernel=kernel, bias=nothing,
                shift=nothing, count=(1, 1))  # fmt: skip


def tensors(**shapes):
    return {name: Tensor(name, shape, 1.0) for name, shape in shapes.items()}


def assert_apart(placed, spans):
    for (a, at), (b, other) in itertools.combinations(placed.items(), 2):
        together = spans[a][0] <= spans[b][1] and spans[b][0] <= spans[a][1]
        apart = at.base + at.words <= other.base or other.base + other.words <= at.base
        assert apart or not together, (a, b)


@pytest.mark.parametrize("seed", range(30))
def test_random_lifetimes(seed):
    rng = np.random.default_rng(seed)
    count, rows = int(rng.integers(1, 25)), int(rng.integers(1, 17))
    shapes = {f"t{i}": tuple(int(n) for n in rng.integers(1, 20, 3)) for i in range(count)}
    starts = rng.integers(-1, 20, count)
    ends = starts + rng.integers(0, 10, count)
    spans = {
        name: (int(start), int(end)) for name, start, end in zip(shapes, starts, ends, strict=True)
    }
    placed = allocate(tensors(**shapes), spans, rows=rows)
    assert_apart(placed, spans)
    for name, (height, width, channels) in shapes.items():
        place = placed[name]
        blocks = -(-channels // rows)
        assert place == Placement(place.base, height, width, channels, blocks)
        assert place.base >= 0
        assert place.words == height * width * blocks
    total = sum(place.words for place in placed.values())
    assert max(place.base + place.words for place in placed.values()) <= total


@pytest.mark.parametrize("seed", range(20))
def test_random_networks(seed):
    network = random_network(np.random.default_rng(seed), size=3000)
    lowering = Lowering(network, Config(rows=2, columns=2))
    inputs, outputs = ([p.tensor for p in ports] for ports in (network.inputs, network.outputs))
    spans = lifetimes(lowering.passes, inputs, outputs)
    placed = allocate(lowering.tensors, spans, rows=4)
    assert_apart(placed, spans)
    for index, one in enumerate(lowering.passes):
        for name in (*one.sources, one.target):
            assert spans[name][0] <= index <= spans[name][1]


def test_lifetimes():
    passes = [step("b", "a"), step("c", "b"), step("d", "c", "b"), step("dead", "d")]
    assert lifetimes(passes, ["a", "unused"], ["c", "d"]) == {
        "a": (-1, 0), "unused": (-1, -1), "b": (0, 2), "c": (1, 4), "d": (2, 4), "dead": (3, 3),
    }  # fmt: skip


def test_an_input_shown_as_output_lives_throughout():
    assert lifetimes([step("b", "a")], ["a"], ["a", "b"])["a"] == (-1, 1)


def test_inputs_live_together_before_the_first_pass():
    passes = [step("c", "a"), step("d", "b")]
    spans = lifetimes(passes, ["a", "b"], ["d"])
    placed = allocate(tensors(a=(1, 1, 4), b=(1, 1, 4), c=(1, 1, 4), d=(1, 1, 4)), spans, rows=4)
    assert placed["a"].base != placed["b"].base


def test_a_chain_takes_two_places():
    shapes = dict.fromkeys("abcdef", (4, 4, 8))
    passes = [step(b, a) for a, b in itertools.pairwise("abcdef")]
    placed = allocate(tensors(**shapes), lifetimes(passes, ["a"], ["f"]), rows=8)
    assert {place.base for place in placed.values()} == {0, 16}
    # An instruction may not overwrite what it still reads.
    assert all(placed[a].base != placed[b].base for a, b in itertools.pairwise("abcdef"))


def test_a_held_skip_is_not_overwritten():
    passes = [step("b", "a"), step("c", "b"), step("d", "c", "a")]
    shapes = dict.fromkeys("abcd", (2, 2, 8))
    placed = allocate(tensors(**shapes), lifetimes(passes, ["a"], ["d"]), rows=8)
    assert len({placed[name].base for name in "abc"}) == 3
    assert placed["d"].base == placed["b"].base


def test_gaps_are_filled():
    spans = {"large": (0, 9), "middle": (0, 4), "small": (0, 9), "late": (5, 9)}
    shapes = {"large": (4, 1, 1), "middle": (3, 1, 1), "small": (1, 1, 1), "late": (2, 1, 1)}
    placed = allocate(tensors(**shapes), spans, rows=1)
    assert {name: place.base for name, place in placed.items()} == {
        "large": 0, "middle": 4, "late": 4, "small": 7,
    }  # fmt: skip
