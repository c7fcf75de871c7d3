"""Networks in the forms that other tools export, through the commands and to the Verilog."""

import time

import numpy as np
import onnx
import pytest
from foreign import keras_style, torch_style
from levels import ARRAYS
from onnx_session import onnx_session

from weft.commands.check import check
from weft.commands.compile import compile_for_array
from weft.commands.quantize import quantize_model
from weft.compiler.compile import compile_network
from weft.compiler.edges import decode_outputs, encode_inputs
from weft.models import read_network
from weft.sim import golden, interpreter
from weft.sim.engine import compare
from weft.sim.verilog import engine

BUILDERS = {
    f"{module.__name__.rpartition('.')[2]}-{builder.__name__}": builder
    for module in (torch_style, keras_style)
    for builder in module.MODELS
}
#: Outputs behind several layers may be off by more than one code: ONNX Runtime rounds ties
#: to even, and a sum or a steep function carries that on.
SEVERAL_CODES = 3
#: ONNX Runtime refuses the source itself.
NO_FLOAT_REFERENCE = ("torch_style-asymmetric",)
#: They go through the Verilog of one configuration.
VERILOG = (
    "torch_style-odd_channels", "torch_style-mobilenet", "torch_style-conv1d", "torch_style-pools",
    "torch_style-two_of_each", "torch_style-permuted", "keras_style-cnn", "keras_style-residual",
)  # fmt: skip
SAMPLES = 12


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A function that builds a model, its samples and its quantised file, once each."""
    folder, done = tmp_path_factory.mktemp("foreign"), {}

    def make(name, calibrator="minmax"):
        path, data = folder / f"{name}.onnx", folder / f"{name}.npz"
        if not path.exists():
            onnx.save(BUILDERS[name]().proto(), path)
            random = np.random.default_rng(1)
            np.savez(data, **{
                port: random.standard_normal((SAMPLES, *shape[1:])).astype(np.float32)
                for port, _, shape in ports(path)[0]
            })  # fmt: skip
        quantized = folder / f"{name}_{calibrator}.onnx"
        if quantized not in done:
            quantize_model(path, data, quantized, calibrator=calibrator)
            with np.load(data) as arrays:
                done[quantized] = dict(arrays)
        return path, quantized, done[quantized]

    return make


def ports(path):
    """Names, types and shapes (a symbolic batch is 1) of inputs and outputs."""
    graph = onnx.shape_inference.infer_shapes(onnx.load(path)).graph
    constants = {tensor.name for tensor in graph.initializer}

    def describe(value):
        kind = value.type.tensor_type
        return value.name, kind.elem_type, [dim.dim_value or 1 for dim in kind.shape.dim]

    return [
        [describe(value) for value in values if value.name not in constants]
        for values in (graph.input, graph.output)
    ]


def reference(path, arrays):
    """ONNX Runtime's outputs, sample by sample, without rewriting of the graph."""
    session = onnx_session(path, as_written=True)
    runs = [
        session.run(None, {name: array[i : i + 1] for name, array in arrays.items()})
        for i in range(SAMPLES)
    ]
    names = [output.name for output in session.get_outputs()]
    return {name: np.concatenate([run[k] for run in runs]) for k, name in enumerate(names)}


def decoded(network, arrays):
    codes = golden.run_network(network, encode_inputs(network, arrays))
    return decode_outputs(network, codes)


@pytest.mark.parametrize("name", BUILDERS)
def test_check_finds_nothing(name, made):
    path, quantized, _ = made(name)
    start = time.monotonic()
    for model in (path, quantized):
        assert check(model).to_json() == {"runs": True, "problems": []}
    assert time.monotonic() - start < 10  # about 0.2 s where nothing else runs


@pytest.mark.parametrize("name", BUILDERS)
def test_the_quantised_file_keeps_names_shapes_and_layout(name, made):
    path, quantized, _ = made(name)
    onnx.checker.check_model(onnx.load(quantized), full_check=True)
    assert ports(quantized) == ports(path)


@pytest.mark.parametrize("calibrator", ["minmax", "mse"])
@pytest.mark.parametrize("name", BUILDERS)
def test_golden_is_what_onnx_runtime_makes_of_the_file(name, calibrator, made):
    _, quantized, arrays = made(name, calibrator)
    network = read_network(quantized)
    found, wanted = decoded(network, arrays), reference(quantized, arrays)
    assert list(found) == list(wanted)
    for port in network.outputs:
        array, expected = found[port.name], wanted[port.name]
        assert (array.dtype, array.shape) == (np.float32, expected.shape)
        codes = np.abs(array - expected) / network.tensors[port.tensor].scale
        assert codes.max() <= SEVERAL_CODES
        assert codes.mean() < 0.5


@pytest.mark.parametrize("name", [name for name in BUILDERS if name not in NO_FLOAT_REFERENCE])
def test_golden_is_near_the_float_model(name, made):
    path, quantized, arrays = made(name)
    found, wanted = decoded(read_network(quantized), arrays), reference(path, arrays)
    for output, expected in wanted.items():
        noise = np.mean((found[output] - expected) ** 2)
        assert 10 * np.log10(expected.var() / noise) > 20, output


@pytest.mark.parametrize("array", [(1, 1), (3, 5), (4, 4), (8, 8), (16, 8)], ids=str)
@pytest.mark.parametrize("name", BUILDERS)
def test_program_equals_golden(name, array, made):
    _, quantized, arrays = made(name)
    network = read_network(quantized)
    codes = encode_inputs(network, {key: values[:2] for key, values in arrays.items()})
    program = compile_for_array(network, array)
    expected = golden.run(program, codes)
    assert compare(expected.outputs, interpreter.run(program, codes).outputs) is None


def test_verilog_equals_golden(made):
    jobs = []
    for name in VERILOG:
        _, quantized, arrays = made(name)
        network = read_network(quantized)
        codes = encode_inputs(network, {key: values[:2] for key, values in arrays.items()})
        jobs.append((compile_network(network, ARRAYS["3x5"]), codes))
    for name, job, result in zip(VERILOG, jobs, engine.run_many(jobs), strict=True):
        program, codes = job
        expected = golden.run(program, codes).outputs
        assert compare(expected, result.outputs, level=f"verilog, {name}") is None
        # The program is the same for every sample, and its time is known before it runs.
        assert set(result.cycles) == {sum(layer["cycles"] for layer in program.layers)}


@pytest.mark.parametrize("mode", ["SAME_UPPER", "SAME_LOWER"])
@pytest.mark.parametrize("kernel", [(2, 3), (3, 4)], ids=str)
def test_dilated_same_padding_is_calibrated_as_it_is_computed(kernel, mode, tmp_path):
    """ONNX Runtime refuses to run it, so explicit padding stands in for it."""
    models = {}
    for padding in ("same", "numbers"):
        model = torch_style.Model(opset=17)
        totals = [3 * (k - 1) for k in kernel]
        less, more = [total // 2 for total in totals], [total - total // 2 for total in totals]
        numbers = less + more if mode == "SAME_UPPER" else more + less
        pads = {"auto_pad": mode} if padding == "same" else {"pads": numbers}
        x = model.input(["N", 2, 6, 7])
        model.output(torch_style.conv(model, x, 3, kernel, inputs=2, dilations=[3, 3], **pads))
        models[padding] = model.save(tmp_path, f"{padding}.onnx")
    random = np.random.default_rng(2)
    np.savez(tmp_path / "x.npz", inputs=random.standard_normal((4, 2, 6, 7)).astype(np.float32))
    written = []
    for padding, path in models.items():
        quantize_model(path, tmp_path / "x.npz", tmp_path / f"{padding}_int8.onnx")
        written.append((tmp_path / f"{padding}_int8.onnx").read_bytes())
    assert written[0] == written[1]


def test_an_input_that_nothing_reads(tmp_path):
    """An exporter keeps it, so the quantised file has it, and its samples are asked for."""
    model = torch_style.Model()
    x, unused = model.input(["N", 3], "x"), model.input(["N", 2, 4, 4], "unused")
    path = model.output(model.node("Relu", x)).save(tmp_path)
    random = np.random.default_rng(3)
    arrays = {
        x: random.standard_normal((4, 3)).astype(np.float32),
        unused: random.standard_normal((4, 2, 4, 4)).astype(np.float32),
    }
    np.savez(tmp_path / "x.npz", **arrays)
    quantize_model(path, tmp_path / "x.npz", tmp_path / "q.onnx")
    assert ports(tmp_path / "q.onnx") == ports(path)
    network = read_network(tmp_path / "q.onnx")
    program = compile_for_array(network, (2, 3))
    codes = encode_inputs(network, arrays)
    found = interpreter.run(program, codes).outputs
    assert compare(golden.run(program, codes).outputs, found) is None
