"""Random `.tflite` models of every operator, and whole graphs: program and Verilog equal golden.

Golden itself is compared with LiteRT in `compiler/test_tflite_litert.py`. A model that leaves
nothing for the array to do cannot be compiled; where an operator makes some of those, the next
seeds take their place, so that the number of models is the same. Operators that never leave
anything, `HOST_ONLY`, are refused by the compiler and run in golden alone.
"""

from collections import Counter
from dataclasses import dataclass
from itertools import count

import numpy as np
import pytest
from tflite_graphs import GRAPHS
from tflite_models import OPERATORS, random_model

from weft.compiler.compile import compile_network, fit
from weft.compiler.network import Network
from weft.compiler.program import Program
from weft.compiler.tflite_reader import read_tflite
from weft.errors import UnsupportedError
from weft.hw.config import Config
from weft.sim import golden, interpreter
from weft.sim.engine import compare
from weft.sim.verilog import engine

#: Views cost nothing, SOFTMAX and DEQUANTIZE at the network's edge are the host's.
HOST_ONLY = ("SOFTMAX", "DEQUANTIZE", "RESHAPE", "SQUEEZE", "EXPAND_DIMS")
ON_ARRAY = tuple(operator for operator in OPERATORS if operator not in HOST_ONLY)

#: One configuration of each array holds all models. The depths are odd on purpose: a power of
#: two hides mistakes.
DEPTHS = {"activation_depth": 3300, "weight_depth": 420, "parameter_depth": 150, "tables": 2,
          "program_depth": 420, "multiplier_bits": 31, "elementwise": 1}  # fmt: skip
ARRAYS = {
    "4x4": Config(rows=4, columns=4, **DEPTHS),
    "12x4, window 3": Config(rows=12, columns=4, lanes=2, window=3, line_depth=21, **DEPTHS),
}
#: Models of an operator on each array; the second has other ones.
MODELS = {"4x4": 40, "12x4, window 3": 20}
FIRST_SEED = {"4x4": 0, "12x4, window 3": 1000}
#: The second sample shows that the first leaves no traces.
SAMPLES = 2

#: Few random models fit the second path: so many are looked for.
WITH_WINDOWS = {"DEPTHWISE_CONV_2D": 10, "AVERAGE_POOL_2D": 10}
GRAPH_SEEDS = range(4)

#: RELU6 between two scales exists in LiteRT alone.
ROUNDINGS = {"RELU6": ("litert",)}
#: What the compiler may say of a random model, and nothing else.
NOTHING, PIXELS = "it computes nothing on the array", "its constant differs from pixel to pixel"

arrays = pytest.mark.parametrize("array", ARRAYS)
on_array = pytest.mark.parametrize("operator", ON_ARRAY)


@dataclass(frozen=True, eq=False)
class Case:
    """A model on an array, with samples and what golden makes of them."""

    label: str
    program: Program
    inputs: dict[str, np.ndarray]
    expected: golden.RunResult

    def difference(self, level, result) -> str | None:
        found = compare(self.expected.outputs, result.outputs, level=level)
        cycles = sum(layer["cycles"] for layer in self.program.layers)
        if found is None and result.cycles not in (None, [cycles] * SAMPLES):
            return f"{self.label}: {level} takes {result.cycles} cycles instead of {cycles}"
        return None if found is None else f"{self.label}: {found}"


def network_of(model: bytes, folder, rounding: str) -> Network:
    path = folder / "model.tflite"
    path.write_bytes(model)
    return read_tflite(path, rounding)


def random_model_network(operator: str, seed: int, folder) -> Network:
    roundings = ROUNDINGS.get(operator, ("litert", "double", "single"))
    return network_of(random_model(operator, seed), folder, roundings[seed % len(roundings)])


def samples_for(network: Network, seed: int) -> dict[str, np.ndarray]:
    """Codes of every size, the extremes often."""
    rng = np.random.default_rng(seed)
    result = {}
    for port in network.inputs:
        shape = (SAMPLES, *network.tensors[port.tensor].shape)
        codes = rng.integers(-128, 128, shape).astype(np.int8)
        extreme = rng.choice(np.array([-128, 127], np.int8), shape)
        result[port.tensor] = np.where(rng.random(shape) < 0.1, extreme, codes)
    return result


def case(label: str, network: Network, config: Config, seed: int) -> Case:
    program = compile_network(network, config)
    inputs = samples_for(network, seed)
    return Case(label, program, inputs, golden.run(program, inputs))


def reason(error: UnsupportedError) -> str:
    (problem,) = error.problems
    return problem.reason


def cases(operator: str, array: str, folder) -> tuple[list[Case], Counter]:
    """The first models that have something for the array, and why others have not."""
    found: list[Case] = []
    left: Counter = Counter()
    for seed in count(FIRST_SEED[array]):
        if len(found) == MODELS[array]:
            break
        network = random_model_network(operator, seed, folder)
        try:
            found.append(case(f"{operator} {seed}", network, ARRAYS[array], seed))
        except UnsupportedError as error:
            left[reason(error)] += 1
    return found, left


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


def assert_levels_equal(made: list[Case]):
    """All of them in the interpreter, and one after another on one simulated core."""
    jobs = [(c.program, c.inputs) for c in made]
    for level, results in (
        ("program", [interpreter.run(*job) for job in jobs]),
        ("verilog", engine.run_many(jobs)),
    ):
        found = [c.difference(level, result) for c, result in zip(made, results, strict=True)]
        assert [text for text in found if text is not None] == []


@arrays
@on_array
def test_operator(operator, array, folder):
    made, left = cases(operator, array, folder)
    assert len(made) == MODELS[array]
    # Half of all seeds at least, and nothing is left out for want of room.
    assert sum(left.values()) <= MODELS[array]
    assert set(left) <= {NOTHING, PIXELS}
    assert_levels_equal(made)


@pytest.mark.parametrize("operator", HOST_ONLY)
def test_host_only(operator, folder):
    """The compiler says that nothing is left for the array; golden runs them."""
    for seed in range(20):
        network = random_model_network(operator, seed, folder)
        with pytest.raises(UnsupportedError) as refused:
            fit(network, Config(rows=4, columns=4))
        assert reason(refused.value) == NOTHING
        outputs = golden.run_network(network, samples_for(network, seed))
        assert {port.tensor for port in network.outputs} <= outputs.keys()


@arrays
@pytest.mark.parametrize("name", GRAPHS)
def test_graph(name, array, folder):
    made = [
        case(
            f"{name} {seed}", network_of(GRAPHS[name](seed), folder, rounding), ARRAYS[array], seed
        )
        for seed in GRAPH_SEEDS
        for rounding in ("litert", "double")
    ]
    assert_levels_equal(made)


@pytest.mark.parametrize("operator", WITH_WINDOWS)
def test_second_path(operator, folder):
    """Depthwise layers and averages that the second path takes."""
    config = ARRAYS["12x4, window 3"]
    made: list[Case] = []
    for seed in range(2000, 3000):
        network = random_model_network(operator, seed, folder)
        if windows(compile_network(network, config)):
            made.append(case(f"{operator} {seed}", network, config, seed))
        if len(made) == WITH_WINDOWS[operator]:
            break
    assert len(made) == WITH_WINDOWS[operator]
    assert_levels_equal(made)


def windows(program: Program) -> int:
    return sum(instruction.window > 0 for instruction in program.instructions)
