"""The four models of MLPerf Tiny in ../shared/models, with their inputs and reference data.

Where the folder is not there, a test that asks for it is skipped. `array_for_all` is one
configuration that holds all four, so that one simulation runs them all.
"""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from weft.compiler.compile import compile_network, fit
from weft.compiler.edges import decode_outputs, encode_inputs
from weft.compiler.network import Network
from weft.compiler.program import Program
from weft.compiler.tflite_reader import read_tflite
from weft.hw.config import Config
from weft.sim.golden import RunResult

MODELS = Path(__file__).parents[1] / "../shared/models"

FILES = {
    "ic": "pretrainedResnet_quant.tflite",
    "kws": "kws_ref_model.tflite",
    "vww": "vww_96_int8.tflite",
    "ad": "ad01_int8.tflite",
}

#: Whose numbers each rounding gives: names of the reference data.
REFERENCES = {"double": "tflm", "litert": "litert_ref"}

#: What becomes as deep as the deepest of the four networks asks for.
DEPTHS = (
    "accumulator_bits", "activation_depth", "weight_depth", "parameter_depth", "program_depth",
    "tables", "multiplier_bits", "elementwise",
)  # fmt: skip


def folder(name: str) -> Path:
    """A model's folder; without it the test is skipped."""
    there = MODELS / name
    if not there.is_dir():
        pytest.skip(f"the published models are not there: {MODELS}")
    return there


def model_file(name: str) -> Path:
    return folder(name) / FILES[name]


@cache
def network(name: str, rounding: str = "double") -> Network:
    return read_tflite(model_file(name), rounding)


@cache
def arrays(name: str, file: str) -> dict[str, np.ndarray]:
    """Contents of tests.npz, random.npz, layers_tflm.npz or layers_litert_ref.npz."""
    with np.load(folder(name) / file) as archive:
        return {key: archive[key] for key in archive.files}


@cache
def array_for_all(array: Config) -> Config:
    """`array` with memories for every one of the four networks."""
    fitted = [fit(network(name), array) for name in FILES]
    most = {size: max(getattr(config, size) for config in fitted) for size in DEPTHS}
    # Instructions are longer where memories are deeper.
    most["program_depth"] *= 2
    return replace(array, **most)


@cache
def program(name: str, array: Config, rounding: str = "double") -> Program:
    """A model compiled for an array, in memories for all four."""
    return compile_network(network(name, rounding), array_for_all(array))


def codes(made: Network, inputs: np.ndarray) -> dict[str, np.ndarray]:
    """Inputs as an engine takes them."""
    return encode_inputs(made, {made.inputs[0].name: inputs})


def outputs(made: Network, result: RunResult) -> np.ndarray:
    """Outputs of an engine in the file's shape."""
    (array,) = decode_outputs(made, result.outputs).values()
    return array


def layers(made: Network, tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Tensors of an engine by their numbers in the file, in the file's shapes."""
    return {
        str(port.number): tensors[port.tensor].reshape(-1, *port.shape)
        for port in made.activations
        if port.tensor in tensors
    }
