"""Weights copied during a run: plans that are right, exact in cycles, and refused with numbers."""

import contextlib
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from random_networks import describe, random_inputs, random_network

from weft.compiler.compile import compile_network, fit
from weft.compiler.cycles import instruction_cycles
from weft.compiler.network import FullyConnected, Network, Port, Requantize, Tensor
from weft.compiler.pieces import granularity, piece
from weft.compiler.program import Placement, Program
from weft.compiler.verify_program import verify
from weft.compiler.verify_weights import WeightRows
from weft.compiler.waits import with_waits
from weft.errors import InputError, UnsupportedError
from weft.hw.config import Config, Space
from weft.hw.isa import Instruction, encode, instruction_words, tiles_read
from weft.sim import golden, interpreter, rtl

ARRAYS = {
    "4x4": Config(rows=4, columns=4, lanes=2),
    "3x5": Config(rows=3, columns=5),
    "8x4, window 2": Config(rows=8, columns=4, lanes=2, window=2),
    "2x6": Config(rows=2, columns=6, lanes=1),
}


def small(name, seed, share, **options):
    """A random network, a configuration that fits, and one with a share of its weight memory."""
    network = random_network(np.random.default_rng(seed), **options)
    fitted = fit(network, ARRAYS[name])
    depth = max(1, int(share * fitted.weight_depth))
    return network, fitted, replace(fitted, weight_depth=depth, program_depth=1 << 16, copies=1)


def compiled(network, config):
    with contextlib.suppress(UnsupportedError):
        return compile_network(network, config)
    with pytest.raises(UnsupportedError, match="needed at once"):
        compile_network(network, config)
    return None


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("share", [0.9, 0.5])
def test_random_networks(name, share):
    """What copies weights computes the same."""
    copying = 0
    for seed in range(20):
        network, fitted, config = small(name, seed, share, size=8000)
        program = compiled(network, config)
        if program is None:
            continue
        copying += program.copied_bytes > 0
        assert sum(layer["weight_bytes"] for layer in program.layers) == sum(
            layer["weight_bytes"] for layer in compile_network(network, fitted).layers
        )
        inputs = random_inputs(np.random.default_rng(seed), network, 2)
        found = interpreter.run(program, inputs).outputs
        expected = golden.run_network(network, inputs)
        for tensor in program.core_outputs:
            np.testing.assert_array_equal(found[tensor], expected[tensor], describe(network))
    assert copying >= 3


@pytest.mark.parametrize("name", ARRAYS)
def test_random_networks_rtl(name):
    """In the gateware too, and in as many cycles as the compiler says, twice in a row."""
    found = {}
    for seed in range(20):
        network, _, config = small(name, seed, 0.7, size=1500, max_nodes=3)
        program = compiled(network, config)
        if program is not None and program.copied_bytes:
            found[sum(layer["cycles"] for layer in program.layers)] = seed, program
    cycles = min(found)
    seed, program = found[cycles]
    print("seed", seed, describe(program.network))
    inputs = random_inputs(np.random.default_rng(seed), program.network, 2)
    result = rtl.run(program, inputs)
    expected = golden.run_network(program.network, inputs)
    for tensor in program.core_outputs:
        np.testing.assert_array_equal(result.outputs[tensor], expected[tensor])
    assert result.cycles == [cycles] * 2


@pytest.mark.parametrize("name", ARRAYS)
def test_pieces_do_what_the_whole_does(name):
    """Every instruction of a network cut at random."""
    cuts = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        network = random_network(rng)
        config = replace(fit(network, ARRAYS[name]), program_depth=1 << 16)
        whole = compile_network(network, config)
        pieces: list[Instruction] = []
        for instruction in whole.instructions:
            step = granularity(instruction, config)
            units = -(-(instruction.last_tile + 1) // step)
            at = np.flatnonzero(rng.random(units - 1) < 0.7) + 1
            borders = [0, *(at * step).tolist(), instruction.last_tile + 1]
            for first, end in pairwise(borders):
                pieces.append(replace(piece(instruction, first, end - first, config), end=0))
            cuts += len(at)
        if len(pieces) == len(whole.instructions):
            continue  # nothing of it was cut
        pieces[-1] = replace(pieces[-1], end=1)
        words = np.concatenate([encode(ins, config) for ins in with_waits(pieces, config)])
        image = words.astype("<u4").reshape(-1, 1).view(np.uint8)
        cut = replace(whole, images={**whole.images, Space.PROGRAM: image})
        verify(cut)
        inputs = random_inputs(rng, network, 2)
        expected = interpreter.run(whole, inputs).outputs
        for tensor, codes in interpreter.run(cut, inputs).outputs.items():
            np.testing.assert_array_equal(codes, expected[tensor], describe(network))
    assert cuts > 20


def dense(*sizes, seed=0):
    """Layers of these sizes, one after the other."""
    rng = np.random.default_rng(seed)
    names = [f"t{number}" for number in range(len(sizes))]
    nodes = [
        FullyConnected(f"dense{number}", (names[number],), names[number + 1],
                       rng.integers(-128, 128, (outputs, inputs), np.int8),
                       rng.integers(-500, 500, outputs).astype(np.int32),
                       Requantize(np.full(outputs, 8, np.int32)))
        for number, (inputs, outputs) in enumerate(pairwise(sizes))
    ]  # fmt: skip
    ports = [Port(name, name, (1, 1, size), "int8")
             for name, size in zip(names, sizes, strict=True)]  # fmt: skip
    tensors = {name: Tensor(name, (1, 1, size), 1.0)
               for name, size in zip(names, sizes, strict=True)}  # fmt: skip
    return Network("dense", tensors, nodes, ports[:1], ports[-1:])


def test_what_fits_is_not_copied():
    network = dense(16, 16, 16)
    config = replace(fit(network, ARRAYS["4x4"]), copies=1, program_depth=2000)
    program = compile_network(network, config)
    assert program.copied_bytes == 0
    assert len(program.images[Space.WEIGHT]) == config.weight_depth == 32


def test_refused_with_the_numbers():
    network = dense(64, 64, 64, 64)
    config = Config(rows=4, columns=4, weight_depth=400, program_depth=600, copies=1)
    with pytest.raises(UnsupportedError) as caught:
        compile_network(network, config)
    text = str(caught.value)
    assert "it has 6,400 bytes and the network needs 12,288, 5,888 more; copied in turns" in text
    assert "bytes of that, and it has 2,400" in text
    config = replace(config, program_depth=8000)
    assert compile_network(network, config).copied_bytes > 0
    with pytest.raises(UnsupportedError, match="copying them in turns does not help"):
        compile_network(network, replace(config, weight_depth=12))
    with pytest.raises(UnsupportedError) as caught:
        compile_network(network, replace(config, copies=0))
    assert "copied" not in str(caught.value)


def stream(seed, config, *, length=25):
    """A program by hand: instructions of a few steps that copy and read at random."""
    rng = np.random.default_rng(seed)
    size = instruction_words(config)
    tiles = rng.integers(-128, 128, (30, config.multipliers), np.int8)
    permanent = tiles[: config.weight_depth // 2]
    data = np.zeros((len(tiles), 4 * config.tile_words), np.int8)
    data[:, : config.multipliers] = tiles
    result: list[Instruction] = []
    ready = np.arange(config.weight_depth) < len(permanent)
    pending = None
    targets = 0
    for _ in range(length):
        values = {}
        if rng.random() < 0.3 or pending is None:
            values["copied"] = 1
            if pending is not None:
                ready[pending] = True
            pending = None
        if pending is None and rng.random() < 0.7:
            count = int(rng.integers(1, 1 + config.weight_depth - len(permanent)))
            row = int(rng.integers(len(permanent), 1 + config.weight_depth - count))
            first = int(rng.integers(0, len(tiles) - count + 1))
            pending = slice(row, row + count)
            ready[pending] = False
            values |= {"copy_words": count * config.tile_words, "copy_row": row,
                       "copy_source": length * size + first * config.tile_words}  # fmt: skip
        steps = int(rng.integers(1, 5))
        pixels = int(rng.integers(1, 8))
        begins = [
            at for at in range(config.weight_depth - steps + 1) if ready[at : at + steps].all()
        ]
        result.append(
            Instruction(weight=int(rng.choice(begins)), last_block=steps - 1, source_block=1,
                        last_ox=pixels - 1, source_ox=-(steps - 1) % 256, stride_x=0,
                        source=int(rng.integers(0, 8)), target=16 + targets, target_ox=1,
                        last_group=config.groups - 1, **values)
        )  # fmt: skip
        targets += pixels
    if pending is not None:
        result[-1] = replace(result[-1], copied=1, copy_words=0)
    result = with_waits([replace(result[0]), *result[1:]], config)
    result[-1] = replace(result[-1], end=1)
    words = np.concatenate([*(encode(ins, config) for ins in result), data.view("<u4").reshape(-1)])
    parameters = np.zeros((config.groups, config.lanes, 2), "<i4")
    parameters[..., 1] = 9
    images = {
        Space.PROGRAM: words.astype("<u4").reshape(-1, 1).view(np.uint8),
        Space.WEIGHT: permanent.view(np.uint8),
        Space.PARAMETER: parameters.reshape(config.groups, -1).view(np.uint8),
    }
    network = Network("stream")
    places = {}
    for name, ports, base, count in (
        ("x", network.inputs, 0, 16), ("y", network.outputs, 16, targets)
    ):  # fmt: skip
        ports.append(Port(name, name, (1, count, config.rows), "int8"))
        network.tensors[name] = Tensor(name, (1, count, config.rows), 1.0)
        places[name] = Placement(base, 1, count, config.rows, 1)
    return Program(config, network, images, places)


@pytest.mark.parametrize("seed", range(6))
def test_streams_by_hand(seed):
    """Random copies around random fetches, in the gateware as in the interpreter."""
    print("seed", seed)
    config = [
        Config(rows=4, columns=4, lanes=2, activation_depth=256, weight_depth=12, copies=1),
        Config(rows=5, columns=5, lanes=1, activation_depth=256, weight_depth=9, copies=1),
    ][seed % 2]  # fmt: skip
    program = stream(seed, config)
    verify(program)
    x = np.random.default_rng(seed).integers(-128, 128, (2, 1, 16, config.rows), np.int8)
    found = rtl.run(program, {"x": x})
    np.testing.assert_array_equal(
        found.outputs["y"], interpreter.run(program, {"x": x}).outputs["y"]
    )
    assert found.cycles == [sum(instruction_cycles(program.instructions, config))] * 2


def test_streams_wait_for_copies():
    """The streams above are worth running: instructions do wait for copies, and fetches collide."""
    config = Config(rows=4, columns=4, lanes=2, activation_depth=256, weight_depth=12, copies=1)
    waited = 0
    for seed in range(6):
        instructions = stream(seed, config).instructions
        free = [replace(ins, copied=0) for ins in instructions]
        waited += sum(instruction_cycles(instructions, config)) > sum(
            instruction_cycles(free, config)
        )
    assert waited >= 4


CONFIG = Config(rows=4, columns=4, lanes=2, activation_depth=256, weight_depth=12, copies=1)


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"copied": 0, "copy_words": 0, "copy_row": 0}, ""),
        ({"copy_words": 7}, "copies 7 words, and a tile has 4"),
        ({"copy_row": 11, "copy_words": 12}, "copies to weight row 13 of 12"),
        ({"copy_source": 8, "copy_words": 8}, "copies words 8 to 15, and weights lie in words"),
        ({"copy_source": 1020, "copy_words": 16}, "to 1035, and weights lie in words"),
    ],
)
def test_verifier_refuses_copies(values, fault):
    program = stream(1, CONFIG)
    rows = WeightRows(program, 25 * instruction_words(CONFIG))
    faults = list(rows.begin(Instruction(copy_source=25 * instruction_words(CONFIG))))
    assert faults == []
    faults = list(rows.begin(Instruction(**values)))
    assert fault in "; ".join(faults) if fault else not faults


def test_a_copy_ends_with_the_memory_s_last_word():
    program = stream(1, CONFIG)
    size, words = 25 * instruction_words(CONFIG), len(program.images[Space.PROGRAM])
    for beyond in (0, 1):
        copy = Instruction(copy_source=words - 4 + beyond, copy_words=4)
        faults = list(WeightRows(program, size).begin(copy))
        assert len(faults) == beyond, faults


def test_verifier_follows_what_is_there():
    """Rows that are copied to hold nothing before, nor while the copy is under way."""
    config = CONFIG
    size = 4 * instruction_words(config)
    copy = {"copy_words": 8, "copy_row": 4, "copy_source": size}
    read = Instruction(weight=4, last_block=1)

    def faults(*instructions):
        words = np.concatenate(
            [*(encode(ins, config) for ins in instructions), np.arange(40, dtype=np.uint32)]
        )
        image = words.astype("<u4").reshape(-1, 1).view(np.uint8)
        program = stream(1, config)
        program.images = {**program.images, Space.PROGRAM: image}
        rows = WeightRows(program, size)
        found = []
        for instruction in instructions:
            found += [*rows.begin(instruction), *rows.read(instruction)]
        return [*found, *rows.end()]

    last = Instruction(copied=1, end=1)
    early = ["reads weight tile 4 before it is copied"]
    assert faults(Instruction(**copy), replace(read, copied=1), read, last) == []
    assert faults(Instruction(**copy), read, Instruction(), last) == early
    assert faults(read, Instruction(**copy), Instruction(), last) == early
    assert faults(Instruction(), replace(read, **copy), Instruction(), last) == early
    assert faults(Instruction(weight=1, last_block=3), Instruction(**copy), Instruction(),
                  last) == ["reads weight tile 4 before it is copied"]  # fmt: skip
    assert faults(Instruction(**copy), Instruction(**copy), Instruction(), last) == [
        "starts a copy without waiting for the one before"
    ]
    assert faults(Instruction(**copy), Instruction(), Instruction(), replace(last, copied=0)) == [
        "a copy is not waited for by any instruction"
    ]
    assert faults(Instruction(weight=11, last_block=1), Instruction(**copy), Instruction(),
                  last) == ["reads weight tile 12 of 12"]  # fmt: skip


def test_a_wrong_plan_shows():
    """The interpreter reads other weights where an instruction does not wait for its copy."""
    network = dense(32, 32, 32, 32)
    config = replace(fit(network, ARRAYS["4x4"]), weight_depth=150, program_depth=4000, copies=1)
    program = compile_network(network, config)
    inputs = random_inputs(np.random.default_rng(0), network, 1)
    good = interpreter.run(program, inputs).outputs
    words = program.images[Space.PROGRAM].copy().view("<u4").reshape(-1)
    size = instruction_words(config)
    instructions = program.instructions
    last = max(at for at, ins in enumerate(instructions) if ins.copied)
    wrong = replace(instructions[last], copied=0)
    words[last * size : (last + 1) * size] = encode(wrong, config)
    bad = replace(
        program, images={**program.images, Space.PROGRAM: words.reshape(-1, 1).view(np.uint8)}
    )
    with pytest.raises(InputError, match="before it is copied"):
        verify(bad)
    (name,) = good
    assert (interpreter.run(bad, inputs).outputs[name] != good[name]).any()


def test_tiles_read():
    assert tiles_read(Instruction(last_tile=2, last_kx=1, last_block=3)) == 24
    assert tiles_read(Instruction(last_tile=2, last_kx=1, last_block=3, hold_taps=1)) == 12
    assert tiles_read(Instruction(last_tile=2, last_digit=1, hold_tiles=1)) == 2
