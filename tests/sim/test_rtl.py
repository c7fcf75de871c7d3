import functools

import numpy as np
import pytest
import standin
from numpy.testing import assert_array_equal

from weft.errors import InputError, RefusedError
from weft.hw.config import Config
from weft.sim import jobs, rtl


@pytest.mark.parametrize("stalls_seed", [None, 1, 2])
def test_outputs(stalls_seed):
    x = standin.inputs(1)
    result = rtl.run(standin.program(7), x, core=standin.Standin, stalls_seed=stalls_seed)
    assert_array_equal(result.outputs["y"], standin.expected(7, x)["y"])


def test_cycles_are_the_cores():
    result = rtl.run(standin.program(7), standin.inputs(1), core=standin.Standin)
    assert result.cycles == [32, 32, 32]


def test_many_programs_on_one_core():
    pairs = [(standin.program(n), standin.inputs(n, samples=n)) for n in (1, 2, 3)]
    results = rtl.run_many(pairs, core=standin.Standin)
    for n, (result, (_, x)) in enumerate(zip(results, pairs, strict=True), 1):
        assert_array_equal(result.outputs["y"], standin.expected(n, x)["y"])


def test_nothing_to_run():
    assert rtl.run_many([], core=standin.Standin) == []


def test_progress():
    seen = []
    rtl.run(
        standin.program(7),
        standin.inputs(1, samples=2),
        core=standin.Standin,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(1, 2), (2, 2)]


def test_stuck_core_is_refused():
    program = standin.program(7)
    program.layers.append({"cycles": 10})
    with pytest.raises(RefusedError, match="did not finish an inference within 10040 cycles"):
        rtl.run(program, standin.inputs(1), core=functools.partial(standin.Standin, hangs=True))


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "the inputs lack tensor 'x'; the program takes x"),
        ({"x": np.zeros((1, 4, 3, 5))}, "'x' must be an int8 array .* not float64"),
        ({"x": np.zeros((4, 3, 5), np.int8)}, r"not int8 of shape \(4, 3, 5\)"),
        ({"x": np.zeros((1, 4, 3, 6), np.int8)}, r"'x' has shape \(4, 3, 6\).* takes \(4, 3, 5\)"),
        ({"x": np.zeros((0, 4, 3, 5), np.int8)}, "no samples"),
    ],
)
def test_bad_inputs(inputs, message):
    with pytest.raises(InputError, match=message):
        rtl.run(standin.program(7), inputs, core=standin.Standin)


def test_programs_of_two_configurations():
    other = Config(rows=4, columns=4, activation_depth=128)
    pairs = [(standin.program(1, config), standin.inputs(1)) for config in (standin.CONFIG, other)]
    with pytest.raises(InputError, match="one configuration"):
        rtl.run_many(pairs, core=standin.Standin)


@pytest.mark.parametrize("seed", range(3))
def test_expected_words_mark_exactly_the_outputs(seed):
    x = standin.inputs(seed)
    job = jobs.Job(standin.program(seed), x)
    want = standin.expected(seed, x)
    words, mask = job.expected_words(want)
    noise = np.random.default_rng(seed).integers(0, 2**32, words.shape, np.uint32)
    seen = (words & mask | noise & ~mask).reshape(job.samples, -1)
    assert_array_equal(job.result(seen, [0] * job.samples).outputs["y"], want["y"])
    assert np.unpackbits(mask.view(np.uint8)).sum() == 8 * want["y"].size
