"""The published models of MLPerf Tiny: golden, program and Verilog give the published integers.

Rounding "double" is compared with TFLite Micro's, "litert" with LiteRT's reference kernels.
"""

import time

import numpy as np
import published
import pytest
from published import FILES, REFERENCES

from weft.compiler.compile import compile_network, fit
from weft.hw.config import Config
from weft.sim import golden, interpreter, layers
from weft.sim.verilog import engine

ARRAYS = {
    "16x8": Config(rows=16, columns=8, lanes=4, window=3),
    "8x8": Config(rows=8, columns=8),
    "4x4": Config(rows=4, columns=4),
    "5x3": Config(rows=5, columns=3),
}

#: Inputs of each model that run in Verilog; None is all of them, real and random.
INPUTS = {"16x8": None, "8x8": 2, "4x4": 2, "5x3": 2}

models = pytest.mark.parametrize("name", FILES)
roundings = pytest.mark.parametrize("rounding", REFERENCES)
two_arrays = pytest.mark.parametrize("array", ["16x8", "5x3"])


def every_input(name, rounding):
    """All inputs, real and random, and what they give."""
    parts = [published.arrays(name, file) for file in ("tests.npz", "random.npz")]
    wanted = f"outputs_{REFERENCES[rounding]}"
    return (
        np.concatenate([part["inputs"] for part in parts]),
        np.concatenate([part[wanted] for part in parts]),
    )


def reference_layers(name, rounding):
    return published.arrays(name, f"layers_{REFERENCES[rounding]}.npz")


def assert_layers(network, tensors, reference):
    """Every tensor of the reference is there, and equal."""
    found = published.layers(network, tensors)
    assert reference.keys() <= found.keys()
    assert [key for key in reference if not np.array_equal(found[key], reference[key][None])] == []


@roundings
@models
def test_golden(name, rounding):
    made = published.network(name, rounding)
    inputs, wanted = every_input(name, rounding)
    result = golden.run_network(made, published.codes(made, inputs))
    np.testing.assert_array_equal(published.outputs(made, golden.RunResult(result)), wanted)


@two_arrays
@roundings
@models
def test_program(name, rounding, array):
    program = published.program(name, ARRAYS[array], rounding)
    inputs, wanted = every_input(name, rounding)
    result = interpreter.run(program, published.codes(program.network, inputs))
    np.testing.assert_array_equal(published.outputs(program.network, result), wanted)


@roundings
@models
def test_every_layer_in_golden(name, rounding):
    made = published.network(name, rounding)
    codes = published.codes(made, published.arrays(name, "tests.npz")["inputs"][:1])
    tensors = golden.run_network(made, codes, keep=True)
    assert_layers(made, tensors, reference_layers(name, rounding))


@two_arrays
@roundings
@models
def test_every_layer_in_program(name, rounding, array):
    program = published.program(name, ARRAYS[array], rounding)
    codes = published.codes(program.network, published.arrays(name, "tests.npz")["inputs"][:1])
    result = layers.run(program, codes, layers.interpret)
    assert_layers(program.network, codes | result.tensors, reference_layers(name, rounding))


def test_the_two_roundings_are_told_apart():
    """Only ad tells them apart: dense layers alone are rounded differently, and it has ten."""
    differ = {}
    for name in FILES:
        double, litert = (every_input(name, rounding)[1] for rounding in REFERENCES)
        differ[name] = int((double != litert).sum())
    assert {name for name, count in differ.items() if count} == {"ad"}
    first, second = (reference_layers("ad", rounding) for rounding in REFERENCES)
    assert sum(not np.array_equal(first[key], second[key]) for key in first) == 9


def test_kws_in_verilog():
    program = published.program("kws", ARRAYS["16x8"])
    real = published.arrays("kws", "tests.npz")
    codes = published.codes(program.network, real["inputs"][:2])
    result = engine.run(program, codes)
    np.testing.assert_array_equal(
        published.outputs(program.network, result), real["outputs_tflm"][:2]
    )
    assert result.cycles == 2 * [cycles(program)]
    by_layers = layers.run(program, codes, engine.run_jobs)
    expected = golden.run_network(program.network, codes, keep=True)
    assert by_layers.tensors.keys() == expected.keys() - codes.keys()
    assert [k for k, v in by_layers.tensors.items() if not np.array_equal(v, expected[k])] == []
    first = {name: array[:1] for name, array in (codes | by_layers.tensors).items()}
    assert_layers(program.network, first, reference_layers("kws", "double"))


def cycles(program):
    return sum(layer["cycles"] for layer in program.layers)


@pytest.mark.slow
@roundings
@pytest.mark.parametrize("array", ARRAYS)
def test_verilog(array, rounding):
    """All models on one core, one after another."""
    jobs = []
    for name in FILES:
        program = published.program(name, ARRAYS[array], rounding)
        inputs, wanted = (part[: INPUTS[array]] for part in every_input(name, rounding))
        jobs.append((program, published.codes(program.network, inputs), wanted))
    results = engine.run_many([(program, codes) for program, codes, _ in jobs])
    for (program, _, wanted), result in zip(jobs, results, strict=True):
        np.testing.assert_array_equal(published.outputs(program.network, result), wanted)
        assert result.cycles == len(wanted) * [cycles(program)]


@pytest.mark.slow
@models
def test_every_layer_in_verilog(name):
    program = published.program(name, ARRAYS["16x8"])
    codes = published.codes(program.network, published.arrays(name, "tests.npz")["inputs"][:1])
    result = layers.run(program, codes, engine.run_jobs)
    assert_layers(program.network, codes | result.tensors, reference_layers(name, "double"))


# Time -----------------------------------------------------------------------------------


def seconds(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


@models
def test_compiling_takes_less_than_ten_seconds(name):
    made = published.network(name)

    def work():
        for array in ARRAYS.values():
            compile_network(made, fit(made, array))

    assert seconds(work) <= 10


def test_golden_takes_less_than_a_second_for_ic():
    made = published.network("ic")
    codes = published.codes(made, published.arrays("ic", "tests.npz")["inputs"][:1])
    # The best of three: what else runs on the machine is not golden's.
    assert min(seconds(lambda: golden.run_network(made, codes)) for _ in range(3)) <= 1


@pytest.mark.slow
def test_a_simulation_is_built_in_two_minutes_and_runs_ic_in_one(tmp_path, monkeypatch):
    program = published.program("ic", ARRAYS["16x8"])
    codes = published.codes(program.network, published.arrays("ic", "tests.npz")["inputs"][:1])
    monkeypatch.setenv("WEFT_CACHE", str(tmp_path))
    assert seconds(lambda: engine.prepare(program)) <= 120
    assert seconds(lambda: engine.prepare(program)) <= 5  # it is there
    assert seconds(lambda: engine.run(program, codes)) <= 60
