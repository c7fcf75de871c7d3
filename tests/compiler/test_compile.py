"""From a network to a program that the interpreter runs as golden does."""

from dataclasses import replace

import numpy as np
import pytest
from random_networks import OPERATORS, describe, random_inputs, random_network, single_operator

from weft.compiler.compile import compile_network, fit, macs, problems_of
from weft.compiler.network import (
    Add,
    Conv2D,
    FullyConnected,
    MaxPool,
    Network,
    Permute,
    Port,
    Requantize,
    Slice,
    Softmax,
    Table,
    Tensor,
)
from weft.errors import UnsupportedError
from weft.hw.config import Config, Space
from weft.sim import engine, golden, interpreter


def make(nodes, shapes) -> Network:
    """A network: inputs are the tensors that no node makes, outputs those that none takes."""
    network = Network("net", {n: Tensor(n, s, 1.0) for n, s in shapes.items()}, list(nodes))
    made = {node.output for node in nodes}
    used = {name for node in nodes for name in node.inputs}
    network.inputs = [Port(n, n, s, "int8") for n, s in shapes.items() if n not in made]
    network.outputs = [Port(n, n, s, "int8") for n, s in shapes.items() if n in made - used]
    return network


def assert_golden(program, rng, samples=3):
    inputs = random_inputs(rng, program.network, samples)
    expected, actual = golden.run(program, inputs), interpreter.run(program, inputs)
    assert set(actual.outputs) == set(program.core_outputs)
    found = engine.compare(expected.outputs, actual.outputs, level="program")
    assert found is None, f"{found}\n{program.config}\n{describe(program.network)}"


def random_array(rng) -> Config:
    window = int(rng.choice([0, 0, 1, 2, 3, 5]))
    if window:
        columns = int(rng.integers(1, 9))
        rows = columns * int(rng.integers(-(-3 * window // columns), 16 // columns + 16))
        return Config(rows=rows, columns=columns, window=window, line_depth=12)
    rows, columns = (int(side) for side in rng.integers(1, 17, 2))
    lanes = [n for n in range(1, 17) if rows % n == 0 and columns % n == 0]
    return Config(rows=rows, columns=columns, lanes=int(rng.choice(lanes)))


SHAPES = [(1, 1), (1, 16), (16, 1), (2, 3), (3, 2), (5, 7), (8, 8), (13, 11), (16, 12), (16, 16)]


@pytest.mark.parametrize("seed", range(0, 300, 20))
def test_random_networks(seed):
    for number in range(seed, seed + 20):
        rng = np.random.default_rng(number)
        network = random_network(rng, size=2500, max_nodes=6, max_side=8, tables=2)
        array = random_array(rng)
        if number % 2:
            rows, columns = SHAPES[number // 2 % len(SHAPES)]
            array = Config(rows=rows, columns=columns)
        assert_golden(compile_network(network, fit(network, array)), rng)


@pytest.mark.parametrize("operator", OPERATORS)
def test_operators(operator):
    for number, (rows, columns) in enumerate(SHAPES):
        rng = np.random.default_rng(1000 + number)
        network = single_operator(rng, operator, size=1500)
        assert_golden(compile_network(network, fit(network, Config(rows=rows, columns=columns))),
                      rng)  # fmt: skip


@pytest.mark.parametrize("shape", [(12, 12), (16, 8), (6, 15)])
def test_every_number_of_lanes(shape):
    rows, columns = shape
    for seed in range(4):
        network = random_network(np.random.default_rng(seed), size=2500, max_side=8)
        for lanes in range(1, min(shape) + 1):
            if rows % lanes == 0 and columns % lanes == 0:
                config = fit(network, Config(rows=rows, columns=columns, lanes=lanes))
                assert_golden(compile_network(network, config), np.random.default_rng(seed))


DEPTHWISE = ("DepthwiseConv2D", "AveragePool", "MaxPool", "Conv2D")


@pytest.mark.parametrize("shape", [(9, 1), (9, 3), (9, 9), (12, 4), (25, 5), (18, 2), (16, 16)])
def test_second_path(shape):
    rows, columns = shape
    window, used = (5 if rows == 25 else 3), 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        network = random_network(rng, size=3000, operators=DEPTHWISE, max_side=10)
        array = Config(rows=rows, columns=columns, window=window, line_depth=14)
        program = compile_network(network, fit(network, array))
        used += sum(ins.window for ins in program.instructions)
        assert_golden(program, rng)
    assert used > 0


@pytest.mark.parametrize("stride", [(2, 2), (2, 1), (1, 2), (3, 2)])
def test_second_path_with_a_stride(stride):
    """Rows and columns that a stride leaves out are computed and not stored."""
    node = convolution(weights(4, 3, 3, 1), 6, groups=4, stride=stride)
    result = (*((side - 3) // step + 1 for side, step in zip((9, 10), stride, strict=True)), 4)
    network = make([node], {"a": (9, 10, 4), "b": result})
    program = compile_network(network, fit(network, Config(rows=12, columns=4, window=3)))
    (ins,) = program.instructions
    assert (ins.window, ins.every_y, ins.every_x) == (1, stride[0] - 1, stride[1] - 1)
    assert_golden(program, np.random.default_rng(0))


def test_one_configuration_for_many_networks():
    config = Config(rows=6, columns=4, activation_depth=3000, weight_depth=3000,
                    parameter_depth=2000, program_depth=5000, tables=2)  # fmt: skip
    programs = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        network = random_network(rng, size=2500, max_side=8, tables=2)
        programs.append(compile_network(network, config))
        assert_golden(programs[-1], rng)
    assert len({program.digest for program in programs}) == len(programs)
    assert len({program.config.digest for program in programs}) == 1


@pytest.mark.parametrize("seed", range(10))
def test_what_fits_fits_exactly(seed):
    network = random_network(np.random.default_rng(seed), size=2500)
    config = fit(network, Config(rows=4, columns=6))
    program = compile_network(network, config)
    assert sum(len(program.images[s]) for s in (Space.WEIGHT, Space.PARAMETER, Space.PROGRAM)) == (
        config.weight_depth + config.parameter_depth + config.program_depth
    )
    for name in ("activation_depth", "weight_depth", "parameter_depth", "program_depth"):
        if getattr(config, name) > 1:
            smaller = replace(config, **{name: getattr(config, name) - 1})
            # A depth at a power of two also narrows addresses, and so the program.
            with pytest.raises(UnsupportedError, match=name.removesuffix("_depth")):
                compile_network(network, smaller)


@pytest.mark.parametrize("seed", range(5))
def test_the_same_network_gives_the_same_bytes(seed):
    first, second = (
        random_network(np.random.default_rng(seed), size=2500, tables=2) for _ in range(2)
    )
    config = fit(first, Config(rows=4, columns=6))
    one, other = compile_network(first, config), compile_network(second, config)
    assert one.digest == other.digest
    assert list(one.images) == list(other.images)
    assert one.placements == other.placements
    assert one.layers == other.layers
    np.testing.assert_array_equal(one.load_words(), other.load_words())


# Corners ---------------------------------------------------------------------------------


def convolution(weights, shift=4, bias=0, **options):
    outputs = len(weights)
    requantize = Requantize(np.full(outputs, shift, np.int32))
    bias = np.full(outputs, bias, np.int32)
    return Conv2D("c", ("a",), "b", weights, bias, requantize, **options)


def weights(*shape):
    return np.random.default_rng(1).integers(-50, 50, shape).astype(np.int8)


@pytest.mark.parametrize(
    ("shape", "result", "node"),
    [
        ((1, 1, 4), (1, 1, 4), convolution(weights(4, 7, 7, 4), padding=(3, 3, 3, 3))),
        ((2, 1, 4), (2, 1, 4), convolution(weights(4, 5, 5, 4), padding=(2, 2, 2, 2))),
        ((1, 1, 4), (3, 1, 4),
         convolution(weights(4, 3, 1, 4), padding=(0, 0, 42, 0), stride=(20, 1))),
        ((1, 1, 4), (1, 1, 4),
         convolution(weights(4, 3, 3, 4), padding=(60, 9, 60, 9), dilation=(60, 9))),
    ],
)  # fmt: skip
def test_kernels_and_padding_larger_than_the_memory(shape, result, node):
    network = make([node], {"a": shape, "b": result})
    config = fit(network, Config(rows=4, columns=4))
    assert config.activation_depth <= 8
    assert_golden(compile_network(network, config), np.random.default_rng(0))


def test_kernel_wider_than_any_small_memory_counts():
    node = convolution(weights(4, 1, 601, 4), padding=(0, 300, 0, 300))
    network = make([node], {"a": (1, 1, 4), "b": (1, 1, 4)})
    config = fit(network, Config(rows=4, columns=4))
    assert config.activation_depth == 1024
    assert_golden(compile_network(network, config), np.random.default_rng(0))
    assert refused(network, replace(config, activation_depth=2)) == [
        "pass 'c': its loops are longer than this configuration counts; "
        "use a configuration with more activation memory"
    ]


@pytest.mark.parametrize(("shape", "size", "rows", "window"), [
    ((1, 60, 2), (1, 33), 40, 1), ((40, 40, 2), (33, 1), 100, 33),
])  # fmt: skip
def test_depthwise_kernel_larger_than_a_window_can_skip(shape, size, rows, window):
    result = (shape[0] - size[0] + 1, shape[1] - size[1] + 1, 2)
    node = convolution(weights(2, *size, 1), 6, groups=2)
    network = make([node], {"a": shape, "b": result})
    config = fit(network, Config(rows=rows, columns=2, window=window))
    assert_golden(compile_network(network, config), np.random.default_rng(0))


def test_softmax_is_left_to_the_host():
    requantize = Requantize(np.full(5, 5, np.int32))
    dense = FullyConnected("f", ("a",), "b", weights(5, 6), np.zeros(5, np.int32), requantize)
    nodes = [dense, Softmax("s", ("b",), "c")]
    network = make(nodes, {"a": (1, 1, 6), "b": (1, 1, 5), "c": (1, 1, 5)})
    program = compile_network(network, fit(network, Config(rows=4, columns=4)))
    assert program.core_outputs == ["b"]
    assert [layer["name"] for layer in program.layers] == ["f"]
    assert_golden(program, np.random.default_rng(0))


def test_accumulators_reach_their_width():
    """The widest sum fits, and an accumulator a bit narrower does not hold it."""
    kernel = np.full((1, 1, 1, 40), 127, np.int8)
    kernel[0, 0, 0, ::3] = -128
    network = make([convolution(kernel, 12)], {"a": (1, 1, 40), "b": (1, 1, 1)})
    config = fit(network, Config(rows=8, columns=8))
    assert config.accumulator_bits == 21
    adversary = np.where(kernel > 0, 127, -128).astype(np.int8)
    inputs = {"a": adversary}
    program = compile_network(network, config)
    expected = golden.run(program, inputs).outputs
    assert engine.compare(expected, interpreter.run(program, inputs).outputs) is None
    program.config = replace(config, accumulator_bits=20)
    with pytest.raises(OverflowError, match="a sum does not fit 20 bits"):
        interpreter.run(program, inputs)


def test_layers_and_macs():
    network = make(
        [convolution(weights(6, 3, 3, 4)), MaxPool("m", ("b",), "d", (2, 2), (2, 2))],
        {"a": (6, 6, 4), "b": (4, 4, 6), "d": (2, 2, 6)},
    )
    program = compile_network(network, fit(network, Config(rows=4, columns=4)))
    assert macs(network) == 4 * 4 * 6 * 3 * 3 * 4
    assert [(layer["name"], layer["op"], layer["macs"]) for layer in program.layers] == [
        ("c", "Conv2D", 3456), ("m", "MaxPool", 0),
    ]  # fmt: skip
    assert [layer["output_bytes"] for layer in program.layers] == [16 * 2 * 4, 4 * 2 * 4]
    assert sum(layer["instructions"] for layer in program.layers) == len(program.instructions)
    stored = sum(layer["weight_bytes"] for layer in program.layers)
    assert stored == program.images[Space.WEIGHT].size


# Refusals --------------------------------------------------------------------------------


def refused(network, config) -> list[str]:
    with pytest.raises(UnsupportedError) as caught:
        compile_network(network, config)
    return [str(problem) for problem in caught.value.problems]


def test_everything_that_is_too_small_is_named():
    table = np.arange(256).astype(np.int8)
    network = make(
        [
            convolution(weights(6, 3, 3, 4), bias=1 << 20),
            Table("t", ("b",), "d", table),
            Table("u", ("d",), "e", -table),
        ],
        {"a": (6, 6, 4), "b": (4, 4, 6), "d": (4, 4, 6), "e": (4, 4, 6)},
    )
    tiny = Config(rows=4, columns=4, accumulator_bits=16, activation_depth=16, weight_depth=2,
                  parameter_depth=4, program_depth=5, tables=1)  # fmt: skip
    assert refused(network, tiny) == [
        "memory 'activation': it has 64 bytes and the network needs 272, 208 more; "
        "use a larger board or a smaller network",
        "memory 'weight': it has 32 bytes and the network needs 320, 288 more; "
        "use a larger board or a smaller network",
        "memory 'parameter': it has 128 bytes and the network needs 192, 64 more; "
        "use a larger board or a smaller network",
        "memory 'program': it has 20 bytes and the network needs 84, 64 more; "
        "use a larger board or a smaller network",
        "memory 'table': it has 1 tables and the network needs 2; "
        "use fewer different activation functions and scales",
        "pass 'c': its sums need 22 bits and the accumulators have 16; "
        "use a configuration with wider accumulators",
    ]


def test_nodes_that_no_configuration_can_run():
    nodes = [convolution(weights(6, 1, 1, 4), shift=40), Softmax("s", ("b",), "d"),
             Add("e", ("d", "d"), "f", (0, 0), Requantize(np.array([0])))]  # fmt: skip
    network = make(nodes, {name: (1, 1, 4 if name == "a" else 6) for name in "abdf"})
    expected = [str(problem) for problem in problems_of(network)]
    assert [text.split(":")[0] for text in expected] == ["Conv2D 'c'", "Softmax 's'"]
    assert refused(network, Config(rows=4, columns=4)) == expected
    with pytest.raises(UnsupportedError, match=r"^net cannot run as it is \(2 problems\):\n"):
        fit(network, Config(rows=4, columns=4))


def test_sums_over_32_bits():
    network = make([convolution(weights(9, 1, 1, 4), shift=-20)],
                   {"a": (1, 1, 4), "b": (1, 1, 9)})  # fmt: skip
    found = [str(problem) for problem in problems_of(network)]
    assert found == [
        "pass 'c': its sums need 36 bits, over 32; "
        "use smaller weights, or a finer scale for its input"
    ]


def test_a_problem_of_several_instructions_is_named_once():
    kernel = np.zeros((12, 1, 1, 16), np.int8)
    for channels, word in ((slice(0, 4), 0), (slice(4, 8), 4), (slice(8, 12), 12)):
        kernel[channels, 0, 0, word] = 90
    network = make([convolution(kernel, -22)], {"a": (1, 1, 16), "b": (1, 1, 12)})
    with pytest.raises(UnsupportedError, match=r"\(1 problem\)"):
        fit(network, Config(rows=4, columns=4))


def test_weights_wider_than_the_digits():
    network = make(
        [Add("s", ("a", "b"), "c", (0, 29), Requantize(np.array([29])))],
        dict.fromkeys("abc", (1, 1, 4)),
    )
    found = str(problems_of(network)[0])
    assert found == (
        "pass 's': its weights are wider than 28 bits; "
        "bring the scales of its inputs closer together"
    )


def test_stride_beyond_the_instruction_set():
    node = Slice("s", ("a",), "b", (0, 0, 0), (300, 1, 4), (256, 1, 1))
    (found,) = problems_of(make([node], {"a": (300, 1, 4), "b": (2, 1, 4)}))
    assert str(found) == (
        "pass 's': an instruction cannot express it: stride_y must fit 8 bits, not 256; "
        "use a smaller stride, dilation or image"
    )


def test_nothing_to_compute():
    network = make([Softmax("s", ("a",), "b")], {"a": (1, 1, 4), "b": (1, 1, 4)})
    assert [str(problem) for problem in problems_of(network)] == [
        "Network 'net': it computes nothing on the array; give it at least one layer"
    ]


@pytest.mark.parametrize("pair", [(16, 20), (20, 24), (24, 32)])
def test_wider_accumulators_change_nothing_but_the_configuration(pair):
    network = random_network(np.random.default_rng(3), size=1000, accumulator_bits=16)
    base = fit(network, Config(rows=4, columns=4))
    first, second = (
        compile_network(network, replace(base, accumulator_bits=bits)) for bits in pair
    )
    for space, image in first.images.items():
        np.testing.assert_array_equal(image, second.images[space])


@pytest.mark.parametrize("seed", range(60))
def test_permutations_read_nothing_outside(seed):
    """Transposed, reshaped and turned tensors, in few instructions or in many."""
    rng = np.random.default_rng(seed)
    shape = tuple(int(size) for size in rng.integers(1, 9, 3))
    flat = np.arange(int(np.prod(shape)))
    order = flat.reshape(shape).transpose(rng.permutation(3))
    if seed % 3 == 1:
        size = int(rng.choice([n for n in range(1, len(flat) + 1) if len(flat) % n == 0]))
        order = flat.reshape(size, 1, -1)
    elif seed % 3 == 2:
        order = order[::-1]
    network = make(
        [Permute("p", ("a",), "b", np.ascontiguousarray(order).reshape(-1))],
        {"a": shape, "b": order.shape},
    )
    array = Config(rows=int(rng.integers(1, 9)), columns=int(rng.integers(1, 5)))
    program = compile_network(network, fit(network, array))
    inputs = {"a": rng.integers(-128, 128, (2, *shape)).astype(np.int8)}
    expected = golden.run_network(network, inputs)["b"]
    np.testing.assert_array_equal(interpreter.run(program, inputs).outputs["b"], expected)
