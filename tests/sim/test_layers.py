"""Layer by layer: every tensor of a network from every engine, and the layer that is wrong."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from levels import ARRAYS, pair
from random_networks import describe, random_inputs, random_network

from weft.compiler.compile import compile_network, fit
from weft.compiler.network import Conv2D, Network, Port, Requantize, Softmax, Tensor
from weft.errors import InputError
from weft.hw.config import Config, Space
from weft.sim import golden, interpreter, layers, rtl
from weft.sim.engine import Divergence, compare
from weft.sim.verilog import engine

#: Small, and its simulation is built for the comparison of all levels as well.
ARRAY = ARRAYS["4x4"]
DEPTH = 4


def chain(count=5, seed=0):
    """Convolutions of one tap, one after another, and a softmax in the host."""
    rng = np.random.default_rng(seed)
    network = Network("chain", {"t0": Tensor("t0", (3, 2, DEPTH), 1.0)})
    for number in range(1, count + 1):
        weights = rng.integers(-90, 90, (DEPTH, 1, 1, DEPTH)).astype(np.int8)
        network.tensors[f"t{number}"] = Tensor(f"t{number}", (3, 2, DEPTH), 1.0)
        network.nodes.append(
            Conv2D(f"conv{number}", (f"t{number - 1}",), f"t{number}", weights,
                   rng.integers(-99, 99, DEPTH).astype(np.int32),
                   Requantize(np.full(DEPTH, 7, np.int32)))
        )  # fmt: skip
    network.tensors["p"] = Tensor("p", (3, 2, DEPTH), 2.0**-8, -128)
    network.nodes.append(Softmax("softmax", (f"t{count}",), "p", beta=0.01))
    network.inputs.append(Port("t0", "t0", (3, 2, DEPTH), "int8"))
    network.outputs.append(Port("p", "p", (3, 2, DEPTH), "int8"))
    return network


def compiled(network, samples=2, seed=1):
    program = compile_network(network, ARRAY)
    return program, random_inputs(np.random.default_rng(seed), network, samples)


def assert_every_tensor(program, inputs, run_jobs):
    result = layers.run(program, inputs, run_jobs)
    expected = golden.run_network(program.network, inputs, keep=True)
    assert list(result.tensors) == [node.output for node in program.network.nodes]
    found = compare(expected, result.tensors, level="layers", names=result.tensors)
    assert found is None, f"{found}\n{describe(program.network)}"
    for name in program.core_outputs:
        np.testing.assert_array_equal(result.outputs[name], expected[name])


ENGINES = {
    "program": layers.interpret,
    "rtl": rtl.run_jobs,
    "rtl with stalls": partial(rtl.run_jobs, stalls_seed=1),
    "verilog": engine.run_jobs,
}


@pytest.mark.parametrize("level", ENGINES)
def test_every_tensor_of_a_chain(level):
    program, inputs = compiled(chain())
    # Nothing is left of the tensors in between, because they share memory.
    assert program.placements["t1"].base == program.placements["t3"].base
    assert_every_tensor(program, inputs, ENGINES[level])


@pytest.mark.parametrize("scales", ["shift", "multiplier"])
@pytest.mark.parametrize("seed", range(25))
def test_every_tensor_of_random_networks(seed, scales):
    rng = np.random.default_rng([seed, 1])
    network = random_network(rng, size=2500, max_side=8, scales=scales)
    array = Config(rows=12, columns=4, window=3) if seed % 2 else Config(rows=4, columns=4)
    program = compile_network(network, fit(network, array))
    assert_every_tensor(program, random_inputs(rng, network, 3), layers.interpret)


@pytest.mark.parametrize("seed", [3, 14])
def test_every_tensor_of_random_networks_in_gateware(seed):
    drawn = pair("4x4", seed)
    assert_every_tensor(drawn.program, drawn.inputs, rtl.run_jobs)


def test_layers_are_the_program_cut():
    program, _ = compiled(chain(3))
    parts = layers.cut(program)
    assert [(part.node, part.tensor) for part in parts] == [
        ("conv1", "t1"), ("conv2", "t2"), ("conv3", "t3"),
    ]  # fmt: skip
    together = [instruction for part in parts for instruction in part.program.instructions]
    assert [replace(ins, end=0) for ins in together] == [
        replace(ins, end=0) for ins in program.instructions
    ]
    for part in parts:
        ends = [ins.end for ins in part.program.instructions]
        assert ends == [0] * (len(ends) - 1) + [1]
        for space, image in program.images.items():
            if space != Space.PROGRAM:
                assert part.program.images[space] is image


def test_only_the_first_layer_loads_images_and_inputs():
    program, inputs = compiled(chain(2), samples=2)
    seen = []

    def record(jobs):
        seen.extend(jobs)
        return layers.interpret(jobs)

    layers.run(program, inputs, record)
    spaces = [set(job.load["space"].tolist()) for job in seen]
    assert spaces == [set(program.images), *[{Space.PROGRAM}] * 3]
    sample = len(program.input_words({"t0": inputs["t0"][0]}))
    assert [len(job.input[0]) for job in seen] == [sample, 0, sample, 0]
    assert all(job.limit < 20_000 for job in seen)


def test_progress_counts_layers():
    program, inputs = compiled(chain(2), samples=2)
    seen = []
    layers.run(program, inputs, partial(rtl.run_jobs, progress=lambda *done: seen.append(done)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def with_flipped_weight(program, layer):
    """The program with one bit of one weight of a layer changed."""
    (instruction,) = layers.cut(program)[layer].program.instructions
    weights = program.images[Space.WEIGHT].copy()
    weights[instruction.weight, 0] ^= 0x40
    return replace(program, images={**program.images, Space.WEIGHT: weights})


@pytest.mark.parametrize(
    ("layer", "level"),
    [(0, "program"), (1, "rtl"), (2, "program"), (2, "rtl"), (2, "verilog"), (4, "program")],
)
def test_a_flipped_weight_is_found_in_its_layer(layer, level):
    program, inputs = compiled(chain())
    wrong = with_flipped_weight(program, layer)
    expected = golden.run_network(program.network, inputs, keep=True)
    made = layers.run(wrong, inputs, ENGINES[level]).tensors
    found = compare(expected, made, level=level, names=made)
    assert found.tensor == f"t{layer + 1}"
    assert found.index[3] == 0
    # It shows in the output of the whole as well, which does not say where it began.
    outputs = interpreter.run(wrong, inputs).outputs
    assert compare(expected, outputs, level=level).tensor == "t5"
    assert found == Divergence(
        level, found.tensor, found.index, expected[found.tensor][found.index].item(),
        made[found.tensor][found.index].item(),
    )  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        lambda parts: parts[:-1],
        lambda parts: [{**parts[0], "name": "other"}, *parts[1:]],
        lambda parts: [{**parts[0], "instructions": 2}, *parts[1:]],
        lambda parts: [{**parts[0], "instructions": 0}, {**parts[1], "instructions": 2}],
        lambda parts: [],
    ],
)
def test_a_program_that_does_not_name_its_layers(change):
    program, inputs = compiled(chain(2))
    program.layers = change(program.layers)
    message = "does not say which instructions belong to which node; compile the model again"
    with pytest.raises(InputError, match=message):
        layers.run(program, inputs, layers.interpret)


def test_inputs_are_checked():
    program, _ = compiled(chain(2))
    with pytest.raises(InputError, match="the inputs lack tensor 't0'"):
        layers.run(program, {}, layers.interpret)
