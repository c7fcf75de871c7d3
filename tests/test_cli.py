"""The command line: what it prints, and with which status it ends."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from weft.cli import cli, main
from weft.commands import levels
from weft.commands.summary import show_release
from weft.compiler.edges import decode_outputs, encode_inputs
from weft.compiler.program import Program
from weft.errors import RefusedError
from weft.hw.config import Space
from weft.sim import golden
from weft.sim.golden import RunResult
from weft.sim.layers import cut

COMMANDS = [
    "board-sim", "boards", "build", "check", "compile", "demo", "estimate", "flash", "profile",
    "quantize", "run", "simulate", "validate", "verify",
]  # fmt: skip


def samples(count: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.integers(0, 17, (count, 1, 8, 8)).astype(np.float32)


def save_model(path: Path, nodes, inputs, outputs, constants=()) -> Path:
    def info(name, shape):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    graph = helper.make_graph(
        nodes, "test", [info(*i) for i in inputs], [info(*o) for o in outputs],
        [numpy_helper.from_array(array, name) for name, array in constants],
    )  # fmt: skip
    opset = helper.make_opsetid("", 17)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=9), path)
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory, digits_onnx):
    """A quantised model, compiled folders and samples, made by the commands themselves."""
    folder = tmp_path_factory.mktemp("files")
    np.savez(folder / "calibration.npz", inputs=samples(16))
    np.savez(folder / "x.npz", inputs=samples(3, seed=1))
    quantized, data = folder / "int8.onnx", folder / "calibration.npz"
    assert main(["quantize", str(digits_onnx), "--data", str(data), "-o", str(quantized)]) == 0
    assert main(["compile", str(quantized), "--array", "4x4", "-o", str(folder / "array")]) == 0
    assert (
        main(["compile", str(quantized), "--board", "icebreaker", "-o", str(folder / "board")]) == 0
    )
    return folder


def run_json(capsys, *arguments) -> tuple[int, dict]:
    capsys.readouterr()
    status = main([*map(str, arguments), "--json"])
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    return status, json.loads(out)


def failure(capsys, *arguments) -> tuple[int, str]:
    """Status and the message of a command that fails."""
    capsys.readouterr()
    status = main([str(argument) for argument in arguments])
    streams = capsys.readouterr()
    assert streams.out == ""
    assert "Traceback" not in streams.err
    return status, streams.err[streams.err.rindex("rror: ") + len("rror: ") :]


def test_help_lists_every_command_in_80_columns(capsys):
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert sorted(cli.commands) == COMMANDS
    assert all(f"\n  {command} " in out for command in COMMANDS)
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command, capsys):
    assert main([command, "--help"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"Usage: weft {command} ")
    assert "--json" in out


def test_help_imports_nothing_slow():
    code = "import sys, weft.cli; weft.cli.main(['--help']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    slow = {"numpy", "onnx", "onnxruntime", "amaranth", "rich", "cocotb"}
    assert slow.isdisjoint(done.stdout.split())


def test_public_names_can_be_imported():
    import weft  # noqa: PLC0415 - it is what is tested

    assert all(getattr(weft, name) is not None for name in weft.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = weft.nothing


def test_check_of_a_model_that_runs(capsys, digits_onnx, files):
    good = {"runs": True, "problems": []}
    assert run_json(capsys, "check", digits_onnx) == (0, good)
    assert run_json(capsys, "check", files / "int8.onnx", "--board", "icebreaker") == (0, good)


def test_check_names_every_problem(capsys, tmp_path):
    model = save_model(
        tmp_path / "bad.onnx",
        [
            helper.make_node("ConvTranspose", ["x", "w"], ["a"], name="up"),
            helper.make_node("Erf", ["a"], ["y"], name="odd"),
        ],
        [("x", ["N", 1, 4, 4])],
        [("y", ["N", 1, 5, 5])],
        [("w", np.ones((1, 1, 2, 2), np.float32))],
    )
    status, found = run_json(capsys, "check", model)
    assert status == 1
    assert found["runs"] is False
    assert {problem["node"] for problem in found["problems"]} == {"up", "odd"}
    assert all(set(p) == {"node", "op", "reason", "remedy"} for p in found["problems"])
    assert main(["check", str(model)]) == 1
    out = capsys.readouterr().out
    assert "does not run" in out
    assert "ConvTranspose 'up'" in out


def large_model(path: Path) -> Path:
    return save_model(
        path,
        [helper.make_node("Gemm", ["x", "w"], ["y"], name="dense")],
        [("x", ["N", 512])],
        [("y", ["N", 512])],
        [("w", np.random.default_rng(0).standard_normal((512, 512), np.float32) / 64)],
    )


def test_check_says_that_a_network_is_too_large_for_a_board(capsys, tmp_path):
    model = large_model(tmp_path / "large.onnx")
    assert run_json(capsys, "check", model)[0] == 0
    status, found = run_json(capsys, "check", model, "--board", "icebreaker")
    assert status == 1
    assert "weight" in [problem["node"] for problem in found["problems"]]


def test_compile_refuses_a_network_too_large_for_a_board(capsys, tmp_path):
    model, quantized = large_model(tmp_path / "large.onnx"), tmp_path / "q.onnx"
    np.savez(tmp_path / "x.npz", inputs=np.ones((2, 512), np.float32))
    assert (
        main(["quantize", str(model), "--data", str(tmp_path / "x.npz"), "-o", str(quantized)]) == 0
    )
    status, message = failure(
        capsys, "compile", quantized, "--board", "icebreaker", "-o", tmp_path / "out"
    )
    assert status == 1
    assert "memory 'weight'" in message
    assert not (tmp_path / "out").exists()


def test_quantize_says_what_it_chose(capsys, tmp_path, digits_onnx, files):
    status, found = run_json(
        capsys, "quantize", digits_onnx, "--data", files / "calibration.npz",
        "--calibrator", "mse", "--scales", "shift", "-o", tmp_path / "q.onnx",
    )  # fmt: skip
    assert status == 0
    assert (found["samples"], found["calibrator"], found["scales"]) == (16, "mse", "shift")
    image = {"name": "image", "scale": 0.25, "zero_point": 0, "type": "Q5.2"}
    assert image.items() <= found["tensors"][0].items()
    onnx.checker.check_model(onnx.load(tmp_path / "q.onnx"))


def test_compile_writes_the_same_bytes_every_time(files, tmp_path):
    model = str(files / "int8.onnx")
    assert main(["compile", model, "--array", "4x4", "-o", str(tmp_path)]) == 0
    written = sorted(path.name for path in tmp_path.iterdir())
    assert written == ["model.onnx", "program.json", "program.npz", "summary.json", "weft_core.v"]
    for name in written:
        assert (tmp_path / name).read_bytes() == (files / "array" / name).read_bytes()


def test_summary_adds_up(files):
    summary = json.loads((files / "board" / "summary.json").read_text())
    assert summary["board"] == "icebreaker"
    assert summary["macs"] == sum(layer["macs"] for layer in summary["layers"]) == 97088
    assert summary["multipliers"] == 16
    assert summary["cycles"] == sum(layer["cycles"] for layer in summary["layers"])
    # No layer can be faster than its multiplications.
    for layer in summary["layers"]:
        assert layer["cycles"] * summary["multipliers"] >= layer["macs"]
    assert [m["memory"] for m in summary["memories"]] == [
        "activation", "weight", "parameter", "table", "program",
    ]  # fmt: skip
    assert all(m["rows_used"] <= m["rows"] for m in summary["memories"])


def test_simulate_at_golden_needs_no_array(capsys, files, tmp_path):
    out = tmp_path / "y.npz"
    status, found = run_json(
        capsys, "simulate", files / "int8.onnx", "--inputs", files / "x.npz", "-o", out
    )
    assert status == 0
    assert found == {
        "level": "golden", "outputs": str(out), "cycles": None,
        "multipliers": None, "macs": 97088, "utilization": None, "stream": None,
    }  # fmt: skip
    outputs = np.load(out)["outputs"]
    assert outputs.shape == (3, 10)
    assert outputs.dtype == np.float32


@pytest.mark.parametrize("source", ["int8.onnx", "array", "board"])
def test_simulate_gives_the_same_outputs_at_every_level(source, files, tmp_path, capsys):
    wanted, found = tmp_path / "golden.npz", tmp_path / "program.npz"
    inputs = ["--inputs", str(files / "x.npz")]
    shape = ["--array", "5x3"] if source == "int8.onnx" else []
    command = ["simulate", str(files / source), *inputs, *shape]
    assert main([*command, "-o", str(wanted)]) == 0
    assert main([*command, "--level", "program", "-o", str(found)]) == 0
    assert np.array_equal(np.load(wanted)["outputs"], np.load(found)["outputs"])


def test_simulate_counts_cycles(capsys, files, tmp_path, monkeypatch):
    def rtl(program, inputs, progress, **_options):
        outputs = levels.interpreter.run(program, inputs).outputs
        return RunResult(outputs, [8000, 8100, 8200])

    monkeypatch.setattr(levels.rtl, "run", rtl)
    _, found = run_json(
        capsys, "simulate", files / "array", "--inputs", files / "x.npz",
        "--level", "rtl", "-o", tmp_path / "y.npz",
    )  # fmt: skip
    assert found["cycles"] == [8000, 8100, 8200]
    assert found["multipliers"] == 16
    assert found["utilization"] == pytest.approx(97088 / (16 * 8100))


@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")
def test_simulate_a_stream(capsys, files, tmp_path):
    """The throughput is reported apart from the latency."""
    folder, samples = tmp_path / "stream", ["--inputs", files / "x.npz"]
    status, summary = run_json(
        capsys, "compile", files / "int8.onnx", "--array", "4x4", "--stream", "-o", folder
    )
    assert status == 0
    assert summary["config"]["stream"] == 1
    assert 0 < summary["released_cycles"] < summary["cycles"]
    command = ["simulate", folder, *samples, "--level", "verilog", "--stream"]
    status, found = run_json(capsys, *command, "-o", tmp_path / "y.npz")
    assert status == 0
    assert found["cycles"] == [summary["cycles"]] * 3
    stream = found["stream"]
    assert len(stream["cycles"]) == 2
    assert summary["cycles"] < min(stream["cycles"]) <= max(stream["cycles"]) < stream["alone"]
    assert main(["simulate", str(folder), *map(str, samples), "-o", str(tmp_path / "g.npz")]) == 0
    outputs = (np.load(tmp_path / name)["outputs"] for name in ("y.npz", "g.npz"))
    assert np.array_equal(*outputs)
    capsys.readouterr()
    assert main([*map(str, command), "-o", str(tmp_path / "y.npz")]) == 0
    text = " ".join(capsys.readouterr().out.split())
    period, alone = stream["cycles"][0], stream["alone"]
    assert f"as a stream a sample every {period:,} cycles, loading and reading included" in text
    assert f"one after the other every {alone:,}" in text
    assert main(["compile", str(files / "int8.onnx"), "--array", "4x4", "--stream",
                 "-o", str(folder)]) == 0  # fmt: skip
    text = " ".join(capsys.readouterr().out.split())
    released, cycles = summary["released_cycles"], summary["cycles"]
    assert f"the next input may be loaded after {released:,} of {cycles:,} cycles" in text


def test_a_release_without_room_is_said(capsys):
    show_release(None, 100)
    text = " ".join(capsys.readouterr().out.split())
    assert "the next input is loaded when the outputs are read: activation memory has no" in text


def test_verify_of_equal_levels(capsys, files):
    result = run_json(
        capsys, "verify", files / "array", "--inputs", files / "x.npz", "--level", "program"
    )
    status, found = result
    assert status == 0
    layers = found.pop("layers")
    assert found == {
        "equal": True, "samples": 3, "levels": ["golden", "program"], "layer_samples": 3,
        "references": [], "warnings": [], "first_divergence": None,
        "cycles": {}, "bitstream": None,
    }  # fmt: skip
    network = Program.load(files / "array").network
    assert layers == [node.output for node in network.nodes]


@pytest.mark.parametrize(
    ("layers", "text"),
    [
        ("all", "layer by layer: 6 tensors equal on 3 samples\n"),
        ("first", "layer by layer: 6 tensors equal on 1 sample\n"),
        ("none", ""),
    ],
)
def test_verify_shows_what_it_compared(layers, text, capsys, files):
    command = ["verify", files / "array", "--inputs", files / "x.npz", "--level", "program"]
    assert main([*map(str, command), "--layers", layers]) == 0
    streams = capsys.readouterr()
    assert streams.out == f"equal on 3 samples: golden == program\n{text}"
    assert ("layer by layer: equal" in streams.err) == bool(text)


def broken(files, tmp_path, layer):
    """A copy of a compiled folder with one weight of a layer changed; the layer's tensor."""
    program = Program.load(files / "array")
    part = cut(program)[layer]
    weights = program.images[Space.WEIGHT].copy()
    weights[part.program.instructions[0].weight, :4] ^= 0x40
    images = {**program.images, Space.WEIGHT: weights}
    shutil.copytree(files / "array", tmp_path / "broken")
    replace(program, images=images).save(tmp_path / "broken")
    return tmp_path / "broken", part.tensor


def test_verify_names_the_layer_where_it_begins(capsys, files, tmp_path):
    folder, tensor = broken(files, tmp_path, 2)
    command = ["verify", folder, "--inputs", files / "x.npz", "--level", "program"]
    status, found = run_json(capsys, *command)
    first = found["first_divergence"]
    assert (status, first["level"], first["tensor"], first["name"]) == (
        1, "program", tensor, tensor,
    )  # fmt: skip
    # Outputs alone do not show it.
    _, blind = run_json(capsys, *command, "--layers", "none")
    assert blind["first_divergence"]["tensor"] == "logits"
    assert blind["layers"] == []
    assert main([*map(str, command)]) == 1
    text = capsys.readouterr().out
    assert f"not equal: program differs first in tensor {tensor!r}, sample" in text


def test_verify_runs_the_layers_of_a_sample_whose_output_differs(capsys, files, tmp_path):
    """With --layers first, a later sample that shows an error is looked at as well."""
    folder, tensor = broken(files, tmp_path, 0)
    x = samples(3, seed=1)
    x[0] = 0  # weights of the first layer make no difference to it
    np.savez(tmp_path / "x.npz", inputs=x)
    command = ["verify", folder, "--inputs", tmp_path / "x.npz", "--level", "program"]
    _, found = run_json(capsys, *command, "--layers", "first")
    first = found["first_divergence"]
    assert (first["tensor"], first["index"][0]) == (tensor, 1)


def reference(files, tmp_path, capsys, **arrays):
    """Verify with a file of reference tensors: status, JSON."""
    np.savez(tmp_path / "r.npz", **arrays)
    return run_json(
        capsys, "verify", files / "array", "--inputs", files / "x.npz", "--level", "program",
        "--reference", tmp_path / "r.npz",
    )  # fmt: skip


def test_verify_with_reference_tensors(capsys, files, tmp_path):
    program = Program.load(files / "array")
    codes = encode_inputs(program.network, {"image": samples(3, seed=1)})
    tensors = golden.run_network(program.network, codes, keep=True)
    outputs = decode_outputs(program.network, tensors)["logits"]
    name = program.network.nodes[1].output
    arrays = {name: tensors[name][:2], "outputs": outputs, "labels": np.arange(3)}
    status, found = reference(files, tmp_path, capsys, **arrays)
    assert (status, found["equal"]) == (0, True)
    path = str(tmp_path / "r.npz")
    assert found["references"] == [{"file": path, "tensors": 2, "samples": 3}]
    assert found["warnings"] == [
        f"{path}: the network has no tensor 'labels', which is not compared"
    ]

    arrays[name] = tensors[name][0] ^ 1
    status, found = reference(files, tmp_path, capsys, **arrays)
    first = found["first_divergence"]
    assert (status, found["levels"], found["layers"]) == (1, ["golden"], [])
    assert (first["level"], first["against"], first["name"]) == ("golden", "r.npz", name)
    assert first["index"] == [0, 0, 0, 0]


def test_verify_shows_references(capsys, files, tmp_path):
    np.savez(tmp_path / "r.npz", logits=np.zeros((1, 10), np.float32), other=np.zeros(3))
    command = ["verify", files / "array", "--inputs", files / "x.npz", "--level", "program",
               "--reference", tmp_path / "r.npz"]  # fmt: skip
    assert main([*map(str, command)]) == 1
    out = " ".join(capsys.readouterr().out.split())  # a warning is wrapped
    assert f"warning: {tmp_path / 'r.npz'}: the network has no tensor 'other', which" in out
    assert "not equal: golden differs first from r.npz in tensor 'logits', sample 0, row 0" in out


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "r.npz does not exist; give the path of an .npz file"),
        (b"nothing", "r.npz is not a readable .npz file; save the tensors with numpy.savez("),
        ({"none": np.zeros(3)}, "r.npz has no array for any tensor of the model (found: 'none')"),
        ({"logits": np.zeros((2, 9))}, "array 'logits' has shape 2 x 9 where tensor 'logits'"),
    ],
)
def test_bad_references(content, words, capsys, files, tmp_path):
    if isinstance(content, bytes):
        (tmp_path / "r.npz").write_bytes(content)
    elif content:
        np.savez(tmp_path / "r.npz", **content)
    status, message = failure(
        capsys, "verify", files / "array", "--inputs", files / "x.npz", "--level", "program",
        "--reference", tmp_path / "r.npz",
    )  # fmt: skip
    assert (status, words in message) == (2, True), message


def test_verify_names_the_first_divergence(capsys, files, monkeypatch):
    right = levels.interpreter.run

    def wrong(program, inputs):
        result = right(program, inputs)
        result.outputs["logits"][1, 0, 0, 7] ^= 1
        return result

    monkeypatch.setattr(levels.interpreter, "run", wrong)
    command = ["verify", files / "array", "--inputs", files / "x.npz", "--level", "rtl"]
    status, found = run_json(capsys, *command)
    assert status == 1
    assert found["equal"] is False
    assert found["levels"] == ["golden", "program"]
    first = found["first_divergence"]
    assert set(first) == {
        "level", "tensor", "index", "expected", "actual", "cycle", "name", "number", "against",
    }  # fmt: skip
    assert (first["level"], first["tensor"], first["index"]) == ("program", "logits", [1, 0, 0, 7])
    assert first["actual"] == first["expected"] ^ 1
    assert main([str(argument) for argument in command]) == 1
    assert "not equal: program differs first in tensor 'logits'" in capsys.readouterr().out


@pytest.mark.parametrize("content", [None, b"", b"not a model", "truncated"])
@pytest.mark.parametrize("command", ["check", "compile", "quantize", "simulate"])
def test_bad_model_file(command, content, tmp_path, capsys, files):
    model = tmp_path / "model.onnx"
    if content == "truncated":
        content = (files / "int8.onnx").read_bytes()[:3000]
    if content is not None:
        model.write_bytes(content)
    more = {
        "check": [],
        "compile": ["--array", "4x4", "-o", tmp_path / "out"],
        "quantize": ["--data", files / "calibration.npz", "-o", tmp_path / "q.onnx"],
        "simulate": ["--inputs", files / "x.npz", "-o", tmp_path / "y.npz"],
    }[command]
    status, message = failure(capsys, command, model, *more)
    assert status == 2
    assert str(model) in message
    assert message.count("\n") == 1


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((4, 1, 8, 9), np.float32), "shape 4 x 1 x 8 x 9"),
        (np.zeros((64,), np.float32), "shape 64"),
        (np.zeros((0, 1, 8, 8), np.float32), "no samples"),
        (np.full((2, 1, 8, 8), np.nan, np.float32), "nan"),
        (np.zeros((2, 1, 8, 8), np.complex64), "complex64"),
    ],
)
def test_bad_samples(array, words, capsys, files, digits_onnx):
    data = files / "bad.npz"
    np.savez(data, inputs=array)
    for command in (
        ["quantize", digits_onnx, "--data", data, "-o", files / "bad.onnx"],
        ["simulate", files / "int8.onnx", "--inputs", data, "-o", files / "y.npz"],
        ["verify", files / "array", "--inputs", data, "--level", "program"],
    ):
        status, message = failure(capsys, *command)
        assert status == 2
        assert words in message
        assert str(data) in message


def test_bad_usage(capsys, tmp_path, files, digits_onnx):
    quantized, out = files / "int8.onnx", tmp_path / "out"
    x, y = ["--inputs", files / "x.npz"], ["-o", tmp_path / "y.npz"]
    cases = [
        (["compile", quantized, "--board", "toaster", "-o", out], 2, "the boards are icebreaker"),
        (["check", quantized, "--board", "toaster"], 2, "the boards are icebreaker"),
        (["demo", "--board", "toaster", "-o", out], 2, "the boards are icebreaker"),
        (["compile", quantized, "-o", out], 2, "either --board BOARD or --array RxC"),
        (["compile", quantized, "--array", "8", "-o", out], 2, "not an array shape"),
        (["compile", quantized, "--array", "0x8", "-o", out], 2, "not an array shape"),
        (["compile", digits_onnx, "--array", "4x4", "-o", out], 1, "weft quantize"),
        (["quantize", quantized, "--data", files / "x.npz", "-o", out], 1, "quantised already"),
        (["simulate", files / "array", *x, "--array", "4x4", *y], 2, "leave --array out"),
        (["simulate", tmp_path, *x, *y], 2, "weft compile MODEL"),
        (["simulate", quantized, *x, *y, "--stream"], 2, "add --level verilog"),
        (
            ["simulate", files / "array", *x, *y, "--stream", "--level", "verilog"],
            2,
            "compile the model with --stream",
        ),
        (
            ["compile", quantized, "--board", "icebreaker", "--stream", "-o", out],
            2,
            "--stream says more of --array RxC",
        ),
        (["simulate", quantized, *x, "-o", tmp_path / "no" / "y.npz"], 2, "cannot be written"),
        (["verify", tmp_path / "none", *x], 2, "weft compile MODEL"),
        (["build", tmp_path / "none"], 2, "weft compile MODEL"),
        (["build", files / "array"], 2, "--board BOARD"),
        (["build", files / "board", "--from", tmp_path / "none"], 2, "holds no build.json"),
        (["flash", files / "board"], 2, "weft build"),
        (["flash", files / "board", "--program"], 2, "weft build"),
        (["flash", files / "board", "--program", "--sram"], 2, "take one"),
        (["run", files / "board", "--port", "/dev/none", *x, *y], 2, "no serial port"),
        (
            ["run", files / "board", "--port", "/dev/none", *x, "-o", tmp_path / "no" / "y.npz"],
            2,
            f"cannot be written (there is no folder {tmp_path / 'no'}); give another path with -o",
        ),
        (["frobnicate"], 2, "No such command"),
    ]
    for command, wanted, words in cases:
        status, message = failure(capsys, *command)
        assert (status, words in message) == (wanted, True), (command, status, message)
    assert not out.exists()


@pytest.mark.parametrize("text", ['{"board": "iceb', "[]", '{"board": 5}', '{"board": "arty"}'])
def test_a_summary_that_names_no_board(text, capsys, tmp_path, files):
    folder = tmp_path / "out"
    shutil.copytree(files / "board", folder)
    (folder / "summary.json").write_text(text)
    assert failure(capsys, "build", folder) == (
        2,
        f"{folder} has no readable summary.json; make it again with: weft compile MODEL "
        f"--board BOARD -o {folder}\n",
    )


def test_the_demo_says_that_it_needs_scikit_learn(capsys, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    status, message = failure(capsys, "demo", "-o", tmp_path / "out")
    assert status == 1
    assert "pip install 'weft[demo]'" in message


def raiser(error: BaseException):
    def run(*arguments, **options):
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (ZeroDivisionError("oh"), 70, "internal error: ZeroDivisionError: oh; please report"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (RefusedError("because"), 1, "error: because\n"),
    ],
)
def test_errors_become_a_sentence_and_a_status(error, status, words, capsys, monkeypatch):
    monkeypatch.delenv("WEFT_DEBUG", raising=False)
    monkeypatch.setattr("weft.commands.check.check", raiser(error))
    assert main(["check", "model.onnx"]) == status
    streams = capsys.readouterr()
    assert words in streams.err
    assert "Traceback" not in streams.err
    assert streams.out == ""


def test_a_traceback_for_those_who_ask(capsys, monkeypatch):
    monkeypatch.setenv("WEFT_DEBUG", "1")
    monkeypatch.setattr("weft.commands.check.check", raiser(ZeroDivisionError("oh")))
    assert main(["check", "model.onnx"]) == 70
    assert "Traceback" in capsys.readouterr().err


def test_an_array_has_a_limit(capsys, tmp_path, files):
    command = ["compile", files / "int8.onnx", "-o", tmp_path / "out", "--array"]
    for shape, words in (
        ("300x300", "more than 1,024 multipliers"),
        ("1x99999999999999999999", "not an array shape"),
        ("8\N{FULLWIDTH LATIN SMALL LETTER X}8", "not an array shape"),
    ):
        status, message = failure(capsys, *command, shape)
        assert (status, words in message) == (2, True), message
    assert not (tmp_path / "out").exists()


def test_a_network_too_large_for_a_board_is_told_where_it_fits(capsys, tmp_path):
    for size, remedy in (
        (320, "use --board ulx3s-85f or orangecrab-85f or ecpix5-85f, where the network fits"),
        (1024, "no board here has room for it; use a smaller network"),
    ):
        model = save_model(
            tmp_path / "large.onnx",
            [helper.make_node("Gemm", ["x", "w"], ["y"], name="dense")],
            [("x", ["N", size])],
            [("y", ["N", size])],
            [("w", np.random.default_rng(0).standard_normal((size, size), np.float32) / 64)],
        )
        status, found = run_json(capsys, "check", model, "--board", "icebreaker")
        assert status == 1
        weight = next(p for p in found["problems"] if p["node"] == "weight")
        assert f"bytes and the network needs {size * size:,}" in weight["reason"]
        assert weight["remedy"] == remedy


def test_a_refusal_names_the_file_that_was_given(capsys, tmp_path):
    model, quantized = large_model(tmp_path / "large.onnx"), tmp_path / "q.onnx"
    np.savez(tmp_path / "x.npz", inputs=np.ones((2, 512), np.float32))
    assert (
        main(["quantize", str(model), "--data", str(tmp_path / "x.npz"), "-o", str(quantized)]) == 0
    )
    _, message = failure(capsys, "compile", quantized, "--board", "icebreaker", "-o", tmp_path)
    assert message.startswith(f"{quantized} cannot run as it is (")


def test_names_that_no_file_can_have(capsys, files, digits_onnx):
    name, x, y = "a" * 300, ["--inputs", files / "x.npz"], ["-o", files / "y.npz"]
    for command in (
        ["check", name],
        ["quantize", digits_onnx, "--data", name, "-o", files / "q.onnx"],
        ["simulate", name, *x, *y],
        ["simulate", files / "array", "--inputs", name, *y],
        ["verify", name, *x],
        ["compile", files / "int8.onnx", "--array", "1x1", "-o", name],
        ["build", name],
    ):
        status, message = failure(capsys, *command)
        assert (status, name in message) == (2, True), message


@pytest.mark.parametrize("blocked", ["weft_core.v", "summary.json", "program.json", "program.npz"])
def test_a_result_that_cannot_be_written(blocked, capsys, files, tmp_path):
    (tmp_path / blocked).mkdir()
    command = ["compile", files / "int8.onnx", "--array", "2x2", "-o", tmp_path]
    status, message = failure(capsys, *command)
    assert status == 2
    assert f"{blocked} cannot be written (Is a directory); give another folder" in message


def test_missing_verilog_says_what_to_do(capsys, files, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(files / "array", folder)
    (folder / "weft_core.v").unlink()
    status, message = failure(
        capsys, "simulate", folder, "--inputs", files / "x.npz", "--level", "verilog",
        "-o", tmp_path / "y.npz",
    )  # fmt: skip
    assert status == 2
    assert "weft_core.v cannot be read (No such file or directory); compile" in message


@pytest.mark.parametrize("name", ["program.json", "program.npz"])
@pytest.mark.parametrize("damage", ["missing", "empty", "half", "flipped"])
def test_a_damaged_program(name, damage, capsys, files, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(files / "array", folder)
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 0x15
    if damage == "missing":
        (folder / name).unlink()
    else:
        keep = {"empty": 0, "half": len(content) // 2, "flipped": len(content)}[damage]
        (folder / name).write_bytes(content[:keep])
    for command in (["simulate", "-o", tmp_path / "y.npz"], ["verify"]):
        status, message = failure(
            capsys, command[0], folder, *command[1:], "--inputs", files / "x.npz",
            "--level", "program",
        )  # fmt: skip
        assert status == 2
        assert str(folder) in message
        assert "make it again with `weft compile MODEL" in message


def test_an_error_leaves_standard_output_empty_with_json_too(capsys, files, tmp_path):
    for command in (
        ["check", tmp_path / "none.onnx"],
        ["compile", files / "int8.onnx", "--array", "300x300", "-o", tmp_path / "out"],
        ["verify", tmp_path, "--inputs", files / "x.npz"],
        ["simulate", files / "array", "--inputs", tmp_path / "x.npz", "-o", tmp_path / "y.npz"],
    ):
        assert failure(capsys, *command, "--json")[0] == 2


def test_problems_are_shown_in_80_columns(capsys, tmp_path, monkeypatch):
    nodes = [
        helper.make_node("PRelu", ["x", "w"], ["a"], name="n" * 30),
        helper.make_node("Mul", ["a", "x"], ["y"], name="product"),
    ]
    monkeypatch.chdir(tmp_path)
    shape = ["N", 1, 4, 4]
    model = save_model(
        tmp_path / "bad.onnx",
        nodes, [("x", shape)], [("y", shape)], [("w", np.ones((1, 1, 1), np.float32))],
    )  # fmt: skip
    assert main(["check", "bad.onnx"]) == 1
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80
    # At a terminal errors are wrapped as well; a program gets a line for each problem.
    command = ["compile", model.name, "--array", "1x1", "-o", "out"]
    assert failure(capsys, *command)[1].count("\n") == 3
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert main(command) == 1
    err = capsys.readouterr().err
    assert err.count("\n") > 3
    assert max(map(len, err.splitlines())) <= 80


def test_outputs_of_any_name_can_be_saved(capsys, tmp_path):
    nodes = [
        helper.make_node("Relu", ["x"], ["file"], name="first"),
        helper.make_node("Sigmoid", ["x"], ["a/b:0"], name="second"),
    ]
    shape = ["N", 2, 3]
    model = save_model(
        tmp_path / "m.onnx", nodes, [("x", shape)], [("file", shape), ("a/b:0", shape)]
    )
    data, out = tmp_path / "x.npz", tmp_path / "y.npz"
    np.savez(data, inputs=np.ones((4, 2, 3), np.float32))
    quantized = tmp_path / "q.onnx"
    assert run_json(capsys, "quantize", model, "--data", data, "-o", quantized)[0] == 0
    assert run_json(capsys, "simulate", quantized, "--inputs", data, "-o", out)[0] == 0
    with np.load(out) as arrays:
        assert {name: array.shape for name, array in arrays.items()} == {
            "file": (4, 2, 3),
            "a/b:0": (4, 2, 3),
        }


def test_simulate_at_program_knows_the_cycles(capsys, files, tmp_path):
    summary = json.loads((files / "array" / "summary.json").read_text())
    status, found = run_json(
        capsys, "simulate", files / "array", "--inputs", files / "x.npz", "--level", "program",
        "-o", tmp_path / "y.npz",
    )  # fmt: skip
    assert status == 0
    names = {"level", "outputs", "cycles", "multipliers", "macs", "utilization", "stream"}
    assert set(found) == names
    assert found["stream"] is None
    assert found["cycles"] == [summary["cycles"]] * 3
    assert found["utilization"] == pytest.approx(97088 / (16 * summary["cycles"]))


def test_samples_far_beyond_the_calibration_saturate_quietly(capfd, files, tmp_path):
    np.savez(tmp_path / "x.npz", inputs=np.full((1, 1, 8, 8), 3e38, np.float32))
    command = ["simulate", str(files / "array"), "--inputs", str(tmp_path / "x.npz")]
    assert main([*command, "-o", str(tmp_path / "y.npz")]) == 0
    assert "Warning" not in capfd.readouterr().err


def test_the_core_of_another_configuration_is_refused(capsys, files, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(files / "array", folder)
    core = folder / "weft_core.v"
    core.write_text(core.read_text().replace("configuration digest: ", "configuration digest: 0"))
    status, message = failure(
        capsys, "simulate", folder, "--inputs", files / "x.npz", "--level", "verilog",
        "-o", tmp_path / "y.npz",
    )  # fmt: skip
    assert status == 2
    assert "weft_core.v is not the core of configuration" in message
