"""When inputs are released: tensors kept apart, the mark, and every way of it being wrong."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from random_networks import describe, random_inputs, random_network

from weft.compiler.allocate import allocate
from weft.compiler.compile import activation_words, compile_network, fit
from weft.compiler.network import Conv2D, MaxPool, Network, Port, Requantize, Softmax, Tensor
from weft.compiler.program import Program
from weft.compiler.release import last_steps, still_storing
from weft.compiler.verify_program import verify
from weft.compiler.verify_release import input_words, release_faults
from weft.compiler.waits import least_wait
from weft.compiler.words import turns_of, words_read, words_written
from weft.errors import InputError
from weft.hw.config import Config, Space
from weft.hw.isa import LOOPS, encode
from weft.hw.latency import RELEASE, settle
from weft.sim import golden, interpreter

SIZES = {"a": 10, "b": 4, "c": 5, "d": 2}
ARRAY = Config(rows=4, columns=4, lanes=2, stream=1)


def chain(inputs=("a",), **changes) -> Program:
    """A convolution a -> b, a maximum b -> c; words: a 50, b 75, c 12."""
    shapes = {"a": (5, 5, 6), "b": (5, 5, 9), "c": (2, 2, 9)}
    weights = np.random.default_rng(0).integers(-128, 128, (9, 3, 3, 6), np.int8)
    conv = Conv2D("conv", ("a",), "b", weights, np.zeros(9, np.int32),
                  Requantize(np.full(9, 8, np.int32)), padding=(1, 1, 1, 1))  # fmt: skip
    nodes = [conv, MaxPool("pool", ("b",), "c", (2, 2), (2, 2))]
    ports = {name: Port(name, name, shape, "int8") for name, shape in shapes.items()}
    tensors = {name: Tensor(name, shape, 1.0) for name, shape in shapes.items()}
    network = Network("net", tensors, nodes, [ports["a"]], [ports["c"]])
    return compile_network(network, replace(fit(network, ARRAY), **changes))


def with_instructions(made: Program, instructions) -> Program:
    words = np.array([encode(ins, made.config) for ins in instructions], "<u4").reshape(-1, 1)
    made.images = {**made.images, Space.PROGRAM: words.view(np.uint8)}
    return made


def changed(index, **values) -> Program:
    made = chain()
    instructions = made.instructions
    instructions[index] = replace(instructions[index], **values)
    return with_instructions(made, instructions)


def rejected(made: Program) -> str:
    with pytest.raises(InputError) as caught:
        verify(made)
    return str(caught.value).removeprefix("the program is not valid: ")


def test_allocated_twice():
    """What lives again keeps its place, and others may lie there in between."""
    tensors = {name: Tensor(name, (1, 1, 4 * size), 1.0) for name, size in SIZES.items()}
    spans = {"a": (-1, 0), "b": (0, 1), "c": (1, 2), "d": (2, 3)}

    def words(again):
        placements = allocate(tensors, spans, rows=4, again={"a": again} if again else None)
        for one, other in combinations(tensors, 2):
            times = {name: [span] for name, span in spans.items()}
            times["a"] += [again] if again else []
            meet = any(s <= v and u <= e for s, e in times[one] for u, v in times[other])
            first, second = placements[one], placements[other]
            apart = (
                first.base >= second.base + second.words or second.base >= first.base + first.words
            )
            assert apart or not meet
        return activation_words(placements)

    assert words(None) == 14
    assert words((3, 3)) == 14
    # b and d both lie beside a and c.
    assert words((2, 3)) == 19
    assert words((1, 3)) == 19


def test_inputs_lie_apart():
    made = chain()
    assert made.released == 0
    assert [ins.release for ins in made.instructions] == [1, 0]
    assert activation_words(made.placements) == 50 + 75 + 12


def test_without_room_inputs_are_not_released():
    made = chain(activation_depth=130)
    assert made.released is None
    assert activation_words(made.placements) == 50 + 75


def test_an_output_that_is_an_input_is_not_released():
    tensors = {name: Tensor(name, (1, 1, 6), 1.0) for name in "abc"}
    nodes = [MaxPool("pool", ("a",), "b", (1, 1), (1, 1)), Softmax("soft", ("a",), "c", 1.0)]
    ports = {name: Port(name, name, (1, 1, 6), "int8") for name in "abc"}
    network = Network("net", tensors, nodes, [ports["a"]], [ports["b"], ports["c"]])
    assert compile_network(network, fit(network, ARRAY)).released is None


def test_other_configurations_know_nothing_of_it():
    made = chain()
    plain = compile_network(made.network, fit(made.network, replace(ARRAY, stream=0)))
    assert plain.released is None
    with pytest.raises(ValueError, match="release must be 0 on this configuration"):
        encode(replace(plain.instructions[0], release=1), plain.config)


@pytest.mark.parametrize(
    ("index", "values", "fault"),
    [
        (1, {"source": 60}, "instruction 1 reads activation word 75"),
        (2, {"target": 76}, "instruction 2 writes activation word 76"),
        (0, {"target": 60}, "instruction 0 writes activation word 75"),
    ],
)
def test_faults(index, values, fault):
    """b lies at word 0, a at 75, c at 125; the last instruction is there a second time."""
    made = chain(program_depth=100)
    assert {n: place.base for n, place in made.placements.items()} == {"b": 0, "a": 75, "c": 125}
    first, last = made.instructions
    instructions = [first, replace(last, end=0, wait=31), replace(last, wait=31)]
    instructions[index] = replace(instructions[index], **values)
    if index == 0:  # all is where the next one reads it
        instructions[1:] = [replace(ins, source=60) for ins in instructions[1:]]
    text = rejected(with_instructions(made, instructions))
    assert f"{fault}, where inputs lie, which instruction 0 releases" in text


def test_written_before_the_release():
    """Until all results are stored where inputs lie, these must not be released."""
    made = chain(program_depth=100)
    first, second = made.instructions
    short = {f"last_{loop}": 0 for loop in LOOPS}
    # The second one takes a single step, so that results of the first are still on their way.
    marked = [
        replace(first, target=60, release=0),
        replace(second, **short, source=0, target=125, last_group=0, release=1),
        replace(second, source=0, wait=31),
    ]
    instructions = [
        marked[0],
        replace(marked[1], wait=least_wait(*marked[:2], made.config)),
        marked[2],
    ]
    assert still_storing(instructions, 1, made.config) == [0, 1]
    instructions[1] = replace(instructions[1], source=60)
    # Only the release is looked at: the third one would read what nobody has written.
    faults = list(release_faults(with_instructions(made, instructions)))
    assert faults == [
        "instruction 0 writes activation word 75, where inputs lie, which instruction 1 releases"
    ]


def test_still_storing():
    """Results are stored so long after the last step as the pipeline takes."""
    made = chain()
    first, second = made.instructions
    steps = last_steps([first, second], made.config)
    assert steps[1] + settle(made.config, elementwise=False) + 2 == sum(
        layer["cycles"] for layer in made.layers
    )
    assert still_storing([first, second], 0, made.config) == [0]
    assert still_storing([first, second], 1, made.config) == [1]
    short = replace(second, **{f"last_{loop}": 0 for loop in LOOPS}, wait=0)
    assert still_storing([first, short, second], 1, made.config) == [0, 1]


def test_the_host_s_first_word_comes_after_the_last_result():
    """Released by longer and longer instructions: the one before is done when it really is."""
    made = chain()
    first, second = made.instructions
    found = set()
    for turns in range(60):
        length = {f"last_{loop}": 0 for loop in LOOPS} | {"last_ox": turns}
        instructions = [first, replace(second, **length, wait=0), second]
        before, released, _ = last_steps(instructions, made.config)
        stored, loaded = before + settle(made.config, elementwise=False), released + RELEASE
        assert (0 in still_storing(instructions, 1, made.config)) == (stored > loaded)
        found.add(stored - loaded)
    assert {-1, 1} <= found  # a result takes two cycles


def test_an_output_where_inputs_lie():
    made = chain()
    made.placements = {**made.placements, "c": replace(made.placements["c"], base=80)}
    fault = "output c lies where inputs lie, which instruction 0 releases"
    first, second = made.instructions
    assert fault in rejected(with_instructions(made, [first, replace(second, target=80)]))


def test_released_twice():
    """The first one counts, as in the gateware."""
    made = chain()
    first, second = made.instructions
    verify(with_instructions(made, [first, replace(second, release=1)]))
    assert made.released == 0


def test_the_mark_is_missing():
    made = changed(0, release=0)
    verify(made)
    assert made.released is None


def test_the_interpreter_shows_who_reads_too_late():
    made = chain()
    inputs = random_inputs(np.random.default_rng(0), made.network, 2)
    expected = golden.run(made, inputs).outputs["c"]
    np.testing.assert_array_equal(interpreter.run(made, inputs).outputs["c"], expected)
    first, second = made.instructions
    early = [replace(first, release=1), replace(first, release=0, wait=second.wait), second]
    found = interpreter.run(with_instructions(made, early), inputs).outputs["c"]
    assert (found != expected).any()


def assert_released(made: Program) -> None:
    """After the release nobody touches where inputs lie, and results are there."""
    assert made.released is not None
    words = input_words(made)
    late = still_storing(made.instructions, made.released, made.config)
    for index, ins in enumerate(made.instructions):
        turns = turns_of(ins)
        read = words & words_read(ins, turns, made.config, len(words))
        assert not read.any() or index <= made.released
        written = words & words_written(ins, turns, made.config, len(words))
        assert not written.any() or (index < made.released and index not in late)


def assert_golden(made: Program, rng) -> None:
    inputs = random_inputs(rng, made.network, 2)
    expected, found = golden.run(made, inputs).outputs, interpreter.run(made, inputs).outputs
    for name in made.core_outputs:
        np.testing.assert_array_equal(found[name], expected[name], describe(made.network))


@pytest.mark.parametrize("seed", range(0, 40, 10))
def test_random_networks(seed):
    """With all the room they want, with less, and with what they need without it."""
    seen = {"early": 0, "late": 0, "never": 0}
    for number in range(seed, seed + 10):
        print("seed", number)
        rng = np.random.default_rng(number)
        network = random_network(rng, size=2500, max_nodes=6, max_side=8)
        rows, columns = (int(side) for side in rng.integers(1, 9, 2))
        array = Config(rows=rows, columns=columns, stream=1)
        config = fit(network, array)
        made = compile_network(network, config)
        assert_golden(made, rng)
        if made.released is None:
            assert set(made.core_inputs) & set(made.core_outputs)
            continue
        assert_released(made)
        seen["early"] += 1
        least = fit(network, replace(array, stream=0)).activation_depth
        for depth in {least, (least + config.activation_depth) // 2}:
            small = compile_network(network, replace(config, activation_depth=depth))
            assert_golden(small, rng)
            if small.released is None:
                seen["never"] += 1
                continue
            assert_released(small)
            assert small.released >= made.released
            seen["late"] += small.released > made.released
    print(seen)
    assert seen["early"] > 5
    assert seen["late"]
    assert seen["never"]
