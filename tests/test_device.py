"""`weft.Device` and `weft run`: models on a simulated board, its tests, and boards that go away."""

import json
import os
import re
from dataclasses import replace

import numpy as np
import pytest
from levels import pair

import weft
from weft.boards.driver import Driver
from weft.boards.layer_runs import run_layers
from weft.boards.registry import BOARDS
from weft.boards.transport import GoneError
from weft.cli import main
from weft.compiler.compile import compile_network
from weft.compiler.edges import dequantize_output, quantize_input
from weft.compiler.network import Conv2D, Network, Port, Requantize, Tensor
from weft.compiler.program import Program
from weft.device import board_baud
from weft.errors import InputError, RefusedError
from weft.hw.config import Config, Space
from weft.sim import golden
from weft.simulated_board import SimulatedBoard

ARRAY = "4x4"
#: Networks: a dense layer with one input and one output, and several layers.
DENSE, SEVERAL = 3, 13


@pytest.fixture(scope="module")
def board():
    with SimulatedBoard(pair(ARRAY, DENSE).program.config, pair(ARRAY, DENSE).program) as made:
        yield made


def device(board, number=DENSE, **options):
    return weft.Device(board.port, pair(ARRAY, number).program, timeout=60, limit=600, **options)


def only(network):
    """Input port, its tensor, output port, its tensor."""
    (x,), (y,) = network.inputs, network.outputs
    return x, network.tensors[x.tensor], y, network.tensors[y.tensor]


def samples(network, seed, count=3):
    print("seed", seed)
    rng = np.random.default_rng(seed)
    return {
        port.name: rng.integers(-128, 128, (count, *port.shape), np.int8) for port in network.inputs
    }


def golden_outputs(network, arrays):
    codes = {
        port.tensor: quantize_input(port, network.tensors[port.tensor], arrays[port.name])
        for port in network.inputs
    }
    tensors = golden.run_network(network, codes)
    return {
        port.name: dequantize_output(port, network.tensors[port.tensor], tensors[port.tensor])
        for port in network.outputs
    }


@pytest.mark.parametrize("number", [DENSE, 6, 14])
def test_arrays_of_the_models_own(board, number):
    network = pair(ARRAY, number).program.network
    arrays = samples(network, number)
    seen = []
    with device(board, number) as opened:
        result = opened.run(arrays, progress=lambda *step: seen.append(step))
        assert opened.status().cycles == result.cycles[-1]
    np.testing.assert_equal(result.outputs, golden_outputs(network, arrays))
    assert seen[-1] == ("run", 3, 3)
    assert (result.classes is None) == (len(network.outputs) > 1)


def test_a_single_array_and_real_values(board):
    network = pair(ARRAY, DENSE).program.network
    x, tensor, y, out = only(network)
    rng = np.random.default_rng(5)
    real = (tensor.scale * rng.normal(0, 60, (4, *x.shape))).astype(np.float64)
    codes = quantize_input(replace(x, dtype="float32"), tensor, real)
    want = golden.run_network(network, {x.tensor: codes})[y.tensor].reshape(4, *y.shape)
    with device(board) as opened:
        found = opened.run(real)
        as_codes = opened.run(real, dequantize=False)
        of_codes = opened.run(codes.reshape(4, *x.shape), dequantize=True)
        plain = opened.run(codes.reshape(4, *x.shape))
    np.testing.assert_array_equal(as_codes.output, want)
    assert as_codes.output.dtype == plain.output.dtype == np.int8
    values = (want.astype(np.float32) - np.float32(out.zero_point)) * np.float32(out.scale)
    np.testing.assert_array_equal(found.output, values)
    np.testing.assert_array_equal(of_codes.output, values)
    np.testing.assert_array_equal(plain.output, want)
    np.testing.assert_array_equal(found.classes, values.reshape(4, -1).argmax(1))


def shape_of(port):
    return " x ".join(["N", *map(str, port.shape)])


def test_wrong_arrays_are_named(board):
    x, tensor, *_ = only(pair(ARRAY, DENSE).program.network)
    good = np.zeros((2, *x.shape))
    nan = good.copy()
    nan[1, 0, 0, 0] = np.nan
    cases = {
        f"input '{x.name}' has shape 2 x 1 where {shape_of(x)} was expected": np.zeros((2, 1)),
        f"input '{x.name}' holds nan at index (1, 0, 0, 0)": nan,
        f"input '{x.name}' has dtype uint8 and values that int8 does not hold exactly; convert "
        f"it to int8: codes = round(x / {np.float32(tensor.scale)!s})": np.full_like(
            good, 200, np.uint8
        ),
        f"input '{x.name}' has dtype complex128; convert it to": good.astype(complex),
        f"input '{x.name}' has no samples": good[:0],
        f"the inputs must be '{x.name}', and the arrays given are 'y'": {"y": good},
    }
    with device(board) as opened:
        for message, inputs in cases.items():
            with pytest.raises(InputError, match=f"^{re.escape(message)}"):
                opened.run(inputs)


def test_several_inputs_want_a_mapping(board):
    first, second = pair(ARRAY, 6).program.network.inputs
    names = f"'{first.name}', '{second.name}'"
    with device(board, 6) as opened:
        with pytest.raises(InputError, match=f"the model has 2 inputs; give a mapping .* {names}"):
            opened.run(np.zeros((1, *first.shape)))
        unequal = [np.zeros((count, *first.shape)) for count in (1, 2)]
        unlike = r"numbers of samples \('in0' has 1, 'in1' has 2\); give every input the same"
        with pytest.raises(InputError, match=unlike):
            opened.run(dict(zip((first.name, second.name), unequal, strict=True)))


def test_labels(board, tmp_path):
    network = pair(ARRAY, DENSE).program.network
    _, _, y, out = only(network)
    names = [f"class {n}" for n in range(out.size)]
    path = tmp_path / "labels.txt"
    path.write_text("\n".join(names) + "\n\n")
    arrays = samples(network, 9)
    with device(board, labels=path) as opened:
        result = opened.run(arrays)
    assert result.labels == [names[n] for n in result.output.reshape(3, -1).argmax(1)]
    with pytest.raises(InputError) as error:
        device(board, labels=names[1:])
    assert str(error.value) == (
        f"the labels: there are {out.size - 1} labels for the {out.size} values of output "
        f"'{y.name}'; give one label for each, in the order of the classes"
    )
    with pytest.raises(InputError, match=r"none.txt is not a readable file of labels \(No such"):
        device(board, labels=tmp_path / "none.txt")
    with pytest.raises(InputError, match=r"several outputs \('t3', 't4'\); leave labels out"):
        device(board, 14, labels=names)


def test_another_program_is_refused_where_it_may_not_be_loaded(board):
    board.reset()
    program = pair(ARRAY, SEVERAL).program
    with device(board, SEVERAL, load=False) as opened, pytest.raises(RefusedError) as error:
        opened.run(samples(program.network, 1))
    assert str(error.value) == (
        f"the board on {board.port} has program {pair(ARRAY, DENSE).program.digest}, and "
        f"{program.digest} was asked for; flash the bitstream of the program's folder, or let the "
        "program be loaded"
    )
    with device(board, load=False) as opened:
        assert len(opened.run(samples(pair(ARRAY, DENSE).program.network, 1)).cycles) == 3


@pytest.mark.parametrize("number", [13, 14, 15, 17, 18])
def test_layers_as_golden_and_the_compiler_say(board, number):
    program, _ = pair(ARRAY, number).drawn
    codes = {name: array[:1] for name, array in pair(ARRAY, number).inputs.items()}
    expected = golden.run_network(program.network, codes, keep=True)
    with device(board, number) as opened:
        layers = opened.layer_cycles()
        runs = run_layers(opened.driver, program, {name: x[0] for name, x in codes.items()})
        # What was marked as the end is there again.
        assert opened.identify().program_digest == program.digest
        outputs = opened.driver.run(program, codes).outputs
    assert [layer.measured for layer in layers] == [layer["cycles"] for layer in program.layers]
    assert all(layer.equal for layer in layers)
    for run in runs:
        np.testing.assert_array_equal(run.codes, expected[run.tensor][0])
    np.testing.assert_equal(outputs, {name: expected[name] for name in program.core_outputs})


class Lying(Program):
    """Says that it is another one."""

    digest = property(lambda self: pair(ARRAY, SEVERAL).program.digest)


def damaged(layer):
    """A program of several layers, with another bias in one of them."""
    program = pair(ARRAY, SEVERAL).program
    images = {space: image.copy() for space, image in program.images.items()}
    own = program.instructions_of_layers()[layer]
    row = program.instructions[own[0]].parameter
    images[Space.PARAMETER][row] ^= 0x40
    return Lying(program.config, program.network, images, program.placements, program.layers)


def test_self_test(board, capsys):
    with device(board, SEVERAL) as opened:
        result = opened.self_test(seed=4, samples=3)
    assert result.holds
    assert result.memory_words == 1500
    assert result.measured == 3 * (result.estimated,)
    result.show()
    assert "outputs equal golden's on 3 random samples (seed 4)" in capsys.readouterr().out


def test_a_self_test_names_the_layer_that_is_wrong(tmp_path, capsys):
    program = pair(ARRAY, SEVERAL).program
    program.save(tmp_path)
    with SimulatedBoard(program.config, damaged(1)) as board:
        command = ["run", str(tmp_path), "--port", board.port, "--self-test"]
        assert main([*command, "--json"]) == 1
        found = json.loads(capsys.readouterr().out)
        assert main(command) == 1
        text = capsys.readouterr().out
    assert not found["passed"]
    assert found["first_divergence"]["level"] == "board"
    assert found["first_divergence"]["tensor"] == program.network.nodes[1].output
    assert found["memory_fault"] is None
    assert "board differs first in tensor" in text.replace("\n", " ")
    assert f"self-test FAILED on {board.port}" in text


def test_commands_on_a_simulated_board(board, tmp_path, capsys):
    program = pair(ARRAY, DENSE).program
    program.save(tmp_path)
    network = program.network
    *_, out = only(network)
    (tmp_path / "names").write_text("".join(f"name {n}\n" for n in range(out.size)))
    arrays = samples(network, 2, 12)
    np.savez(tmp_path / "x.npz", inputs=next(iter(arrays.values())))
    command = ["run", str(tmp_path), "--port", board.port]
    capsys.readouterr()
    files = ["--inputs", str(tmp_path / "x.npz"), "-o", str(tmp_path / "y.npz")]
    assert main([*command, *files, "--labels", str(tmp_path / "names"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    want = next(iter(golden_outputs(network, arrays).values()))
    assert said["labels"] == [f"name {n}" for n in want.reshape(12, -1).argmax(1)]
    with np.load(tmp_path / "y.npz") as saved:
        np.testing.assert_array_equal(saved["outputs"], want)
    assert main([*command, *files, "--labels", str(tmp_path / "names"), "--no-load"]) == 0
    assert "and 2 more; --json prints all" in capsys.readouterr().out
    assert main([*command, "--layers", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["equal"]
    assert main([*command, "--self-test"]) == 0
    assert f"self-test passed on {board.port}" in capsys.readouterr().out


def test_layers_that_take_other_cycles(board, tmp_path, capsys):
    program = pair(ARRAY, SEVERAL).program
    layers = [dict(layer) for layer in program.layers]
    layers[1]["cycles"] += 3
    replace(program, layers=layers).save(tmp_path)
    assert main(["run", str(tmp_path), "--port", board.port, "--layers"]) == 1
    text = capsys.readouterr().out
    assert "-3" in text
    assert "1 of 4 layers did not take the cycles that were estimated" in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "Give --inputs X.npz and -o Y.npz, or --self-test, or --layers."),
        (["--self-test", "--layers"], "Give --self-test or --layers, one at a time."),
        (["--layers", "-o", "y.npz"], "--layers has no samples; leave --inputs, -o and --labels"),
    ],
)
def test_usage(options, message, capsys):
    assert main(["run", "folder", "--port", "p", *options]) == 2
    assert message in capsys.readouterr().err


def test_a_device_of_its_own(tmp_path):
    program = pair(ARRAY, DENSE).program
    program.save(tmp_path)
    arrays = samples(program.network, 3, 1)
    with weft.Device("sim", tmp_path) as opened:
        process = opened._board._process
        np.testing.assert_equal(opened.run(arrays).outputs, golden_outputs(program.network, arrays))
    assert process.poll() is not None


def test_the_speed_of_the_line(tmp_path, capsys):
    program = pair(ARRAY, DENSE).program
    program.save(tmp_path)
    assert board_baud(program, tmp_path) == 1_000_000
    built = {"baud": 3_000_000, "config_digest": program.config.digest}
    (tmp_path / "build.json").write_text(json.dumps(built))
    assert board_baud(program, tmp_path) == 3_000_000
    (tmp_path / "build.json").write_text(json.dumps(built | {"config_digest": "another"}))
    (tmp_path / "summary.json").write_text(json.dumps({"board": "icebreaker"}))
    assert board_baud(program, tmp_path) == BOARDS["icebreaker"].baud
    for damaged in ('{"baud": 300', "[]", "null", '{"baud": -1, "config_digest": ""}'):
        (tmp_path / "build.json").write_text(damaged)
        with pytest.raises(InputError) as error:
            board_baud(program, tmp_path)
        assert str(error.value) == (
            f"{tmp_path / 'build.json'} holds no finished build, which would say how fast the link "
            "is; run `weft build` again, or give --baud"
        )
    assert main(["build", str(tmp_path), "--baud", "300"]) == 2
    assert capsys.readouterr().err == (
        "error: --baud 300 is too slow for the link; give at least 9600\n"
    )
    assert main(["build", str(tmp_path), "--baud", "2500000"]) == 2
    assert capsys.readouterr().err == (
        "error: iCEBreaker: a clock of 3.6e+07 Hz cannot make 2.5e+06 baud within 2%; give a whole "
        "fraction of its clock, up to 3000000\n"
    )


class Plugged:
    """A board on a port whose name stays, and which can be unplugged and plugged in again."""

    def __init__(self, folder):
        self.port = str(folder / "port")
        self.program = pair(ARRAY, DENSE).program
        self.plug_in()

    def plug_in(self):
        self.board = SimulatedBoard(self.program.config, self.program)
        os.symlink(self.board.port, self.port)

    def unplug(self):
        os.unlink(self.port)
        self.board.close()


@pytest.fixture
def plugged(tmp_path):
    made = Plugged(tmp_path)
    yield made
    made.board.close()


def test_unplugged_and_back(plugged):
    arrays = samples(plugged.program.network, 6)
    want = golden_outputs(plugged.program.network, arrays)
    with weft.Device(plugged.port, plugged.program, timeout=5) as opened:
        with pytest.raises(GoneError) as error:
            opened.run(arrays, progress=lambda what, done, _: done == 2 and plugged.unplug())
        assert str(error.value) == (
            f"{plugged.port} went away: the board was unplugged or reset its USB; plug it in and "
            "run again"
        )
        with pytest.raises(InputError, match=f"no serial port {plugged.port}: .*; check --port"):
            opened.run(arrays)
        plugged.plug_in()
        np.testing.assert_equal(opened.run(arrays).outputs, want)


def test_a_run_goes_on_when_the_board_is_back(plugged):
    arrays = samples(plugged.program.network, 7, 5)
    happened = []

    def disturb(what, done, _):
        if what == "run" and done in (2, 3) and done not in happened:
            happened.append(done)
            if done == 2:
                plugged.unplug()
                plugged.plug_in()
            else:
                plugged.board.reset()

    with weft.Device(plugged.port, plugged.program, timeout=5, reconnect=60) as opened:
        result = opened.run(arrays, progress=disturb)
    assert happened == [2, 3]
    np.testing.assert_equal(result.outputs, golden_outputs(plugged.program.network, arrays))


def test_a_board_that_stays_away(plugged):
    arrays = samples(plugged.program.network, 8)
    with (
        weft.Device(plugged.port, plugged.program, timeout=5, reconnect=0.3) as opened,
        pytest.raises(GoneError, match="went away"),
    ):
        opened.run(arrays, progress=lambda what, done, _: done == 1 and plugged.unplug())


def stack(seed, width=16, layers=3, side=6):
    """Convolutions whose weights do not fit the weight memory at once."""
    rng = np.random.default_rng(seed)
    network = Network("stack")
    shapes = [(side, side, 4)] + layers * [(side, side, width)]
    for number, shape in enumerate(shapes):
        network.tensors[f"t{number}"] = Tensor(f"t{number}", shape, 1.0)
    for number in range(layers):
        network.nodes.append(
            Conv2D(
                name=f"conv{number}", inputs=(f"t{number}",), output=f"t{number + 1}",
                weights=rng.integers(-128, 128, (width, 3, 3, shapes[number][2]), np.int8),
                bias=rng.integers(-999, 999, width, np.int32),
                requantize=Requantize(shift=np.full(width, 10, np.int32)), padding=(1, 1, 1, 1),
            )
        )  # fmt: skip
    network.inputs.append(Port("x", "t0", shapes[0], dtype="int8"))
    network.outputs.append(Port("y", f"t{layers}", shapes[-1], dtype="int8"))
    return network


def test_the_next_input_goes_over_the_link_during_a_run(monkeypatch):
    """With copies of weights in the background as well: neither disturbs the other."""
    config = Config(
        rows=4, columns=4, lanes=2, activation_depth=800, weight_depth=200, parameter_depth=200,
        program_depth=3000, copies=1, stream=1,
    )  # fmt: skip
    program = compile_network(stack(0), config)
    assert program.copied_bytes
    assert program.released is not None
    arrays = samples(program.network, 11, 6)
    while_busy = []
    original = Driver.write

    def write(self, words, *rest):
        if len(words) == len(program.input_words({"t0": arrays["x"][0]})):
            while_busy.append(self.status().busy)
        original(self, words, *rest)

    monkeypatch.setattr(Driver, "write", write)
    with (
        SimulatedBoard(config, program) as board,
        weft.Device(board.port, program, timeout=60, limit=600) as opened,
    ):
        result = opened.run(arrays)
        layers = opened.layer_cycles()
        opened.driver.start()  # and the host is stopped
        again = opened.run(arrays)
    np.testing.assert_equal(result.outputs, golden_outputs(program.network, arrays))
    np.testing.assert_equal(again.outputs, result.outputs)
    assert result.cycles == 6 * [sum(layer["cycles"] for layer in program.layers)]
    # A host that is held up for long finds a core that is done.
    assert not while_busy[0]
    assert any(while_busy[1:])
    assert all(layer.equal for layer in layers)
