"""The simulated board: the real driver and a real serial port in front of the real gateware."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import serial
from levels import pair

from weft.boards.driver import Driver
from weft.boards.protocol import Command, encode_request
from weft.cli import main
from weft.errors import RefusedError
from weft.sim import golden
from weft.simulated_board import SimulatedBoard

ARRAY = "4x4"
FIRST, SECOND = 0, 5


@pytest.fixture(scope="module")
def board():
    with SimulatedBoard(pair(ARRAY, FIRST).program.config, pair(ARRAY, FIRST).program) as made:
        yield made


def device(board):
    return Driver(board.port, timeout=60, limit=600)


def cycles(program):
    return sum(layer["cycles"] for layer in program.layers)


def assert_equals_golden(device, drawn):
    program, inputs = drawn
    result = device.run(program, inputs)
    np.testing.assert_equal(result.outputs, golden.run(program, inputs).outputs)
    return result


def test_a_flashed_program_runs_without_being_loaded(board):
    board.reset()
    program, _ = pair(ARRAY, FIRST).drawn
    with device(board) as opened:
        assert not opened.load(program)
        result = assert_equals_golden(opened, pair(ARRAY, FIRST).drawn)
    assert result.cycles == [cycles(program)] * 2


def test_a_good_line_loses_nothing(board, monkeypatch):
    """Many samples, every request answered at once: nothing is repeated."""
    program, _ = pair(ARRAY, FIRST).drawn
    rng = np.random.default_rng(3)
    inputs = {
        name: rng.integers(-128, 128, (40, *program.network.tensors[name].shape), np.int8)
        for name in program.core_inputs
    }
    drains = []
    with device(board) as opened:
        monkeypatch.setattr(opened._link._transport, "drain", drains.append)
        assert_equals_golden(opened, (program, inputs))
    assert drains == []


def test_another_program_is_loaded_and_a_reset_brings_the_first_one_back(board):
    program = pair(ARRAY, FIRST).program
    with device(board) as opened:
        assert_equals_golden(opened, pair(ARRAY, SECOND).drawn)
        assert opened.identify().program_digest == pair(ARRAY, SECOND).program.digest
    board.reset()
    with device(board) as opened:
        assert opened.identify().program_digest == program.digest
        assert_equals_golden(opened, pair(ARRAY, FIRST).drawn)


def test_a_reset_in_the_middle_of_a_run_is_noticed(board):
    program, inputs = pair(ARRAY, FIRST).drawn

    def pull(what, done, total):
        if (what, done) == ("run", 1):
            board.reset()

    with device(board) as opened:
        with pytest.raises(RefusedError, match=f"{board.port} was reset, or used by another"):
            opened.run(program, inputs, progress=pull)
        assert_equals_golden(opened, pair(ARRAY, FIRST).drawn)


def test_a_host_that_died_in_the_middle_of_a_frame_leaves_no_trace(board):
    frame = encode_request(Command.WRITE, 3, count=2, space=1, address=7, payload=bytes(8))
    with serial.Serial(board.port, exclusive=True) as port:
        port.write(frame[:-6])
    with device(board) as opened:
        assert_equals_golden(opened, pair(ARRAY, FIRST).drawn)


def test_two_hosts_at_once(board):
    with device(board), pytest.raises(RefusedError, match=f"{board.port} is in use by another"):
        device(board)


def test_a_board_that_is_switched_off_in_the_middle_of_a_run():
    program, inputs = pair(ARRAY, FIRST).drawn
    board = SimulatedBoard(program.config, program)
    with (
        Driver(board.port, timeout=1) as opened,
        pytest.raises(RefusedError, match=f"{board.port} went away|from {board.port}"),
    ):
        opened.run(program, inputs, progress=lambda *_: board.close())
    with pytest.raises(RuntimeError, match="is switched off"):
        board.reset()


def test_a_program_of_another_configuration_is_not_flashed():
    with pytest.raises(ValueError, match="for another configuration"):
        SimulatedBoard(pair("5x3", 0).program.config, pair(ARRAY, FIRST).program)


def test_a_system_without_pseudo_terminals(monkeypatch):
    monkeypatch.setitem(sys.modules, "tty", None)
    with pytest.raises(RefusedError, match=r"no pseudo-terminals, .* on Linux or macOS"):
        SimulatedBoard(pair(ARRAY, FIRST).program.config)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A program as `weft compile` leaves it, and samples for it."""
    folder = tmp_path_factory.mktemp("compiled")
    program = pair(ARRAY, FIRST).program
    program.save(folder)
    rng = np.random.default_rng(1)
    ports = program.network.inputs
    samples = {
        port.name: rng.integers(-128, 128, (2, *port.shape)).astype(port.dtype) for port in ports
    }
    named = samples if len(ports) > 1 else {"inputs": samples[ports[0].name]}
    np.savez(folder / "x.npz", **named)
    return folder


def outputs(path):
    with np.load(path) as arrays:
        return {name: arrays[name] for name in arrays.files}


def test_run_on_a_board_of_its_own(folder, tmp_path, capsys):
    arguments = ["run", str(folder), "--inputs", str(folder / "x.npz"), "--port", "sim"]
    assert main([*arguments, "-o", str(tmp_path / "y.npz"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["cycles"] == [cycles(pair(ARRAY, FIRST).program)] * 2
    simulated = ["simulate", str(folder), "--inputs", str(folder / "x.npz"), "--level", "program"]
    assert main([*simulated, "-o", str(tmp_path / "z.npz")]) == 0
    np.testing.assert_equal(outputs(tmp_path / "y.npz"), outputs(tmp_path / "z.npz"))


def test_the_command_offers_a_port_until_it_is_interrupted(folder, tmp_path):
    # What a shell starts in the background ignores interrupts, and so do the tests there.
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from weft.cli import main; sys.exit(main())"
    )
    command = [sys.executable, "-c", code, "board-sim", str(folder), "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
    ) as running:
        said = json.loads(running.stdout.readline())
        assert said["program_digest"] == pair(ARRAY, FIRST).program.digest
        with Driver(said["port"], timeout=60) as opened:
            assert_equals_golden(opened, pair(ARRAY, FIRST).drawn)
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "interrupted" in errors
    assert "Traceback" not in errors


def test_a_board_that_ends_by_itself():
    program = pair(ARRAY, FIRST).program
    with SimulatedBoard(program.config, program) as board:
        board._process.kill()
        with pytest.raises(RefusedError, match=r"^the simulated board on /dev/.* has stopped "):
            board.wait()


def test_a_folder_that_is_none(tmp_path, capsys):
    assert main(["board-sim", str(tmp_path / "none")]) == 2
    assert "weft compile MODEL" in capsys.readouterr().err
